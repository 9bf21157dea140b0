// checked_device.cpp: what is known of device memory: which allocations live, which bytes were written (a bit each), and per
// byte which blocks of the present launch used it.
#include <cstdio>
#include <iterator>
#include <map>
#include <sys/mman.h>
#include <vector>

#include "checked.h"
#include "internal.h"

namespace sim {
char *device_begin, *device_end;

namespace {
enum { GRAIN = 1 }; // blocks may share a word: two halves, four bytes

struct Cell {
  uint32_t launch;
  uint32_t writer, reader; // numbers of blocks
  uint8_t write_mask, read_mask;
  bool atomic, many;       // the last write was atomic; more than one block read
};

uint8_t *written;
Cell *cells;
std::map<uintptr_t, size_t> live, gone;
struct Range {
  uintptr_t begin, end;
} hits[4]; // allocations last found
unsigned next_hit;
uint32_t launches;

// A block that has done a fence and then an atomic operation has released what it wrote.
std::vector<bool> released;
uint32_t state_block;
bool fenced, acquired;

void *reserve(size_t n) {
  void *p = mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p != MAP_FAILED) return p;
  fprintf(stderr, "acusim: no address space of %zu bytes for the checker\n", n);
  abort();
}

// clear zeroes memory, giving whole pages back.
void clear(char *p, size_t n) {
  char *a = (char *)(((uintptr_t)p + 4095) / 4096 * 4096), *b = (char *)(((uintptr_t)p + n) / 4096 * 4096);
  if (a >= b) {
    memset(p, 0, n);
    return;
  }
  memset(p, 0, (size_t)(a - p));
  madvise(a, (size_t)(b - a), MADV_DONTNEED);
  memset(b, 0, (size_t)(p + n - b));
}

void forget(char *p, size_t bytes) {
  size_t from = (size_t)(p - device_begin), to = from + bytes;
  // Allocations begin on multiples of 8, and no two share a byte of the bitmap.
  clear((char *)written + from / 8, (to + 7) / 8 - from / 8);
  clear((char *)(cells + from / GRAIN), ((to + GRAIN - 1) / GRAIN - from / GRAIN) * sizeof(Cell));
}

bool known(uintptr_t p, unsigned bytes) {
  for (const Range &r : hits)
    if (p >= r.begin && p + bytes <= r.end) return true;
  return false;
}

uint32_t block_number() { return (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x; }

void enter_block() {
  if (state_block == block.serial) return;
  state_block = block.serial;
  fenced = acquired = false;
}

[[noreturn]] void nowhere(const Access &a) {
  uintptr_t p = (uintptr_t)a.p;
  auto dead = gone.upper_bound(p);
  if (dead != gone.begin() && (--dead, p < dead->first + dead->second))
    report(a, ILLEGAL_ADDRESS, "lifetime", "%s of %u bytes at %p, %zu bytes into an allocation of %zu bytes that was freed", a.verb(), a.bytes,
           (const void *)a.p, (size_t)(p - dead->first), dead->second);
  auto it = live.upper_bound(p);
  size_t after = it == live.end() ? ~(size_t)0 : it->first - p, before = ~(size_t)0;
  size_t size = after == ~(size_t)0 ? 0 : it->second;
  if (it != live.begin()) {
    --it;
    before = p + a.bytes - (it->first + it->second);
    if (before < after) size = it->second;
  }
  if (before < after)
    report(a, ILLEGAL_ADDRESS, "bounds", "%s of %u bytes that ends %zu bytes past an allocation of %zu bytes", a.verb(), a.bytes, before, size);
  report(a, ILLEGAL_ADDRESS, "bounds", "%s of %u bytes, %zu bytes before an allocation of %zu bytes", a.verb(), a.bytes, after, size);
}

// all_written tells whether n bytes, 16 at most, were written; set_written says that they were.
bool all_written(size_t at, unsigned n) {
  uint32_t window, mask = ((1u << n) - 1) << at % 8;
  memcpy(&window, written + at / 8, sizeof window);
  return (window & mask) == mask;
}
void set_written(size_t at, unsigned n) {
  uint32_t window;
  memcpy(&window, written + at / 8, sizeof window);
  window |= ((1u << n) - 1) << at % 8;
  memcpy(written + at / 8, &window, sizeof window);
}

bool has_written(size_t at) { return written[at / 8] >> (at % 8) & 1; }

void race(const Access &a, uint32_t other, const char *did) {
  enter_block();
  if (acquired && other < released.size() && released[other]) return;
  report(a, ILLEGAL_ADDRESS, "race", "%s of %u bytes at %p, which block %u %s in the same launch", a.verb(), a.bytes, (const void *)a.p, other,
         did);
}

void use(const Access &a, Cell &c, uint8_t mask) {
  uint32_t b = block_number();
  if (c.launch != launches) {
    c = Cell{};
    c.launch = launches;
  }
  // A plain read beside an atomic write sees the old or the new value: kernels poll flags so.
  bool ordered = c.atomic && (a.atomic || !a.write);
  if ((c.write_mask & mask) && c.writer != b && !ordered) race(a, c.writer, "wrote");
  if (a.write) {
    if ((c.read_mask & mask) && (c.many || c.reader != b) && !a.atomic) race(a, c.reader, "read");
    c.write_mask = c.write_mask && c.writer == b ? c.write_mask | mask : mask;
    c.writer = b;
    c.atomic = a.atomic;
  } else {
    c.many = c.many || (c.read_mask && c.reader != b);
    c.reader = b;
    c.read_mask |= mask;
  }
}
} // namespace

void open_shadow(char *begin, size_t bytes) {
  device_begin = begin;
  device_end = begin + bytes;
  written = (uint8_t *)reserve(bytes / 8 + sizeof(uint32_t));
  cells = (Cell *)reserve(bytes / GRAIN * sizeof(Cell));
}

void device_allocated(char *p, size_t bytes) {
  forget(p, bytes);
  live[(uintptr_t)p] = bytes;
  // What lived here before is forgotten. No two of the dead overlap, so one at most begins before p and reaches it.
  auto it = gone.upper_bound((uintptr_t)p);
  if (it != gone.begin() && std::prev(it)->first + std::prev(it)->second > (uintptr_t)p) --it;
  while (it != gone.end() && it->first < (uintptr_t)p + bytes) it = gone.erase(it);
}

void device_freed(char *p, size_t bytes) {
  forget(p, bytes);
  live.erase((uintptr_t)p);
  gone[(uintptr_t)p] = bytes;
  for (Range &r : hits) r = {};
}

void mark_written(const void *p, size_t bytes) {
  size_t at = (size_t)((const char *)p - device_begin), end = at + bytes;
  for (; at < end && at % 8; at++) written[at / 8] |= (uint8_t)(1u << at % 8);
  if (end - at >= 8 && at < end) {
    memset(written + at / 8, 0xff, (end - at) / 8);
    at += (end - at) / 8 * 8;
  }
  for (; at < end; at++) written[at / 8] |= (uint8_t)(1u << at % 8);
}

const char *first_unwritten(const char *p, size_t bytes) {
  size_t at = (size_t)(p - device_begin), end = at + bytes;
  while (at < end) {
    if (at % 8 == 0 && end - at >= 8 && written[at / 8] == 0xff) at += 8;
    else if (has_written(at)) at++;
    else return device_begin + at;
  }
  return nullptr;
}

void copy_marks(void *to, const void *from, size_t bytes) {
  std::vector<bool> marks(bytes);
  size_t a = (size_t)((const char *)from - device_begin), b = (size_t)((char *)to - device_begin);
  for (size_t i = 0; i < bytes; i++) marks[i] = has_written(a + i);
  for (size_t i = 0; i < bytes; i++) {
    uint8_t bit = (uint8_t)(1u << (b + i) % 8);
    if (marks[i]) written[(b + i) / 8] |= bit;
    else written[(b + i) / 8] &= (uint8_t)~bit;
  }
}

void device_launch() {
  launches++;
  released.assign((size_t)gridDim.x * gridDim.y * gridDim.z, false);
}

void note_fence() {
  enter_block();
  fenced = true;
}

void device_access(const Access &a) {
  uintptr_t p = (uintptr_t)a.p;
  if (!known(p, a.bytes)) {
    auto it = live.upper_bound(p);
    if (it == live.begin() || (--it, p + a.bytes > it->first + it->second)) nowhere(a);
    hits[next_hit++ % 4] = {it->first, it->first + it->second};
  }
  size_t at = (size_t)(a.p - device_begin);
  if ((!a.write || a.atomic) && !all_written(at, a.bytes)) {
    const char *bad = first_unwritten(a.p, a.bytes);
    report(a, ILLEGAL_ADDRESS, "initialisation", "%s of %u bytes at %p, of which %p was never written", a.verb(), a.bytes, (const void *)a.p,
           (const void *)bad);
  }
  if (a.write) set_written(at, a.bytes);
  if (a.atomic) {
    enter_block();
    acquired = true;
    if (fenced) released[block_number()] = true;
  }
  for (size_t i = 0; i < a.bytes;) {
    size_t in = (at + i) % GRAIN, k = GRAIN - in < a.bytes - i ? GRAIN - in : a.bytes - i;
    use(a, cells[(at + i) / GRAIN], (uint8_t)(((1u << k) - 1) << in));
    i += k;
  }
}
} // namespace sim
