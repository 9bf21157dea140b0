#include "normal.cuh"
#include "rows.cuh"

enum { AHEAD = 4, PAIR = 2 }; // rows of a thread whose loads are under way at a time

struct StatsParams {
  Fault *fault;
  const void *x;
  void *part; // of each chunk the means and the sums of squared distances from them
  i64 stride;
  Tile tile;
  int aligned;
  int pad;
};

__device__ inline float over(float n) { return __fdividef(1.f, n); }
__device__ inline double over(double n) { return 1 / n; }

// Moments are the mean of a channel, and the sum of squared distances from it.
template <class A, int V> struct Moments {
  A n, mean[V], m2[V];
  __device__ Moments() : n(0) {
    for (int v = 0; v < V; v++) mean[v] = m2[v] = 0;
  }
  // add is one step of Welford's (Technometrics 4, 1962): nothing cancels, wherever the mean is.
  template <class T> __device__ void add(const Pack<T, V> &q) {
    n += 1;
    A share = over(n);
#pragma unroll
    for (int v = 0; v < V; v++) {
      A x = widen(q.e[v]), off = x - mean[v];
      mean[v] += off * share;
      m2[v] += off * (x - mean[v]);
    }
  }
  // join is a step of Chan, Golub and LeVeque's (The American Statistician 37, 1983).
  __device__ void join(const Moments &other) {
    if (other.n == 0) return;
    A share = other.n * over(n + other.n), weight = n * share;
#pragma unroll
    for (int v = 0; v < V; v++) {
      A off = other.mean[v] - mean[v];
      mean[v] += off * share;
      m2[v] += other.m2[v] + off * off * weight;
    }
    n += other.n;
  }
};

template <class T, int V> __device__ inline void bn_stats(const StatsParams &p) {
  typedef typename Acc<T>::type A;
  __shared__ A means[V][THREADS], m2s[V][THREADS], ns[THREADS];
  const Tile &t = p.tile;
  const Span<V> s(t, blockIdx.x);
  Moments<A, V> m;
  const T *x = (const T *)p.x + s.at(p.stride);
  const i64 step = t.lines * p.stride;
  sweep<AHEAD>(s, t.lines, p.aligned, [&](auto rows) {
    Pack<T, V> q[rows.COUNT];
    rows.load(q, x, step);
#pragma unroll
    for (int k = 0; k < rows.COUNT; k++) m.add(q[k]);
  });

  in_pairs(s, t, [&](int me) {
    ns[me] = m.n;
#pragma unroll
    for (int v = 0; v < V; v++) means[v][me] = m.mean[v], m2s[v][me] = m.m2[v];
  }, [&](int other) {
    Moments<A, V> o;
    o.n = ns[other];
#pragma unroll
    for (int v = 0; v < V; v++) o.mean[v] = means[v][other], o.m2[v] = m2s[v][other];
    m.join(o);
  });
  if (s.line == 0 && s.channel < t.channels) {
    A *to = (A *)p.part + (i64)blockIdx.x * 2 * t.channels + s.channel;
    for (int v = 0; v < V; v++) to[v] = m.mean[v], to[t.channels + v] = m.m2[v];
  }
}

// hot: bn_stats_f32x4 bn_stats_f16x8 bn_stats_bf16x8
PACKED_WITH(ROWS, bn_stats, THREADS, StatsParams)

// of_either reads one number for each of V channels, of type T or of its sums' type; where there are none it keeps what stands.
template <class T, class A, int V> __device__ inline void of_either(A (&to)[V], const void *from, bool summed, int channel) {
  if (!from) return;
  if (summed) {
    for (int v = 0; v < V; v++) to[v] = ((const A *)from)[channel + v];
  } else {
    for (int v = 0; v < V; v++) to[v] = widen(((const T *)from)[channel + v]);
  }
}

struct ApplyParams {
  Fault *fault;
  const void *x, *mean, *rstd, *gamma, *beta;
  void *y;
  i64 stride, to_stride;
  Tile tile;
  int coefficients_aligned;      // mean and rstd; x and y are
  int gamma_summed, beta_summed; // are of the sums' type, not of x's
  int act;
};

// The activations that this pass can end with, as device.UnOp counts them.
enum { IDENTITY = 0, SIGMOID = 10, TANH = 11, RELU = 13, GELU = 15, SILU = 17 };

template <int ACT, class T, class A> __device__ inline A activate(A x) {
  switch (ACT) {
  case RELU: return x <= 0 ? A(0) : x; // NaN stays
  case SIGMOID: return 1 / (1 + exp(-x));
  case TANH: return tanh(x);
  case GELU: return x * normal_cdf_for<T>(x);
  case SILU: return x / (1 + exp(-x));
  }
  return x;
}

