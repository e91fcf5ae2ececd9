// The product of two matrices of 128 x 128 doubles by three plain loops. A unit is one product.

#include <string.h>
#include "program.h"

enum { ORDER = 128 };

static double a[ORDER][ORDER], b[ORDER][ORDER], c[ORDER][ORDER];

uint64_t run_matmul(uint64_t size) {
  uint64_t random = 1, sum = 0;
  for (int i = 0; i < ORDER; i++) {
    for (int k = 0; k < ORDER; k++) {
      a[i][k] = (double)(next_random(&random) >> 40) / (1 << 24);
      b[i][k] = (double)(next_random(&random) >> 40) / (1 << 24);
    }
  }
  for (uint64_t n = 0; n < size; n++) {
    for (int i = 0; i < ORDER; i++) {
      memset(c[i], 0, sizeof c[i]);
      for (int k = 0; k < ORDER; k++)
        for (int j = 0; j < ORDER; j++) c[i][j] += a[i][k] * b[k][j];
    }
    uint64_t bits;
    memcpy(&bits, &c[n % ORDER][n / ORDER % ORDER], 8);
    sum = mix(sum, bits);
    a[n % ORDER][n * 7 % ORDER] += 0.5;
  }
  return sum;
}
