// Calls and returns: Fibonacci numbers and Takeuchi's function by recursion, functions called
// through a table of pointers, and a walk of a tree with a callback.

#include <stdint.h>

#define APART __attribute__((noinline, noclone, noipa))

APART static uint64_t fibonacci(uint64_t n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

APART static int64_t takeuchi(int64_t x, int64_t y, int64_t z) {
  if (y >= x) return z;
  return takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y));
}

APART static uint64_t add(uint64_t a, uint64_t b) { return a + b; }
APART static uint64_t mix(uint64_t a, uint64_t b) { return (a ^ b) * 0x9e3779b97f4a7c15; }
APART static uint64_t turn(uint64_t a, uint64_t b) { return a << (b & 31) | a >> 33; }
APART static uint64_t both(uint64_t a, uint64_t b) { return mix(add(a, b), turn(b, a)); }

typedef uint64_t (*Function)(uint64_t, uint64_t);
static const Function FUNCTIONS[] = {add, mix, turn, both};

APART static uint64_t walk(uint64_t node, int depth, Function visit) {
  if (depth == 0) return visit(node, 1);
  return visit(walk(node * 2, depth - 1, visit), walk(node * 2 + 1, depth - 1, visit));
}

uint64_t kernel(void) {
  uint64_t sum = fibonacci(31);
  sum = sum * 5 + takeuchi(16, 9, 3);
  for (uint64_t i = 0; i < 1500000; i++) sum = FUNCTIONS[(sum >> 7 ^ i) & 3](sum, i);
  for (int i = 0; i < 4; i++) sum += walk(i + 1, 17, FUNCTIONS[i]);
  return sum;
}
