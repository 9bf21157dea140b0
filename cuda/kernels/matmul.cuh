// matmul.cuh is what the kernels of matrix products share: their parameters, where a block's tile lies, and how sums are
// turned into results.
#pragma once
#include "kernel.cuh"

enum { MATMUL_AXES = 6 };

// MatMulParams is y = alpha a b + beta y: a (m, k), b (k, n), y (m, n) with strides of rows and columns in elements, over
// the axes of a batch. With splits > 1 each split sums its part of k into part, and matmul_reduce does the rest.
struct MatMulParams {
  Fault *fault;
  const void *a, *b;
  void *y;
  float *part; // [split][batch][m][n]
  double alpha, beta;
  i64 ars, acs, brs, bcs, yrs, ycs;
  i64 astr[MATMUL_AXES], bstr[MATMUL_AXES], ystr[MATMUL_AXES];
  int dim[MATMUL_AXES];
  int axes, batch;
  int m, n, k;
  int splits, chunk; // chunk of k in each split
  int rows, cols;    // tiles of y
  int ta, tb, ty;    // types
  int avec, bvec;    // elements that can be read at once from a and b, as far as addresses and strides go
  int yvec;          // 1 if four neighbours of a row of y can be read and written at once
};

// origin gives the offsets of matrix z of the batch.
__device__ inline void origin(const MatMulParams &p, int z, i64 &a, i64 &b, i64 &y) {
  a = b = y = 0;
  for (int x = p.axes - 1; x >= 0; x--) {
    int q = z / p.dim[x], r = z - q * p.dim[x];
    a += r * p.astr[x];
    b += r * p.bstr[x];
    y += r * p.ystr[x];
    z = q;
  }
}

// Tile is the work of a block. Blocks that run together lie in bands of 8 rows of tiles, so that they share operands in L2.
struct Tile {
  int i, j, split;
};

__device__ inline Tile tile(const MatMulParams &p) {
  u32 tiles = (u32)p.rows * (u32)p.cols, t = blockIdx.x % tiles, band = 8 * (u32)p.cols;
  u32 first = t / band * 8, height = (u32)p.rows - first < 8 ? (u32)p.rows - first : 8;
  t %= band;
  return {(int)(first + t % height), (int)(t / height), (int)(blockIdx.x / tiles)};
}

// scaled is alpha sum + beta y, where y is not read if beta is 0.
template <class C> __device__ inline C scaled(const MatMulParams &p, C sum, i64 at) {
  C v = sum;
  if (p.alpha != 1) v *= (C)p.alpha;
  if (p.beta != 0) v += (C)p.beta * load<C>(p.y, p.ty, at);
  return v;
}

struct alignas(8) Half4 {
  u16 x, y, z, w;
};

#ifdef ACUMEN_SIM
__device__ inline u16 half_bits(f16 x) { return sim::bits<u16>(x); }
__device__ inline u16 half_bits(bf16 x) { return x.u; }
__device__ inline f16 bits_half(u16 u, f16) { return sim::bits<f16>(u); }
__device__ inline bf16 bits_half(u16 u, bf16) { return bf16{u}; }
#else
__device__ inline u16 half_bits(f16 x) { return __half_as_ushort(x); }
__device__ inline u16 half_bits(bf16 x) { return __bfloat16_as_ushort(x); }
__device__ inline f16 bits_half(u16 u, f16) { return __ushort_as_half(u); }
__device__ inline bf16 bits_half(u16 u, bf16) { return __ushort_as_bfloat16(u); }
#endif

template <class H> __device__ inline void put_halves(const MatMulParams &p, H *y, float4 v) {
  Half4 *to = (Half4 *)y;
  float beta = (float)p.beta;
  if (beta != 0) {
    Half4 o = *to;
    v.x += beta * to_f32(bits_half(o.x, H()));
    v.y += beta * to_f32(bits_half(o.y, H()));
    v.z += beta * to_f32(bits_half(o.z, H()));
    v.w += beta * to_f32(bits_half(o.w, H()));
  }
  Half4 r;
  r.x = half_bits(from_f32<H>(v.x));
  r.y = half_bits(from_f32<H>(v.y));
  r.z = half_bits(from_f32<H>(v.z));
  r.w = half_bits(from_f32<H>(v.w));
  *to = r;
}

// put4 finishes the sums of row i from column j on, a multiple of 4. y is the offset of matrix z.
__device__ inline void put4(const MatMulParams &p, i64 y, int z, int split, int i, int j, float4 v) {
  if (i >= p.m || j >= p.n) return;
  if (p.splits > 1) {
    float *to = p.part + (((i64)split * p.batch + z) * p.m + i) * p.n + j;
    if (p.n % 4 == 0) {
      *(float4 *)to = v;
      return;
    }
    to[0] = v.x;
    if (j + 1 < p.n) to[1] = v.y;
    if (j + 2 < p.n) to[2] = v.z;
    if (j + 3 < p.n) to[3] = v.w;
    return;
  }
  i64 at = y + i * p.yrs + j * p.ycs;
  if (p.yvec && j + 4 <= p.n) {
    float alpha = (float)p.alpha, beta = (float)p.beta;
    if (alpha != 1) v.x *= alpha, v.y *= alpha, v.z *= alpha, v.w *= alpha;
    if (p.ty == F32) {
      float4 *to = (float4 *)((float *)p.y + at);
      if (beta != 0) {
        float4 o = *to;
        v.x += beta * o.x, v.y += beta * o.y, v.z += beta * o.z, v.w += beta * o.w;
      }
      *to = v;
    } else if (p.ty == F16) {
      put_halves(p, (f16 *)p.y + at, v);
    } else {
      put_halves(p, (bf16 *)p.y + at, v);
    }
    return;
  }
  store<float>(p.y, p.ty, at, scaled<float>(p, v.x, at));
  if (j + 1 < p.n) store<float>(p.y, p.ty, at + p.ycs, scaled<float>(p, v.y, at + p.ycs));
  if (j + 2 < p.n) store<float>(p.y, p.ty, at + 2 * p.ycs, scaled<float>(p, v.z, at + 2 * p.ycs));
  if (j + 3 < p.n) store<float>(p.y, p.ty, at + 3 * p.ycs, scaled<float>(p, v.w, at + 3 * p.ycs));
}
