// products.cpp: the exchange of fragments, and what products that are under way read.
#include "products.h"

#include <vector>

#include "internal.h"
#ifdef ACUSIM_CHECKED
#include "checked.h"
#endif

namespace sim {
namespace {
void share_rows(Warp &w, unsigned lanes) {
  if (lanes != ~0u) fail(LAUNCH_FAILED, "divergence", "wgmma by lanes %08x: all 32 are needed", lanes);
  for (unsigned l = 0; l < WARP; l++)
    for (unsigned i = 0; i < 16; i++) w.slot[l].w[4 + i] = w.slot[l / 4 * 4 + i / 4].w[i % 4];
}
} // namespace

void row_fragments(unsigned (&all)[16], const unsigned (&a)[4]) {
  Slot &s = slot();
  memcpy(s.w, a, sizeof a);
  collective(~0u, share_rows);
  memcpy(all, s.w + 4, sizeof all);
}

#ifdef ACUSIM_CHECKED
namespace {
struct Read {
  const char *p;
  unsigned bytes, group;
};
// Reads are those of a warp, as its first lane has come to them.
struct Reads {
  unsigned serial; // the block that they are of
  unsigned group;  // that is open
  std::vector<Read> all;
};
Reads reads[MAX_THREADS / WARP];

Reads &mine() {
  Reads &r = reads[current->t / WARP];
  if (r.serial != block.serial) r = {block.serial, 0, {}};
  return r;
}
} // namespace

void products_read(const void *p, unsigned bytes) {
  if (lane() != 0) return;
  Reads &r = mine();
  r.all.push_back({(const char *)p, bytes, r.group});
  block.products = true;
}

void products_commit() {
  if (lane() == 0) mine().group++;
}

void products_wait(unsigned groups) {
  if (lane() != 0) return;
  Reads &r = mine();
  size_t kept = 0;
  for (const Read &read : r.all)
    if (read.group + groups >= r.group) r.all[kept++] = read;
  r.all.resize(kept);
}

void check_products(const Access &a) {
  for (unsigned w = 0; w * WARP < block.n; w++) {
    const Reads &r = reads[w];
    if (r.serial != block.serial) continue;
    for (const Read &read : r.all)
      if (a.p < read.p + read.bytes && read.p < a.p + a.bytes)
        report(a, ILLEGAL_ADDRESS, "wgmma", "%s of byte %td of dynamic shared memory, which a product of warp %u is reading: nobody has waited for it",
               a.verb(), a.p - block.shared, w);
  }
}
#endif
} // namespace sim
