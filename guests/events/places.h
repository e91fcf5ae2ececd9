/* Where things lie in the guest's memory (16 MiB, mapped one to one). The host writes the
 * parameters before the guest runs and reads the results after its end: src/toolstack/event-bench
 * knows the same addresses.
 */
#define TABLES       0x00200000 /* PML4, PDPT, four page directories */
#define IDT          0x00208000
#define STACKS       0x00210000 /* 16 KiB for each processor */
#define STACK_BYTES  0x4000
#define PARAMETERS   0x00300000
#define RESULTS      0x00301000
#define PEERS        0x00400000 /* u32 a port: through which port it is sent to */
#define SENT         0x00500000 /* u32 a port: events sent to it */
#define GOT          0x00600000 /* u32 a port: events that it got */
#define STAMPS       0x00700000 /* u64 a port: the counter when its event was sent */
#define WORST        0x00900000 /* u32 a port: the longest that one of its events waited */
#define SAMPLES      0x00a00000 /* u32 each, up to MAX_SAMPLES: how long an event waited */
#define MAX_SAMPLES  0x00040000
#define QUIET        0x00b00000 /* u8 a port: masked, nothing may be delivered */
#define BELONGS      0x00b40000 /* a bit map of ports for each of 4 processors, 32 KiB each */
#define SHARED_INFO  0x00c00000
#define ABI_PAGES    0x00c01000 /* bitmaps, selectors, event words, control blocks */
