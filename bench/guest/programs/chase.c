// Follows pointers around a cycle through all lines of 16 MiB in random order: each load waits for
// the one before, and nearly each is on another page. A unit is 65,536 loads.

#include "program.h"

enum { LINES = 1 << 18, LOADS = 1 << 16 };

struct line {
  struct line *next;
  uint64_t value;
  uint64_t padding[6];
};

static struct line lines[LINES];

uint64_t run_chase(uint64_t size) {
  uint64_t random = 1, sum = 0;
  for (uint32_t i = 0; i < LINES; i++) lines[i].next = &lines[i], lines[i].value = i;
  // Sattolo's shuffle makes one cycle of all.
  for (uint32_t i = LINES - 1; i > 0; i--) {
    uint32_t k = next_random(&random) % i;
    struct line *next = lines[i].next;
    lines[i].next = lines[k].next;
    lines[k].next = next;
  }
  const struct line *at = lines;
  for (uint64_t n = 0; n < size; n++) {
    for (int i = 0; i < LOADS; i++) at = at->next;
    sum = mix(sum, at->value);
  }
  return sum;
}
