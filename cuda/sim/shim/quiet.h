// quiet.h: reads of shared memory that tell the checker nothing new, which are most of all. Each piece has the number of the
// epoch, or of a warp's phase, for whose length reads change nothing of what is known about it.
#pragma once
#include <vector>

#include "internal.h"

namespace sim {
enum { SHARED_GRAIN = 2 };
HIDDEN extern uint32_t quiet_dynamic[MAX_SHARED / SHARED_GRAIN];
HIDDEN extern std::vector<uint32_t> quiet_fixed;

// quiet tells whether a read by the current thread needs no look.
template <unsigned BYTES> inline bool quiet(const void *p) {
  size_t at = (size_t)((const char *)p - shared_memory);
  const uint32_t *q = quiet_dynamic;
  if (at >= MAX_SHARED) {
    at = (size_t)((const char *)p - __start_acusim_shared);
    if (at >= (size_t)(__stop_acusim_shared - __start_acusim_shared)) return false;
    q = quiet_fixed.data();
  }
  if (at % BYTES) return false;
  q += at / SHARED_GRAIN;
  uint32_t epoch = block.epoch, phase = warp().phase;
  bool all = true;
  for (unsigned i = 0; i < BYTES / SHARED_GRAIN; i++) all &= (q[i] == epoch) | (q[i] == phase);
  return all;
}
template <> inline bool quiet<1>(const void *) { return false; }
} // namespace sim
