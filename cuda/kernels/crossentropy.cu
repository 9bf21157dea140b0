// SoftmaxCrossEntropy is, for each row of logits x, loss = -sum aim log softmax(x), and dx = softmax(x) sum aim - aim, where
// aim = keep * target + all, and target is a row of numbers or a class.
#include "softmax.cuh"

struct CrossEntropyParams {
  Fault *fault;
  void *loss, *dx; // dx may be none
  const void *x, *target;
  i64 rows, dx_step, x_step, target_step;
  double keep, all;
  u32 code;
  int k, lanes, classes;
};

// Sums are those over a row of aim (lse - x) and of aim.
template <class C> struct Sums {
  C total, weight;
};
template <class C> struct AddSums {
  __device__ Sums<C> operator()(Sums<C> a, Sums<C> b) const { return {a.total + b.total, a.weight + b.weight}; }
};

// Aim is what a row aims at: a class, or numbers.
template <class T> struct Aim {
  T keep, all;
  int k, klass;
  bool bad, only; // only: nothing but the class counts
  const T *row;

  __device__ Aim(const CrossEntropyParams &p, i64 r, bool there) {
    keep = (T)p.keep, all = (T)p.all, k = p.k, klass = -1, bad = only = false, row = 0;
    if (!p.classes) {
      row = (const T *)p.target + r * p.target_step;
    } else if (there) {
      klass = ((const int *)p.target)[r * p.target_step];
      bad = (u32)klass >= (u32)p.k;
      only = p.all == 0 && p.keep == 1;
    }
  }
  __device__ T at(int i) const { return row ? keep * row[i] + all : i == klass ? keep + all : all; }
};

// count adds what the elements of a slice, from lo on, give.
template <class T, int V, int N>
__device__ inline void count(Sums<T> &sums, const Slice<T, T, V, N> &s, const Aim<T> &aim, int lo, T max, T log) {
#pragma unroll
  for (int j = 0; j < N; j++)
#pragma unroll
    for (int v = 0; v < V; v++)
      if (s.at(j) < s.k) {
        T t = aim.at(lo + s.at(j) + v);
        if (t == 0) continue; // 0 times an infinite distance is 0 here
        sums.total += t * (max - s.x[j][v] + log);
        sums.weight += t;
      }
}

template <class T, int V, int N>
__device__ inline void gradient(Slice<T, T, V, N> &s, const Aim<T> &aim, int lo, T max, T factor) {
#pragma unroll
  for (int j = 0; j < N; j++)
#pragma unroll
    for (int v = 0; v < V; v++)
      if (s.at(j) < s.k) s.x[j][v] = aim.bad ? 0 : power(s.x[j][v] - max) * factor - aim.at(lo + s.at(j) + v);
}

// tell reports a class outside, or writes a row's loss.
template <class T> __device__ inline void tell(const CrossEntropyParams &p, i64 row, const Aim<T> &aim, T loss) {
  if (aim.bad) fault(p.fault, p.code, aim.klass, row, p.k);
  ((T *)p.loss)[row] = aim.bad ? 0 : loss;
}

template <class T, int V, int N> __device__ inline void shorts(const CrossEntropyParams &p) {
  __syncthreads(); // all threads are past the guard before one reports
  int groups = blockDim.x / p.lanes;
  for (i64 b = (i64)blockIdx.x * groups; b < p.rows; b += (i64)gridDim.x * groups) {
    i64 row = b + threadIdx.x / p.lanes;
    const T *x = (const T *)p.x + row * p.x_step;
    Slice<T, T, V, N> s;
    s.k = row < p.rows ? p.k : 0, s.group = p.lanes, s.thread = threadIdx.x % p.lanes;
    s.load(x, -INFINITY);
    T max = fold_lanes(s.largest(), p.lanes, Larger());
    T sum = fold_lanes(s.powers(max), p.lanes, Plus()), log = ln(sum);
    Aim<T> aim(p, row, row < p.rows);
    Sums<T> sums = {0, 0};
    if (p.classes && aim.only) {
      sums.weight = 1;
      if (!aim.bad) sums.total = max - x[aim.klass] + log;
    } else {
      count(sums, s, aim, 0, max, log);
    }
    if (!p.classes || p.all != 0 || p.keep != 1) sums = fold_lanes(sums, p.lanes, AddSums<T>());
    if (row >= p.rows) continue;
    if (s.thread == 0) tell(p, row, aim, sums.total);
    if (p.dx) {
      gradient(s, aim, 0, max, sums.weight / sum);
      s.store((T *)p.dx + row * p.dx_step);
    }
  }
}

