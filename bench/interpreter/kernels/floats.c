// SSE2 floating point: planets that attract each other (scalar doubles, square roots, divisions),
// the Mandelbrot set (comparisons), and products of matrices (packed singles and doubles).

#include <emmintrin.h>
#include <stdint.h>

typedef struct { double x, y, z, vx, vy, vz, mass; } Planet;

static Planet planets[5] = {
  {0, 0, 0, 0, 0, 0, 39.5},
  {4.8, -1.2, -0.1, 0.6, 2.8, -0.02, 0.04},
  {8.3, 4.1, -0.4, -1.0, 1.8, 0.01, 0.01},
  {12.9, -15.1, -0.2, 1.1, 0.9, -0.01, 0.002},
  {15.4, -25.9, 0.2, 1.0, 0.6, -0.03, 0.002},
};

static void move(double dt) {
  for (int i = 0; i < 5; i++) {
    Planet *a = &planets[i];
    for (int j = i + 1; j < 5; j++) {
      Planet *b = &planets[j];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      __m128d square = _mm_set_sd(dx * dx + dy * dy + dz * dz + 0.01);
      double distance = _mm_cvtsd_f64(_mm_sqrt_sd(square, square));
      double pull = dt / (_mm_cvtsd_f64(square) * distance);
      a->vx -= dx * b->mass * pull, a->vy -= dy * b->mass * pull, a->vz -= dz * b->mass * pull;
      b->vx += dx * a->mass * pull, b->vy += dy * a->mass * pull, b->vz += dz * a->mass * pull;
    }
  }
  for (int i = 0; i < 5; i++) {
    Planet *a = &planets[i];
    a->x += dt * a->vx, a->y += dt * a->vy, a->z += dt * a->vz;
  }
}

static uint64_t mandelbrot(void) {
  uint64_t sum = 0;
  for (int py = 0; py < 192; py++) {
    for (int px = 0; px < 256; px++) {
      double cx = px / 96.0 - 2.0, cy = py / 96.0 - 1.0, x = 0, y = 0;
      int n = 0;
      while (n < 100 && x * x + y * y < 4.0) {
        double t = x * x - y * y + cx;
        y = 2 * x * y + cy, x = t, n++;
      }
      sum = sum * 3 + n;
    }
  }
  return sum;
}

#define A ((float *)0x200000)
#define B ((float *)0x210000)
#define C ((float *)0x220000)

enum { SIDE = 64 };

static void multiply(void) {
  for (int i = 0; i < SIDE; i++) {
    for (int j = 0; j < SIDE; j += 4) {
      __m128 sum = _mm_setzero_ps();
      for (int k = 0; k < SIDE; k++) {
        __m128 a = _mm_set1_ps(A[i * SIDE + k]);
        sum = _mm_add_ps(sum, _mm_mul_ps(a, _mm_load_ps(&B[k * SIDE + j])));
      }
      _mm_store_ps(&C[i * SIDE + j], sum);
    }
  }
}

static uint64_t bits(double x) {
  return (uint64_t)_mm_cvtsi128_si64(_mm_castpd_si128(_mm_set_sd(x)));
}

uint64_t kernel(void) {
  uint64_t sum = 0;
  for (int i = 0; i < 80000; i++) move(0.01);
  for (int i = 0; i < 5; i++) sum = sum * 31 + bits(planets[i].x) + bits(planets[i].vy);
  sum = sum * 31 + mandelbrot();
  for (int i = 0; i < SIDE * SIDE; i++) A[i] = (float)(i % 17) / 4, B[i] = (float)(i % 13) - 6;
  for (int round = 0; round < 48; round++) {
    multiply();
    for (int i = 0; i < SIDE * SIDE; i++) A[i] = C[i] * 0.01f + (float)round;
  }
  __m128d total = _mm_setzero_pd();
  for (int i = 0; i < SIDE * SIDE; i += 2) {
    total = _mm_add_pd(total, _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64((__m128i *)&C[i]))));
  }
  return sum * 31 + bits(_mm_cvtsd_f64(total)) +
         bits(_mm_cvtsd_f64(_mm_unpackhi_pd(total, total)));
}
