// The sieve of Eratosthenes over a mebibyte of flags: short loops of stores with strides. A unit is
// one whole sieve.

#include <string.h>
#include "program.h"

enum { COUNT = 1 << 20 };

static uint8_t is_composite[COUNT];

uint64_t run_sieve(uint64_t size) {
  uint64_t sum = 0;
  for (uint64_t n = 0; n < size; n++) {
    memset(is_composite, 0, sizeof is_composite);
    uint64_t primes = 0, last = 0;
    for (uint32_t i = 2; i < COUNT; i++) {
      if (is_composite[i]) continue;
      primes++, last = i;
      for (uint32_t k = 2 * i; k < COUNT; k += i) is_composite[k] = 1;
    }
    sum = mix(mix(sum, primes), last + n);
  }
  return sum;
}
