// Runs floating-point instructions on the processor underneath and reports what they did.
// Usage: float-oracle OPERATION < records > results. Every number is little-endian.
//
// A record has 64 bytes: 0 u32 control (x87 control word or MXCSR), 8 a[16], 24 b[16], 40 c[16].
// A result has 64 bytes: 0 u32 status (x87 status word, MXCSR), 4 u32 EFLAGS (1 << 31 if the
// instruction trapped; PF alone is set before it), 8 ST(0) or the vector register, 24 ST(1) or a general register, 40 memory.
//
// x87 operations start with a in ST(0) and b in ST(1); memory operands are b, and 16 bytes of 0xaa
// where the instruction stores. SSE operations compute xmm0 = xmm0 op xmm1, with a, b in them.

// Compile with -mno-red-zone: the assembly pushes EFLAGS.

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

typedef struct {
  uint32_t control, unused;
  uint8_t a[16], b[16], c[16];
  uint8_t pad[8];
} Record;

typedef struct {
  uint32_t status, eflags;
  uint8_t r0[16], r1[16], memory[16];
  uint8_t pad[8];
} Result;

typedef struct {
  const char *name;
  void (*run)(const Record *, Result *);
} Operation;

static void take_x87(Result *out, const uint8_t *image, uint16_t status) {
  out->status = status;
  memcpy(out->r0, image + 28, 10);
  memcpy(out->r1, image + 38, 10);
}

// FNSAVE waits for no exception, so unmasked ones never trap here.
#define X87_FULL(name, preset, instruction)                                                    \
  static void x87_##name(const Record *in, Result *out) {                                      \
    uint8_t image[108];                                                                        \
    uint16_t status, control = in->control;                                                    \
    uint64_t eflags;                                                                           \
    preset;                                                                                    \
    __asm__ volatile("fninit\n fldt %[b]\n fldt %[a]\n fldcw %[control]\n"                     \
                     "movl $0x5555, %%eax\n add $0, %%eax\n" instruction "\n"                   \
                     "pushfq\n popq %[eflags]\n fnstsw %[status]\n fnsave %[image]\n"          \
                     : [status] "=m"(status), [image] "=m"(image), [eflags] "=&r"(eflags),     \
                       [memory] "+m"(out->memory)                                              \
                     : [a] "m"(in->a), [b] "m"(in->b), [control] "m"(control)                  \
                     : "rax", "cc", "memory");                                                 \
    take_x87(out, image, status);                                                              \
    out->eflags = eflags & 0x8d5;                                                              \
  }

#define X87(name, instruction) X87_FULL(name, memcpy(out->memory, in->b, 16), instruction)
#define X87_STORE(name, instruction) X87_FULL(name, memset(out->memory, 0xaa, 16), instruction)

X87(fadd, "fadd %%st(1), %%st")
X87(fsub, "fsub %%st(1), %%st")
X87(fsubr, "fsubr %%st(1), %%st")
X87(fmul, "fmul %%st(1), %%st")
X87(fdiv, "fdiv %%st(1), %%st")
X87(fdivr, "fdivr %%st(1), %%st")
X87(fadd_m32, "fadds %[memory]")
X87(fadd_m64, "faddl %[memory]")
X87(fmul_m32, "fmuls %[memory]")
X87(fmul_m64, "fmull %[memory]")
X87(fdiv_m64, "fdivl %[memory]")
X87(fsqrt, "fsqrt")
X87(frndint, "frndint")
X87(fscale, "fscale")
X87(fxtract, "fxtract")
X87(fprem, "fprem")
X87(fprem1, "fprem1")
X87(fcom, "fcom %%st(1)")
X87(fucom, "fucom %%st(1)")
X87(fcomi, "fcomi %%st(1), %%st")
X87(fucomi, "fucomi %%st(1), %%st")
X87(fcom_m32, "fcoms %[memory]")
X87(fcom_m64, "fcoml %[memory]")
X87(ftst, "ftst")
X87(fxam, "fxam")
X87(fld_m32, "flds %[memory]")
X87(fld_m64, "fldl %[memory]")
X87(fild_m16, "filds %[memory]")
X87(fild_m32, "fildl %[memory]")
X87(fild_m64, "fildll %[memory]")
X87(fbld, "fbld %[memory]")
X87_STORE(fst_m32, "fsts %[memory]")
X87_STORE(fst_m64, "fstl %[memory]")
X87_STORE(fist_m16, "fists %[memory]")
X87_STORE(fist_m32, "fistl %[memory]")
X87_STORE(fistp_m64, "fistpll %[memory]")
X87_STORE(fisttp_m16, "fisttps %[memory]")
X87_STORE(fisttp_m32, "fisttpl %[memory]")
X87_STORE(fisttp_m64, "fisttpll %[memory]")
X87_STORE(fbstp, "fbstp %[memory]")
X87(f2xm1, "f2xm1")
X87(fyl2x, "fyl2x")
X87(fyl2xp1, "fyl2xp1")
X87(fpatan, "fpatan")
X87(fsin, "fsin")
X87(fcos, "fcos")
X87(fsincos, "fsincos")
X87(fptan, "fptan")

