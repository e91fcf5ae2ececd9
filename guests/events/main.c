/* Brings the guest up, binds the ports and runs the scenario that the host asked for. Ends with a
 * power-off if all went well, with a crash and a line on Xen's console otherwise.
 */
#include "guest.h"
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/hvm_vcpu.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define UPCALL_VECTOR 0x60
#define LIMIT 262144
#define BATCH 16
/* A processor that waits longer has lost an event: one has milliseconds to come. */
#define PATIENCE 1000000000ull

static volatile uint32_t cpus_ready, cpus_done, urgent_port, repeat, urgent_gap, urgent_left;
static volatile uint32_t latest;
static volatile uint64_t burst_began;

long hypercall(long number, long a, long b, long c) {
  long result;
#ifdef __x86_64__
  __asm__ volatile("vmcall" : "=a"(result), "+D"(a), "+S"(b), "+d"(c) : "0"(number) : "memory");
#else
  __asm__ volatile("vmcall" : "=a"(result), "+b"(a), "+c"(b), "+d"(c) : "0"(number) : "memory");
#endif
  return result;
}

static void shut_down(uint32_t reason) {
  struct sched_shutdown shutdown = {reason};
  hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (long)&shutdown, 0);
  for (;;) __asm__ volatile("cli; hlt");
}

void fail(const char *what, uint32_t port) {
  static char line[80];
  uint32_t length = 0;
  while (what[length] && length < 60) line[length] = what[length], length++;
  line[length++] = ' ';
  for (int shift = 28; shift >= 0; shift -= 4) line[length++] = "0123456789abcdef"[port >> shift & 15];
  line[length++] = '\n';
  hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, length, (long)line);
  shut_down(SHUTDOWN_crash);
}

void fault(void) { fail("an exception", 0); }

void make_idt(void) {
  extern void upcall_entry(void), fault_entry(void);
  for (uint32_t vector = 0; vector < 256; vector++) {
    word_t to = (word_t)(vector == UPCALL_VECTOR ? upcall_entry : fault_entry);
    volatile uint32_t *gate = (volatile uint32_t *)(IDT + vector * WORD_BITS / 4);
    gate[0] = (to & 0xffff) | 8 << 16;
    gate[1] = (to & 0xffff0000) | 0x8e00;
#ifdef __x86_64__
    gate[2] = to >> 32;
    gate[3] = 0;
#endif
  }
}

static uint32_t random_below(uint32_t *state, uint32_t below) {
  *state = *state * 1664525 + 1013904223;
  return (*state >> 8) % below;
}

/* Between the two, the processor takes its upcalls; the first instruction after STI is too early. */
static inline void open_gate(void) { __asm__ volatile("sti; nop" ::: "memory"); }
static inline void shut_gate(void) { __asm__ volatile("cli" ::: "memory"); }

static void send_to(uint32_t port) {
  struct evtchn_send send = {peers[port]};
  sent[port]++;
  if (event_op(EVTCHNOP_send, &send)) fail("send", port);
}

static void unmask(uint32_t port) {
  struct evtchn_unmask argument = {port};
  if (event_op(EVTCHNOP_unmask, &argument)) fail("unmask", port);
}

void upcall(uint32_t cpu) {
  volatile struct vcpu_info *info = &shared->vcpu_info[cpu];
  do {
    info->evtchn_upcall_pending = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    abi_consume(cpu);
  } while (info->evtchn_upcall_pending);
}

static void send_urgent(void) {
  stamps[urgent_port] = now();
  send_to(urgent_port);
}

