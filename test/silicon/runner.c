// Runs single instructions on the processor underneath and tells what they did.
//
// Standard input and output carry records (layout.ts). The program never calls an instruction: it
// enters it by returning from a signal handler with the wanted registers, and the next signal (the
// INT3 behind it, or a fault) brings the results back. With the argument "cpuid" it prints the
// CPUID leaves that features are in instead.

#define _GNU_SOURCE
#include <asm/ldt.h>
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x20000000ul
#define CODE_BYTES 8192
#define DATA 0x10000000ul
#define DATA_BYTES 12288
#define WINDOWS 4

static const struct {
  unsigned at, bytes;
} windows[WINDOWS] = {{0, 128}, {4096 - 128, 256}, {8192 - 128, 256}, {12288 - 128, 128}};

// A case, and in the fields of the second names its outcome.
struct record {
  uint32_t number;
  union { uint32_t mode, vector; };
  union { uint64_t code_at; struct { uint32_t error_code, rest; }; };
  union { uint8_t code[16]; struct { uint64_t cr2, rip; }; };
  uint64_t gpr[16];
  uint64_t rflags, fs_base, gs_base;
  uint16_t selectors[6];
  uint32_t start;  // RIP before
  uint8_t unused[8];
  uint8_t fpu[512];
  uint8_t memory[768];
};
_Static_assert(sizeof(struct record) == 0x5d0, "the layout of layout.ts");

static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};
enum { ES, CS, SS, DS, FS, GS };

static struct record *cases, *outcomes;
static long count, current = -1;
static uint64_t own_fs_base, own_gs_base;
// The code and data pages where they can be written.
static uint8_t *code_alias, *data_alias;

static void finish(void) {
  const char *p = (const char *)outcomes;
  for (long left = count * (long)sizeof *outcomes; left > 0;) {
    long n = write(1, p, left);
    if (n <= 0) _exit(1);
    p += n;
    left -= n;
  }
  _exit(0);
}

static uint32_t hash_of_rest(void) {
  uint32_t hash = 0, from = 0;
  const uint32_t *words = (const uint32_t *)data_alias;
  for (int w = 0; w < WINDOWS; w++) {
    for (uint32_t i = from; i < windows[w].at / 4; i++)
      if (words[i]) hash = (hash ^ words[i]) * 0x01000193 + i;
    from = (windows[w].at + windows[w].bytes) / 4;
  }
  return hash;
}

static void save(struct record *o, ucontext_t *u) {
  greg_t *g = u->uc_mcontext.gregs;
  o->number = cases[current].number;
  o->vector = (uint32_t)g[REG_TRAPNO];
  o->error_code = (uint32_t)g[REG_ERR];
  o->rest = hash_of_rest();
  o->cr2 = (uint64_t)g[REG_CR2];
  o->rip = (uint64_t)g[REG_RIP];
  for (int i = 0; i < 16; i++) o->gpr[i] = (uint64_t)g[order[i]];
  o->rflags = (uint64_t)g[REG_EFL];
  o->selectors[CS] = (uint16_t)g[REG_CSGSFS];
  o->selectors[SS] = (uint16_t)(g[REG_CSGSFS] >> 48);
  memcpy(o->fpu, u->uc_mcontext.fpregs, sizeof o->fpu);
  uint8_t *to = o->memory;
  for (int i = 0; i < WINDOWS; to += windows[i++].bytes)
    memcpy(to, data_alias + windows[i].at, windows[i].bytes);
}

static void load(const struct record *t, ucontext_t *u) {
  greg_t *g = u->uc_mcontext.gregs;
  memset(data_alias, 0, DATA_BYTES);
  const uint8_t *from = t->memory;
  for (int i = 0; i < WINDOWS; from += windows[i++].bytes)
    memcpy(data_alias + windows[i].at, from, windows[i].bytes);
  memset(code_alias, 0xcc, CODE_BYTES);
  memcpy(code_alias + (t->code_at - CODE), t->code, sizeof t->code);
  for (int i = 0; i < 16; i++) g[order[i]] = (greg_t)t->gpr[i];
  g[REG_EFL] = (greg_t)t->rflags;
  g[REG_RIP] = (greg_t)t->start;
  g[REG_CSGSFS] = (greg_t)((uint64_t)t->selectors[CS] | (uint64_t)t->selectors[SS] << 48);
  u->uc_flags |= 6;  // UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS: take SS as it stands here
  // Bytes 464 to 511 tell the kernel about extended state: they stay.
  memcpy(u->uc_mcontext.fpregs, t->fpu, 464);
}

#define READ_SELECTOR(name, to) __asm__ volatile("mov %%" name ", %0" : "=r"(to))
#define LOAD_SELECTOR(name, from) __asm__ volatile("mov %0, %%" name : : "r"(from))

