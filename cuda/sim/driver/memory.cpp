// memory.cpp: device memory and pinned host memory. Each allocation has pages of its own with nothing mapped around them and
// after its release, ends where a page ends, and begins as poison; the rest of its first page is a red zone.
#include <algorithm>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#include "plugin.h"
#include "state.h"
#ifdef ACUSIM_CHECKED
#include "../shim/checked.h"
#endif

namespace driver {
namespace {
enum { PAGE = 4096, ALIGN = 256, POISON = 0xff, ZONE = 0xdb };
enum : size_t { SMALL = 4 << 20, TILE = 16 << 20 };

// Space is the addresses that device memory may have. They are used upward, so that an address that was released stays
// empty as long as possible.
struct Space {
  char *begin = nullptr, *next = nullptr, *end = nullptr;
};
Space &space() {
  static Space *s = [] {
    auto *s = new Space;
    size_t n = sim::DEVICE_SPACE;
    void *p = mmap(nullptr, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
      complain("no address space of %zu bytes for device memory", n);
      return s;
    }
    s->begin = s->next = (char *)p;
    s->end = s->begin + n;
#ifdef ACUSIM_CHECKED
    sim::open_shadow(s->begin, n);
#endif
    return s;
  }();
  return *s;
}

char *begin_page(uintptr_t a) { return (char *)(a / PAGE * PAGE); }
size_t span(uintptr_t a, size_t bytes) { return (size_t)((a + bytes + PAGE - 1) / PAGE * PAGE - a / PAGE * PAGE); }

// reserve finds n free bytes of address space with an empty page on both sides.
char *reserve(size_t n) {
  Space &s = space();
  if (!s.begin) return nullptr;
  if (s.next + n + 2 * PAGE > s.end) { // start again at the bottom, between what still lives
    s.next = s.begin;
    for (auto &m : state().memory) {
      if (s.next + n + 2 * PAGE <= begin_page(m.first)) break;
      s.next = std::max(s.next, begin_page(m.first) + span(m.first, m.second.bytes));
    }
    if (s.next + n + 2 * PAGE > s.end) return nullptr;
  }
  char *p = s.next + PAGE;
  s.next = p + n;
  return p;
}

// A large allocation is the pages of one poisoned file over and over, copied when they are written: it costs no memory
// until then.
int poison_file() {
  static int f = [] {
    int f = memfd_create("acusim poison", MFD_CLOEXEC);
    std::vector<char> tile(TILE, (char)POISON);
    if (f < 0 || write(f, tile.data(), TILE) != (ssize_t)TILE) return -1;
    return f;
  }();
  return f;
}

bool map_pages(char *p, size_t n) {
  if (n <= SMALL || poison_file() < 0) {
    if (mmap(p, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) return false;
    memset(p, POISON, n);
    return true;
  }
  for (size_t i = 0; i < n; i += TILE) {
    size_t k = n - i < TILE ? n - i : TILE;
    if (mmap(p + i, k, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, poison_file(), 0) == MAP_FAILED) return false;
  }
  return true;
}

void unmap_pages(uintptr_t a, size_t bytes) {
  mmap(begin_page(a), span(a, bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

// tell_use keeps the file of ACUSIM_USE up to date: a Go program ends without destructors.
size_t abandoned; // bytes that were still allocated when their context was destroyed
void tell_use() {
  static const char *path = getenv("ACUSIM_USE");
  if (!path || !*path) return;
  if (FILE *f = fopen(path, "w")) {
    fprintf(f, "peak %zu\nleft %zu\n", state().peak, state().used + abandoned);
    fclose(f);
  } else {
    complain("ACUSIM_USE: \"%s\" cannot be written", path);
  }
}

void release(std::map<uintptr_t, Allocation>::iterator it) {
  unmap_pages(it->first, it->second.bytes);
  state().used -= it->second.bytes;
#ifdef ACUSIM_CHECKED
  sim::device_freed((char *)it->first, it->second.bytes);
#endif
  state().memory.erase(it);
  tell_use();
}

enum : size_t { RESERVED = 512u << 20 }; // what a context takes for itself

size_t free_bytes() {
  size_t taken = RESERVED + state().used;
  return gpu().memory > taken ? gpu().memory - taken : 0;
}

// damaged tells whether the bytes p..q-1 are no longer a red zone.
bool damaged(const char *p, const char *q) {
  return std::any_of(p, q, [](char c) { return c != (char)ZONE; });
}
int red_zone(uintptr_t a, size_t bytes) {
  const char *p = (const char *)a;
  bool before = damaged(begin_page(a), p), after = damaged(p + bytes, begin_page(a) + span(a, bytes));
  if (!before && !after) return 0;
  complain("bounds: something was written %s the allocation of %zu bytes at %p", before ? "before" : "after", bytes, (void *)p);
  return ILLEGAL_ADDRESS;
}

int forbidden; // the code of a library's forbidden access
} // namespace

bool inside(Address a, size_t n) {
  auto it = state().memory.upper_bound((uintptr_t)a);
  if (it == state().memory.begin()) return false;
  --it;
  return a - it->first <= it->second.bytes && n <= it->second.bytes - (a - it->first);
}

bool pinned_host(const void *p, size_t n) {
  auto it = state().pinned.upper_bound((uintptr_t)p);
  if (it == state().pinned.begin()) return false;
  --it;
  return (uintptr_t)p + n <= it->first + it->second.bytes;
}

int check_red_zones() {
  int error = 0;
  for (auto &m : state().memory)
    if (int e = red_zone(m.first, m.second.bytes)) error = e;
  return error;
}

void free_all(Context *c) {
  State &s = state();
  for (auto it = s.memory.begin(); it != s.memory.end();) {
    auto next = std::next(it);
    if (it->second.context == c) {
      abandoned += it->second.bytes;
      release(it);
    }
    it = next;
  }
  for (auto it = s.pinned.begin(); it != s.pinned.end();)
    if (it->second.context == c) free((void *)it->first), it = s.pinned.erase(it);
    else ++it;
}

int plugin_failure() {
  int e = forbidden;
  forbidden = 0;
  return e;
}
} // namespace driver

#ifdef ACUSIM_CHECKED
bool sim::host_visible(const void *p, size_t bytes) { return driver::pinned_host(p, bytes); }
#endif

using namespace driver;

extern "C" int acusim_access(const char *name, const void *p, size_t bytes, enum AcusimAccess access) {
  if (!bytes) return 1;
  if (!inside((Address)p, bytes)) {
    complain("bounds: %s %s %zu bytes at %p, which no allocation holds", name, access == ACUSIM_WRITE ? "writes" : "reads", bytes, p);
    forbidden = ILLEGAL_ADDRESS;
    return 0;
  }
#ifdef ACUSIM_CHECKED
  if (access == ACUSIM_WRITE) sim::mark_written(p, bytes);
  if (access == ACUSIM_READ)
    if (const char *bad = sim::first_unwritten((const char *)p, bytes)) {
      complain("initialisation: %s reads %p, which was never written", name, (const void *)bad);
      forbidden = ILLEGAL_ADDRESS;
      return 0;
    }
#endif
  return 1;
}

extern "C" int acusim_checked() {
#ifdef ACUSIM_CHECKED
  return 1;
#else
  return 0;
#endif
}

API cuMemAlloc_v2(Address *a, size_t bytes) {
  Call call(__func__, CONTEXT | UNSAFE);
  if (call.error) return call.error;
  if (!a || !bytes) return INVALID_VALUE;
  State &s = state();
  if (bytes > free_bytes()) return OUT_OF_MEMORY;
  size_t padded = (bytes + ALIGN - 1) / ALIGN * ALIGN, pages = (padded + PAGE - 1) / PAGE * PAGE;
  char *p = reserve(pages);
  if (!p || !map_pages(p, pages)) return OUT_OF_MEMORY;
  char *start = p + (pages - padded);
  memset(p, ZONE, (size_t)(start - p));
  memset(start + bytes, ZONE, padded - bytes);
  s.memory[(uintptr_t)start] = {current_context(), bytes};
  s.used += bytes;
  s.peak = std::max(s.peak, s.used);
  tell_use();
#ifdef ACUSIM_CHECKED
  sim::device_allocated(start, bytes);
#endif
  *a = (Address)start;
  return SUCCESS;
}

API cuMemFree_v2(Address a) {
  Call call(__func__, CONTEXT | UNSAFE);
  if (call.error) return call.error;
  if (!a) return SUCCESS;
  auto it = state().memory.find((uintptr_t)a);
  if (it == state().memory.end()) return INVALID_VALUE;
  int e = drain_all(current_context());
  if (!e) release(it);
  return e;
}

API cuMemGetInfo_v2(size_t *free, size_t *total) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!free || !total) return INVALID_VALUE;
  *total = gpu().memory;
  *free = free_bytes();
  return SUCCESS;
}

API cuMemGetAddressRange_v2(Address *base, size_t *bytes, Address a) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!inside(a, 1)) return NOT_FOUND;
  auto it = std::prev(state().memory.upper_bound((uintptr_t)a));
  if (base) *base = it->first;
  if (bytes) *bytes = it->second.bytes;
  return SUCCESS;
}

static int alloc_host(const char *name, void **p, size_t bytes) {
  Call call(name, CONTEXT | UNSAFE);
  if (call.error) return call.error;
  if (!p || !bytes) return INVALID_VALUE;
  if (posix_memalign(p, PAGE, bytes)) return OUT_OF_MEMORY;
  memset(*p, POISON, bytes);
  state().pinned[(uintptr_t)*p] = {current_context(), bytes};
  return SUCCESS;
}
API cuMemHostAlloc(void **p, size_t bytes, unsigned) { return alloc_host(__func__, p, bytes); }
API cuMemAllocHost_v2(void **p, size_t bytes) { return alloc_host(__func__, p, bytes); }

API cuMemFreeHost(void *p) {
  Call call(__func__, CONTEXT | UNSAFE);
  if (call.error) return call.error;
  if (!state().pinned.count((uintptr_t)p)) return INVALID_VALUE;
  if (int e = drain_all(current_context())) return e;
  state().pinned.erase((uintptr_t)p);
  free(p);
  return SUCCESS;
}

API cuMemHostGetDevicePointer_v2(Address *a, void *p, unsigned) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!a || !pinned_host(p, 1)) return INVALID_VALUE;
  *a = (Address)p;
  return SUCCESS;
}
