// Calls and returns: Fibonacci's numbers and Ackermann's function by their definitions. A unit is
// fib(20) and ack(2, 60), some 36,000 calls, to 120 deep.

#include "program.h"

// As they are defined: not turned into loops, and not cloned for constant arguments.
#define AS_WRITTEN \
  __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls", "no-inline")))

AS_WRITTEN static uint64_t fib(uint64_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

AS_WRITTEN static uint64_t ack(uint64_t m, uint64_t n) {
  if (m == 0) return n + 1;
  return n == 0 ? ack(m - 1, 1) : ack(m - 1, ack(m, n - 1));
}

uint64_t run_recursion(uint64_t size) {
  uint64_t sum = 0;
  for (uint64_t n = 0; n < size; n++) sum = mix(sum, fib(20 + n % 2) + ack(2, 60 + n % 3));
  return sum;
}