/* An event of the port, on the processor. What waits is measured up to here. */
void handle(uint32_t cpu, uint32_t port) {
  uint64_t at = now();
  (void)cpu;
  if (port >= LIMIT || peers[port] == 0) fail("invented", port);
  if (quiet[port]) fail("delivered while masked", port);
  uint32_t count = ++got[port], scenario = parameters.scenario;
  if (scenario == RECEIVE) {
    results.delivered++;
    return;
  }
  if (count > sent[port]) fail("delivered twice", port);
  if (scenario == CHECK) return;
  uint32_t waited = at - stamps[port];
  results.delivered++;
  if (scenario == LATENCY) {
    if (results.sample_count < MAX_SAMPLES) samples[results.sample_count++] = waited;
    return;
  }
  if (scenario == BURST) {
    /* stamps holds the place in the order of the sends. */
    uint32_t order = stamps[port];
    if (order < latest) results.out_of_order++;
    else latest = order;
    if (results.sample_count < MAX_SAMPLES) samples[results.sample_count++] = at - burst_began;
    return;
  }
  if (port == urgent_port) {
    samples[results.sample_count++] = waited;
    return;
  }
  if (waited > worst[port]) worst[port] = waited;
  if (!repeat) return;
  if (--repeat && urgent_left && repeat % urgent_gap == 0) {
    urgent_left--;
    if (got[urgent_port] == sent[urgent_port]) send_urgent();
  }
  stamps[port] = now();
  send_to(port);
}

static uint32_t bind_ipi(uint32_t cpu) {
  struct evtchn_bind_ipi bind = {cpu, 0};
  if (event_op(EVTCHNOP_bind_ipi, &bind)) fail("bind_ipi", results.bound);
  peers[bind.port] = bind.port;
  set_bit(belongs(cpu), bind.port);
  results.bound++;
  return bind.port;
}

/* Two ports that are bound to each other: unlike an IPI's they can go to another processor. */
static void bind_pair(void) {
  struct evtchn_alloc_unbound alloc = {DOMID_SELF, DOMID_SELF, 0};
  if (event_op(EVTCHNOP_alloc_unbound, &alloc)) fail("alloc_unbound", results.bound);
  struct evtchn_bind_interdomain bind = {DOMID_SELF, alloc.port, 0};
  if (event_op(EVTCHNOP_bind_interdomain, &bind)) fail("bind_interdomain", results.bound);
  peers[alloc.port] = bind.local_port;
  peers[bind.local_port] = alloc.port;
  set_bit(belongs(0), alloc.port);
  set_bit(belongs(0), bind.local_port);
  sent[bind.local_port]++; /* binding makes it pending once */
  results.bound += 2;
}

/* A port that the control domain may bind to. */
static uint32_t offer(void) {
  struct evtchn_alloc_unbound alloc = {DOMID_SELF, 0, 0};
  if (event_op(EVTCHNOP_alloc_unbound, &alloc)) fail("alloc_unbound", results.bound);
  peers[alloc.port] = alloc.port;
  set_bit(belongs(0), alloc.port);
  results.bound++;
  return alloc.port;
}

/* Ports beside port 0, up to the limit of the ABI; the last one is the urgent one. */
static uint32_t bind_all(void) {
  uint32_t channels = parameters.channels ? parameters.channels : abi_limit() - 1;
  uint32_t first = 0;
  if (parameters.cpus > 1) {
    /* One IPI for each processor, and the rest in pairs. */
    for (uint32_t cpu = 0; cpu < parameters.cpus; cpu++) bind_ipi(cpu);
    while (results.bound + 2 <= channels) bind_pair();
    return 1;
  }
  while (results.bound < channels) {
    uint32_t port = parameters.scenario == RECEIVE ? offer() : bind_ipi(0);
    if (first == 0) first = port;
  }
  return first;
}

/* Nothing of what was pending or masked before the switch is lost by it. */
static uint32_t before_switch[2];
static void prepare_switch(void) {
  for (int i = 0; i < 2; i++) before_switch[i] = bind_ipi(0);
  quiet[before_switch[1]] = 1;
  set_bit((volatile word_t *)shared->evtchn_mask, before_switch[1]);
  for (int i = 0; i < 2; i++) send_to(before_switch[i]);
}

