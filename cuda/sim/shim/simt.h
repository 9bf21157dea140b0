// simt.h: blocks, threads, barriers and warp collectives. The threads of a block run one after another as a plain loop; one
// that waits becomes a fiber with a stack of its own, and a new fiber goes on with the loop.
#pragma once
#include <setjmp.h>

#include "types.h"

HIDDEN extern uint3 threadIdx, blockIdx;
HIDDEN extern dim3 blockDim, gridDim;
static constexpr int warpSize = 32;

namespace sim {

enum { MAX_THREADS = 1024, WARP = 32 };
enum : size_t { DEVICE_SPACE = (size_t)1 << 40 }; // addresses for device memory

struct Fiber {
  void *sp;
  unsigned t; // number of the thread in its block
  uint3 tid;
};

// Slot is a lane's message in a warp collective, and what it gets back.
union Slot {
  uint64_t u[10];
  uint32_t w[20];
  float f[20];
};

struct Warp;
typedef void (*Exchange)(Warp &, unsigned lanes); // turns the messages of the lanes into their results

// Group is the lanes named by one mask which wait for each other.
struct Group {
  unsigned mask, arrived;
  Exchange exchange;
};

struct Warp {
  unsigned size, exited; // lanes as masks
  unsigned phase;        // the clock at the last __syncwarp or barrier of the block
  int groups;
  Group group[WARP];
  Fiber *fiber[WARP];
  Slot slot[WARP];
};

// Kernel is a kernel linked into this library.
struct Kernel {
  const char *name, *file;
  unsigned threads; // launch bound
  size_t bytes;     // of its parameters
  void (*run)(const void *params);
  Kernel *next;
  Kernel(const char *name, const char *file, unsigned threads, size_t bytes, void (*run)(const void *));
};
HIDDEN extern Kernel *kernels;

struct Block {
  unsigned n, next, done; // threads in all, started, ended
  unsigned arrived;       // at the barrier
  unsigned votes, result; // of __syncthreads_count and its relatives
  unsigned clock;         // counts epochs and phases over all launches: no two have one number
  unsigned epoch;         // the clock at the block's last barrier, or its start
  unsigned serial;        // counts blocks over all launches
  bool reverse;
  const Kernel *kernel;
  const void *params;
  Fiber *waiting[MAX_THREADS];
  unsigned waiters;
  Fiber *ready[2 * MAX_THREADS]; // a ring
  unsigned head, tail;
  Warp warp[MAX_THREADS / WARP];
  char *shared;         // dynamic shared memory
  size_t shared_bytes;
  bool async;           // some thread used cp.async
  bool products;        // some warp used wgmma
};
HIDDEN extern Block block;
HIDDEN extern Fiber *current;

HIDDEN void yield();
HIDDEN void release_after_end();
HIDDEN unsigned barrier(bool vote);
HIDDEN void collective(unsigned mask, Exchange f);
// Barriers of part of a block: by number among threads that say how many they are, and in shared memory (mbarrier), whose
// phase ends with the count-th arrival; a thread waits until the phase of a parity has ended.
HIDDEN void named_barrier(unsigned number, unsigned threads);
HIDDEN void mbarrier_init(void *p, unsigned count);
HIDDEN void mbarrier_arrive(void *p);
HIDDEN void mbarrier_wait(void *p, unsigned parity);
// fail ends the launch with a line on standard error.
[[noreturn]] HIDDEN void fail(int code, const char *kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

inline unsigned lane() { return current->t % WARP; }
inline Warp &warp() { return block.warp[current->t / WARP]; }
inline Slot &slot() { return warp().slot[lane()]; }

// end_thread counts the current thread as ended: others may have waited for it alone.
inline void end_thread() {
  Warp &w = warp();
  block.done++;
  w.exited |= 1u << lane();
  if (block.waiters || w.groups) release_after_end();
}

// next_thread makes the next thread of the block the current one; false if all have started.
inline bool next_thread() {
  if (block.next >= block.n) return false;
  unsigned i = block.next++, t = block.reverse ? block.n - 1 - i : i;
  current->t = t;
  if (blockDim.x == block.n) threadIdx = {t, 0, 0};
  else threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
  current->tid = threadIdx;
  return true;
}

template <class P, void (*F)(const P &)> void run(const void *params) {
  while (next_thread()) {
    F(*(const P *)params);
    end_thread();
  }
}

HIDDEN void exchange_sync(Warp &, unsigned);
HIDDEN void exchange_shuffle(Warp &, unsigned);
HIDDEN void exchange_ballot(Warp &, unsigned);

// shuffle gives the value of lane source, which must be in this collective: otherwise poison.
template <class T> inline T shuffle(unsigned mask, T v, unsigned source) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
  Slot &s = slot();
  memcpy(&s.u[0], &v, sizeof v);
  s.u[1] = source;
  collective(mask, exchange_shuffle);
  memcpy(&v, &s.u[2], sizeof v);
  return v;
}

inline unsigned ballot(unsigned mask, int p) {
  Slot &s = slot();
  s.u[0] = p != 0;
  collective(mask, exchange_ballot);
  return (unsigned)s.u[1];
}
} // namespace sim

