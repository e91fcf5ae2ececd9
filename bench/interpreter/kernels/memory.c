// Loads and stores: a sieve over a mebibyte, a walk along a list that is scattered over eight
// mebibytes, CRC-32 by a table, and a matrix that is transposed in place.

#include <stdint.h>

#define SIEVE ((uint8_t *)0x200000)
#define LIST ((uint32_t *)0x400000)
#define TABLE ((uint32_t *)0x300000)
#define MATRIX ((uint64_t *)0x320000)

enum { LIMIT = 1 << 20, NODES = 1 << 21, SIDE = 256 };

static uint64_t sieve(void) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < LIMIT; i++) SIEVE[i] = 1;
  for (uint32_t i = 2; i < LIMIT; i++) {
    if (!SIEVE[i]) continue;
    count++;
    for (uint32_t j = 2 * i; j < LIMIT; j += i) SIEVE[j] = 0;
  }
  return count;
}

static uint64_t walk(void) {
  // One cycle through all nodes: a step that is odd and a good way off visits each once.
  for (uint32_t i = 0; i < NODES; i++) LIST[i] = (i + 66067) & (NODES - 1);
  uint32_t at = 0;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < NODES; i++) at = LIST[at], sum += at ^ i;
  return sum;
}

static uint64_t crc(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
    TABLE[i] = c;
  }
  uint32_t c = ~0u;
  for (uint32_t i = 0; i < LIMIT; i++) c = TABLE[(c ^ SIEVE[i]) & 255] ^ c >> 8;
  return ~c;
}

static uint64_t transpose(void) {
  for (uint64_t i = 0; i < SIDE * SIDE; i++) MATRIX[i] = i * 0x9e3779b97f4a7c15;
  for (int round = 0; round < 8; round++) {
    for (int i = 0; i < SIDE; i++) {
      for (int j = 0; j < i; j++) {
        uint64_t t = MATRIX[i * SIDE + j];
        MATRIX[i * SIDE + j] = MATRIX[j * SIDE + i] + 1;
        MATRIX[j * SIDE + i] = t;
      }
    }
  }
  uint64_t sum = 0;
  for (uint64_t i = 0; i < SIDE * SIDE; i++) sum = sum * 3 + MATRIX[i];
  return sum;
}

uint64_t kernel(void) {
  uint64_t sum = 0;
  for (int round = 0; round < 2; round++) {
    sum = sum * 5 + sieve();
    sum = sum * 5 + walk();
    sum = sum * 5 + crc();
    sum = sum * 5 + transpose();
  }
  return sum;
}
