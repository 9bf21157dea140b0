// gemm.h: the matrix product itself, on memory that the CPU can read.
#pragma once
#include <cstddef>
#include <cstdint>

namespace blas {
enum Type { F32 = 0, F64 = 1, F16 = 2, BF16 = 14 }; // cudaDataType

size_t bytes_of(int type); // 0: not a type that a product takes

// Product is C = alpha op(A) op(B) + beta C with column-major matrices, count times.
struct Product {
  const char *name;
  bool ta, tb;
  int m, n, k;
  const void *a, *b;
  void *c;
  int ab_type, c_type;
  long long lda, ldb, ldc;
  long long step_a, step_b, step_c; // elements from one product to the next
  int count;
  bool f64;                 // compute type; f32 otherwise
  bool tf32;                // inputs rounded to 10 mantissa bits
  double alpha, beta;       // used if pointers are null
  const void *alpha_at, *beta_at; // on the device, of the compute type
  void *workspace;
  size_t workspace_bytes;
  const void *bias; // of c_type, m numbers that are added to each column before rounding; null: none
  bool relu;        // then max(x, 0)
  bool nan_is_zero; // what relu makes of NaN
};

// multiply computes one of the products. Sums run upward over k in the compute type, with fused multiply-add.
void multiply(const Product &p, const void *a, const void *b, void *c, double alpha, double beta);
} // namespace blas
