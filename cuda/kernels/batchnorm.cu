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
};

template <class T, int V> __device__ inline void bn_stats(const StatsParams &p) {
  typedef typename Acc<T>::type A;
  __shared__ A means[V][THREADS], m2s[V][THREADS], ns[THREADS];
  const Tile &t = p.tile;
  Span<V> s(t);
  Moments<A, V> m;
  const T *x = (const T *)p.x + s.first * p.stride + s.channel;
  const i64 step = t.lines * p.stride;
  for (i64 r = s.first; r < s.last; r += AHEAD * t.lines, x += AHEAD * step) {
    Pack<T, V> q[AHEAD];
#pragma unroll
    for (int k = 0; k < AHEAD; k++)
      if (r + k * t.lines < s.last) q[k] = load_pack<T, V>(x + k * step, p.aligned);
#pragma unroll
    for (int k = 0; k < AHEAD; k++)
      if (r + k * t.lines < s.last) m.add(q[k]);
  }

  const int me = threadIdx.x;
  ns[me] = m.n;
  for (int v = 0; v < V; v++) {
    means[v][me] = m.mean[v];
    m2s[v][me] = m.m2[v];
  }
  // Lines are joined in pairs as Chan, Golub and LeVeque do (The American Statistician 37, 1983).
  for (int n = t.lines; n > 1;) {
    int half = (n + 1) / 2;
    __syncthreads();
    if (s.line < n - half) {
      int other = me + half * t.packs;
      A a = ns[me], b = ns[other];
      if (b > 0) { // then so is a
        A share = b / (a + b);
        for (int v = 0; v < V; v++) {
          A off = means[v][other] - means[v][me];
          means[v][me] += off * share;
          m2s[v][me] += m2s[v][other] + off * off * (a * share);
        }
        ns[me] = a + b;
      }
    }
    n = half;
  }
  if (s.line == 0 && s.channel < t.channels) { // a line's sums are its own thread's last writes
    A *to = (A *)p.part + (i64)blockIdx.x * 2 * t.channels + s.channel;
    for (int v = 0; v < V; v++) {
      to[v] = means[v][me];
      to[t.channels + v] = m2s[v][me];
    }
  }
}

// hot: bn_stats_f32x4 bn_stats_f16x8 bn_stats_bf16x8
PACKED(bn_stats, THREADS, StatsParams)

// A block joins the parts of 8 channels, each eighth of its threads every 32nd chunk.
enum { JOINED = 8, JOINERS = THREADS / JOINED };

__device__ inline double join(double (&s)[THREADS], double x) {
  const int me = threadIdx.x;
  s[me] = x;
  for (int half = JOINERS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (me < half * JOINED) s[me] += s[me + half * JOINED];
  }
  __syncthreads();
  x = s[me % JOINED];
  __syncthreads();
  return x;
}

struct JoinStatsParams {
  Fault *fault;
  const void *part;
  void *mean, *variance;
  i64 rows;
  int channels, chunks, per;
  int pad;
};

template <class A> __device__ inline void bn_join_stats(const JoinStatsParams &p) {
  __shared__ double s[THREADS];
  int c = blockIdx.x * JOINED + threadIdx.x % JOINED, line = threadIdx.x / JOINED;
  const A *part = (const A *)p.part + c;
  const int end = c < p.channels ? p.chunks : 0;
  double sum = 0, sq = 0;
  for (int i = line; i < end; i += JOINERS) sum += (double)min((i64)p.per, p.rows - (i64)i * p.per) * part[(i64)i * 2 * p.channels];
  double mean = join(s, sum) / p.rows;
  for (int i = line; i < end; i += JOINERS) {
    double off = part[(i64)i * 2 * p.channels] - mean;
    sq += part[((i64)i * 2 + 1) * p.channels] + off * off * (double)min((i64)p.per, p.rows - (i64)i * p.per);
  }
  sq = join(s, sq);
  if (line == 0 && end > 0) {
    ((A *)p.mean)[c] = (A)mean;
    ((A *)p.variance)[c] = (A)(sq / p.rows);
  }
}

KERNEL(bn_join_stats_f32, THREADS, JoinStatsParams) {
  GUARD(p);
  bn_join_stats<float>(p);
}
KERNEL(bn_join_stats_f64, THREADS, JoinStatsParams) {
  GUARD(p);
  bn_join_stats<double>(p);
}

// of_either reads one number for each of V channels, of type T or of its sums' type; where there are none it keeps what stands.
template <class T, class A, int V> __device__ inline void of_either(A (&to)[V], const void *from, bool summed, int channel) {
  if (!from) return;
  for (int v = 0; v < V; v++) to[v] = summed ? ((const A *)from)[channel + v] : widen(((const T *)from)[channel + v]);
}

struct ApplyParams {
  Fault *fault;
  const void *x, *mean, *rstd, *gamma, *beta;
  void *y;
  i64 stride, to_stride;
  Tile tile;
  int aligned, coefficients_aligned; // of x and y; of mean and rstd
  int gamma_summed, beta_summed;     // are of the sums' type, not of x's
  int act;
  int pad;
};

