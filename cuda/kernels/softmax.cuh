// softmax.cuh reads and writes rows as softmax.cu and crossentropy.cu need them. T is the type in memory, C the one that is
// calculated in. Neighbours are read and written 16 bytes at a time if V > 1.
#pragma once
#include "reduce.cuh"

__device__ inline float power(float x) { return expf(x); }
__device__ inline double power(double x) { return exp(x); }
__device__ inline float ln(float x) { return logf(x); }
__device__ inline double ln(double x) { return log(x); }

__device__ inline float read(float x) { return x; }
__device__ inline double read(double x) { return x; }
__device__ inline float read(f16 x) { return to_f32(x); }
__device__ inline float read(bf16 x) { return to_f32(x); }
template <class T, class C> __device__ inline T written(C x) { return from_f32<T>(x); }
template <> __device__ inline double written<double, double>(double x) { return x; }

// Slice is how a group of threads shares a row of k elements, V * N for each: thread has V neighbours, group * V elements
// further V more, and so on.
template <class T, class C, int V, int N> struct Slice {
  int k, group, thread;
  C x[N][V];

  __device__ int at(int j) const { return (j * group + thread) * V; }

  // load gives places beyond the row's end the value none.
  __device__ void load(const T *row, C none) {
#pragma unroll
    for (int j = 0; j < N; j++) {
      if (at(j) >= k) {
#pragma unroll
        for (int v = 0; v < V; v++) x[j][v] = none;
      } else if (V == 1) {
        x[j][0] = read(row[at(j)]);
      } else {
        Vector<T> u = load_vector(row + at(j));
#pragma unroll
        for (int v = 0; v < V; v++) x[j][v] = read(u.v[v]);
      }
    }
  }

  __device__ void store(T *row) const {
#pragma unroll
    for (int j = 0; j < N; j++) {
      if (at(j) >= k) continue;
      if (V == 1) {
        row[at(j)] = written<T, C>(x[j][0]);
      } else {
        Vector<T> u;
#pragma unroll
        for (int v = 0; v < V; v++) u.v[v] = written<T, C>(x[j][v]);
        store_vector(row + at(j), u);
      }
    }
  }

  __device__ C largest() const {
    C m = -INFINITY;
#pragma unroll
    for (int j = 0; j < N; j++)
#pragma unroll
      for (int v = 0; v < V; v++) m = larger(m, x[j][v]);
    return m;
  }

  // powers is the sum of e^(x-m).
  __device__ C powers(C m) const {
    C sum = 0;
#pragma unroll
    for (int j = 0; j < N; j++)
#pragma unroll
      for (int v = 0; v < V; v++) sum += power(x[j][v] - m);
    return sum;
  }
};

// Powers is the largest x so far, and the sum of e^(x-max).
template <class C> struct Powers {
  C max, sum;
};

template <class C> struct Unify {
  __device__ Powers<C> operator()(Powers<C> a, Powers<C> b) const {
    C m = larger(a.max, b.max);
    if (m == -INFINITY) return {m, 0};
    return {m, a.sum * power(a.max - m) + b.sum * power(b.max - m)};
  }
};

// take counts the elements of a slice.
template <class T, class C, int V, int N> __device__ inline void take(Powers<C> &p, const Slice<T, C, V, N> &s) {
  C m = larger(p.max, s.largest());
  if (m == -INFINITY) return;
  p.sum = (p.max == -INFINITY ? 0 : p.sum * power(p.max - m)) + s.powers(m);
  p.max = m;
}

// part is the slice of a thread of a block, of the elements of a long row from lo on.
template <class T, class C, int V, int N> __device__ inline Slice<T, C, V, N> part(int k, int lo) {
  Slice<T, C, V, N> s;
  s.k = k - lo, s.group = blockDim.x, s.thread = threadIdx.x;
  return s;
}
