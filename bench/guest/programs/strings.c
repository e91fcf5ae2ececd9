// The C library's functions for strings and memory, which it chooses by what CPUID says: lengths,
// searches, comparisons and copies, from 16 bytes to 64 KiB. A unit is one round over all sizes.

#define _GNU_SOURCE
#include <string.h>
#include "program.h"

enum { LARGEST = 1 << 16 };

static char first[LARGEST + 64], second[LARGEST + 64], third[LARGEST + 64];

// Calls through volatile pointers: the compiler would do without some.
static size_t (*volatile length)(const char *) = strlen;
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
static void *(*volatile move)(void *, const void *, size_t) = memmove;
static void *(*volatile fill)(void *, int, size_t) = memset;
static void *(*volatile find)(const void *, int, size_t) = memchr;
static int (*volatile compare)(const void *, const void *, size_t) = memcmp;
static int (*volatile order)(const char *, const char *) = strcmp;
static char *(*volatile copy_text)(char *, const char *) = strcpy;

uint64_t run_strings(uint64_t size) {
  uint64_t random = 1, sum = 0;
  for (int i = 0; i < LARGEST; i++) first[i] = 'a' + next_random(&random) % 20;
  for (uint64_t n = 0; n < size; n++) {
    for (size_t bytes = 16; bytes <= LARGEST; bytes *= 2) {
      // Short ones more often, and at another alignment each time.
      for (size_t k = 0; k < LARGEST / bytes && k < 256; k++) {
        size_t offset = (n + k) % 48;
        char *from = first + (LARGEST - bytes), *to = second + offset;
        copy(to, from, bytes);
        to[bytes] = 0;
        sum += length(to);
        sum += copy_text(third, to) == third;
        sum += order(third, to);
        third[bytes - 1] = '~';
        sum += (char *)find(third, '~', bytes) - third;
        sum += compare(third, to, bytes) > 0;
        move(to + 1, to, bytes - 1);
        sum += strstr(third, "vwxyz~") != NULL;
        fill(third, 'z', bytes / 2);
      }
      sum = mix(sum, bytes);
    }
  }
  return sum;
}
