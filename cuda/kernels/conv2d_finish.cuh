// conv2d_finish.cuh is what a convolution does with its sums beside writing them: maxima of windows of 2x2 pixels, and the
// moments of what is written.
#pragma once
#include "conv2d.cuh"

// Largest is the maximum of a window as max_pool finds it: the first of equals, NaN above all. Of numbers as T holds them.
template <class T> struct Largest {
  float best;
  int tap;
  __device__ explicit Largest(float v) : best(to_f32(from_f32<T>(v))), tap(0) {}
  __device__ void meet(float v, int t) {
    v = to_f32(from_f32<T>(v));
    if (!(v <= best) && best == best) best = v, tap = t;
  }
  // rectify does what ReLU before the pooling does.
  __device__ void rectify() {
    if (best <= 0) best = 0, tap = 0;
  }
};

// of_window is the largest of four sums, with the bias, and with ReLU if it is to be.
template <class T> __device__ inline Largest<T> of_window(int act, float bias, float a, float b, float c, float d) {
  Largest<T> l(a + bias);
  l.meet(b + bias, 1);
  l.meet(c + bias, 2);
  l.meet(d + bias, 3);
  if (act == RELU) l.rectify();
  return l;
}

// A Window is a row of a pooled tile: where its channels lie in y (-1: nowhere), and where its first pixel is.
struct Window {
  i64 at;
  int first, pad;
};

// Pooled is a tile of BM pixels and BN channels after pooling, turned over in shared memory: rows of maxima, as many rows of
// taps, the windows, and the bias.
template <int BM, int BN> struct Pooled {
  enum { ROWS = BM / 4, PITCH = BN + 4, WINDOWS = 2 * ROWS * PITCH * 4, BIAS = WINDOWS + ROWS * (int)sizeof(Window), BYTES = BIAS + BN * 4 };

  static __device__ inline float *maxima(char *s) { return (float *)s; }
  static __device__ inline int *taps(char *s) { return (int *)s + ROWS * PITCH; }
  static __device__ inline Window *windows(char *s) { return (Window *)(s + WINDOWS); }
  static __device__ inline float *bias(char *s) { return (float *)(s + BIAS); }

  // open prepares windows and bias, with as many threads at least as there are rows and channels. Nobody reads the stages any
  // more.
  static __device__ inline void open(const Conv2DParams &p, const Work &b, char *s, int t) {
    if (t < ROWS) {
      const u32 w = (u32)b.row * ROWS + t, wide = (u32)p.yw / 2, high = (u32)p.yh / 2, row = w / wide, image = row / high;
      const int i = (int)(row - image * high), j = (int)(w - row * wide);
      Window &to = windows(s)[t];
      to.at = image < (u32)p.images ? image * p.yImage + (i64)i * p.yRow + (i64)j * p.yCol + b.group * p.yc : -1;
      to.first = 2 * (i * p.yw + j);
    }
    if (t < BN) {
      const int o = b.col * BN + t;
      bias(s)[t] = p.bias && o < p.yc ? load<float>(p.bias, p.biasType, b.group * p.yc + o) : 0;
    }
  }

  // write writes maxima and places.
  template <class T, int THREADS> static __device__ inline void write(const Conv2DParams &p, const Work &b, char *s, Moments &moments) {
#pragma unroll 1
    for (int e = threadIdx.x; e < ROWS * (BN / 4); e += THREADS) {
      const int row = e / (BN / 4), col = e % (BN / 4) * 4;
      put<T>(p, b, s, row, col, maxima(s) + row * PITCH + col, taps(s) + row * PITCH + col, moments);
    }
  }

  // put writes the maxima of four channels, from col on, under a row's window, and their places.
  template <class T>
  static __device__ inline void put(const Conv2DParams &p, const Work &b, char *s, int row, int col, const float *best, const int *tap, Moments &moments) {
    const int o = b.col * BN + col, left = p.yc - o;
    const Window &w = windows(s)[row];
    if (w.at < 0 || left <= 0) return;
    const Quad<T> q = {from_f32<T>(best[0]), from_f32<T>(best[1]), from_f32<T>(best[2]), from_f32<T>(best[3])};
    if (p.moments) moments.add(q);
    write4(p, (T *)p.y + w.at + o, q, left);
    if (!p.idx) return;
    Quad<int> at;
#pragma unroll
    for (int e = 0; e < 4; e++) at.v[e] = w.first + (tap[e] >> 1) * p.yw + (tap[e] & 1);
    write4(p, p.idx + ((i64)b.row * ROWS + row) * p.groups * p.yc + b.group * p.yc + o, at, left);
  }
};

// Whole is a block as the party that finishes a tile; others are parts of one.
template <int THREADS> struct Whole {
  enum { SIZE = THREADS };
  static __device__ int thread() { return threadIdx.x; }
  static __device__ void sync() { __syncthreads(); }
};

// join_moments joins those of the threads that have the same channels of a tile, pair by pair in their order, as Chan, Golub
// and LeVeque do (The American Statistician 37, 1983), and writes those of the tile.
template <int BN, class PARTY> __device__ inline void join_moments(const Conv2DParams &p, const Work &b, char *s, const Moments &m) {
  enum { THREADS = PARTY::SIZE, LINES = THREADS / (BN / 4) };
  float *means = (float *)s, *m2s = means + 4 * THREADS, *ns = m2s + 4 * THREADS;
  const int t = PARTY::thread(), o = b.col * BN + t;
  PARTY::sync();
  *(float4 *)(means + 4 * t) = make_float4(m.mean[0], m.mean[1], m.mean[2], m.mean[3]);
  *(float4 *)(m2s + 4 * t) = make_float4(m.m2[0], m.m2[1], m.m2[2], m.m2[3]);
  if (t % (BN / 4) == 0) ns[t / (BN / 4)] = m.n; // the first channels of a tile are there
  PARTY::sync();
  if (t >= BN || o >= p.yc) return;
  float n = 0, mean = 0, m2 = 0;
  for (int l = 0; l < LINES; l++) {
    const float more = ns[l];
    if (more == 0) continue;
    const float share = __fdividef(more, n + more), off = means[l * BN + t] - mean;
    mean += off * share;
    m2 += m2s[l * BN + t] + off * off * (n * share);
    n += more;
  }
  float *to = p.moments + (i64)b.row * 2 * p.groups * p.yc + b.group * p.yc + o;
  to[0] = mean;
  to[p.groups * p.yc] = m2;
}
