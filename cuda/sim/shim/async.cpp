// async.cpp: a queue of copies for each thread of the block.
#include "async.h"

#include <vector>

#include "internal.h"
#ifdef ACUSIM_CHECKED
#include "checked.h"
#endif

namespace sim {
namespace {
struct Copy {
  char *to;
  const char *from;
  unsigned n, source_bytes;
};
struct Queue {
  std::vector<Copy> copies;   // in order of issue
  std::vector<size_t> groups; // how many copies each pending group has
  size_t open = 0;            // copies not yet in a group
};
Queue queues[MAX_THREADS];

bool in_shared(const char *p, unsigned n) {
  return (p >= block.shared && p + n <= block.shared + block.shared_bytes) ||
         (p >= __start_acusim_shared && p + n <= __stop_acusim_shared);
}

void land(Queue &q, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const Copy &c = q.copies[i];
#ifdef ACUSIM_CHECKED
    check_copy(c.to, c.from, c.n, c.source_bytes);
#endif
    memcpy(c.to, c.from, c.source_bytes);
    memset(c.to + c.source_bytes, 0, c.n - c.source_bytes);
  }
  q.copies.erase(q.copies.begin(), q.copies.begin() + (long)n);
}
} // namespace

void cp_async(void *shared, const void *global, unsigned n, unsigned source_bytes) {
  char *to = (char *)shared;
  if (n != 4 && n != 8 && n != 16) fail(LAUNCH_FAILED, "cp.async", "a copy of %u bytes", n);
  if (source_bytes > n) fail(LAUNCH_FAILED, "cp.async", "%u bytes of source for a copy of %u bytes", source_bytes, n);
  if ((uintptr_t)to % n || (uintptr_t)global % n)
    fail(MISALIGNED_ADDRESS, "alignment", "cp.async of %u bytes from %p to shared memory at %p", n, global, shared);
  if (!in_shared(to, n)) fail(ILLEGAL_ADDRESS, "bounds", "cp.async to %p, which is not shared memory", shared);
#ifdef ACUSIM_CHECKED
  check_issue(to, n);
#endif
  memset(to, POISON, n);
  Queue &q = queues[current->t];
  q.copies.push_back({to, (const char *)global, n, source_bytes});
  q.open++;
  block.async = true;
}

void cp_async_commit() {
  Queue &q = queues[current->t];
  q.groups.push_back(q.open);
  q.open = 0;
  block.async = true;
}

void cp_async_wait(unsigned groups) {
  Queue &q = queues[current->t];
  if (q.groups.size() <= groups) return;
  size_t n = 0, done = q.groups.size() - groups;
  for (size_t i = 0; i < done; i++) n += q.groups[i];
  q.groups.erase(q.groups.begin(), q.groups.begin() + (long)done);
  land(q, n);
}

void cp_async_wait_all() {
  Queue &q = queues[current->t];
  q.groups.clear();
  q.open = 0;
  land(q, q.copies.size());
}

void cp_async_arrive(void *barrier) {
  cp_async_wait_all();
  mbarrier_arrive(barrier);
}

void async_reset() {
  for (Queue &q : queues) {
    q.copies.clear();
    q.groups.clear();
    q.open = 0;
  }
  block.async = false;
}
} // namespace sim
