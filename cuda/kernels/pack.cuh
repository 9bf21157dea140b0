// pack.cuh moves adjacent elements by accesses of 16 bytes, and divides by numbers known at launch.
#pragma once
#include "kernel.cuh"

// Pack is V adjacent elements.
template <class T, int V> struct alignas(sizeof(T) * V < 16 ? sizeof(T) * V : 16) Pack { T e[V]; };

// load_pack reads V elements; aligned says that all such addresses are multiples of 16 bytes.
template <class T, int V> __device__ inline Pack<T, V> load_pack(const T *from, bool aligned) {
  if (aligned) return *(const Pack<T, V> *)from;
  Pack<T, V> q;
  for (int v = 0; v < V; v++) q.e[v] = from[v];
  return q;
}
template <class T, int V> __device__ inline void store_pack(T *to, const Pack<T, V> &q, bool aligned) {
  if (aligned) {
    *(Pack<T, V> *)to = q;
    return;
  }
  for (int v = 0; v < V; v++) to[v] = q.e[v];
}

// Acc<T>::type is what sums over elements of type T are kept in.
template <class T> struct Acc { typedef float type; };
template <> struct Acc<double> { typedef double type; };

__device__ inline float widen(float x) { return x; }
__device__ inline double widen(double x) { return x; }
__device__ inline float widen(f16 x) { return to_f32(x); }
__device__ inline float widen(bf16 x) { return to_f32(x); }

// shorten rounds a number of type Acc<T>::type once.
template <class T> __device__ inline T shorten(float x) { return from_f32<T>(x); }
template <class T> __device__ inline T shorten(double x) { return T(x); }

// PACKED declares the kernels of a template f<T, V>: 16 bytes of elements a thread, and single ones. PACKED_WITH has them
// declared by another macro than KERNEL.
#define PACKED(f, threads, P) PACKED_WITH(KERNEL, f, threads, P)
#define PACKED_WITH(K, f, threads, P)                      \
  K(f##_f32x4, threads, P) { GUARD(p); f<float, 4>(p); }   \
  K(f##_f16x8, threads, P) { GUARD(p); f<f16, 8>(p); }     \
  K(f##_bf16x8, threads, P) { GUARD(p); f<bf16, 8>(p); }   \
  K(f##_f32x1, threads, P) { GUARD(p); f<float, 1>(p); }   \
  K(f##_f16x1, threads, P) { GUARD(p); f<f16, 1>(p); }     \
  K(f##_bf16x1, threads, P) { GUARD(p); f<bf16, 1>(p); }   \
  K(f##_f64x1, threads, P) { GUARD(p); f<double, 1>(p); }

// Divider divides numbers under 2^31 by a product (Granlund and Montgomery, PLDI 1994).
struct Divider {
  u32 by, factor, shift;
};
__device__ inline u32 divide(const Divider &d, u32 n) { return d.by == 1 ? n : __umulhi(n, d.factor) >> d.shift; }
// split makes n its quotient, and returns the remainder.
__device__ inline u32 split(const Divider &d, u32 &n) {
  u32 q = divide(d, n), r = n - q * d.by;
  n = q;
  return r;
}
