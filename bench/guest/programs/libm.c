// The C library's sine, exponential, logarithm and power: polynomials, tables and conversions in
// doubles. A unit is 1,000 of each. Results are rounded to 24 bits, as a variant with fused
// multiplication may differ in the last.

#include <math.h>
#include <string.h>
#include "program.h"

enum { CALLS = 1000 };

static uint64_t rounded(double x) {
  float single = x;
  uint32_t bits;
  memcpy(&bits, &single, 4);
  return bits;
}

uint64_t run_libm(uint64_t size) {
  uint64_t sum = 0;
  for (uint64_t n = 0; n < size; n++) {
    double start = 0.001 * (n % 1000), sines = 0, powers = 0;
    for (int i = 0; i < CALLS; i++) {
      double x = start + 0.01 * i;
      sines += sin(x) * exp(-x);
      powers += pow(1.0 + x, 0.3) + log(1.0 + x);
    }
    sum = mix(mix(sum, rounded(sines)), rounded(powers));
  }
  return sum;
}
