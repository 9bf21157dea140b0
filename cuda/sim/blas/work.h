// work.h: what both libraries need: calls, and products as work on a stream.
#pragma once
#include "../driver/plugin.h"
#include "gemm.h"

#define API extern "C" __attribute__((visibility("default")))

namespace blas {
enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, INTERNAL_ERROR = 14, NOT_SUPPORTED = 15, EXECUTION_FAILED = 13 };
enum ComputeType { COMPUTE_16F = 64, COMPUTE_32F = 68, COMPUTE_32F_PEDANTIC = 69, COMPUTE_64F = 70, COMPUTE_64F_PEDANTIC = 71,
                   COMPUTE_32F_FAST_16F = 74, COMPUTE_32F_FAST_16BF = 75, COMPUTE_32F_FAST_TF32 = 77 };
enum { VERSION = 120900 };

// Call holds the driver's lock during a call.
struct Call {
  int status;
  Call(const char *name, bool capture_forbids = false);
  ~Call() { acusim_leave(); }
  Call(const Call &) = delete;
};

// bad complains of an argument and returns INVALID_VALUE.
int bad(const char *name, const char *what);

// compute sets what the compute type says; false if this type is not served for these matrices.
bool compute(Product *p, int b_type, int type);

// check looks at shapes, types and addresses, and takes over how A and B are transposed.
int check(Product *p, int ta, int tb);

// enqueue puts a product on a stream; the first one of its kind loads a kernel.
int enqueue(void *stream, const Product &p);

// on_host takes alpha and beta, which lie on the host.
void on_host(Product *p, const void *alpha, const void *beta);
} // namespace blas
