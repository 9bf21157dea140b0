// products.h: wgmma. Products are made at once here; on a GPU they go on reading shared memory until somebody has waited for
// them. So that the checked build sees who writes to what is being read, each warp keeps what its products read, by groups as
// they are committed.
#pragma once
#include "simt.h"

namespace sim {
// row_fragments gives each lane the fragments of A (16x16) of the four lanes that have its rows, one after the other.
HIDDEN void row_fragments(unsigned (&all)[16], const unsigned (&a)[4]);
#ifdef ACUSIM_CHECKED
HIDDEN void products_read(const void *p, unsigned bytes);
HIDDEN void products_commit();
HIDDEN void products_wait(unsigned groups); // until at most so many of the latest groups are under way
#else
inline void products_read(const void *, unsigned) {}
inline void products_commit() {}
inline void products_wait(unsigned) {}
#endif
} // namespace sim
