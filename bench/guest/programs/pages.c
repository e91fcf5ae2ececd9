// Memory from the kernel and back: maps 2 MiB, writes to each page for the first time, unmaps.
// Nearly all the time goes to page faults. A unit is 512 faults.

#define _GNU_SOURCE
#include <sys/mman.h>
#include "program.h"

enum { BYTES = 2 << 20, PAGE = 4096 };

uint64_t run_pages(uint64_t size) {
  uint64_t sum = 0;
  for (uint64_t n = 0; n < size; n++) {
    uint8_t *area = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) return 0;
    madvise(area, BYTES, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < BYTES; i += PAGE) {
      sum += area[i + 1];
      area[i] = n + i / PAGE;
    }
    for (size_t i = 0; i < BYTES; i += 16 * PAGE) sum = mix(sum, area[i]);
    munmap(area, BYTES);
  }
  return sum;
}
