// Not measured: writes `size` KiB that look like text, for gzip. Words of a small vocabulary, some
// more often than others, and numbers.

#include <stdio.h>
#include "program.h"

enum { WORDS = 2048, LONGEST = 10 };

uint64_t run_text(uint64_t size) {
  static char words[WORDS][LONGEST + 1];
  uint64_t random = 1, bytes = 0;
  for (int i = 0; i < WORDS; i++) {
    int length = 2 + next_random(&random) % (LONGEST - 1);
    for (int k = 0; k < length; k++) words[i][k] = "etaoinshrdlucmfw"[next_random(&random) % 16];
  }
  while (bytes < size << 10) {
    uint64_t x = next_random(&random) >> 20;
    // The square of a random number below one: small ones are frequent.
    uint64_t word = (x & 0xffff) * (x & 0xffff) * WORDS >> 32;
    bytes += x >> 16 & 15 ? printf("%s ", words[word]) : printf("%d.\n", (int)(x >> 24 & 9999));
  }
  return bytes;
}
