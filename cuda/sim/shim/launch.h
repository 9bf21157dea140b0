// launch.h: how the driver starts a kernel.
#pragma once
#include "simt.h"

namespace sim {
// launch runs a kernel to its end. It returns a CUresult: 0, or the code given to fail.
HIDDEN int launch(const Kernel *k, const void *params, dim3 grid, dim3 threads, size_t shared_bytes);
// static_shared is how many bytes of __shared__ variables the body of a kernel declares.
HIDDEN size_t static_shared(const Kernel *k);
} // namespace sim