// An unmasked SSE exception arrives as SIGFPE: note it and go on at `resume`.
static void *resume;
static volatile int trapped;
static uint32_t trap_mxcsr;

static void on_trap(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
  ucontext_t *u = context;
  trapped = 1;
  trap_mxcsr = u->uc_mcontext.fpregs->mxcsr;
  u->uc_mcontext.fpregs->mxcsr = 0x1f80;
  u->uc_mcontext.gregs[REG_RIP] = (greg_t)resume;
}

#define SSE(name, instruction)                                                                 \
  static void sse_##name(const Record *in, Result *out) {                                      \
    uint32_t status, normal = 0x1f80;                                                          \
    uint64_t eflags, general = 0xaaaaaaaaaaaaaaaa;                                             \
    trapped = 0;                                                                               \
    memcpy(out->memory, in->b, 16);                                                            \
    __asm__ volatile("leaq 1f(%%rip), %%rax\n movq %%rax, %[resume]\n"                         \
                     "movdqu %[a], %%xmm0\n movdqu %[b], %%xmm1\n movdqu %[c], %%xmm2\n"       \
                     "movl $0x5555, %%eax\n add $0, %%eax\n"                                   \
                     "movq %[b], %%rcx\n movq %[general], %%rax\n"                             \
                     "ldmxcsr %[control]\n" instruction "\n"                                   \
                     "1: pushfq\n popq %[eflags]\n"                                            \
                     "stmxcsr %[status]\n ldmxcsr %[normal]\n"                                 \
                     "movdqu %%xmm0, %[r0]\n movq %%rax, %[general]\n"                         \
                     : [status] "=m"(status), [eflags] "=&r"(eflags), [r0] "=m"(out->r0),      \
                       [general] "+m"(general), [resume] "=m"(resume)                          \
                     : [a] "m"(in->a), [b] "m"(in->b), [c] "m"(in->c),                         \
                       [control] "m"(in->control), [normal] "m"(normal)                        \
                     : "rax", "rcx", "xmm0", "xmm1", "xmm2", "cc", "memory");                  \
    out->status = trapped ? trap_mxcsr : status;                                               \
    out->eflags = (eflags & 0x8d5) | (trapped ? 0x80000000 : 0);                               \
    memcpy(out->r1, &general, 8);                                                              \
  }

