// internal.h: what the parts of the runtime share.
#pragma once
#include <setjmp.h>

#include "simt.h"

namespace sim {
enum { ILLEGAL_ADDRESS = 700, MISALIGNED_ADDRESS = 716, LAUNCH_FAILED = 719 }; // CUresult

// Arena is where the stacks of threads lie.
struct Arena {
  char *begin, *end;
  unsigned opened;
};
HIDDEN extern Arena arena;

HIDDEN void run_block();
HIDDEN void drop_fibers(); // after a launch that was given up
HIDDEN void async_reset(); // forgets pending cp.async copies

enum { POISON = 0xff, MAX_SHARED = 256 * 1024 };
HIDDEN extern char *shared_memory; // MAX_SHARED bytes for dynamic shared memory
extern "C" HIDDEN char __start_acusim_shared[], __stop_acusim_shared[];
} // namespace sim
