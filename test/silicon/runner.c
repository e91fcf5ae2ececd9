// Runs single instructions on the processor underneath and tells what they did.
//
// Standard input and output carry fixed-size cases (struct test_case, struct outcome; the layouts
// stand again in case.ts). The program never calls the instruction: it enters it by returning
// from a signal handler with the wanted registers, and the next signal (the INT3 behind it, or a
// fault) brings the results back. Nothing of the C library runs in between.

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x20000000ul
#define DATA 0x10000000ul
#define WINDOW_BYTES 256

// Data pages: two writable ones, a read-only one, a missing one; windows lie on their borders.
static const unsigned long windows[] = {DATA + 4096 - 128, DATA + 8192 - 128, DATA + 12288 - 256};
#define WINDOWS 3

struct fpu_image {
  uint8_t bytes[512];
};

struct test_case {
  uint32_t id;
  uint32_t code_offset;
  uint8_t code[16];
  uint64_t gpr[16];
  uint64_t rflags;
  struct fpu_image fpu;
  uint8_t memory[WINDOWS][WINDOW_BYTES];
};

struct outcome {
  uint32_t id;
  uint32_t vector;
  uint64_t error_code;
  uint64_t cr2;
  uint64_t rip;
  uint64_t gpr[16];
  uint64_t rflags;
  struct fpu_image fpu;
  uint8_t memory[WINDOWS][WINDOW_BYTES];
};

static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};

static struct test_case *cases;
static struct outcome *outcomes;
static long count, current = -1;

static void copy_windows_in(const struct test_case *t) {
  mprotect((void *)(DATA + 8192), 4096, PROT_READ | PROT_WRITE);
  memset((void *)DATA, 0, 12288);
  for (int i = 0; i < WINDOWS; i++) memcpy((void *)windows[i], t->memory[i], WINDOW_BYTES);
  mprotect((void *)(DATA + 8192), 4096, PROT_READ);
}

static void finish(void) {
  long done = 0;
  const char *p = (const char *)outcomes;
  long total = count * (long)sizeof *outcomes;
  while (done < total) {
    long n = write(1, p + done, total - done);
    if (n <= 0) _exit(1);
    done += n;
  }
  _exit(0);
}

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)number;
  (void)info;
  ucontext_t *u = context;
  greg_t *g = u->uc_mcontext.gregs;
  if (current >= 0) {
    struct outcome *o = &outcomes[current];
    o->id = cases[current].id;
    o->vector = (uint32_t)g[REG_TRAPNO];
    o->error_code = (uint64_t)g[REG_ERR];
    o->cr2 = (uint64_t)g[REG_CR2];
    o->rip = (uint64_t)g[REG_RIP];
    for (int i = 0; i < 16; i++) o->gpr[i] = (uint64_t)g[order[i]];
    o->rflags = (uint64_t)g[REG_EFL];
    memcpy(&o->fpu, u->uc_mcontext.fpregs, sizeof o->fpu);
    for (int i = 0; i < WINDOWS; i++) memcpy(o->memory[i], (void *)windows[i], WINDOW_BYTES);
  }
  if (++current == count) finish();
  const struct test_case *t = &cases[current];
  copy_windows_in(t);
  memset((void *)CODE, 0xcc, 8192);
  memcpy((void *)(CODE + t->code_offset), t->code, sizeof t->code);
  for (int i = 0; i < 16; i++) g[order[i]] = (greg_t)t->gpr[i];
  g[REG_EFL] = (greg_t)t->rflags;
  g[REG_RIP] = (greg_t)(CODE + t->code_offset);
  // Bytes 464 to 511 tell the kernel about extended state: they stay.
  memcpy(u->uc_mcontext.fpregs, &t->fpu, 464);
}

static void *map(unsigned long address, unsigned long bytes, int protection) {
  void *p = mmap((void *)address, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (p == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  return p;
}

int main(void) {
  size_t capacity = 1 << 20, used = 0;
  char *input = malloc(capacity);
  for (;;) {
    if (used == capacity) input = realloc(input, capacity *= 2);
    ssize_t n = read(0, input + used, capacity - used);
    if (n < 0) return 1;
    if (n == 0) break;
    used += (size_t)n;
  }
  cases = (struct test_case *)input;
  count = (long)(used / sizeof *cases);
  outcomes = calloc((size_t)count, sizeof *outcomes);
  map(CODE, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
  map(DATA, 12288, PROT_READ | PROT_WRITE);
  mprotect((void *)(DATA + 8192), 4096, PROT_READ);
  stack_t stack = {.ss_sp = malloc(1 << 17), .ss_size = 1 << 17};
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  const int signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGUSR1};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
  raise(SIGUSR1);
  return 0;
}
