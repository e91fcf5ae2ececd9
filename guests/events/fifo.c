/* The FIFO ABI: an array of event words, and for each processor a control block with the heads of
 * sixteen queues. A queue is a list through the words' LINK fields.
 */
#include "guest.h"

#define WORDS ((volatile uint32_t *)ABI_PAGES)
#define ARRAY_PAGES (EVTCHN_FIFO_NR_CHANNELS / 1024)
#define CONTROLS (ABI_PAGES + ARRAY_PAGES * 4096)
#define CONTROL_BYTES 128
#define control(cpu) ((volatile struct evtchn_fifo_control_block *)((word_t)CONTROLS + (cpu) * CONTROL_BYTES))
#define BIT(n) (1u << (n))

static uint32_t heads[MAX_CPUS][EVTCHN_FIFO_MAX_QUEUES];

uint32_t abi_limit(void) { return EVTCHN_FIFO_NR_CHANNELS; }

void abi_register(uint32_t cpus) {
  for (uint32_t cpu = 0; cpu < cpus; cpu++) {
    struct evtchn_init_control init = {CONTROLS / 4096, cpu * CONTROL_BYTES, cpu, 0, {0}};
    if (event_op(EVTCHNOP_init_control, &init)) fail("control block refused", cpu);
    if (init.link_bits != EVTCHN_FIFO_LINK_BITS) fail("link bits", init.link_bits);
  }
  /* No more pages than the ports need, some to spare; all of them if that is not known. */
  uint32_t pages = parameters.channels ? (parameters.channels + 4) / 1024 + 1 : ARRAY_PAGES;
  for (uint32_t i = 0; i < pages && i < ARRAY_PAGES; i++) {
    struct evtchn_expand_array expand = {ABI_PAGES / 4096 + i};
    if (event_op(EVTCHNOP_expand_array, &expand)) fail("array page refused", i);
  }
}

void abi_mask(uint32_t port) {
  __atomic_or_fetch(&WORDS[port], BIT(EVTCHN_FIFO_MASKED), __ATOMIC_SEQ_CST);
}

/* Takes a port off its queue; the next one in it, or 0. */
static inline uint32_t unlink_port(uint32_t port) {
  uint32_t old = WORDS[port], new;
  do {
    new = old & ~(BIT(EVTCHN_FIFO_LINKED) | EVTCHN_FIFO_LINK_MASK);
  } while (!__atomic_compare_exchange_n(&WORDS[port], &old, new, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST));
  return old & EVTCHN_FIFO_LINK_MASK;
}

void abi_consume(uint32_t cpu) {
  volatile struct evtchn_fifo_control_block *block = control(cpu);
  uint32_t ready = __atomic_exchange_n(&block->ready, 0, __ATOMIC_SEQ_CST);
  while (ready) {
    uint32_t queue = __builtin_ctz(ready);
    uint32_t port = heads[cpu][queue];
    if (port == 0) port = block->head[queue];
    uint32_t next = unlink_port(port);
    heads[cpu][queue] = next;
    if (next == 0) ready &= ~BIT(queue);
    uint32_t pending = BIT(EVTCHN_FIFO_PENDING), word = WORDS[port];
    if ((word & pending) && !(word & BIT(EVTCHN_FIFO_MASKED))) {
      /* Another processor may have taken it since we looked, if the port has moved there. */
      word = __atomic_fetch_and(&WORDS[port], ~pending, __ATOMIC_SEQ_CST);
      if (word & pending) handle(cpu, port);
    }
    ready |= __atomic_exchange_n(&block->ready, 0, __ATOMIC_SEQ_CST);
  }
}
