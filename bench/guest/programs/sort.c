// Quicksort of integers (median of three, insertion sort for what is short): comparisons and
// branches that data decide. A unit is one sort of 65,536 random integers.

#include "program.h"

enum { COUNT = 1 << 16, SHORT = 12 };

static int32_t values[COUNT];

static void swap(int32_t *a, int32_t *b) {
  int32_t t = *a;
  *a = *b, *b = t;
}

static void insertion_sort(int32_t *low, int32_t *high) {
  for (int32_t *i = low + 1; i <= high; i++) {
    int32_t value = *i, *k = i;
    for (; k > low && k[-1] > value; k--) *k = k[-1];
    *k = value;
  }
}

static void quick_sort(int32_t *low, int32_t *high) {
  while (high - low > SHORT) {
    int32_t *middle = low + (high - low) / 2;
    if (*middle < *low) swap(middle, low);
    if (*high < *low) swap(high, low);
    if (*high < *middle) swap(high, middle);
    int32_t pivot = *middle, *i = low, *k = high;
    while (i <= k) {
      while (*i < pivot) i++;
      while (*k > pivot) k--;
      if (i <= k) swap(i++, k--);
    }
    quick_sort(low, k);
    low = i;
  }
  insertion_sort(low, high);
}

uint64_t run_sort(uint64_t size) {
  uint64_t random = 1, sum = 0;
  for (uint64_t n = 0; n < size; n++) {
    for (int i = 0; i < COUNT; i++) values[i] = next_random(&random);
    quick_sort(values, values + COUNT - 1);
    for (int i = 0; i < COUNT; i += 997) sum = mix(sum, (uint32_t)values[i]);
  }
  return sum;
}