#define SIM_JOIN(a, b) a##b
// A kernel takes one block of parameters, by value on the GPU.
#define KERNEL(name, threads, P)                                                                                     \
  static void name(const P &p);                                                                                      \
  static sim::Kernel SIM_JOIN(name, _kernel)(#name, __FILE__, threads, sizeof(P), sim::run<P, name>);                 \
  static inline void name(const P &p)
#define SHARED(T, name) T *name = (T *)sim::block.shared

inline void __syncthreads() { sim::barrier(false); }
inline int __syncthreads_count(int p) { return (int)sim::barrier(p != 0); }
inline int __syncthreads_or(int p) { return sim::barrier(p != 0) != 0; }
inline int __syncthreads_and(int p) { return sim::barrier(p == 0) == 0; }
inline void __syncwarp(unsigned mask = ~0u) { sim::collective(mask, sim::exchange_sync); }
#ifdef ACUSIM_CHECKED
namespace sim {
HIDDEN void note_fence();
}
inline void __threadfence() { sim::note_fence(); }
#else
inline void __threadfence() {}
#endif
inline void __threadfence_system() { __threadfence(); }
inline void __threadfence_block() {}
inline void __nanosleep(unsigned) {}
[[noreturn]] inline void __trap() { sim::fail(719, "trap", "__trap"); }

template <class T> inline T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
  unsigned l = sim::lane(), w = (unsigned)width - 1;
  return sim::shuffle(mask, v, (l & ~w) | ((unsigned)source & w));
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T v, int x, int width = 32) {
  unsigned l = sim::lane(), w = (unsigned)width - 1, s = l ^ (unsigned)x;
  return sim::shuffle(mask, v, (s & ~w) > (l & ~w) ? l : s);
}
template <class T> inline T __shfl_down_sync(unsigned mask, T v, unsigned d, int width = 32) {
  unsigned l = sim::lane(), w = (unsigned)width - 1;
  return sim::shuffle(mask, v, (l & w) + d <= w ? l + d : l);
}
template <class T> inline T __shfl_up_sync(unsigned mask, T v, unsigned d, int width = 32) {
  unsigned l = sim::lane(), w = (unsigned)width - 1;
  return sim::shuffle(mask, v, (l & w) >= d ? l - d : l);
}
inline unsigned __ballot_sync(unsigned mask, int p) { return sim::ballot(mask, p); }
inline int __any_sync(unsigned mask, int p) { return sim::ballot(mask, p) != 0; }
inline int __all_sync(unsigned mask, int p) { return sim::ballot(mask, !p) == 0; }
// No order among lanes that do not wait for each other can be relied on: each sees itself alone.
inline unsigned __activemask() { return 1u << sim::lane(); }
