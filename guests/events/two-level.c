/* The two-level ABI: a selector word in vcpu_info, and bitmaps in the shared page. */
#include "guest.h"
#include "scan.h"

uint32_t abi_limit(void) { return EVTCHN_2L_NR_CHANNELS; }

void abi_register(uint32_t cpus) {
  (void)cpus;
  pending_bits = (volatile word_t *)shared->evtchn_pending;
  mask_bits = (volatile word_t *)shared->evtchn_mask;
}

void abi_mask(uint32_t port) { set_bit(mask_bits, port); }

void abi_consume(uint32_t cpu) {
  volatile word_t *selector = (volatile word_t *)&shared->vcpu_info[cpu].evtchn_pending_sel;
  word_t words = exchange(selector, 0);
  uint32_t from = parameters.rotates ? next_port[cpu] / WORD_BITS % WORD_BITS : 0;
  while (words) {
    uint32_t word = lowest_from(words, from);
    words &= ~((word_t)1 << word);
    scan_word(cpu, word);
  }
}