template <class T, int V> __device__ inline void longs(const CrossEntropyParams &p, Powers<T> *powers, Sums<T> *memory) {
  __syncthreads(); // all threads are past the guard before one reports
  const int N = V == 1 ? 4 : 1;
  int tile = blockDim.x * V * N;
  for (i64 row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const T *x = (const T *)p.x + row * p.x_step;
    Powers<T> t = {T(-INFINITY), 0};
    for (int lo = 0; lo < p.k; lo += tile) {
      Slice<T, T, V, N> s = part<T, T, V, N>(p.k, lo);
      s.load(x + lo, -INFINITY);
      take(t, s);
    }
    t = fold_block(t, powers, Unify<T>());
    T log = ln(t.sum);
    Aim<T> aim(p, row, true);
    Sums<T> sums = {0, 0};
    if (aim.only) {
      sums.weight = 1;
      if (!aim.bad) sums.total = t.max - x[aim.klass] + log;
    } else {
      for (int lo = 0; lo < p.k; lo += tile) {
        Slice<T, T, V, N> s = part<T, T, V, N>(p.k, lo);
        s.load(x + lo, -INFINITY);
        count(sums, s, aim, lo, t.max, log);
      }
      sums = fold_block(sums, memory, AddSums<T>());
    }
    if (threadIdx.x == 0) tell(p, row, aim, sums.total);
    for (int lo = 0; p.dx && lo < p.k; lo += tile) {
      Slice<T, T, V, N> s = part<T, T, V, N>(p.k, lo);
      s.load(x + lo, -INFINITY);
      gradient(s, aim, lo, t.max, sums.weight / t.sum);
      s.store((T *)p.dx + row * p.dx_step + lo);
    }
  }
}

// Names tell how many elements a thread holds: times neighbours.
KERNEL(cross_entropy_f32_1x1, 256, CrossEntropyParams) {
  GUARD(p);
  shorts<float, 1, 1>(p);
}
KERNEL(cross_entropy_f32_4x1, 256, CrossEntropyParams) {
  GUARD(p);
  shorts<float, 1, 4>(p);
}
KERNEL(cross_entropy_f32_8x4, 256, CrossEntropyParams) {
  GUARD(p);
  shorts<float, 4, 8>(p);
}
KERNEL(cross_entropy_f64_4x1, 256, CrossEntropyParams) {
  GUARD(p);
  shorts<double, 1, 4>(p);
}
KERNEL(cross_entropy_long_f32, 256, CrossEntropyParams) {
  GUARD(p);
  __shared__ Powers<float> powers[8];
  __shared__ Sums<float> memory[8];
  longs<float, 1>(p, powers, memory);
}
KERNEL(cross_entropy_long_f32x4, 256, CrossEntropyParams) {
  GUARD(p);
  __shared__ Powers<float> powers[8];
  __shared__ Sums<float> memory[8];
  longs<float, 4>(p, powers, memory);
}
KERNEL(cross_entropy_long_f64, 256, CrossEntropyParams) {
  GUARD(p);
  __shared__ Powers<double> powers[8];
  __shared__ Sums<double> memory[8];
  longs<double, 1>(p, powers, memory);
}
