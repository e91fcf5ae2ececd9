// System calls that do little: the way into the kernel and back, and a byte through a pipe. A unit
// is 1,000 turns of four calls.

#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
#include "program.h"

enum { TURNS = 1000 };

uint64_t run_syscalls(uint64_t size) {
  uint64_t sum = 0;
  int ends[2];
  if (pipe(ends) != 0) return 0;
  for (uint64_t n = 0; n < size * TURNS; n++) {
    uint8_t out = n * 7, in = 0;
    sum += syscall(SYS_getppid) == syscall(SYS_getppid);
    if (write(ends[1], &out, 1) != 1 || read(ends[0], &in, 1) != 1) return 0;
    sum = mix(sum, in);
  }
  return sum;
}
