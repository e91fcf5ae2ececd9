// All programs in one file, as busybox does it: `programs NAME SIZE` runs one and prints its
// checksum. One file instead of many keeps the C library from being in the ramdisk twenty times.

#include <stdio.h>
#include <string.h>
#include "program.h"

#ifdef __x86_64__
#define IN_64_BITS(X) X(divide)
#else
#define IN_64_BITS(X)
#endif

#define PROGRAMS(X)                                                                              \
  X(bytecode) X(chase) X(copy) X(core) X(crc32) X(hash) X(indirect) X(libm) X(matmul) X(nbody)   \
  X(pages) X(recursion) X(sha256) X(sieve) X(single) X(sort) X(strings) X(syscalls) X(text)      \
  IN_64_BITS(X)

#define DECLARE(name) Program run_##name;
#define ENTRY(name) {#name, run_##name},

PROGRAMS(DECLARE)

static const struct {
  const char *name;
  Program *run;
} programs[] = {PROGRAMS(ENTRY)};

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
    if (strcmp(argv[1], programs[i].name) != 0) continue;
    uint64_t sum = programs[i].run(strtoull(argv[2], NULL, 10));
    // text has the standard output for its data.
    fprintf(strcmp(argv[1], "text") == 0 ? stderr : stdout, "%016llx\n", (unsigned long long)sum);
    return 0;
  }
  return 2;
}
