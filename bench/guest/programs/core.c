// Integer work of four kinds in turn, as embedded benchmarks have it: a linked list that is
// searched, reversed and merge-sorted, a product of small matrices, a state machine over text
// (numbers in several notations), and a CRC-16 over what comes out. A unit is one turn of all.

#include "program.h"

enum { ITEMS = 64, ORDER = 12, LENGTH = 256 };

struct item {
  struct item *next;
  int16_t key;
  int16_t value;
};

static struct item items[ITEMS];
static int16_t left[ORDER][ORDER], right[ORDER][ORDER];
static int32_t product[ORDER][ORDER];
static char line[LENGTH + 1];

static uint16_t crc16(uint16_t crc, uint16_t value) {
  for (int i = 0; i < 16; i++, value >>= 1) {
    int bit = (crc ^ value) & 1;
    crc >>= 1;
    if (bit) crc ^= 0xa001;
  }
  return crc;
}

static struct item *reverse(struct item *list) {
  struct item *result = NULL;
  while (list) {
    struct item *next = list->next;
    list->next = result;
    result = list;
    list = next;
  }
  return result;
}

static struct item *merge(struct item *a, struct item *b) {
  struct item *head = NULL, **end = &head;
  while (a && b) {
    struct item **less = a->key <= b->key ? &a : &b;
    *end = *less;
    end = &(*less)->next;
    *less = *end;
  }
  *end = a ? a : b;
  return head;
}

static struct item *sort(struct item *list) {
  if (!list || !list->next) return list;
  struct item *slow = list, *fast = list->next;
  while (fast && fast->next) slow = slow->next, fast = fast->next->next;
  struct item *second = slow->next;
  slow->next = NULL;
  return merge(sort(list), sort(second));
}

static uint16_t use_list(uint64_t *random, uint16_t crc) {
  for (int i = 0; i < ITEMS; i++) {
    items[i].next = i + 1 < ITEMS ? &items[i + 1] : NULL;
    items[i].key = next_random(random) >> 40;
    items[i].value = i;
  }
  struct item *list = reverse(items);
  for (int i = 0; i < 16; i++) {
    int16_t wanted = next_random(random) % (2 * ITEMS);
    int steps = 0;
    for (struct item *at = list; at && at->value != wanted; at = at->next) steps++;
    crc = crc16(crc, steps);
  }
  for (struct item *at = sort(list); at; at = at->next) crc = crc16(crc, at->value);
  return crc;
}

static uint16_t use_matrices(uint64_t *random, uint16_t crc) {
  for (int i = 0; i < ORDER; i++)
    for (int k = 0; k < ORDER; k++) left[i][k] = next_random(random), right[k][i] = i - k;
  for (int i = 0; i < ORDER; i++) {
    for (int j = 0; j < ORDER; j++) {
      int32_t sum = 0;
      for (int k = 0; k < ORDER; k++) sum += left[i][k] * right[k][j];
      product[i][j] = sum;
    }
  }
  for (int i = 0; i < ORDER; i++) crc = crc16(crc, product[i][(i * 5) % ORDER] >> 3);
  return crc;
}

static uint16_t scan_numbers(uint64_t *random, uint16_t crc) {
  static const char LETTERS[] = "0123456789+-..eE,,,  x";
  enum { START, SIGN, WHOLE, FRACTION, EXPONENT, POWER, BAD, STATES };
  uint16_t count[STATES] = {0};
  for (int i = 0; i < LENGTH; i++) line[i] = LETTERS[next_random(random) % (sizeof LETTERS - 1)];
  int state = START;
  for (const char *at = line; *at; at++) {
    char c = *at;
    int digit = c >= '0' && c <= '9';
    if (c == ',' || c == ' ') {
      count[state]++;
      state = START;
      continue;
    }
    int sign = c == '+' || c == '-', point = c == '.', letter = c == 'e' || c == 'E';
    switch (state) {
      case START: state = digit ? WHOLE : sign ? SIGN : point ? FRACTION : BAD; break;
      case SIGN: state = digit ? WHOLE : point ? FRACTION : BAD; break;
      case WHOLE: state = digit ? WHOLE : point ? FRACTION : letter ? EXPONENT : BAD; break;
      case FRACTION: state = digit ? FRACTION : letter ? EXPONENT : BAD; break;
      case EXPONENT: state = digit || sign ? POWER : BAD; break;
      case POWER: state = digit ? POWER : BAD; break;
    }
  }
  for (int i = 0; i < STATES; i++) crc = crc16(crc, count[i]);
  return crc;
}

uint64_t run_core(uint64_t size) {
  uint64_t random = 1, sum = 0;
  uint16_t crc = 0xffff;
  for (uint64_t i = 0; i < size; i++) {
    crc = use_list(&random, crc);
    crc = use_matrices(&random, crc);
    crc = scan_numbers(&random, crc);
    sum = mix(sum, crc);
  }
  return sum;
}
