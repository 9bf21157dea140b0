// checked_shared.cpp: what is known of shared memory, per two bytes.
#include <cstdio>
#include <vector>

#include "checked.h"
#include "quiet.h"

namespace sim {
uint32_t quiet_dynamic[MAX_SHARED / SHARED_GRAIN];
std::vector<uint32_t> quiet_fixed;

namespace {
enum { GRAIN = SHARED_GRAIN, WHOLE = (1 << GRAIN) - 1 };

struct User {
  uint32_t phase; // of its warp
  uint16_t thread;
  uint8_t mask;   // the bytes that it used
};
struct Cell {
  uint32_t serial;            // the block that all this is about
  uint32_t wrote, read;       // epoch of the last write, of the readers
  User writer, reader, other; // other: an earlier reader that is a different thread
  uint8_t written;            // masks of bytes: ever in this block
  uint8_t pending;            // where a cp.async is under way
  bool atomic, two;           // the last write was atomic; other is set
};
std::vector<Cell> fixed, dynamic;

// Place is a cell with the number that makes reads of it quiet.
struct Place {
  Cell &c;
  uint32_t &quiet;
};

Place place(const char *p) {
  if (p >= shared_memory && p < shared_memory + MAX_SHARED) {
    size_t i = (size_t)(p - shared_memory) / GRAIN;
    return {dynamic[i], quiet_dynamic[i]};
  }
  size_t i = (size_t)(p - __start_acusim_shared) / GRAIN;
  return {fixed[i], quiet_fixed[i]};
}

uint32_t phase(unsigned thread) { return block.warp[thread / WARP].phase; }

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

void wrote(Cell &c, const Access &a, uint8_t mask) {
  bool again = c.wrote == block.epoch && c.writer.thread == a.thread;
  c.wrote = block.epoch;
  c.writer = {phase(a.thread), (uint16_t)a.thread, (uint8_t)(again ? c.writer.mask | mask : mask)};
  c.atomic = a.atomic;
  c.written |= mask;
}

// read keeps two readers: of different warps if there are such, else the last two. It gives the number that makes further
// reads quiet, or 0: two whole readers of different warps say all that a later write in this epoch must know, two of one
// phase all that one must know which comes from outside of the warp or before its next __syncwarp.
uint32_t read(Cell &c, const Access &a, uint8_t mask) {
  User me = {phase(a.thread), (uint16_t)a.thread, mask};
  if (c.read != block.epoch) {
    c.read = block.epoch;
    c.two = false;
    c.reader = me;
    return 0;
  }
  bool apart = c.two && c.other.thread / WARP != c.reader.thread / WARP;
  if (c.reader.thread == me.thread) {
    if (c.reader.phase == me.phase) me.mask |= c.reader.mask;
    c.reader = me;
  } else if (!apart) {
    c.other = c.reader;
    c.two = true;
    c.reader = me;
    apart = c.other.thread / WARP != me.thread / WARP;
  }
  if (!c.two || c.wrote == block.epoch || c.pending || c.written != WHOLE || (c.reader.mask & c.other.mask) != WHOLE) return 0;
  if (apart) return block.epoch;
  return c.reader.phase == c.other.phase ? c.reader.phase : 0;
}

void use(const Access &a, Place at, const char *p, uint8_t mask) {
  Cell &c = at.c;
  if (c.serial != block.serial) {
    c = Cell{};
    c.serial = block.serial;
  }
  char s[64];
  if (c.pending & mask) report(a, ILLEGAL_ADDRESS, "cp.async", "%s of %s before the wait for its cp.async", a.verb(), where(p, s));
  if ((!a.write || a.atomic) && (c.written & mask) != mask)
    report(a, ILLEGAL_ADDRESS, "initialisation", "%s of %s, which this block has not written", a.verb(), where(p, s));
  if (c.wrote == block.epoch && (c.writer.mask & mask) && unordered(c.writer, a.thread) && !(a.atomic && c.atomic)) race(a, p, c.writer, "wrote");
  if (!a.write) {
    at.quiet = read(c, a, mask);
    return;
  }
  if (c.read == block.epoch && !a.atomic) {
    bool first = (c.reader.mask & mask) && unordered(c.reader, a.thread);
    bool second = c.two && (c.other.mask & mask) && unordered(c.other, a.thread);
    if (second && (!first || c.reader.thread / WARP == a.thread / WARP)) race(a, p, c.other, "read");
    if (first) race(a, p, c.reader, "read");
  }
  wrote(c, a, mask);
  at.quiet = 0;
}

template <class F> void each(const char *p, unsigned n, F f) {
  for (unsigned i = 0; i < n;) {
    unsigned at = (uintptr_t)(p + i) % GRAIN, k = GRAIN - at < n - i ? GRAIN - at : n - i;
    f(place(p + i), p + i, (uint8_t)(((1u << k) - 1) << at));
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

void shared_launch() {
  size_t n = (size_t)(__stop_acusim_shared - __start_acusim_shared) / GRAIN + 1;
  if (!dynamic.empty() && block.clock < 1u << 31) return;
  dynamic.assign(MAX_SHARED / GRAIN, Cell{});
  fixed.assign(n, Cell{});
  quiet_fixed.assign(n, 0);
  memset(quiet_dynamic, 0, sizeof quiet_dynamic);
  block.clock = 0;
}

void shared_access(const Access &a) {
  check_bounds(a);
  if (a.write && block.products) check_products(a);
  each(a.p, a.bytes, [&](Place at, const char *p, uint8_t mask) { use(a, at, p, mask); });
}

void check_issue(void *to, unsigned bytes) {
  if (!checking) return;
  Access a = {(char *)to, bytes, true, false, current->t, nullptr};
  shared_access(a);
  each(a.p, bytes, [](Place at, const char *, uint8_t mask) { at.c.pending |= mask; });
}

void check_copy(void *to, const void *from, unsigned bytes, unsigned source_bytes) {
  if (!checking) return;
  each((char *)to, bytes, [](Place at, const char *, uint8_t mask) { at.c.pending &= (uint8_t)~mask; });
  if (source_bytes) check_read_by(current->t, from, source_bytes);
  shared_access({(char *)to, bytes, true, false, current->t, nullptr});
}
} // namespace sim
