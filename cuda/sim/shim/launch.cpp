// launch.cpp: the loop over the blocks of a grid, and the ways in which a launch can fail.
#include "launch.h"

#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <pthread.h>
#include <sys/mman.h>
#include <vector>

#include "internal.h"
#include "symbols.h"
#ifdef ACUSIM_CHECKED
#include "checked.h"
#endif

namespace sim {
static sigjmp_buf out;
static volatile int failure;
static pthread_t launcher;
static volatile bool running;
static struct sigaction before[3];
static const int traps[3] = {SIGSEGV, SIGBUS, SIGFPE};
char *shared_memory;

static void where(char *s, size_t n) {
  snprintf(s, n, "kernel %s, block (%u,%u,%u), thread (%u,%u,%u)", block.kernel->name, blockIdx.x, blockIdx.y, blockIdx.z,
           threadIdx.x, threadIdx.y, threadIdx.z);
}

void fail(int code, const char *kind, const char *format, ...) {
  char at[300], what[700];
  where(at, sizeof at);
  va_list a;
  va_start(a, format);
  vsnprintf(what, sizeof what, format, a);
  va_end(a);
  fprintf(stderr, "acusim: %s: %s: %s\n", kind, at, what);
  failure = code;
  siglongjmp(out, 1);
}

// trapped turns a fault of a kernel into a failed launch; faults of other threads of the process go where they went before.
static void trapped(int sig, siginfo_t *info, void *context) {
  if (running && pthread_equal(pthread_self(), launcher)) {
    running = false;
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, sig);
    pthread_sigmask(SIG_UNBLOCK, &s, nullptr);
    char *a = (char *)info->si_addr;
    if (sig == SIGFPE) fail(LAUNCH_FAILED, "division", "an integer divided by zero");
    if (a >= arena.begin && a < arena.end) fail(LAUNCH_FAILED, "stack", "a thread's stack overflows");
    fail(ILLEGAL_ADDRESS, "address", "access to address %p, which holds nothing", (void *)a);
  }
  for (int i = 0; i < 3; i++) {
    if (traps[i] != sig) continue;
    if (before[i].sa_flags & SA_SIGINFO) return before[i].sa_sigaction(sig, info, context);
    if (before[i].sa_handler != SIG_DFL && before[i].sa_handler != SIG_IGN) return before[i].sa_handler(sig);
    sigaction(sig, &before[i], nullptr); // the faulting instruction runs again, under the old disposition
  }
}

static void open_shared() {
  size_t page = 4096;
  char *p = (char *)mmap(nullptr, MAX_SHARED + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED || mprotect(p + page, MAX_SHARED, PROT_READ | PROT_WRITE)) {
    fprintf(stderr, "acusim: no memory for shared memory\n");
    abort();
  }
  shared_memory = p + page;
}

// The dynamic shared memory of a block ends at the end of a page, up to its alignment of 128 bytes: beyond lies nothing.
static void set_shared(size_t bytes) {
  if (!shared_memory) open_shared();
  block.shared_bytes = bytes;
  block.shared = shared_memory + MAX_SHARED - (bytes + 127) / 128 * 128;
}

size_t static_shared(const Kernel *k) {
  size_t n = 0;
  for (const Symbol &s : shared_symbols(k->name)) n += s.bytes;
  return n;
}

static void run_grid(dim3 grid, const std::vector<Symbol> &statics) {
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        blockIdx = {x, y, z};
        if (block.shared_bytes) memset(block.shared, POISON, block.shared_bytes);
        for (const Symbol &s : statics) memset(s.address, POISON, s.bytes);
        run_block();
        if (block.async) async_reset();
      }
}

int launch(const Kernel *k, const void *params, dim3 grid, dim3 threads, size_t shared_bytes) {
  gridDim = grid;
  blockDim = threads;
  block.n = threads.x * threads.y * threads.z;
  block.kernel = k;
  block.params = params;
  block.async = false;
  static const char *reverse = getenv("ACUSIM_REVERSE");
  block.reverse = reverse && *reverse == '1';
  set_shared(shared_bytes);
  const std::vector<Symbol> &statics = shared_symbols(k->name);
  failure = 0;
  launcher = pthread_self();
  struct sigaction a = {};
  a.sa_sigaction = trapped;
  a.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigfillset(&a.sa_mask);
  for (int i = 0; i < 3; i++) sigaction(traps[i], &a, &before[i]);
  if (!sigsetjmp(out, 0)) {
    running = true;
#ifdef ACUSIM_CHECKED
    Checking on;
#endif
    run_grid(grid, statics);
  } else {
    drop_fibers();
    async_reset();
#ifdef ACUSIM_CHECKED
    checking = false;
#endif
  }
  running = false;
  for (int i = 0; i < 3; i++) sigaction(traps[i], &before[i], nullptr);
  return failure;
}
} // namespace sim