static void check_switch(void) {
  open_gate();
  shut_gate();
  if (got[before_switch[0]] != 1) fail("lost by the switch", before_switch[0]);
  quiet[before_switch[1]] = 0;
  unmask(before_switch[1]);
  open_gate();
  shut_gate();
  if (got[before_switch[1]] != 1) fail("lost by the mask", before_switch[1]);
}

/* Sends and waits in batches. A port with nothing under way is masked and unmasked, or goes to
 * another processor, now and then while its event is on its way.
 */
static void move(uint32_t port, uint32_t to) {
  struct evtchn_bind_vcpu bind = {port, to};
  if (peers[port] == port) return;
  abi_mask(port);
  if (event_op(EVTCHNOP_bind_vcpu, &bind)) fail("bind_vcpu", port);
  for (uint32_t cpu = 0; cpu < parameters.cpus; cpu++) clear_bit(belongs(cpu), port);
  set_bit(belongs(to), port);
  unmask(port);
  __atomic_add_fetch(&results.moves, 1, __ATOMIC_SEQ_CST);
}

static void check(uint32_t cpu, uint32_t first) {
  uint32_t cpus = parameters.cpus;
  uint32_t state = parameters.seed + cpu * 977;
  uint32_t mine = results.bound / cpus;
  uint32_t batch[BATCH];
  for (uint32_t round = 0; round < parameters.iterations; round++) {
    for (uint32_t i = 0; i < BATCH; i++) {
      uint32_t port = batch[i] = first + cpu + cpus * random_below(&state, mine);
      if (sent[port] != got[port]) continue;
      uint32_t choice = random_below(&state, 8);
      if (choice == 0) {
        shut_gate();
        abi_mask(port);
        quiet[port] = 1;
        send_to(port);
        open_gate();
        quiet[port] = 0;
        unmask(port);
      } else {
        send_to(port);
        if (choice == 1 && cpus > 1) move(port, random_below(&state, cpus));
      }
    }
    uint64_t began = now();
    for (uint32_t i = 0; i < BATCH; i++) {
      while (sent[batch[i]] != got[batch[i]]) {
        if (now() - began > PATIENCE) fail("lost", batch[i]);
        __asm__ volatile("pause");
      }
    }
  }
}

static void latency(uint32_t first) {
  uint32_t state = parameters.seed;
  uint64_t began = now();
  results.is_measuring = 1;
  for (uint32_t i = 0; i < parameters.iterations; i++) {
    uint32_t port = first + random_below(&state, results.bound);
    stamps[port] = now();
    send_to(port);
    if (got[port] != sent[port]) fail("lost", port);
  }
  results.instructions = now() - began;
}

/* Every port at once, in an order that is not that of their numbers. */
static void burst(uint32_t first) {
  uint32_t count = results.bound, place = 0, step = 7919;
  shut_gate();
  results.is_measuring = 1;
  while (count % step == 0) step++;
  for (uint32_t i = 0; i < count; i++) {
    stamps[first + place] = i;
    send_to(first + place);
    place = (place + step) % count;
  }
  burst_began = now();
  open_gate();
  results.instructions = now() - burst_began;
  for (uint32_t i = 0; i < count; i++) {
    if (got[first + i] != sent[first + i]) fail("lost", first + i);
  }
}

/* Every port but the urgent one is always busy: whoever handles its event sends the next. */
static void storm(uint32_t first, uint32_t count) {
  shut_gate();
  results.is_measuring = 1;
  repeat = parameters.iterations;
  for (uint32_t i = 0; i < count; i++) {
    stamps[first + i] = now();
    send_to(first + i);
  }
  uint64_t began = now();
  open_gate();
  results.instructions = now() - began;
}

static void set_priority(uint32_t port, uint32_t priority) {
  struct evtchn_set_priority set = {port, priority};
  event_op(EVTCHNOP_set_priority, &set); /* unknown where there are none */
}

