// What the programs of the suite share. Each is one function in one file; main.c calls it by name.

#include <stdint.h>
#include <stdlib.h>

/** Does `size` units of work and gives a checksum of the results. */
typedef uint64_t Program(uint64_t size);

/** Takes a value into a checksum; the order matters. */
static inline uint64_t mix(uint64_t sum, uint64_t value) {
  sum = (sum ^ value) * 0x9e3779b97f4a7c15;
  return sum ^ sum >> 29;
}

/** The next of a sequence of random numbers (a xorshift generator); the state is not zero. */
static inline uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}
