// Reads a block device without the guest's page cache and says how fast, by the guest's clock.
//
// disk sequential DEVICE BLOCK-BYTES DEPTH COUNT
// disk random DEVICE BLOCK-BYTES DEPTH COUNT
//
// DEPTH reads are under way at all times, by Linux's own asynchronous I/O (no library needed).

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MOST_DEPTH = 64 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static uint64_t state = 88172645463325252u;

static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  int random = strcmp(argv[1], "random") == 0;
  size_t block = strtoul(argv[3], 0, 0);
  int depth = atoi(argv[4]);
  long count = atol(argv[5]);
  int fd = open(argv[2], O_RDONLY | O_DIRECT);
  off_t size = lseek(fd, 0, SEEK_END);
  if (fd < 0 || depth < 1 || depth > MOST_DEPTH || size < (off_t)block) return 1;
  uint64_t blocks = size / block;
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, MOST_DEPTH, &context) < 0) return 1;
  struct iocb requests[MOST_DEPTH];
  char *buffers;
  if (posix_memalign((void **)&buffers, 4096, depth * block)) return 1;
  memset(buffers, 1, depth * block);

  double start = now();
  long submitted = 0, done = 0;
  int idle[MOST_DEPTH], idles = depth;
  for (int i = 0; i < depth; i++) idle[i] = i;
  while (done < count) {
    struct iocb *batch[MOST_DEPTH];
    int n = 0;
    while (idles > 0 && submitted < count) {
      int slot = idle[--idles];
      uint64_t at = random ? next() % blocks : (uint64_t)submitted % blocks;
      struct iocb *r = &requests[slot];
      memset(r, 0, sizeof *r);
      r->aio_data = slot;
      r->aio_lio_opcode = IOCB_CMD_PREAD;
      r->aio_fildes = fd;
      r->aio_buf = (uintptr_t)(buffers + slot * block);
      r->aio_nbytes = block;
      r->aio_offset = at * block;
      batch[n++] = r;
      submitted++;
    }
    if (n > 0 && syscall(SYS_io_submit, context, n, batch) != n) return 1;
    struct io_event events[MOST_DEPTH];
    int got = syscall(SYS_io_getevents, context, 1, depth, events, 0);
    if (got < 1) return 1;
    for (int i = 0; i < got; i++) {
      if (events[i].res != (int64_t)block) return 1;
      idle[idles++] = events[i].data;
    }
    done += got;
  }
  double seconds = now() - start;
  printf("%s %ld %.6f\n", argv[1], count, seconds);
  return 0;
}
