// CRC-32 (the polynomial of Ethernet and gzip), a byte at a time by a table of 256 words. A unit is
// a mebibyte.

#include "program.h"

static uint32_t table[256];
static uint8_t data[1 << 20];

uint64_t run_crc32(uint64_t size) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
    table[i] = c;
  }
  uint64_t random = 1;
  for (size_t i = 0; i < sizeof data; i++) data[i] = next_random(&random);
  uint32_t crc = ~0u;
  for (uint64_t n = 0; n < size; n++)
    for (size_t i = 0; i < sizeof data; i++) crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
  return ~crc;
}
