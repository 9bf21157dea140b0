// async.h: cp.async. A copy lands when its thread waits for it and not before; until then its destination holds poison.
#pragma once
#include "simt.h"

namespace sim {
// cp_async copies source_bytes from global memory to shared memory and fills up with zeros to n = 4, 8 or 16 bytes.
HIDDEN void cp_async(void *shared, const void *global, unsigned n, unsigned source_bytes);
HIDDEN void cp_async_commit();
HIDDEN void cp_async_wait(unsigned groups); // until at most so many of the latest groups are pending
HIDDEN void cp_async_wait_all();
// cp_async_arrive arrives at an mbarrier when the copies of this thread have landed: here at once.
HIDDEN void cp_async_arrive(void *barrier);
} // namespace sim
