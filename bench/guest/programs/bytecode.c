// A bytecode interpreter: a loop around a switch, for a machine of eight registers. Its program
// adds up the steps that the numbers below 256 take to one in Collatz's sequence, some 68,000
// instructions; a unit is one run.

#include "program.h"

enum { LOAD, MOVE, ADD, MULTIPLY, AND, SHIFT, JUMP, IF_ZERO, IF_LESS, STORE, FETCH, HALT };

struct instruction {
  uint8_t operation, a, b;
  int32_t value;
};

// r0 the number, r1 its steps, r2 the sum, r3 the limit, r4 where it started, r5 one, r6 scratch.
static const struct instruction PROGRAM[] = {
    {LOAD, 4, 0, 1},      // 0
    {LOAD, 5, 0, 1},      // 1
    {LOAD, 3, 0, 256},    // 2
    {MOVE, 0, 4, 0},      // 3: the next number
    {LOAD, 1, 0, 0},      // 4
    {IF_LESS, 5, 0, 7},   // 5: the next step, unless it is one
    {JUMP, 0, 0, 16},     // 6
    {ADD, 1, 5, 0},       // 7
    {MOVE, 6, 0, 0},      // 8
    {AND, 6, 5, 0},       // 9
    {IF_ZERO, 6, 0, 14},  // 10: it is even
    {LOAD, 6, 0, 3},      // 11
    {MULTIPLY, 0, 6, 0},  // 12
    {ADD, 0, 5, 0},       // 13: now even
    {SHIFT, 0, 0, 1},     // 14
    {JUMP, 0, 0, 5},      // 15
    {STORE, 4, 1, 0},     // 16
    {FETCH, 1, 4, 0},     // 17
    {ADD, 2, 1, 0},       // 18
    {ADD, 4, 5, 0},       // 19
    {IF_LESS, 4, 3, 3},   // 20
    {HALT, 0, 0, 0},      // 21
};

static uint64_t memory[256];

__attribute__((noinline))
static uint64_t interpret(const struct instruction *program, uint64_t *r) {
  const struct instruction *at = program;
  for (;;) {
    const struct instruction *i = at++;
    switch (i->operation) {
      case LOAD: r[i->a] = i->value; break;
      case MOVE: r[i->a] = r[i->b]; break;
      case ADD: r[i->a] += r[i->b]; break;
      case MULTIPLY: r[i->a] *= r[i->b]; break;
      case AND: r[i->a] &= r[i->b]; break;
      case SHIFT: r[i->a] >>= i->value; break;
      case JUMP: at = program + i->value; break;
      case IF_ZERO:
        if (r[i->a] == 0) at = program + i->value;
        break;
      case IF_LESS:
        if (r[i->a] < r[i->b]) at = program + i->value;
        break;
      case STORE: memory[r[i->a] & 255] = r[i->b]; break;
      case FETCH: r[i->a] = memory[r[i->b] & 255]; break;
      case HALT: return r[2];
    }
  }
}

uint64_t run_bytecode(uint64_t size) {
  uint64_t sum = 0;
  for (uint64_t n = 0; n < size; n++) {
    uint64_t registers[8] = {0};
    registers[2] = n;
    sum = mix(sum, interpret(PROGRAM, registers) + memory[n & 255]);
  }
  return sum;
}
