/* Scanning a word of the pending bitmap, in the two ways that guests have.
 *
 * Lowest bit first, reading the word again after each event (Mini-OS, XTF): simple, and a low port
 * that is always pending keeps the others waiting. Or a snapshot, beginning after the last port that
 * was handled (Linux): each pass comes to every port once.
 */
static volatile word_t *pending_bits, *mask_bits;
static uint32_t next_port[MAX_CPUS];

static inline word_t active(uint32_t cpu, uint32_t word) {
  return pending_bits[word] & ~mask_bits[word] & belongs(cpu)[word];
}

static inline uint32_t lowest(word_t bits) { return __builtin_ctzl(bits); }

/* The lowest bit that is not below `from`, or the lowest of all. */
static inline uint32_t lowest_from(word_t bits, uint32_t from) {
  word_t above = bits & (~(word_t)0 << from);
  return lowest(above ? above : bits);
}

/* Another processor may have taken it since we looked, if the port has moved there. */
static inline void take(uint32_t cpu, uint32_t port) {
  if (clear_bit(pending_bits, port)) handle(cpu, port);
}

static inline void scan_word(uint32_t cpu, uint32_t word) {
  word_t bits;
  if (!parameters.rotates) {
    while ((bits = active(cpu, word))) take(cpu, word * WORD_BITS + lowest(bits));
    return;
  }
  uint32_t from = next_port[cpu] / WORD_BITS == word ? next_port[cpu] % WORD_BITS : 0;
  for (bits = active(cpu, word); bits;) {
    uint32_t bit = lowest_from(bits, from);
    bits &= ~((word_t)1 << bit);
    next_port[cpu] = word * WORD_BITS + bit + 1;
    take(cpu, word * WORD_BITS + bit);
  }
}