// Nothing here may use thread-local storage until the own FS is back.
__attribute__((optimize("no-stack-protector"))) static void on_signal(int number, siginfo_t *info,
                                                                      void *context) {
  (void)number;
  (void)info;
  uint64_t fs_base, gs_base;
  uint32_t selectors[6];
  __asm__ volatile("rdfsbase %0" : "=r"(fs_base));
  __asm__ volatile("rdgsbase %0" : "=r"(gs_base));
  READ_SELECTOR("es", selectors[ES]);
  READ_SELECTOR("ds", selectors[DS]);
  READ_SELECTOR("fs", selectors[FS]);
  READ_SELECTOR("gs", selectors[GS]);
  LOAD_SELECTOR("fs", 0);
  LOAD_SELECTOR("gs", 0);
  __asm__ volatile("wrfsbase %0" : : "r"(own_fs_base));
  __asm__ volatile("wrgsbase %0" : : "r"(own_gs_base));
  if (current >= 0) {
    struct record *o = &outcomes[current];
    save(o, context);
    o->fs_base = fs_base;
    o->gs_base = gs_base;
    o->selectors[ES] = (uint16_t)selectors[ES];
    o->selectors[DS] = (uint16_t)selectors[DS];
    o->selectors[FS] = (uint16_t)selectors[FS];
    o->selectors[GS] = (uint16_t)selectors[GS];
  }
  if (++current == count) finish();
  const struct record *t = &cases[current];
  load(t, context);
  LOAD_SELECTOR("es", (uint32_t)t->selectors[ES]);
  LOAD_SELECTOR("ds", (uint32_t)t->selectors[DS]);
  LOAD_SELECTOR("fs", (uint32_t)t->selectors[FS]);
  LOAD_SELECTOR("gs", (uint32_t)t->selectors[GS]);
  // Where a selector is loaded its descriptor gives the base.
  if (t->selectors[GS] <= 3) __asm__ volatile("wrgsbase %0" : : "r"(t->gs_base));
  if (t->selectors[FS] <= 3) __asm__ volatile("wrfsbase %0" : : "r"(t->fs_base));
}

static void on_alarm(int number) {
  (void)number;
  fprintf(stderr, "case %ld does not end\n", current);
  _exit(2);
}

static void check(int is_bad, const char *what) {
  if (!is_bad) return;
  perror(what);
  exit(1);
}

// Pages at an address with the wanted rights, and a second view of them that can be written.
static uint8_t *map_twice(unsigned long address, unsigned long bytes, int protection) {
  int file = memfd_create("pages", 0);
  check(file < 0 || ftruncate(file, (long)bytes) != 0, "memfd_create");
  void *p = mmap((void *)address, bytes, protection, MAP_SHARED | MAP_FIXED | MAP_POPULATE, file, 0);
  check(p == MAP_FAILED, "mmap");
  p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  check(p == MAP_FAILED, "mmap");
  return p;
}

// The LDT of modes.ts, line by line.
static void set_ldt(void) {
  static const struct user_desc entries[] = {
      {1, CODE, CODE_BYTES - 1, 0, 2, 0, 0, 0, 0, 0},
      {2, DATA - 0x8000, 0xffff, 0, 0, 0, 0, 0, 0, 0},
      {3, DATA - 0x1000, 0x2fff, 1, 0, 0, 0, 0, 0, 0},
      {4, DATA - 0x8000, 0x8fff, 0, 1, 0, 0, 0, 0, 0},
      {5, DATA, 0x0fff, 1, 1, 0, 0, 0, 0, 0},
      {6, 0, 0xfffff, 1, 0, 1, 1, 0, 0, 0},
      {7, DATA, 0xffff, 1, 0, 0, 0, 1, 0, 0},
      {8, CODE, CODE_BYTES - 1, 1, 2, 1, 0, 0, 0, 0},
      {9, CODE, CODE_BYTES - 1, 1, 2, 0, 0, 0, 0, 0},
  };
  for (unsigned i = 0; i < sizeof entries / sizeof *entries; i++) {
    struct user_desc entry = entries[i];
    check(syscall(SYS_modify_ldt, 0x11, &entry, sizeof entry) != 0, "modify_ldt");
  }
}

static void read_cases(void) {
  size_t capacity = 1 << 20, used = 0;
  char *input = malloc(capacity);
  for (;;) {
    if (used == capacity) input = realloc(input, capacity *= 2);
    ssize_t n = read(0, input + used, capacity - used);
    check(n < 0, "read");
    if (n == 0) break;
    used += (size_t)n;
  }
  cases = (struct record *)input;
  count = (long)(used / sizeof *cases);
  outcomes = calloc((size_t)count, sizeof *outcomes);
}

static int print_cpuid(void) {
  static const unsigned leaves[][2] = {{1, 0},          {6, 0},          {7, 0},
                                       {7, 1},          {7, 2},          {0xd, 1},
                                       {0x80000001, 0}, {0x80000007, 0}, {0x80000008, 0},
                                       {0x80000021, 0}};
  for (unsigned i = 0; i < sizeof leaves / sizeof *leaves; i++) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid_count(leaves[i][0], leaves[i][1], &a, &b, &c, &d);
    printf("%x %x %x %x %x %x\n", leaves[i][0], leaves[i][1], a, b, c, d);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "cpuid") == 0) return print_cpuid();
  read_cases();
  code_alias = map_twice(CODE, CODE_BYTES, PROT_READ | PROT_EXEC);
  data_alias = map_twice(DATA, DATA_BYTES, PROT_READ | PROT_WRITE);
  check(mprotect((void *)(DATA + 8192), 4096, PROT_READ) != 0, "mprotect");
  // A page that was never touched would show as missing in error codes.
  for (int i = 0; i < DATA_BYTES; i += 4096) (void)*(volatile uint8_t *)(DATA + i);
  for (int i = 0; i < CODE_BYTES; i += 4096) (void)*(volatile uint8_t *)(CODE + i);
  set_ldt();
  __asm__ volatile("rdfsbase %0" : "=r"(own_fs_base));
  __asm__ volatile("rdgsbase %0" : "=r"(own_gs_base));
  stack_t stack = {.ss_sp = malloc(1 << 18), .ss_size = 1 << 18};
  sigaltstack(&stack, NULL);
  struct sigaction alarm_action = {.sa_handler = on_alarm, .sa_flags = SA_ONSTACK};
  sigaction(SIGALRM, &alarm_action, NULL);
  alarm(10);
  struct sigaction action = {.sa_sigaction = on_signal,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  const int signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGUSR1};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
    sigaction(signals[i], &action, NULL);
  }
  raise(SIGUSR1);
  return 0;
}