static void start_others(void) {
#ifdef __x86_64__
  extern void start_other(void);
  static struct vcpu_hvm_context context;
  for (uint32_t cpu = 1; cpu < parameters.cpus; cpu++) {
    context.mode = VCPU_HVM_MODE_64B;
    context.cpu_regs.x86_64.rip = (word_t)start_other;
    context.cpu_regs.x86_64.rsp = STACKS + (cpu + 1) * STACK_BYTES - 64;
    context.cpu_regs.x86_64.rflags = 2;
    context.cpu_regs.x86_64.cr0 = 0x80010011;
    context.cpu_regs.x86_64.cr3 = TABLES;
    context.cpu_regs.x86_64.cr4 = 0x20;
    context.cpu_regs.x86_64.efer = 0x500;
    if (hypercall(__HYPERVISOR_vcpu_op, VCPUOP_initialise, cpu, (long)&context)) fail("initialise", cpu);
    if (hypercall(__HYPERVISOR_vcpu_op, VCPUOP_up, cpu, 0)) fail("up", cpu);
  }
#endif
}

/* Each processor checks, goes on taking its events until all have, and then sleeps or ends. */
static void check_together(uint32_t cpu) {
  __atomic_add_fetch(&cpus_ready, 1, __ATOMIC_SEQ_CST);
  while (cpus_ready < parameters.cpus) __asm__ volatile("pause");
  open_gate();
  check(cpu, 1);
  __atomic_add_fetch(&cpus_done, 1, __ATOMIC_SEQ_CST);
  while (cpus_done < parameters.cpus) __asm__ volatile("pause");
}

void other_main(uint32_t cpu) {
  check_together(cpu);
  for (;;) __asm__ volatile("cli; hlt");
}

static void enter_abi(void) {
  struct evtchn_reset reset = {DOMID_SELF};
  struct xen_hvm_param callback = {DOMID_SELF, 0, HVM_PARAM_CALLBACK_IRQ, 2ull << 56 | UPCALL_VECTOR};
  struct xen_add_to_physmap map = {DOMID_SELF, 0, XENMAPSPACE_shared_info, 0, SHARED_INFO / 4096};
  if (event_op(EVTCHNOP_reset, &reset)) fail("reset", 0);
  if (hypercall(__HYPERVISOR_hvm_op, HVMOP_set_param, (long)&callback, 0)) fail("callback", 0);
  if (hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, (long)&map, 0)) fail("shared_info", 0);
  if (parameters.scenario == CHECK && parameters.cpus == 1) prepare_switch();
  abi_register(parameters.cpus);
}

void guest_main(void) {
  enter_abi();
  uint32_t first = bind_all();
  results.first_port = first;
  switch (parameters.scenario) {
    case CHECK:
      if (parameters.cpus == 1) {
        check_switch();
        first = before_switch[0];
        open_gate();
        check(0, first);
      } else {
        start_others();
        check_together(0);
      }
      for (uint32_t port = 1; port < LIMIT; port++) {
        if (sent[port] != got[port]) fail("lost", port);
        results.delivered += got[port];
      }
      break;
    case LATENCY:
      open_gate();
      latency(first);
      break;
    case BURST:
      burst(first);
      break;
    case STORM:
      storm(first, results.bound);
      break;
    case URGENT:
      urgent_port = first + results.bound - 1;
      set_priority(urgent_port, parameters.priority);
      urgent_gap = parameters.channels + parameters.channels / 3;
      urgent_left = parameters.iterations / urgent_gap;
      storm(first, results.bound - 1);
      break;
    case RECEIVE:
      open_gate();
      for (results.is_measuring = 1;;) __asm__ volatile("pause");
    default:
      fail("no such scenario", parameters.scenario);
  }
  results.is_done = 1;
  shut_down(SHUTDOWN_poweroff);
}
