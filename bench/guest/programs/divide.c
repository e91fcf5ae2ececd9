// Multiplication and division of 64 bits: modular exponentiation with products of 128 bits, and
// Euclid's greatest common divisor. A unit is 100 of each. Only for 64 bits: elsewhere it would be
// another program.

#ifdef __x86_64__

#include "program.h"

static uint64_t power(uint64_t base, uint64_t exponent, uint64_t modulus) {
  uint64_t result = 1;
  for (; exponent; exponent >>= 1) {
    uint64_t high, low;
    if (exponent & 1) {
      __asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(result), "r"(base) : "cc");
      __asm__("divq %3" : "+a"(low), "=d"(result) : "1"(high), "r"(modulus) : "cc");
    }
    __asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(base), "r"(base) : "cc");
    __asm__("divq %3" : "+a"(low), "=d"(base) : "1"(high), "r"(modulus) : "cc");
  }
  return result;
}

static uint64_t divisor(uint64_t a, uint64_t b) {
  while (b) {
    uint64_t rest = a % b;
    a = b, b = rest;
  }
  return a;
}

uint64_t run_divide(uint64_t size) {
  uint64_t random = 1, sum = 0;
  for (uint64_t n = 0; n < size; n++) {
    for (int i = 0; i < 100; i++) {
      uint64_t modulus = next_random(&random) | 1ull << 63 | 1;
      // Below the modulus, so that no quotient overflows.
      uint64_t value = power(next_random(&random) >> 1, next_random(&random), modulus);
      sum = mix(sum, value);
      sum = mix(sum, divisor(modulus, value));
    }
  }
  return sum;
}

#endif
