// Calls through pointers: objects of eight kinds in random order, each with a table of two methods.
// A unit is 16,384 objects, two calls each.

#include "program.h"

enum { OBJECTS = 1 << 14, KINDS = 8 };

struct object;
struct methods {
  void (*step)(struct object *, uint64_t);
  uint64_t (*value)(const struct object *);
};
struct object {
  const struct methods *methods;
  uint64_t a, b;
};

static void add(struct object *o, uint64_t x) { o->a += x; }
static void subtract(struct object *o, uint64_t x) { o->a -= x ^ o->b; }
static void shift(struct object *o, uint64_t x) { o->a = o->a << 3 ^ x; }
static void rotate(struct object *o, uint64_t x) { o->a = (o->a << 7 | o->a >> 57) + x; }
static void swap(struct object *o, uint64_t x) { uint64_t t = o->a; o->a = o->b ^ x, o->b = t; }
static void count(struct object *o, uint64_t x) { o->b += x & 1; }
static void scale(struct object *o, uint64_t x) { o->a = o->a * 5 + x; }
static void keep(struct object *o, uint64_t x) { o->b ^= x; }

static uint64_t first(const struct object *o) { return o->a; }
static uint64_t second(const struct object *o) { return o->b; }
static uint64_t both(const struct object *o) { return o->a ^ o->b; }

static const struct methods METHODS[KINDS] = {
    {add, first},  {subtract, both}, {shift, first}, {rotate, both},
    {swap, second}, {count, second},  {scale, first}, {keep, both},
};

static struct object objects[OBJECTS];

uint64_t run_indirect(uint64_t size) {
  uint64_t random = 1, sum = 0;
  for (int i = 0; i < OBJECTS; i++) {
    objects[i].methods = &METHODS[next_random(&random) % KINDS];
    objects[i].b = random;
  }
  for (uint64_t n = 0; n < size; n++) {
    for (int i = 0; i < OBJECTS; i++) {
      struct object *o = &objects[i];
      o->methods->step(o, n + i);
      sum += o->methods->value(o);
    }
    sum = mix(sum, n);
  }
  return sum;
}
