// reduce.cuh folds values across the threads of a warp or a block. The order of a fold is fixed by the number of threads, and
// all threads get the same bits.
#pragma once
#include "kernel.cuh"

// shuffle_xor is __shfl_xor_sync of any plain struct of 4-byte words. All lanes of the warp call it.
template <class V> __device__ inline V shuffle_xor(V v, int lanes) {
  static_assert(sizeof(V) % 4 == 0, "a value is made of words");
  u32 w[sizeof(V) / 4];
  memcpy(w, &v, sizeof v);
#pragma unroll
  for (int i = 0; i < (int)(sizeof(V) / 4); i++) w[i] = __shfl_xor_sync(0xffffffffu, w[i], lanes);
  memcpy(&v, w, sizeof v);
  return v;
}

// fold_pair folds the values of two lanes that are s apart, the lower one's first: both get the same bits, even where f
// rounds a and b differently from b and a, as sums of products do in which one product is not rounded.
template <class V, class F> __device__ inline V fold_pair(V v, int s, F f) {
  V other = shuffle_xor(v, s);
  bool upper = threadIdx.x & s;
  return f(upper ? other : v, upper ? v : other);
}

// fold_lanes folds the values of each group of lanes that lie side by side; lanes is 1, 2, 4, 8, 16 or 32. All lanes of the
// warp call it, and all get their group's result.
template <class V, class F> __device__ inline V fold_lanes(V v, int lanes, F f) {
#pragma unroll 1
  for (int s = lanes >> 1; s > 0; s >>= 1) v = fold_pair(v, s, f);
  return v;
}

template <class V, class F> __device__ inline V fold_warp(V v, F f) {
#pragma unroll
  for (int s = 16; s > 0; s >>= 1) v = fold_pair(v, s, f);
  return v;
}

// fold_block folds the values of all threads of a block of 32, 64, 128, 256, 512 or 1024. shared holds one value for each
// warp; it is free again on return. All threads call it, and all get the result.
template <class V, class F> __device__ inline V fold_block(V v, V *shared, F f) {
  v = fold_warp(v, f);
  if (blockDim.x <= 32) return v;
  int warps = blockDim.x / 32;
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  v = fold_lanes(shared[threadIdx.x % warps], warps, f);
  __syncthreads();
  return v;
}

// larger is the maximum, NaN if a or b is.
template <class T> __device__ inline T larger(T a, T b) { return b > a || b != b ? b : a; }
template <class T> __device__ inline T smaller(T a, T b) { return b < a || b != b ? b : a; }

struct Plus {
  template <class T> __device__ T operator()(T a, T b) const { return a + b; }
};
struct Larger {
  template <class T> __device__ T operator()(T a, T b) const { return larger(a, b); }
};

// Vector is 16 bytes of T, read or written at once; its address must be a multiple of 16.
template <class T> struct Vector {
  enum { N = 16 / sizeof(T) };
  T v[N];
};

template <class T> __device__ inline Vector<T> load_vector(const T *from) {
  uint4 u = *(const uint4 *)from;
  Vector<T> x;
  memcpy(&x, &u, sizeof u);
  return x;
}

template <class T> __device__ inline void store_vector(T *to, const Vector<T> &x) {
  uint4 u;
  memcpy(&u, &x, sizeof u);
  *(uint4 *)to = u;
}
