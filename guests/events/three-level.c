/* The three-level ABI of 2013: bitmaps and a second selector for each processor in our own pages. */
#include "guest.h"
#include "scan.h"

/* As src/xen/abi/event-channel-3l.ts reconstructs it: no header has it. */
#define EVTCHNOP_query_extended_abis 201300
#define EVTCHNOP_register_3level 201301
struct register_3level {
  uint32_t cmd; /* 1 */
  struct {
    uint32_t nr_pages;
    word_t pending, mask;
  } __attribute__((aligned(sizeof(word_t)))) u;
};
struct register_l2_selector {
  uint32_t cmd; /* 2 */
  struct {
    uint32_t cpu;
    word_t frame, offset;
  } __attribute__((aligned(sizeof(word_t)))) u;
};

#define PAGES (WORD_BITS * WORD_BITS * WORD_BITS / 8 / 4096)
#define SELECTORS (ABI_PAGES + 2 * PAGES * 4096)
#define SELECTOR_BYTES (WORD_BITS * sizeof(word_t))
#define selectors(cpu) ((volatile word_t *)(SELECTORS + (cpu) * SELECTOR_BYTES))

static volatile word_t frames[2][PAGES];

uint32_t abi_limit(void) { return WORD_BITS * WORD_BITS * WORD_BITS; }

void abi_register(uint32_t cpus) {
  uint64_t abis = 0;
  if (event_op(EVTCHNOP_query_extended_abis, &abis) || !(abis & 1)) fail("no three levels", 0);
  for (uint32_t i = 0; i < PAGES; i++) {
    frames[0][i] = ABI_PAGES / 4096 + i;
    frames[1][i] = ABI_PAGES / 4096 + PAGES + i;
  }
  struct register_3level bitmaps = {1, {PAGES, (word_t)frames[0], (word_t)frames[1]}};
  if (event_op(EVTCHNOP_register_3level, &bitmaps)) fail("bitmaps refused", 0);
  for (uint32_t cpu = 0; cpu < cpus; cpu++) {
    word_t at = SELECTORS + cpu * SELECTOR_BYTES;
    struct register_l2_selector selector = {2, {cpu, at / 4096, at % 4096}};
    if (event_op(EVTCHNOP_register_3level, &selector)) fail("selector refused", cpu);
  }
  pending_bits = (volatile word_t *)ABI_PAGES;
  mask_bits = (volatile word_t *)(ABI_PAGES + PAGES * 4096);
}

void abi_mask(uint32_t port) { set_bit(mask_bits, port); }

void abi_consume(uint32_t cpu) {
  volatile word_t *selector = (volatile word_t *)&shared->vcpu_info[cpu].evtchn_pending_sel;
  word_t tops = exchange(selector, 0);
  uint32_t next = parameters.rotates ? next_port[cpu] / WORD_BITS : 0;
  while (tops) {
    uint32_t top = lowest_from(tops, next / WORD_BITS % WORD_BITS);
    tops &= ~((word_t)1 << top);
    word_t words = exchange(&selectors(cpu)[top], 0);
    uint32_t from = top == next / WORD_BITS ? next % WORD_BITS : 0;
    while (words) {
      uint32_t word = lowest_from(words, from);
      words &= ~((word_t)1 << word);
      scan_word(cpu, top * WORD_BITS + word);
    }
  }
}
