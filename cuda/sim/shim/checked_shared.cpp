// checked_shared.cpp: what is known of shared memory, per two bytes.
#include <cstdio>
#include <vector>

#include "checked.h"
#include "internal.h"

namespace sim {
namespace {
enum { GRAIN = 2 };

struct User {
  uint16_t thread;
  uint16_t phase; // of its warp
};
struct Cell {
  uint32_t serial;         // the block that all this is about
  uint32_t wrote, read;    // epoch of the last write, of the readers
  User writer, reader, other; // other: an earlier reader that is a different thread
  uint8_t written;         // masks of bytes: ever in this block
  uint8_t pending;         // where a cp.async is under way
  uint8_t write_mask, read_mask;
  bool atomic, two;        // the last write was atomic; other is set
};
std::vector<Cell> fixed, dynamic;

Cell *cell(const char *p) {
  if (p >= shared_memory && p < shared_memory + MAX_SHARED) {
    if (dynamic.empty()) dynamic.resize(MAX_SHARED / GRAIN);
    return &dynamic[(size_t)(p - shared_memory) / GRAIN];
  }
  const char *begin = (const char *)((uintptr_t)__start_acusim_shared / GRAIN * GRAIN);
  if (fixed.empty()) fixed.resize((size_t)(__stop_acusim_shared - begin) / GRAIN + 1);
  return &fixed[(size_t)(p - begin) / GRAIN];
}

uint16_t phase(unsigned thread) { return (uint16_t)block.warp[thread / WARP].phase; }

// unordered tells whether nothing stands between a use in this epoch and what the thread does now.
bool unordered(User u, unsigned thread) {
  return u.thread != thread && (u.thread / WARP != thread / WARP || u.phase == phase(thread));
}

const char *where(const char *p, char (&s)[64]) {
  if (p >= shared_memory && p < shared_memory + MAX_SHARED) snprintf(s, sizeof s, "byte %td of dynamic shared memory", p - block.shared);
  else snprintf(s, sizeof s, "shared variable at %p", (const void *)p);
  return s;
}

[[noreturn]] void race(const Access &a, const char *p, User u, const char *did) {
  char s[64];
  report(a, ILLEGAL_ADDRESS, "race", "%s of %s, which thread %u %s: no %s between", a.verb(), where(p, s), u.thread, did,
         u.thread / WARP == a.thread / WARP ? "__syncwarp" : "__syncthreads");
}

void use(const Access &a, Cell &c, const char *p, uint8_t mask) {
  if (c.serial != block.serial) {
    c = Cell{};
    c.serial = block.serial;
  }
  char s[64];
  if (c.pending & mask) report(a, ILLEGAL_ADDRESS, "cp.async", "%s of %s before the wait for its cp.async", a.verb(), where(p, s));
  if ((!a.write || a.atomic) && (c.written & mask) != mask)
    report(a, ILLEGAL_ADDRESS, "initialisation", "%s of %s, which this block has not written", a.verb(), where(p, s));
  if (c.wrote == block.epoch && (c.write_mask & mask) && unordered(c.writer, a.thread) && !(a.atomic && c.atomic)) race(a, p, c.writer, "wrote");
  User me = {(uint16_t)a.thread, phase(a.thread)};
  if (a.write) {
    if (c.read == block.epoch && (c.read_mask & mask) && !a.atomic) {
      if (unordered(c.reader, a.thread)) race(a, p, c.reader, "read");
      if (c.two && unordered(c.other, a.thread)) race(a, p, c.other, "read");
    }
    c.write_mask = c.wrote == block.epoch && c.writer.thread == a.thread ? c.write_mask | mask : mask;
    c.wrote = block.epoch;
    c.writer = me;
    c.atomic = a.atomic;
    c.written |= mask;
    return;
  }
  if (c.read != block.epoch) {
    c.read = block.epoch;
    c.read_mask = 0;
    c.two = false;
  } else if (c.reader.thread != me.thread && !(c.two && c.other.thread / WARP != me.thread / WARP)) {
    c.other = c.reader;
    c.two = true;
  }
  c.reader = me;
  c.read_mask |= mask;
}

template <class F> void each(const char *p, unsigned n, F f) {
  for (unsigned i = 0; i < n;) {
    unsigned at = (uintptr_t)(p + i) % GRAIN, k = GRAIN - at < n - i ? GRAIN - at : n - i;
    f(*cell(p + i), p + i, (uint8_t)(((1u << k) - 1) << at));
    i += k;
  }
}

void check_bounds(const Access &a) {
  const char *end = a.p + a.bytes;
  if (a.p >= shared_memory && a.p < shared_memory + MAX_SHARED + 4096 && (a.p < block.shared || end > block.shared + block.shared_bytes))
    report(a, ILLEGAL_ADDRESS, "bounds", "%s of %u bytes at byte %td of %zu bytes of dynamic shared memory", a.verb(), a.bytes,
           a.p - block.shared, block.shared_bytes);
}
} // namespace

void shared_access(const Access &a) {
  check_bounds(a);
  each(a.p, a.bytes, [&](Cell &c, const char *p, uint8_t mask) { use(a, c, p, mask); });
}

void check_issue(void *to, unsigned bytes) {
  if (!checking) return;
  Access a = {(char *)to, bytes, true, false, current->t, nullptr};
  shared_access(a);
  each(a.p, bytes, [](Cell &c, const char *, uint8_t mask) { c.pending |= mask; });
}

void check_copy(void *to, const void *from, unsigned bytes, unsigned source_bytes) {
  if (!checking) return;
  each((char *)to, bytes, [](Cell &c, const char *, uint8_t mask) { c.pending &= (uint8_t)~mask; });
  if (source_bytes) check_read_by(current->t, from, source_bytes);
  shared_access({(char *)to, bytes, true, false, current->t, nullptr});
}
} // namespace sim
