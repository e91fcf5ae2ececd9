// Copies memory by loops, forwards and backwards, between two buffers of 2 MiB: loads and stores
// (of 16 bytes: gcc makes vectors of them) and nothing else. The C library's copies are in
// strings.c. A unit is four mebibytes.

#include "program.h"

enum { WORDS = 1 << 18 };

static uint64_t first[WORDS], second[WORDS];

// The loops must not become calls of memcpy and memmove.
__attribute__((noinline, optimize("no-tree-loop-distribute-patterns")))
static void forwards(uint64_t *restrict to, const uint64_t *restrict from) {
  for (size_t i = 0; i < WORDS; i++) to[i] = from[i];
}

__attribute__((noinline, optimize("no-tree-loop-distribute-patterns")))
static void backwards(uint64_t *restrict to, const uint64_t *restrict from) {
  for (size_t i = WORDS; i-- > 1;) to[i] = from[i - 1];
}

uint64_t run_copy(uint64_t size) {
  uint64_t random = 1, sum = 0;
  for (size_t i = 0; i < WORDS; i++) first[i] = next_random(&random);
  for (uint64_t n = 0; n < size; n++) {
    forwards(second, first);
    backwards(first, second);
    first[0] = n;
    sum = mix(sum, second[n * 8191 % WORDS]);
  }
  return sum;
}
