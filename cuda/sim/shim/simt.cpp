// simt.cpp: fibers, barriers and collectives.
#include "simt.h"

#include <cstdarg>
#include <cstdio>
#include <sys/mman.h>

#include "internal.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

// sim_switch saves the callee-saved registers on the stack, stores its pointer and takes up another stack.
asm(".text\n.globl sim_switch\n.hidden sim_switch\n.type sim_switch,@function\nsim_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n.size sim_switch,.-sim_switch\n");
extern "C" void sim_switch(void **save, void *to);

namespace sim {
Block block;
Fiber *current;
Kernel *kernels;
Arena arena;

Kernel::Kernel(const char *name, const char *file, unsigned threads, size_t bytes, void (*run)(const void *))
    : name(name), file(file), threads(threads), bytes(bytes), run(run), next(kernels) {
  kernels = this;
}

static Fiber fibers[MAX_THREADS];
static Fiber *idle[MAX_THREADS];
static unsigned made, idles;
static void *main_sp;

static void resume(Fiber *f) {
  Fiber *me = current;
  current = f;
  threadIdx = f->tid;
  sim_switch(&me->sp, f->sp);
}

static Fiber *pop_ready() { return block.ready[block.head++ % (2 * MAX_THREADS)]; }
static void push_ready(Fiber *f) { block.ready[block.tail++ % (2 * MAX_THREADS)] = f; }

// parked are the threads that wait for something other than a barrier of the block or warp.
static struct {
  Fiber *fiber;
  const void *what;
} parked[MAX_THREADS];
static unsigned parkeds, named[16];

static void deadlock() {
  unsigned lanes = 0;
  for (unsigned w = 0; w * WARP < block.n; w++)
    for (int g = 0; g < block.warp[w].groups; g++) lanes += __builtin_popcount(block.warp[w].group[g].arrived);
  fail(LAUNCH_FAILED, "deadlock",
       "a barrier or warp collective that not all threads reach: of %u threads %u have ended, %u wait at __syncthreads, %u in a "
       "warp collective, %u at a barrier of part of the block",
       block.n, block.done, block.waiters, lanes, parkeds);
}

static void body() {
  for (;;) {
    block.kernel->run(block.params);
    idle[idles++] = current;
    if (block.done == block.n) {
      sim_switch(&current->sp, main_sp);
      continue;
    }
    if (block.head == block.tail) deadlock();
    resume(pop_ready());
  }
}

// STACK is an odd multiple of 64 bytes more than a page multiple, so that the hot lines of the stacks fall into different
// cache sets. Each stack has a page below it that cannot be written.
enum { GUARD_PAGE = 4096, STACK = 96 * 1024 };

static Fiber *fresh() {
  if (idles) return idle[--idles];
  if (!arena.begin) {
    size_t n = (size_t)MAX_THREADS * (STACK + GUARD_PAGE);
    arena.begin = (char *)mmap(nullptr, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena.begin == MAP_FAILED) {
      fprintf(stderr, "acusim: no address space for the stacks of threads\n");
      abort();
    }
    arena.end = arena.begin + n;
  }
  char *stack = arena.begin + (size_t)made * (STACK + GUARD_PAGE) + GUARD_PAGE;
  if (made >= arena.opened) {
    mprotect(stack, STACK, PROT_READ | PROT_WRITE);
    arena.opened++;
  }
  Fiber *f = &fibers[made];
  void **sp = (void **)(stack + STACK - 64 - made % 61 * 64);
  *--sp = nullptr;
  *--sp = (void *)body;
  for (int i = 0; i < 6; i++) *--sp = nullptr;
  f->sp = sp;
  made++;
  return f;
}

void yield() {
  if (block.head != block.tail) return resume(pop_ready());
  if (block.next < block.n) return resume(fresh());
  deadlock();
}

void drop_fibers() { made = idles = 0; }

static void new_epoch() {
  block.epoch = ++block.clock;
  for (unsigned w = 0; w * WARP < block.n; w++) block.warp[w].phase = ++block.clock;
}

static void park(const void *what) {
  parked[parkeds++] = {current, what};
  yield();
}

// wake lets those go on who wait for something; in the checked build at once, before who has let them, so that what this one
// does too early is seen.
static void wake(const void *what) {
  unsigned kept = 0;
  for (unsigned i = 0; i < parkeds; i++) {
    if (parked[i].what == what) push_ready(parked[i].fiber);
    else parked[kept++] = parked[i];
  }
  parkeds = kept;
#ifdef ACUSIM_CHECKED
  if (block.head == block.tail) return;
  push_ready(current);
  resume(pop_ready());
#endif
}

void run_block() {
  parkeds = 0;
  block.products = false;
  memset(named, 0, sizeof named);
  block.next = block.done = block.arrived = block.votes = block.waiters = block.head = block.tail = 0;
  block.serial++;
  new_epoch();
  for (unsigned w = 0; w * WARP < block.n; w++) {
    unsigned k = block.n - w * WARP;
    Warp &p = block.warp[w];
    p.size = k >= WARP ? ~0u : (1u << k) - 1;
    p.exited = 0;
    p.groups = 0;
  }
  current = fresh();
  sim_switch(&main_sp, current->sp);
}

static void release_block() {
  block.result = block.votes;
  block.votes = block.arrived = 0;
  new_epoch();
  for (unsigned i = 0; i < block.waiters; i++) push_ready(block.waiting[i]);
  block.waiters = 0;
}

unsigned barrier(bool vote) {
  block.votes += vote;
  if (++block.arrived + block.done == block.n) {
    release_block();
  } else {
    block.waiting[block.waiters++] = current;
    yield();
  }
  return block.result;
}

// What orders part of a block counts as order among all: no fault is invented, some can escape.
void named_barrier(unsigned number, unsigned threads) {
  if (number >= 16 || threads % WARP) fail(LAUNCH_FAILED, "barrier", "barrier %u of %u threads", number, threads);
  if (++named[number] < threads) return park(&named[number]);
  named[number] = 0;
  new_epoch();
  wake(&named[number]);
}

struct MBarrier {
  uint16_t count, left;
  uint32_t phase;
};

void mbarrier_init(void *p, unsigned count) { *(MBarrier *)p = {(uint16_t)count, (uint16_t)count, 0}; }

void mbarrier_arrive(void *p) {
  MBarrier &b = *(MBarrier *)p;
  if (--b.left) return;
  b.left = b.count;
  b.phase++;
  new_epoch();
  wake(p);
}

void mbarrier_wait(void *p, unsigned parity) {
  while ((((MBarrier *)p)->phase & 1) == parity) park(p);
}

static void release_group(Warp &w, int g, unsigned except) {
  Group done = w.group[g];
  w.group[g] = w.group[--w.groups];
  done.exchange(w, done.arrived);
  for (unsigned m = done.arrived & ~except; m; m &= m - 1) push_ready(w.fiber[__builtin_ctz(m)]);
}

static bool complete(const Warp &w, const Group &g) { return (g.mask & w.size & ~w.exited & ~g.arrived) == 0; }

void collective(unsigned mask, Exchange f) {
  Warp &w = warp();
  unsigned bit = 1u << lane();
  if (!(mask & bit)) fail(LAUNCH_FAILED, "mask", "a warp collective whose mask %08x lacks the lane that calls it", mask);
  int g = 0;
  while (g < w.groups && w.group[g].mask != mask) g++;
  if (g == w.groups) w.group[w.groups++] = {mask, 0, f};
  if (w.group[g].exchange != f) fail(LAUNCH_FAILED, "divergence", "lanes of a warp meet in different collectives");
  w.group[g].arrived |= bit;
  if (complete(w, w.group[g])) return release_group(w, g, bit);
  w.fiber[lane()] = current;
  yield();
}

void release_after_end() {
  Warp &w = warp();
  if (block.waiters && block.arrived + block.done == block.n) release_block();
  for (int g = 0; g < w.groups;) {
    if (w.group[g].arrived && complete(w, w.group[g])) release_group(w, g, 0), g = 0;
    else g++;
  }
}

void exchange_sync(Warp &w, unsigned) { w.phase = ++block.clock; }

void exchange_shuffle(Warp &w, unsigned lanes) {
  for (unsigned m = lanes; m; m &= m - 1) {
    Slot &s = w.slot[__builtin_ctz(m)];
    unsigned from = (unsigned)s.u[1] % WARP;
    s.u[2] = lanes >> from & 1 ? w.slot[from].u[0] : ~0ull;
  }
}

void exchange_ballot(Warp &w, unsigned lanes) {
  unsigned votes = 0;
  for (unsigned m = lanes; m; m &= m - 1) votes |= (unsigned)w.slot[__builtin_ctz(m)].u[0] << __builtin_ctz(m);
  for (unsigned m = lanes; m; m &= m - 1) w.slot[__builtin_ctz(m)].u[1] = votes;
}
} // namespace sim
