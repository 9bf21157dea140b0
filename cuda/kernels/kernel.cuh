// kernel.cuh is what every kernel file begins with: how a kernel is declared, strided views, and conversion between the
// element types. The same sources are compiled for the GPU and, with ACUMEN_SIM, for the stand-in of cuda/sim, which has
// its own definitions of CUDA's words in sim.h.
#pragma once

#ifdef ACUMEN_SIM
#include "../sim/sim.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
typedef __half f16;
typedef __nv_bfloat16 bf16;
// A kernel takes one block of parameters, by value: a plain struct whose twin in Go has the same fields in the same order.
#define KERNEL(name, threads, P) extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ P p)
// Shared memory whose size is told at launch.
#define SHARED(T, name) extern __shared__ __align__(128) unsigned char shared_bytes[]; T *name = (T *)shared_bytes
#endif

typedef long long i64;
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

// DType has the values of device.DType.
enum DType { F32, F64, F16, BF16, U8, I32 };

enum { MAX_RANK = 8, MAX_OPERANDS = 5 };

// Fault is a cell of device memory that says that a call failed: later kernels do nothing until the host has read and
// cleared it. It holds the first fault only.
struct Fault {
  u32 code; // 0: none; else the number that the call was given, from which the host knows its name
  u32 set;  // 1 once the fields below are written
  i64 index, place, limit;
};

// fault reports that index, at a place among the indices, is not in 0..limit-1.
__device__ inline void fault(Fault *f, u32 code, i64 index, i64 place, i64 limit) {
  if (atomicCAS(&f->code, 0u, code) == 0) {
    f->index = index;
    f->place = place;
    f->limit = limit;
    f->set = 1;
  }
}

// GUARD ends a kernel if a call before it failed. It stands first in every kernel.
#define GUARD(p)                  \
  if ((p).fault->code != 0) return

// Operand is a view over the common extents of a Nest: where its first element lies, and its strides in elements.
struct Operand {
  void *data;
  int type;
  int str[MAX_RANK];
  int pad;
};

// Nest is the iteration space of an elementwise kernel: extents, and operands with their strides. The host has merged
// axes where all operands allow it; the last axis is the innermost one. Operand 0 is the destination.
struct Nest {
  i64 n; // elements
  int rank;
  int dim[MAX_RANK];
  int pad;
  Operand op[MAX_OPERANDS];
};

// Conversions. A number is rounded once, to nearest even; into an integer type toward zero with saturation, NaN to 0.
__device__ inline float to_f32(float x) { return x; }
__device__ inline float to_f32(double x) { return (float)x; }
#ifdef ACUMEN_SIM
inline float to_f32(f16 x) { return sim::f16_to_f32(x); }
inline float to_f32(bf16 x) { return sim::bf16_to_f32(x); }
#else
__device__ inline float to_f32(f16 x) { return __half2float(x); }
__device__ inline float to_f32(bf16 x) { return __bfloat162float(x); }
#endif

template <class T> __device__ inline T from_f32(float x);
template <> __device__ inline float from_f32<float>(float x) { return x; }
template <> __device__ inline double from_f32<double>(float x) { return x; }
#ifdef ACUMEN_SIM
template <> inline f16 from_f32<f16>(float x) { return sim::f32_to_f16(x); }
template <> inline bf16 from_f32<bf16>(float x) { return sim::f32_to_bf16(x); }
#else
template <> __device__ inline f16 from_f32<f16>(float x) { return __float2half_rn(x); }
template <> __device__ inline bf16 from_f32<bf16>(float x) { return __float2bfloat16_rn(x); }
#endif

// narrow is x as f32, rounded to odd: rounding that to a shorter type is rounding x once (Boldo and Melquiond 2005).
__device__ inline float narrow(float x) { return x; }
__device__ inline float narrow(double x) {
  float g = (float)x;
  if ((double)g == x || x != x || fabsf(g) == INFINITY) return g;
  u32 u = __float_as_uint(g);
  if (fabs((double)g) > fabs(x)) u--;
  return __uint_as_float(u | 1);
}
__device__ inline float narrow(i64 x) { return narrow((double)x); } // |x| < 2^53 here

template <class C> __device__ inline C saturate(C x, C lo, C hi) { return x != x ? C(0) : x < lo ? lo : x > hi ? hi : x; }

__device__ inline int to_i32(float x) { return (int)saturate((double)x, -2147483648.0, 2147483647.0); }
__device__ inline int to_i32(double x) { return (int)saturate(x, -2147483648.0, 2147483647.0); }
__device__ inline int to_i32(i64 x) { return (int)saturate(x, (i64)-2147483648LL, (i64)2147483647LL); }
__device__ inline u8 to_u8(float x) { return (u8)saturate(x, 0.f, 255.f); }
__device__ inline u8 to_u8(double x) { return (u8)saturate(x, 0.0, 255.0); }
__device__ inline u8 to_u8(i64 x) { return (u8)saturate(x, (i64)0, (i64)255); }

// load is element at of memory of a type that is known at run time, as C: float, double or i64.
template <class C> __device__ inline C load(const void *data, int type, i64 at) {
  switch (type) {
  case F32: return (C)((const float *)data)[at];
  case F64: return (C)((const double *)data)[at];
  case F16: return (C)to_f32(((const f16 *)data)[at]);
  case BF16: return (C)to_f32(((const bf16 *)data)[at]);
  case U8: return (C)((const u8 *)data)[at];
  }
  return (C)((const int *)data)[at];
}

// store writes x as the type that the memory has.
template <class C> __device__ inline void store(void *data, int type, i64 at, C x) {
  switch (type) {
  case F32: ((float *)data)[at] = (float)x; break;
  case F64: ((double *)data)[at] = (double)x; break;
  case F16: ((f16 *)data)[at] = from_f32<f16>(narrow(x)); break;
  case BF16: ((bf16 *)data)[at] = from_f32<bf16>(narrow(x)); break;
  case U8: ((u8 *)data)[at] = to_u8(x); break;
  default: ((int *)data)[at] = to_i32(x);
  }
}

template <class C> __device__ inline C get(const Operand &o, i64 at) { return load<C>(o.data, o.type, at); }
template <class C> __device__ inline void put(const Operand &o, i64 at, C x) { store<C>(o.data, o.type, at, x); }

// locate gives the offsets of element e, counted row-major over the nest, in the first K operands.
template <int K> __device__ inline void locate(const Nest &n, i64 e, i64 (&at)[K]) {
  for (int k = 0; k < K; k++) at[k] = 0;
  for (int a = n.rank - 1; a > 0; a--) {
    i64 q = e / n.dim[a];
    int r = (int)(e - q * n.dim[a]);
    for (int k = 0; k < K; k++) at[k] += (i64)r * n.op[k].str[a];
    e = q;
  }
  for (int k = 0; k < K; k++) at[k] += e * n.op[k].str[0];
}

// Each thread's first element and its step: for (i64 e = FIRST; e < n; e += STEP).
#define FIRST ((i64)blockIdx.x * blockDim.x + threadIdx.x)
#define STEP ((i64)gridDim.x * blockDim.x)
