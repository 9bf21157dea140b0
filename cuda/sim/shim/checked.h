// checked.h: the checked build sees every access of kernels to memory, because g++ -fsanitize=thread puts a call before each.
//
// Device memory: an access must lie in one allocation, be aligned, and read only what was written. Two blocks of a launch may
// not use the same bytes if one of them writes, unless both do so atomically, or the first one released them (a fence, then
// an atomic operation) and the second acquired them (an atomic operation). Order within a block is not looked at there.
//
// Shared memory: as above, with threads for blocks; __syncthreads orders all threads of a block, __syncwarp those of a
// warp; shuffles, votes and ldmatrix order nothing. Barriers of part of a block and mbarriers count as order among all. What
// an earlier block wrote does not count as written. Nobody may write to what a product of a warpgroup reads before its warp
// has waited for it.
//
// Some faults can escape: of the blocks that write a piece of memory the last is kept, of those that read it one, of threads
// the last writer.
#pragma once
#include <cstddef>

#include "types.h"

namespace sim {
HIDDEN extern bool checking; // while a kernel runs

// Checking holds during a launch.
struct Checking {
  Checking();
  ~Checking() { checking = false; }
};

HIDDEN extern char *device_begin, *device_end; // the addresses that device memory may have

// What the driver tells.
HIDDEN void open_shadow(char *device, size_t bytes);
HIDDEN void device_allocated(char *p, size_t bytes);
HIDDEN void device_freed(char *p, size_t bytes);
HIDDEN void mark_written(const void *p, size_t bytes);
HIDDEN void copy_marks(void *to, const void *from, size_t bytes);
HIDDEN const char *first_unwritten(const char *p, size_t bytes); // null: all was written
// What the driver answers: whether kernels may use this host memory.
HIDDEN bool host_visible(const void *p, size_t bytes);

// What the instructions of mma.h, async.h and atomics.h tell.
HIDDEN void check_read_by(unsigned thread, const void *p, unsigned bytes);
HIDDEN void check_issue(void *to, unsigned bytes);
HIDDEN void check_copy(void *to, const void *from, unsigned bytes, unsigned source_bytes);
HIDDEN void note_atomic(void *p, unsigned bytes);
HIDDEN void note_fence();

// Access is one access as the parts of the checker pass it on.
struct Access {
  const char *p;
  unsigned bytes;
  bool write, atomic;
  unsigned thread;
  void *pc;
  const char *verb() const { return atomic ? "atomic access" : write ? "write" : "read"; }
};
[[noreturn]] HIDDEN void report(const Access &a, int code, const char *kind, const char *format, ...) __attribute__((format(printf, 4, 5)));
HIDDEN void device_access(const Access &a);
HIDDEN void shared_access(const Access &a);
HIDDEN void check_products(const Access &a); // of products.cpp: a write to what one reads that is under way
inline bool in_device_space(const char *p) { return p >= device_begin && p < device_end; }
HIDDEN bool in_shared(const char *p);
HIDDEN void device_launch(); // a new launch begins
HIDDEN void shared_launch();
} // namespace sim
