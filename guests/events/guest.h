/* What the parts of the event guests share: Xen's public headers, the hypercall, the host's
 * parameters and results, and the interface of the three ABIs.
 */
#define __XEN_INTERFACE_VERSION__ 0x00040e00 /* that of Xen 4.17 */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/event_channel.h>
#include "places.h"

typedef unsigned long word_t;
#define WORD_BITS (sizeof(word_t) * 8)
#define MAX_CPUS 4

/* What to do. Mirrored by src/toolstack/event-bench/guest-memory.ts. */
struct parameters {
  uint32_t scenario;
  uint32_t channels;   /* ports to bind; 0 for as many as the ABI has */
  uint32_t iterations;
  uint32_t rotates;    /* bitmaps: scan a snapshot from where the last scan ended (Linux) */
  uint32_t cpus;
  uint32_t seed;
  uint32_t priority;   /* of the urgent port */
};

enum { CHECK = 1, LATENCY, BURST, STORM, URGENT, RECEIVE };

/* What came of it. */
struct results {
  uint32_t is_done;
  uint32_t bound;       /* ports */
  uint32_t first_port;
  uint32_t sample_count;
  uint32_t delivered;
  uint32_t out_of_order; /* BURST: delivered after one that was sent later */
  uint64_t instructions; /* of the measured part */
  uint32_t is_measuring; /* the measured part has begun; with RECEIVE, the ports are there */
  uint32_t moves;        /* CHECK: ports that went to another processor */
};

#define parameters (*(volatile struct parameters *)PARAMETERS)
#define results (*(volatile struct results *)RESULTS)
#define peers ((volatile uint32_t *)PEERS)
#define sent ((volatile uint32_t *)SENT)
#define got ((volatile uint32_t *)GOT)
#define stamps ((volatile uint64_t *)STAMPS)
#define worst ((volatile uint32_t *)WORST)
#define samples ((volatile uint32_t *)SAMPLES)
#define quiet ((volatile uint8_t *)QUIET)
#define belongs(cpu) ((volatile word_t *)((word_t)BELONGS + (cpu) * 0x8000))
#define shared ((volatile struct shared_info *)SHARED_INFO)

long hypercall(long number, long a, long b, long c);
void fail(const char *what, uint32_t port);
void handle(uint32_t cpu, uint32_t port);

static inline uint64_t now(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return ((uint64_t)high << 32) | low;
}

static inline word_t exchange(volatile word_t *at, word_t value) {
  return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);
}

static inline void set_bit(volatile word_t *map, uint32_t bit) {
  __atomic_or_fetch(&map[bit / WORD_BITS], (word_t)1 << bit % WORD_BITS, __ATOMIC_SEQ_CST);
}

/* Was it set before. */
static inline int clear_bit(volatile word_t *map, uint32_t bit) {
  word_t mask = (word_t)1 << bit % WORD_BITS;
  return (__atomic_fetch_and(&map[bit / WORD_BITS], ~mask, __ATOMIC_SEQ_CST) & mask) != 0;
}

static inline long event_op(int operation, void *argument) {
  return hypercall(__HYPERVISOR_event_channel_op, operation, (long)argument, 0);
}

/* The ABI: one file each. */
uint32_t abi_limit(void);              /* ports, port 0 included */
void abi_register(uint32_t cpus);
void abi_consume(uint32_t cpu);        /* calls handle for each event of the processor */
void abi_mask(uint32_t port);          /* unmasking is a hypercall in all of them */