// What reads the rows a second time begins with the last ones, which the cache still has.
__device__ inline u32 last_first() { return gridDim.x - 1 - blockIdx.x; }

template <class T, int V, int ACT> __device__ inline void bn_apply_act(const ApplyParams &p) {
  typedef typename Acc<T>::type A;
  enum { QUICK = ACT == IDENTITY || ACT == RELU }; // the others need registers of their own, and have those of the mean
  const Tile &t = p.tile;
  const Span<V> s(t, last_first());
  if (s.empty()) return;
  A mean[V], scale[V], gamma[V], shift[V];
  for (int v = 0; v < V; v++) gamma[v] = 1, shift[v] = 0;
  of_channels<A, V>(mean, p.mean, s.channel, p.coefficients_aligned);
  of_channels<A, V>(scale, p.rstd, s.channel, p.coefficients_aligned);
  of_either<T, A, V>(gamma, p.gamma, p.gamma_summed, s.channel);
  of_either<T, A, V>(shift, p.beta, p.beta_summed, s.channel);
  for (int v = 0; v < V; v++) {
    scale[v] *= gamma[v];
    if (!QUICK) shift[v] -= mean[v] * scale[v], mean[v] = 0;
  }
  const T *x = (const T *)p.x + s.from_last(p.stride);
  T *y = (T *)p.y + s.from_last(p.to_stride);
  const i64 step = -t.lines * p.stride, to_step = -t.lines * p.to_stride;
  sweep<QUICK ? AHEAD : 1>(s, t.lines, true, [&](auto rows) {
    Pack<T, V> q[rows.COUNT];
    rows.load(q, x, step);
#pragma unroll
    for (int k = 0; k < rows.COUNT; k++)
#pragma unroll
      for (int v = 0; v < V; v++) q[k].e[v] = shorten<T>(activate<ACT, T, A>((widen(q[k].e[v]) - mean[v]) * scale[v] + shift[v]));
    rows.store(y, q, to_step);
  });
}

template <class T, int V> __device__ inline void bn_apply(const ApplyParams &p) {
  switch (p.act) {
  case IDENTITY: bn_apply_act<T, V, IDENTITY>(p); break;
  case RELU: bn_apply_act<T, V, RELU>(p); break;
  case SIGMOID: bn_apply_act<T, V, SIGMOID>(p); break;
  case TANH: bn_apply_act<T, V, TANH>(p); break;
  case GELU: bn_apply_act<T, V, GELU>(p); break;
  case SILU: bn_apply_act<T, V, SILU>(p); break;
  }
}

// hot: bn_apply_f32x4 bn_apply_f16x8 bn_apply_bf16x8
PACKED_WITH(ROWS, bn_apply, THREADS, ApplyParams)

struct GradSumsParams {
  Fault *fault;
  const void *x, *dy, *mean;
  const void *rstd, *gamma, *beta; // of the masked form: dy counts only where y is above 0
  void *part; // of each chunk sum dy and sum dy (x - mean)
  i64 stride, dy_stride;
  Tile tile;
  int aligned, coefficients_aligned;
  int gamma_summed, beta_summed;
};

template <class T, int V, bool MASKED> __device__ inline void bn_grad_sums_of(const GradSumsParams &p) {
  typedef typename Acc<T>::type A;
  __shared__ A sums[2 * V][THREADS];
  const Tile &t = p.tile;
  const Span<V> s(t, blockIdx.x);
  A mean[V], sum[V], prod[V];
  for (int v = 0; v < V; v++) mean[v] = sum[v] = prod[v] = 0;
  A bound[V];
  u32 signs = 0; // of the scales, a bit each
  if (!s.empty()) {
    of_channels<A, V>(mean, p.mean, s.channel, p.coefficients_aligned);
    if (MASKED) {
      A scale[V], gamma[V], shift[V];
      for (int v = 0; v < V; v++) gamma[v] = 1, shift[v] = 0;
      of_channels<A, V>(scale, p.rstd, s.channel, p.coefficients_aligned);
      of_either<T, A, V>(gamma, p.gamma, p.gamma_summed, s.channel);
      of_either<T, A, V>(shift, p.beta, p.beta_summed, s.channel);
#pragma unroll
      for (int v = 0; v < V; v++) {
        scale[v] *= gamma[v];
        bound[v] = relu_bound(mean[v], scale[v], shift[v]);
        signs |= sign_of(scale[v]) >> (31 - v);
      }
    }
  }
  const T *x = (const T *)p.x + s.at(p.stride), *dy = (const T *)p.dy + s.at(p.dy_stride);
  const i64 step = t.lines * p.stride, dy_step = t.lines * p.dy_stride;
  sweep<PAIR>(s, t.lines, p.aligned, [&](auto rows) {
    Pack<T, V> q[rows.COUNT], g[rows.COUNT];
    rows.load(q, x, step);
    rows.load(g, dy, dy_step);
#pragma unroll
    for (int k = 0; k < rows.COUNT; k++)
#pragma unroll
      for (int v = 0; v < V; v++) {
        A d = widen(g[k].e[v]), x = widen(q[k].e[v]);
        if (MASKED && !past_relu(x, signs << (31 - v) & 0x80000000u, bound[v])) d = 0;
        sum[v] += d;
        prod[v] += d * (x - mean[v]);
      }
  });

  in_pairs(s, t, [&](int me) {
#pragma unroll
    for (int v = 0; v < V; v++) sums[v][me] = sum[v], sums[V + v][me] = prod[v];
  }, [&](int other) {
    A more[2 * V];
#pragma unroll
    for (int v = 0; v < 2 * V; v++) more[v] = sums[v][other];
#pragma unroll
    for (int v = 0; v < V; v++) sum[v] += more[v], prod[v] += more[V + v];
  });
  if (s.line == 0 && s.channel < t.channels) {
    A *to = (A *)p.part + (i64)blockIdx.x * 2 * t.channels + s.channel;
    for (int v = 0; v < V; v++) to[v] = sum[v], to[t.channels + v] = prod[v];
  }
}

