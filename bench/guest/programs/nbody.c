// The motion of a sun and four planets by their gravity, in doubles: additions, products, square
// roots and divisions. A unit is 1,000 steps. No operation's order depends on the processor.

#include <math.h>
#include <string.h>
#include "program.h"

enum { BODIES = 5, STEPS = 1000 };

// Place, speed, mass: made up, near those of a small solar system (units: au, year, 4 pi^2 = sun).
static struct body {
  double x, y, z, vx, vy, vz, mass;
} bodies[BODIES] = {
    {0, 0, 0, 0, 0, 0, 39.478},
    {4.84, -1.16, -0.10, 0.606, 2.81, -0.02, 0.0377},
    {8.34, 4.12, -0.40, -1.01, 1.82, 0.008, 0.0113},
    {12.9, -15.1, -0.22, 1.08, 0.868, -0.011, 0.0017},
    {15.4, -25.9, 0.18, 0.979, 0.595, -0.035, 0.0020},
};

static void advance(double dt) {
  for (int i = 0; i < BODIES; i++) {
    struct body *a = &bodies[i];
    for (int k = i + 1; k < BODIES; k++) {
      struct body *b = &bodies[k];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      double square = dx * dx + dy * dy + dz * dz;
      double pull = dt / (square * sqrt(square));
      a->vx -= dx * b->mass * pull, a->vy -= dy * b->mass * pull, a->vz -= dz * b->mass * pull;
      b->vx += dx * a->mass * pull, b->vy += dy * a->mass * pull, b->vz += dz * a->mass * pull;
    }
  }
  for (int i = 0; i < BODIES; i++) {
    struct body *a = &bodies[i];
    a->x += dt * a->vx, a->y += dt * a->vy, a->z += dt * a->vz;
  }
}

uint64_t run_nbody(uint64_t size) {
  for (uint64_t n = 0; n < size * STEPS; n++) advance(0.001);
  uint64_t sum = 0, bits[sizeof bodies / 8];
  memcpy(bits, bodies, sizeof bodies);
  for (size_t i = 0; i < sizeof bodies / 8; i++) sum = mix(sum, bits[i]);
  return sum;
}
