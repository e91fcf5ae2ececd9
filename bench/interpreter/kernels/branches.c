// Decisions that data make: heap sort, binary search, a scanner that is a switch of states, and a
// bit-by-bit walk that follows a random sequence.

#include <stdint.h>

#define KEYS ((uint32_t *)0x200000)
#define TEXT ((uint8_t *)0x300000)

enum { COUNT = 1 << 15, LENGTH = 1 << 17 };

static uint64_t seed;

static uint32_t next(void) {
  seed = seed * 6364136223846793005 + 1442695040888963407;
  return seed >> 33;
}

static void sink(uint32_t start, uint32_t end) {
  for (uint32_t root = start; root * 2 + 1 < end;) {
    uint32_t child = root * 2 + 1;
    if (child + 1 < end && KEYS[child] < KEYS[child + 1]) child++;
    if (KEYS[root] >= KEYS[child]) return;
    uint32_t t = KEYS[root];
    KEYS[root] = KEYS[child], KEYS[child] = t;
    root = child;
  }
}

static void sort(void) {
  for (uint32_t i = COUNT / 2; i-- > 0;) sink(i, COUNT);
  for (uint32_t end = COUNT; end-- > 1;) {
    uint32_t t = KEYS[0];
    KEYS[0] = KEYS[end], KEYS[end] = t;
    sink(0, end);
  }
}

static uint32_t search(uint32_t key) {
  uint32_t low = 0, high = COUNT;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (KEYS[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

static uint64_t scan(void) {
  enum { SPACE, NAME, NUMBER, QUOTE, COMMENT } state = SPACE;
  uint64_t count[5] = {0}, sum = 0;
  for (uint32_t i = 0; i < LENGTH; i++) {
    uint8_t c = TEXT[i];
    switch (state) {
      case SPACE:
        if (c >= 'a' && c <= 'z') state = NAME, count[NAME]++;
        else if (c >= '0' && c <= '9') state = NUMBER, count[NUMBER]++;
        else if (c == '"') state = QUOTE, count[QUOTE]++;
        else if (c == '#') state = COMMENT, count[COMMENT]++;
        break;
      case NAME:
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) state = SPACE;
        else sum += c;
        break;
      case NUMBER:
        if (c < '0' || c > '9') state = SPACE;
        else sum = sum * 10 + c - '0';
        break;
      case QUOTE:
        if (c == '"') state = SPACE;
        break;
      case COMMENT:
        if (c == '\n') state = SPACE;
        break;
    }
  }
  for (int i = 0; i < 5; i++) sum = sum * 31 + count[i];
  return sum;
}

static uint64_t wander(void) {
  uint64_t x = 0, y = 0, turns = 0;
  for (int i = 0; i < 40000; i++) {
    uint32_t bits = next();
    for (int k = 0; k < 8; k++, bits >>= 2) {
      if (bits & 1) {
        if (bits & 2) x++;
        else x--;
      } else if (bits & 2) y++;
      else if (y > 100) y = 0, turns++;
      else y--;
    }
  }
  return x * 31 + y * 17 + turns;
}

uint64_t kernel(void) {
  static const char LETTERS[] = "abcdefghijklmnopqrst0123456789   \"#\n\n+-";
  uint64_t sum = 0;
  seed = 1;
  for (uint32_t i = 0; i < LENGTH; i++) TEXT[i] = LETTERS[next() % (sizeof LETTERS - 1)];
  for (int round = 0; round < 4; round++) {
    for (uint32_t i = 0; i < COUNT; i++) KEYS[i] = next();
    sort();
    for (uint32_t i = 0; i < COUNT; i++) sum = sum * 3 + search(next());
    for (int i = 0; i < 4; i++) sum = sum * 3 + scan();
    sum = sum * 3 + wander();
  }
  return sum;
}