#define SSE_BINARY(name) SSE(name, #name " %%xmm1, %%xmm0")
#define SSE_FOUR(name) SSE_BINARY(name##ss) SSE_BINARY(name##sd) SSE_BINARY(name##ps) SSE_BINARY(name##pd)
#define SSE_TWO(name) SSE_BINARY(name##ss) SSE_BINARY(name##sd)
#define SSE_COMPARE(n)                                                                         \
  SSE(cmpss##n, "cmpss $" #n ", %%xmm1, %%xmm0")                                               \
  SSE(cmpsd##n, "cmpsd $" #n ", %%xmm1, %%xmm0")
#define AVX_COMPARE(n)                                                                         \
  SSE(cmpss##n, "vcmpss $" #n ", %%xmm1, %%xmm0, %%xmm0")                                      \
  SSE(cmpsd##n, "vcmpsd $" #n ", %%xmm1, %%xmm0, %%xmm0")
#define SSE_ROUND(n)                                                                           \
  SSE(roundss##n, "roundss $" #n ", %%xmm1, %%xmm0")                                           \
  SSE(roundsd##n, "roundsd $" #n ", %%xmm1, %%xmm0")

SSE_FOUR(add)
SSE_FOUR(sub)
SSE_FOUR(mul)
SSE_FOUR(div)
SSE_TWO(sqrt)
SSE_TWO(min)
SSE_TWO(max)
SSE_TWO(comi)
SSE_TWO(ucomi)
SSE_BINARY(cvtss2sd)
SSE_BINARY(cvtsd2ss)
SSE_BINARY(rcpss)
SSE_BINARY(rsqrtss)
SSE(cvtsi2ss32, "cvtsi2ssl %%ecx, %%xmm0")
SSE(cvtsi2ss64, "cvtsi2ssq %%rcx, %%xmm0")
SSE(cvtsi2sd32, "cvtsi2sdl %%ecx, %%xmm0")
SSE(cvtsi2sd64, "cvtsi2sdq %%rcx, %%xmm0")
SSE(cvtss2si32, "cvtss2si %%xmm1, %%eax")
SSE(cvtss2si64, "cvtss2si %%xmm1, %%rax")
SSE(cvtsd2si32, "cvtsd2si %%xmm1, %%eax")
SSE(cvtsd2si64, "cvtsd2si %%xmm1, %%rax")
SSE(cvttss2si32, "cvttss2si %%xmm1, %%eax")
SSE(cvttss2si64, "cvttss2si %%xmm1, %%rax")
SSE(cvttsd2si32, "cvttsd2si %%xmm1, %%eax")
SSE(cvttsd2si64, "cvttsd2si %%xmm1, %%rax")
#define SSE_FMA(form)                                                                          \
  SSE(fmadd##form##ss, "vfmadd" #form "ss %%xmm2, %%xmm1, %%xmm0")                             \
  SSE(fmadd##form##sd, "vfmadd" #form "sd %%xmm2, %%xmm1, %%xmm0")                             \
  SSE(fnmsub##form##ss, "vfnmsub" #form "ss %%xmm2, %%xmm1, %%xmm0")                           \
  SSE(fnmsub##form##sd, "vfnmsub" #form "sd %%xmm2, %%xmm1, %%xmm0")
SSE_FMA(132) SSE_FMA(213) SSE_FMA(231)
SSE_COMPARE(0) SSE_COMPARE(1) SSE_COMPARE(2) SSE_COMPARE(3)
SSE_COMPARE(4) SSE_COMPARE(5) SSE_COMPARE(6) SSE_COMPARE(7)
AVX_COMPARE(8) AVX_COMPARE(9) AVX_COMPARE(10) AVX_COMPARE(11)
AVX_COMPARE(12) AVX_COMPARE(13) AVX_COMPARE(14) AVX_COMPARE(15)
AVX_COMPARE(16) AVX_COMPARE(17) AVX_COMPARE(18) AVX_COMPARE(19)
AVX_COMPARE(20) AVX_COMPARE(21) AVX_COMPARE(22) AVX_COMPARE(23)
AVX_COMPARE(24) AVX_COMPARE(25) AVX_COMPARE(26) AVX_COMPARE(27)
AVX_COMPARE(28) AVX_COMPARE(29) AVX_COMPARE(30) AVX_COMPARE(31)
SSE_ROUND(0) SSE_ROUND(1) SSE_ROUND(2) SSE_ROUND(3) SSE_ROUND(4) SSE_ROUND(8) SSE_ROUND(12)

#define X(name) {#name, x87_##name},
#define S(name) {#name, sse_##name},
#define S2(name) S(name##ss) S(name##sd)
#define C(n) S(cmpss##n) S(cmpsd##n)
#define F(form) S2(fmadd##form) S2(fnmsub##form)
#define R(n) S(roundss##n) S(roundsd##n)

static const Operation operations[] = {
  X(fadd) X(fsub) X(fsubr) X(fmul) X(fdiv) X(fdivr) X(fadd_m32) X(fadd_m64) X(fmul_m32)
  X(fmul_m64) X(fdiv_m64) X(fsqrt) X(frndint) X(fscale) X(fxtract) X(fprem) X(fprem1) X(fcom)
  X(fucom) X(fcomi) X(fucomi) X(fcom_m32) X(fcom_m64) X(ftst) X(fxam) X(fld_m32) X(fld_m64)
  X(fild_m16) X(fild_m32) X(fild_m64) X(fbld) X(fst_m32) X(fst_m64) 
  X(fist_m16) X(fist_m32) X(fistp_m64) X(fisttp_m16) X(fisttp_m32) X(fisttp_m64) X(fbstp)
  X(f2xm1) X(fyl2x) X(fyl2xp1) X(fpatan) X(fsin) X(fcos) X(fsincos) X(fptan)
  S2(add) S2(sub) S2(mul) S2(div) S2(sqrt) S2(min) S2(max) S2(comi) S2(ucomi)
  S(addps) S(addpd) S(subps) S(subpd) S(mulps) S(mulpd) S(divps) S(divpd)
  S(cvtss2sd) S(cvtsd2ss) S(rcpss) S(rsqrtss) S(cvtsi2ss32) S(cvtsi2ss64)
  S(cvtsi2sd32) S(cvtsi2sd64) S(cvtss2si32) S(cvtss2si64) S(cvtsd2si32) S(cvtsd2si64)
  S(cvttss2si32) S(cvttss2si64) S(cvttsd2si32) S(cvttsd2si64) F(132) F(213) F(231)
  C(0) C(1) C(2) C(3) C(4) C(5) C(6) C(7) C(8) C(9) C(10) C(11) C(12) C(13) C(14) C(15)
  C(16) C(17) C(18) C(19) C(20) C(21) C(22) C(23) C(24) C(25) C(26) C(27) C(28) C(29) C(30) C(31)
  R(0) R(1) R(2) R(3) R(4) R(8) R(12)
};

int main(int count, char **arguments) {
  if (count != 2) return fprintf(stderr, "usage: float-oracle OPERATION < records\n"), 2;
  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGFPE, &action, NULL);
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
    if (strcmp(operations[i].name, arguments[1]) != 0) continue;
    Record in;
    while (fread(&in, sizeof in, 1, stdin) == 1) {
      Result out = {0};
      operations[i].run(&in, &out);
      fwrite(&out, sizeof out, 1, stdout);
    }
    return 0;
  }
  return fprintf(stderr, "float-oracle: no operation %s\n", arguments[1]), 2;
}
