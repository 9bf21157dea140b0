#include "vector.cuh"

struct CopyParams {
  Fault *fault;
  int unit, pad; // bytes that a thread moves at a time
  Nest nest;     // y, x
};

// with_unit calls f with an element of the unit's size.
template <class F> __device__ inline void with_unit(int bytes, F f) {
  switch (bytes) {
  case 16: f(uint4()); break;
  case 8: f(uint2()); break;
  case 4: f(u32()); break;
  case 2: f(u16()); break;
  default: f(u8());
  }
}

// move copies units of one size, whatever they are; the strides count units.
// hot
KERNEL(move, 256, CopyParams) {
  GUARD(p);
  with_unit(p.unit, [&](auto u) {
    typedef decltype(u) U;
    each<2>(p.nest, [&](const i64 (&at)[2]) { ((U *)p.nest.op[0].data)[at[0]] = ((const U *)p.nest.op[1].data)[at[1]]; });
  });
}

// move_flat is move where all units lie side by side.
// hot
KERNEL(move_flat, 256, CopyParams) {
  GUARD(p);
  with_unit(p.unit, [&](auto u) {
    typedef decltype(u) U;
    U *y = (U *)p.nest.op[0].data;
    const U *x = (const U *)p.nest.op[1].data;
    i64 e = FIRST;
    ROLLED
    for (; e + 3 * STEP < p.nest.n; e += 4 * STEP) { // four reads under way at a time
      U a = x[e], b = x[e + STEP], c = x[e + 2 * STEP], d = x[e + 3 * STEP];
      y[e] = a;
      y[e + STEP] = b;
      y[e + 2 * STEP] = c;
      y[e + 3 * STEP] = d;
    }
    ROLLED
    for (; e < p.nest.n; e += STEP) y[e] = x[e];
  });
}

// cast_each is y = x with conversion, over single elements.
KERNEL(cast_each, 256, CopyParams) {
  GUARD(p);
  each<2>(p.nest, [&](const i64 (&at)[2]) { put<float>(p.nest.op[0], at[0], get<float>(p.nest.op[1], at[1])); });
}
// cast_double is cast_each by way of f64, which holds every value of every type.
KERNEL(cast_double, 256, CopyParams) {
  GUARD(p);
  each<2>(p.nest, [&](const i64 (&at)[2]) { put<double>(p.nest.op[0], at[0], get<double>(p.nest.op[1], at[1])); });
}
// cast_four is y = x with conversion, over fours of neighbours.
// hot
KERNEL(cast_four, 256, CopyParams) {
  GUARD(p);
  each_four<2>(
      p.nest, [&](const i64 (&at)[2]) { put4(p.nest, at[0], get4(p.nest, 1, at[1])); },
      [&](const i64 (&at)[2]) { put<float>(p.nest.op[0], at[0], get<float>(p.nest.op[1], at[1])); });
}

struct TransposeParams {
  Fault *fault;
  i64 tiles;
  int unit;  // bytes of an element that is only moved, 0: conversion by way of f32
  int cross; // the axis along which x's elements lie side by side; along the last axis y's do
  Nest nest; // y, x
};

enum { TILE = 32, ROWS = 8 };

// transpose_tiles copies squares of TILE by TILE through shared memory, so that reads and writes both go along the
// elements that lie side by side. A row of the square is one longer, for other banks.
template <class T, class Get, class Put> __device__ inline void transpose_tiles(const TransposeParams &p, T (*tile)[TILE + 1], Get get, Put put) {
  const Nest &n = p.nest;
  const int last = n.rank - 1, cross = p.cross, lane = threadIdx.x % TILE, row = threadIdx.x / TILE;
  const int across = (n.dim[last] + TILE - 1) / TILE, along = (n.dim[cross] + TILE - 1) / TILE;
  for (i64 t = blockIdx.x; t < p.tiles; t += gridDim.x) {
    i64 rest = t / across;
    int c = (int)(t - rest * across) * TILE; // first index along the last axis
    i64 q = rest / along;
    int r = (int)(rest - q * along) * TILE; // first index along the other
    i64 y = 0, x = 0;
    for (int a = last - 1; a >= 0; a--) {
      if (a == cross) continue;
      i64 s = q / n.dim[a];
      int i = (int)(q - s * n.dim[a]);
      y += (i64)i * n.op[0].str[a];
      x += (i64)i * n.op[1].str[a];
      q = s;
    }
    for (int i = row; i < TILE; i += ROWS)
      if (c + i < n.dim[last] && r + lane < n.dim[cross])
        tile[i][lane] = get(x + (i64)(c + i) * n.op[1].str[last] + (i64)(r + lane) * n.op[1].str[cross]);
    __syncthreads();
    for (int i = row; i < TILE; i += ROWS)
      if (c + lane < n.dim[last] && r + i < n.dim[cross])
        put(y + (i64)(c + lane) * n.op[0].str[last] + (i64)(r + i) * n.op[0].str[cross], tile[lane][i]);
    __syncthreads();
  }
}

template <class U> __device__ inline void transpose_units(const TransposeParams &p, void *tile) {
  U *y = (U *)p.nest.op[0].data;
  const U *x = (const U *)p.nest.op[1].data;
  transpose_tiles(p, (U(*)[TILE + 1])tile, [&](i64 at) { return x[at]; }, [&](i64 at, U v) { y[at] = v; });
}

// hot
KERNEL(transpose, 256, TransposeParams) {
  GUARD(p);
  __shared__ u64 tile[TILE * (TILE + 1)];
  switch (p.unit) {
  case 1: transpose_units<u8>(p, tile); break;
  case 2: transpose_units<u16>(p, tile); break;
  case 4: transpose_units<u32>(p, tile); break;
  case 8: transpose_units<u64>(p, tile); break;
  default: {
    const Operand &y = p.nest.op[0], &x = p.nest.op[1];
    transpose_tiles(
        p, (float(*)[TILE + 1])tile, [&](i64 at) { return get<float>(x, at); }, [&](i64 at, float v) { put<float>(y, at, v); });
  }
  }
}
