// Softmax, its logarithm, and their gradients, over rows of adjacent elements. Rows that up to 32 threads can hold are read
// once; longer ones have a block, and are read twice.
#include "softmax.cuh"

enum { SOFTMAX, SOFTMAX_GRAD, LOG_SOFTMAX, LOG_SOFTMAX_GRAD };

struct SoftmaxParams {
  Fault *fault;
  void *to;          // y, or dx
  const void *from;  // x, or dy
  const void *y;     // of gradients
  i64 rows, to_step, from_step, y_step;
  int k, op, lanes, pad;
};

// finish is the result of the elements in s.
template <class T, class C, int V, int N>
__device__ inline void finish(int op, Slice<T, C, V, N> &s, const Slice<T, C, V, N> &y, C max, C sum) {
  C factor = 1 / sum, log = op == LOG_SOFTMAX ? ln(sum) : 0;
#pragma unroll
  for (int j = 0; j < N; j++)
#pragma unroll
    for (int v = 0; v < V; v++) {
      C x = s.x[j][v];
      if (op == SOFTMAX) x = max == -INFINITY ? 0 : power(x - max) * factor;
      if (op == LOG_SOFTMAX && max != -INFINITY) x = x - max - log;
      if (op == SOFTMAX_GRAD) x = y.x[j][v] * (x - sum);
      if (op == LOG_SOFTMAX_GRAD) x = x - power(y.x[j][v]) * sum;
      s.x[j][v] = x;
    }
}

// gradient_sum is sum dy y, or sum dy.
template <class T, class C, int V, int N>
__device__ inline C gradient_sum(int op, const Slice<T, C, V, N> &dy, const Slice<T, C, V, N> &y) {
  C sum = 0;
#pragma unroll
  for (int j = 0; j < N; j++)
#pragma unroll
    for (int v = 0; v < V; v++) sum += op == SOFTMAX_GRAD ? dy.x[j][v] * y.x[j][v] : dy.x[j][v];
  return sum;
}

template <class T, class C, int V, int N, int OP> __device__ inline void shorts(const SoftmaxParams &p) {
  const bool grad = OP == SOFTMAX_GRAD || OP == LOG_SOFTMAX_GRAD;
  int groups = blockDim.x / p.lanes;
  for (i64 b = (i64)blockIdx.x * groups; b < p.rows; b += (i64)gridDim.x * groups) {
    i64 row = b + threadIdx.x / p.lanes;
    Slice<T, C, V, N> s, y;
    s.k = row < p.rows ? p.k : 0, s.group = p.lanes, s.thread = threadIdx.x % p.lanes;
    s.load((const T *)p.from + row * p.from_step, grad ? C(0) : C(-INFINITY));
    C max = 0, sum;
    if (grad) {
      y.k = s.k, y.group = s.group, y.thread = s.thread;
      y.load((const T *)p.y + row * p.y_step, 0);
      sum = gradient_sum(OP, s, y);
    } else {
      max = fold_lanes(s.largest(), p.lanes, Larger());
      sum = s.powers(max);
    }
    sum = fold_lanes(sum, p.lanes, Plus());
    finish(OP, s, y, max, sum);
    s.store((T *)p.to + row * p.to_step);
  }
}

template <class T, class C, int V, int OP> __device__ inline void longs(const SoftmaxParams &p, Powers<C> *memory) {
  const bool grad = OP == SOFTMAX_GRAD || OP == LOG_SOFTMAX_GRAD;
  const int N = V == 1 ? 4 : 1;
  int tile = blockDim.x * V * N;
  for (i64 row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const T *from = (const T *)p.from + row * p.from_step, *ys = (const T *)p.y + row * p.y_step;
    T *to = (T *)p.to + row * p.to_step;
    Powers<C> t = {C(-INFINITY), 0};
    for (int lo = 0; lo < p.k; lo += tile) {
      Slice<T, C, V, N> s = part<T, C, V, N>(p.k, lo), y = s;
      s.load(from + lo, grad ? C(0) : C(-INFINITY));
      if (grad) {
        y.load(ys + lo, 0);
        t.sum += gradient_sum(OP, s, y);
      } else {
        take(t, s);
      }
    }
    if (grad) t.sum = fold_block(t.sum, (C *)memory, Plus());
    else t = fold_block(t, memory, Unify<C>());
    for (int lo = 0; lo < p.k; lo += tile) {
      Slice<T, C, V, N> s = part<T, C, V, N>(p.k, lo), y = s;
      s.load(from + lo, 0);
      if (grad) y.load(ys + lo, 0);
      finish(OP, s, y, t.max, t.sum);
      s.store(to + lo);
    }
  }
}

