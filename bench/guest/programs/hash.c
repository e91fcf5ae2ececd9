// A hash table with open addressing: insertions, successful and failing look-ups, removals with the
// entries behind moved up. 65,536 places of 16 bytes, two thirds of them used. A unit is 65,536
// steps.

#include "program.h"

enum { PLACES = 1 << 16, STEPS = 1 << 16, KEYS = PLACES };

static struct { uint64_t key, value; } table[PLACES];

static uint32_t home(uint64_t key) { return key * 0x9e3779b97f4a7c15 >> 48; }

static uint32_t find(uint64_t key) {
  uint32_t at = home(key);
  while (table[at].key != 0 && table[at].key != key) at = (at + 1) % PLACES;
  return at;
}

static void clear(uint32_t hole) {
  for (uint32_t at = (hole + 1) % PLACES; table[at].key != 0; at = (at + 1) % PLACES) {
    uint32_t distance = (at - home(table[at].key)) % PLACES;
    if (distance < (at - hole) % PLACES) continue;
    table[hole] = table[at];
    hole = at;
  }
  table[hole].key = 0;
}

uint64_t run_hash(uint64_t size) {
  uint64_t random = 1, sum = 0;
  for (uint64_t n = 0; n < size; n++) {
    for (uint32_t i = 0; i < STEPS; i++) {
      uint64_t key = next_random(&random) % KEYS + 1;
      uint32_t at = find(key);
      if (table[at].key == 0) {
        table[at].key = key, table[at].value = i;
      } else if (random >> 63) {
        sum += table[at].value++;
      } else {
        sum ^= table[at].value;
        clear(at);
      }
    }
    sum = mix(sum, n);
  }
  return sum;
}