// The activations that this pass can end with, as device.UnOp counts them.
enum { IDENTITY = 0, SIGMOID = 10, TANH = 11, RELU = 13, GELU = 15, SILU = 17 };

template <int ACT, class A> __device__ inline A activate(A x) {
  switch (ACT) {
  case RELU: return x <= 0 ? A(0) : x; // NaN stays
  case SIGMOID: return 1 / (1 + exp(-x));
  case TANH: return tanh(x);
  case GELU: return x * (A(0.5) * erfc(x * A(-0.70710678118654752440)));
  case SILU: return x / (1 + exp(-x));
  }
  return x;
}

template <class T, int V, int ACT> __device__ inline void bn_apply_act(const ApplyParams &p) {
  typedef typename Acc<T>::type A;
  enum { ROWS = ACT == IDENTITY || ACT == RELU ? PAIR : 1 }; // the others need registers of their own
  const Tile &t = p.tile;
  Span<V> s(t);
  if (s.first >= s.last) return;
  A mean[V], scale[V], gamma[V], shift[V];
  for (int v = 0; v < V; v++) gamma[v] = 1, shift[v] = 0;
  of_channels<A, V>(mean, p.mean, s.channel, p.coefficients_aligned);
  of_channels<A, V>(scale, p.rstd, s.channel, p.coefficients_aligned);
  of_either<T, A, V>(gamma, p.gamma, p.gamma_summed, s.channel);
  of_either<T, A, V>(shift, p.beta, p.beta_summed, s.channel);
  for (int v = 0; v < V; v++) scale[v] *= gamma[v];
  const T *x = (const T *)p.x + s.first * p.stride + s.channel;
  T *y = (T *)p.y + s.first * p.to_stride + s.channel;
  const i64 step = t.lines * p.stride, to_step = t.lines * p.to_stride;
  for (i64 r = s.first; r < s.last; r += ROWS * t.lines, x += ROWS * step, y += ROWS * to_step) {
    Pack<T, V> q[ROWS];
#pragma unroll
    for (int k = 0; k < ROWS; k++)
      if (r + k * t.lines < s.last) q[k] = load_pack<T, V>(x + k * step, p.aligned);
#pragma unroll
    for (int k = 0; k < ROWS; k++) {
      if (r + k * t.lines >= s.last) continue;
#pragma unroll
      for (int v = 0; v < V; v++) q[k].e[v] = shorten<T>(activate<ACT, A>((widen(q[k].e[v]) - mean[v]) * scale[v] + shift[v]));
      store_pack<T, V>(y + k * to_step, q[k], p.aligned);
    }
  }
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
PACKED(bn_apply, THREADS, ApplyParams)

struct GradSumsParams {
  Fault *fault;
  const void *x, *dy, *mean;
  void *part; // of each chunk sum dy and sum dy (x - mean)
  i64 stride, dy_stride;
  Tile tile;
  int aligned, coefficients_aligned;
};

template <class T, int V> __device__ inline void bn_grad_sums(const GradSumsParams &p) {
  typedef typename Acc<T>::type A;
  __shared__ A sums[2 * V][THREADS];
  const Tile &t = p.tile;
  Span<V> s(t);
  A mean[V], sum[V], prod[V];
  for (int v = 0; v < V; v++) mean[v] = sum[v] = prod[v] = 0;
  if (s.first < s.last) of_channels<A, V>(mean, p.mean, s.channel, p.coefficients_aligned);
  const T *x = (const T *)p.x + s.first * p.stride + s.channel, *dy = (const T *)p.dy + s.first * p.dy_stride + s.channel;
  const i64 step = t.lines * p.stride, dy_step = t.lines * p.dy_stride;
  for (i64 r = s.first; r < s.last; r += PAIR * t.lines, x += PAIR * step, dy += PAIR * dy_step) {
    Pack<T, V> q[PAIR], g[PAIR];
#pragma unroll
    for (int k = 0; k < PAIR; k++) {
      if (r + k * t.lines >= s.last) continue;
      q[k] = load_pack<T, V>(x + k * step, p.aligned);
      g[k] = load_pack<T, V>(dy + k * dy_step, p.aligned);
    }
#pragma unroll
    for (int k = 0; k < PAIR; k++) {
      if (r + k * t.lines >= s.last) continue;
#pragma unroll
      for (int v = 0; v < V; v++) {
        A d = widen(g[k].e[v]);
        sum[v] += d;
        prod[v] += d * (widen(q[k].e[v]) - mean[v]);
      }
    }
  }

  const int me = threadIdx.x;
  for (int v = 0; v < V; v++) {
    sums[v][me] = sum[v];
    sums[V + v][me] = prod[v];
  }
  for (int n = t.lines; n > 1;) {
    int half = (n + 1) / 2;
    __syncthreads();
    if (s.line < n - half)
      for (int v = 0; v < 2 * V; v++) sums[v][me] += sums[v][me + half * t.packs];
    n = half;
  }
  if (s.line == 0 && s.channel < t.channels) {
    A *to = (A *)p.part + (i64)blockIdx.x * 2 * t.channels + s.channel;
    for (int v = 0; v < V; v++) {
      to[v] = sums[v][me];
      to[t.channels + v] = sums[V + v][me];
    }
  }
}

// hot: bn_grad_sums_f32x4 bn_grad_sums_f16x8 bn_grad_sums_bf16x8
PACKED(bn_grad_sums, THREADS, GradSumsParams)

struct JoinGradParams {
  Fault *fault;
  const void *part, *rstd, *gamma;
  void *dgamma, *dbeta;
  void *slopes; // of each channel k, then a, then b: dx = k dy - a - b (x - mean)
  i64 rows;
  int channels, chunks;
  int gamma_type;
  int pad;
};

template <class A> __device__ inline void bn_join_grad(const JoinGradParams &p) {
  __shared__ double s[THREADS];
  int c = blockIdx.x * JOINED + threadIdx.x % JOINED, line = threadIdx.x / JOINED;
  const A *part = (const A *)p.part + c;
  const int end = c < p.channels ? p.chunks : 0;
  double sum = 0, prod = 0;
  for (int i = line; i < end; i += JOINERS) {
    sum += part[(i64)i * 2 * p.channels];
    prod += part[((i64)i * 2 + 1) * p.channels];
  }
  sum = join(s, sum);
  prod = join(s, prod);
  if (line != 0 || end == 0) return;
  double rstd = ((const A *)p.rstd)[c], k = rstd;
  if (p.gamma) k *= load<double>(p.gamma, p.gamma_type, c);
  if (p.dbeta) ((A *)p.dbeta)[c] = (A)sum;
  if (p.dgamma) ((A *)p.dgamma)[c] = (A)(prod * rstd);
  A *slopes = (A *)p.slopes + c;
  slopes[0] = (A)k;
  slopes[p.channels] = (A)(k * sum / p.rows);
  slopes[2 * p.channels] = (A)(k * rstd * rstd * prod / p.rows);
}

KERNEL(bn_join_grad_f32, THREADS, JoinGradParams) {
  GUARD(p);
  bn_join_grad<float>(p);
}
KERNEL(bn_join_grad_f64, THREADS, JoinGradParams) {
  GUARD(p);
  bn_join_grad<double>(p);
}

struct GradParams {
  Fault *fault;
  const void *x, *dy, *mean, *slopes;
  void *dx;
  i64 stride, dy_stride, dx_stride;
  Tile tile;
  int aligned, coefficients_aligned, slopes_aligned;
  int pad;
};

template <class T, int V> __device__ inline void bn_grad(const GradParams &p) {
  typedef typename Acc<T>::type A;
  const Tile &t = p.tile;
  Span<V> s(t);
  if (s.first >= s.last) return;
  A mean[V], k[V], a[V], b[V];
  const A *slopes = (const A *)p.slopes;
  of_channels<A, V>(mean, p.mean, s.channel, p.coefficients_aligned);
  of_channels<A, V>(k, slopes, s.channel, p.slopes_aligned);
  of_channels<A, V>(a, slopes + t.channels, s.channel, p.slopes_aligned);
  of_channels<A, V>(b, slopes + 2 * t.channels, s.channel, p.slopes_aligned);
  const T *x = (const T *)p.x + s.first * p.stride + s.channel, *dy = (const T *)p.dy + s.first * p.dy_stride + s.channel;
  T *dx = (T *)p.dx + s.first * p.dx_stride + s.channel;
  const i64 step = t.lines * p.stride, dy_step = t.lines * p.dy_stride, dx_step = t.lines * p.dx_stride;
  for (i64 r = s.first; r < s.last; r += PAIR * t.lines, x += PAIR * step, dy += PAIR * dy_step, dx += PAIR * dx_step) {
    Pack<T, V> q[PAIR], g[PAIR];
#pragma unroll
    for (int i = 0; i < PAIR; i++) {
      if (r + i * t.lines >= s.last) continue;
      q[i] = load_pack<T, V>(x + i * step, p.aligned);
      g[i] = load_pack<T, V>(dy + i * dy_step, p.aligned);
    }
#pragma unroll
    for (int i = 0; i < PAIR; i++) {
      if (r + i * t.lines >= s.last) continue;
#pragma unroll
      for (int v = 0; v < V; v++)
        g[i].e[v] = shorten<T>(widen(g[i].e[v]) * k[v] - a[v] - (widen(q[i].e[v]) - mean[v]) * b[v]);
      store_pack<T, V>(dx + i * dx_step, g[i], p.aligned);
    }
  }
}

// hot: bn_grad_f32x4 bn_grad_f16x8 bn_grad_bf16x8
PACKED(bn_grad, THREADS, GradParams)