template <class T, class C, int V, int N> __device__ inline void any_short(const SoftmaxParams &p) {
  switch (p.op) {
  case SOFTMAX: shorts<T, C, V, N, SOFTMAX>(p); break;
  case SOFTMAX_GRAD: shorts<T, C, V, N, SOFTMAX_GRAD>(p); break;
  case LOG_SOFTMAX: shorts<T, C, V, N, LOG_SOFTMAX>(p); break;
  default: shorts<T, C, V, N, LOG_SOFTMAX_GRAD>(p);
  }
}

template <class T, class C, int V> __device__ inline void any_long(const SoftmaxParams &p, Powers<C> *memory) {
  switch (p.op) {
  case SOFTMAX: longs<T, C, V, SOFTMAX>(p, memory); break;
  case SOFTMAX_GRAD: longs<T, C, V, SOFTMAX_GRAD>(p, memory); break;
  case LOG_SOFTMAX: longs<T, C, V, LOG_SOFTMAX>(p, memory); break;
  default: longs<T, C, V, LOG_SOFTMAX_GRAD>(p, memory);
  }
}

// Names tell how many elements a thread holds: times neighbours.
KERNEL(softmax_f32_1x1, 256, SoftmaxParams) {
  GUARD(p);
  any_short<float, float, 1, 1>(p);
}
KERNEL(softmax_f32_4x1, 256, SoftmaxParams) {
  GUARD(p);
  any_short<float, float, 1, 4>(p);
}
KERNEL(softmax_f32_2x4, 256, SoftmaxParams) {
  GUARD(p);
  any_short<float, float, 4, 2>(p);
}
KERNEL(softmax_f32_8x4, 256, SoftmaxParams) {
  GUARD(p);
  any_short<float, float, 4, 8>(p);
}
KERNEL(softmax_f16_1x1, 256, SoftmaxParams) {
  GUARD(p);
  any_short<f16, float, 1, 1>(p);
}
KERNEL(softmax_f16_4x1, 256, SoftmaxParams) {
  GUARD(p);
  any_short<f16, float, 1, 4>(p);
}
KERNEL(softmax_f16_1x8, 256, SoftmaxParams) {
  GUARD(p);
  any_short<f16, float, 8, 1>(p);
}
KERNEL(softmax_f16_4x8, 256, SoftmaxParams) {
  GUARD(p);
  any_short<f16, float, 8, 4>(p);
}
KERNEL(softmax_bf16_1x1, 256, SoftmaxParams) {
  GUARD(p);
  any_short<bf16, float, 1, 1>(p);
}
KERNEL(softmax_bf16_4x1, 256, SoftmaxParams) {
  GUARD(p);
  any_short<bf16, float, 1, 4>(p);
}
KERNEL(softmax_bf16_1x8, 256, SoftmaxParams) {
  GUARD(p);
  any_short<bf16, float, 8, 1>(p);
}
KERNEL(softmax_bf16_4x8, 256, SoftmaxParams) {
  GUARD(p);
  any_short<bf16, float, 8, 4>(p);
}
KERNEL(softmax_f64_4x1, 256, SoftmaxParams) {
  GUARD(p);
  any_short<double, double, 1, 4>(p);
}

// Long rows, single elements or 16 bytes at a time.
KERNEL(softmax_long_f32, 256, SoftmaxParams) {
  GUARD(p);
  __shared__ Powers<float> memory[8];
  any_long<float, float, 1>(p, memory);
}
KERNEL(softmax_long_f32x4, 256, SoftmaxParams) {
  GUARD(p);
  __shared__ Powers<float> memory[8];
  any_long<float, float, 4>(p, memory);
}
KERNEL(softmax_long_f16, 256, SoftmaxParams) {
  GUARD(p);
  __shared__ Powers<float> memory[8];
  any_long<f16, float, 1>(p, memory);
}
KERNEL(softmax_long_f16x8, 256, SoftmaxParams) {
  GUARD(p);
  __shared__ Powers<float> memory[8];
  any_long<f16, float, 8>(p, memory);
}
KERNEL(softmax_long_bf16, 256, SoftmaxParams) {
  GUARD(p);
  __shared__ Powers<float> memory[8];
  any_long<bf16, float, 1>(p, memory);
}
KERNEL(softmax_long_bf16x8, 256, SoftmaxParams) {
  GUARD(p);
  __shared__ Powers<float> memory[8];
  any_long<bf16, float, 8>(p, memory);
}
KERNEL(softmax_long_f64, 256, SoftmaxParams) {
  GUARD(p);
  __shared__ Powers<double> memory[8];
  any_long<double, double, 1>(p, memory);
}