template <class T, int V> __device__ inline void bn_grad_sums(const GradSumsParams &p) { bn_grad_sums_of<T, V, false>(p); }
template <class T, int V> __device__ inline void bn_relu_grad_sums(const GradSumsParams &p) { bn_grad_sums_of<T, V, true>(p); }

// hot: bn_grad_sums_f32x4 bn_grad_sums_f16x8 bn_grad_sums_bf16x8 bn_relu_grad_sums_f32x4 bn_relu_grad_sums_f16x8 bn_relu_grad_sums_bf16x8
PACKED_WITH(MORE, bn_relu_grad_sums, THREADS, GradSumsParams)
PACKED_WITH(ROWS, bn_grad_sums, THREADS, GradSumsParams)

struct GradParams {
  Fault *fault;
  const void *x, *dy;
  const void *slopes; // as bn_join_grad gives them
  void *dx;
  i64 stride, dy_stride, dx_stride;
  Tile tile;
};

template <class T, int V, bool MASKED> __device__ inline void bn_grad_of(const GradParams &p) {
  typedef typename Acc<T>::type A;
  const Tile &t = p.tile;
  const Span<V> s(t, last_first());
  if (s.empty()) return;
  A k[V], b[V], a[V], bound[V];
  const A *slopes = (const A *)p.slopes;
  of_channels<A, V>(k, slopes, s.channel, true);
  of_channels<A, V>(b, slopes + t.channels, s.channel, true);
  of_channels<A, V>(a, slopes + 2 * t.channels, s.channel, true);
  if (MASKED) of_channels<A, V>(bound, slopes + 3 * t.channels, s.channel, true);
  const T *x = (const T *)p.x + s.from_last(p.stride), *dy = (const T *)p.dy + s.from_last(p.dy_stride);
  T *dx = (T *)p.dx + s.from_last(p.dx_stride);
  const i64 step = -t.lines * p.stride, dy_step = -t.lines * p.dy_stride, dx_step = -t.lines * p.dx_stride;
  sweep<PAIR>(s, t.lines, true, [&](auto rows) {
    Pack<T, V> q[rows.COUNT], g[rows.COUNT];
    rows.load(q, x, step);
    rows.load(g, dy, dy_step);
#pragma unroll
    for (int i = 0; i < rows.COUNT; i++)
#pragma unroll
      for (int v = 0; v < V; v++) {
        A d = widen(g[i].e[v]), x = widen(q[i].e[v]);
        if (MASKED && !past_relu(x, sign_of(k[v]), bound[v])) d = 0;
        g[i].e[v] = shorten<T>(d * k[v] + (a[v] - x * b[v]));
      }
    rows.store(dx, g, dx_step);
  });
}

template <class T, int V> __device__ inline void bn_grad(const GradParams &p) { bn_grad_of<T, V, false>(p); }
template <class T, int V> __device__ inline void bn_relu_grad(const GradParams &p) { bn_grad_of<T, V, true>(p); }

// hot: bn_grad_f32x4 bn_grad_f16x8 bn_grad_bf16x8 bn_relu_grad_f32x4 bn_relu_grad_f16x8 bn_relu_grad_bf16x8
PACKED_WITH(MORE, bn_relu_grad, THREADS, GradParams)
PACKED_WITH(ROWS, bn_grad, THREADS, GradParams)
