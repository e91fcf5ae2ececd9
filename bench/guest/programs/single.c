// Mandelbrot's set in single precision: products, sums and a comparison, 64 steps at most for each
// of 64 x 64 points. A unit is one picture, each a little further in.

#include "program.h"

enum { SIDE = 64, LIMIT = 64 };

static uint32_t steps(float x0, float y0) {
  float x = 0, y = 0;
  uint32_t n = 0;
  while (n < LIMIT && x * x + y * y <= 4.0f) {
    float next = x * x - y * y + x0;
    y = 2.0f * x * y + y0;
    x = next;
    n++;
  }
  return n;
}

uint64_t run_single(uint64_t size) {
  uint64_t sum = 0;
  float width = 3.0f;
  for (uint64_t n = 0; n < size; n++) {
    uint64_t total = 0;
    for (int i = 0; i < SIDE; i++)
      for (int k = 0; k < SIDE; k++)
        total += steps(width * (k - SIDE / 2) / SIDE - 0.75f, width * (i - SIDE / 2) / SIDE + 0.1f);
    sum = mix(sum, total);
    width = width * 0.97f + 0.01f;
  }
  return sum;
}
