// axes.cuh walks over two views at once, of the same extents.
#pragma once
#include "kernel.cuh"

// Axes is a row-major walk with strides in x and y.
struct Axes {
  int rank; // at least 1
  int dim[MAX_RANK], x[MAX_RANK], y[MAX_RANK];
};

// walk is where element e lies.
__device__ inline void walk(const Axes &a, i64 e, i64 &x, i64 &y) {
  x = y = 0;
  int k = a.rank - 1;
#pragma unroll 1
  for (; k > 0 && e >> 32; k--) {
    i64 q = e / a.dim[k], r = e - q * a.dim[k];
    x += r * a.x[k];
    y += r * a.y[k];
    e = q;
  }
#pragma unroll 1
  for (; k > 0; k--) { // a division of 32 bits is far faster
    u32 q = (u32)e / (u32)a.dim[k], r = (u32)e - q * (u32)a.dim[k];
    x += (i64)r * a.x[k];
    y += (i64)r * a.y[k];
    e = q;
  }
  x += e * a.x[0];
  y += e * a.y[0];
}
