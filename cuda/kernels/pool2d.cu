#include "pack.cuh"

enum { THREADS = 256 };

// PoolParams: x are the images (N,H,W,C) or their gradient, y the results of windows (N,OH,OW,C) or its gradient, idx the
// places h W + w of maxima, in y's shape. Channels lie side by side. A thread has V channels of an element, the count
// going over images, rows, columns and packs of channels.
struct PoolParams {
  Fault *fault;
  void *x, *y;
  int *idx; // may be null
  i64 x_image, y_image;
  int x_row, x_col, y_row, y_col; // strides in elements
  int h, w, oh, ow, channels;
  int kh, kw, sh, sw, ph, pw, dh, dw;
  u32 n; // threads' work
  Divider rows, cols, packs;
  Divider stride_h, stride_w;
  int aligned, count_pad;
  int pad;
};

// Place is an element: its image, row, column and first channel.
template <int V> struct Place {
  int image, row, col, channel;
  __device__ Place(const PoolParams &p, u32 e) {
    channel = split(p.packs, e) * V;
    col = split(p.cols, e);
    row = split(p.rows, e);
    image = e;
  }
};

// inside gives the taps lo to hi-1 of a window along one axis, from start on, that lie in 0..n-1.
__device__ inline void inside(int start, int k, int dil, int n, int &lo, int &hi) {
  if (dil == 1) {
    lo = max(-start, 0);
    hi = min(k, max(n - start, 0));
  } else {
    lo = start < 0 ? (-start + dil - 1) / dil : 0;
    hi = start + (k - 1) * dil >= n ? max((n - start + dil - 1) / dil, 0) : k;
  }
  lo = min(lo, hi);
}

template <class T, int V> __device__ inline T *pixel(const PoolParams &p, const Place<V> &o, int h, int w) {
  return (T *)p.x + o.image * p.x_image + (h * p.x_row + w * p.x_col + o.channel);
}
template <class T, int V> __device__ inline T *result(const PoolParams &p, const Place<V> &o, int oh, int ow) {
  return (T *)p.y + o.image * p.y_image + (oh * p.y_row + ow * p.y_col + o.channel);
}

// K is the window's side where the loop over it is unrolled, without dilation; 0: as p says.
template <class T, int V, int K> __device__ inline void max_window(const PoolParams &p, u32 e) {
  typedef typename Acc<T>::type A;
  Place<V> o(p, e);
  const int h0 = o.row * p.sh - p.ph, w0 = o.col * p.sw - p.pw, dh = K ? 1 : p.dh, dw = K ? 1 : p.dw;
  int hl, hh, wl, wh;
  inside(h0, K ? K : p.kh, dh, p.h, hl, hh);
  inside(w0, K ? K : p.kw, dw, p.w, wl, wh);
  A best[V];
  int at[V];
  const int first = hl < hh && wl < wh ? (h0 + hl * dh) * p.w + w0 + wl * dw : -1;
#pragma unroll
  for (int v = 0; v < V; v++) {
    best[v] = -INFINITY;
    at[v] = first;
  }
  auto meet = [&](int h, int w) {
    Pack<T, V> q = load_pack<T, V>(pixel<T, V>(p, o, h, w), p.aligned);
    const int place = h * p.w + w;
#pragma unroll
    for (int v = 0; v < V; v++) {
      A x = widen(q.e[v]);
      if (x > best[v] || (x != x && best[v] == best[v])) {
        best[v] = x;
        at[v] = place;
      }
    }
  };
  if (K) {
#pragma unroll
    for (int i = 0; i < K; i++)
#pragma unroll
      for (int j = 0; j < K; j++)
        if (i >= hl && i < hh && j >= wl && j < wh) meet(h0 + i, w0 + j);
  } else {
    for (int i = hl; i < hh; i++)
      for (int j = wl; j < wh; j++) meet(h0 + i * dh, w0 + j * dw);
  }
  Pack<T, V> q;
#pragma unroll
  for (int v = 0; v < V; v++) q.e[v] = shorten<T>(best[v]);
  store_pack<T, V>(result<T, V>(p, o, o.row, o.col), q, p.aligned);
  if (p.idx) {
    Pack<int, V> places;
#pragma unroll
    for (int v = 0; v < V; v++) places.e[v] = at[v];
    store_pack<int, V>(p.idx + (i64)e * V, places, p.aligned);
  }
}

template <class T, int V> __device__ inline void max_pool(const PoolParams &p) {
  const int k = p.kh == p.kw && p.dh == 1 && p.dw == 1 ? p.kh : 0;
  if (k == 2)
    for (u32 e = FIRST; e < p.n; e += STEP) max_window<T, V, 2>(p, e);
  else if (k == 3)
    for (u32 e = FIRST; e < p.n; e += STEP) max_window<T, V, 3>(p, e);
  else
    for (u32 e = FIRST; e < p.n; e += STEP) max_window<T, V, 0>(p, e);
}

// hot: max_pool_f32x4 max_pool_f16x8 max_pool_bf16x8
PACKED(max_pool, THREADS, PoolParams)

// windows gives those windows lo to hi-1 along one axis that may have a tap at a place.
__device__ inline void windows(int at, int k, int pad, int dil, int out, const Divider &stride, int &lo, int &hi) {
  at += pad;
  int from = at - (k - 1) * dil;
  lo = from > 0 ? (int)divide(stride, from + stride.by - 1) : 0;
  hi = min((int)divide(stride, at) + 1, out);
}

// max_pool_grad adds for each pixel what the windows whose maximum it is pass on, in their order.
template <class T, int V> __device__ inline void max_pool_grad(const PoolParams &p) {
  typedef typename Acc<T>::type A;
  for (u32 e = FIRST; e < p.n; e += STEP) {
    Place<V> o(p, e);
    int hl, hh, wl, wh;
    windows(o.row, p.kh, p.ph, p.dh, p.oh, p.stride_h, hl, hh);
    windows(o.col, p.kw, p.pw, p.dw, p.ow, p.stride_w, wl, wh);
    const int here = o.row * p.w + o.col;
    A sum[V];
#pragma unroll
    for (int v = 0; v < V; v++) sum[v] = 0;
    for (int i = hl; i < hh; i++)
      for (int j = wl; j < wh; j++) {
        Pack<T, V> g = load_pack<T, V>(result<T, V>(p, o, i, j), p.aligned);
        Pack<int, V> at = load_pack<int, V>(p.idx + (((i64)o.image * p.oh + i) * p.ow + j) * p.channels + o.channel, p.aligned);
#pragma unroll
        for (int v = 0; v < V; v++)
          if (at.e[v] == here) sum[v] += widen(g.e[v]);
      }
    Pack<T, V> q;
#pragma unroll
    for (int v = 0; v < V; v++) q.e[v] = shorten<T>(sum[v]);
    store_pack<T, V>(pixel<T, V>(p, o, o.row, o.col), q, p.aligned);
  }
}

// hot: max_pool_grad_f32x4 max_pool_grad_f16x8 max_pool_grad_bf16x8
PACKED(max_pool_grad, THREADS, PoolParams)

// max_pool_tiles is max_pool_grad where windows lie side by side: a thread has a window, and writes its pixels. The
// windows go on to the images' ends.
template <class T, int V> __device__ inline void max_pool_tiles(const PoolParams &p) {
  for (u32 e = FIRST; e < p.n; e += STEP) {
    Place<V> o(p, e);
    Pack<T, V> g;
    Pack<int, V> at;
    if (o.row < p.oh && o.col < p.ow) {
      g = load_pack<T, V>(result<T, V>(p, o, o.row, o.col), p.aligned);
      at = load_pack<int, V>(p.idx + (((i64)o.image * p.oh + o.row) * p.ow + o.col) * p.channels + o.channel, p.aligned);
    } else {
#pragma unroll
      for (int v = 0; v < V; v++) {
        g.e[v] = shorten<T>(0.f);
        at.e[v] = -1;
      }
    }
    const int h1 = min((o.row + 1) * p.kh, p.h), w1 = min((o.col + 1) * p.kw, p.w);
    for (int h = o.row * p.kh; h < h1; h++)
      for (int w = o.col * p.kw; w < w1; w++) {
        Pack<T, V> q;
#pragma unroll
        for (int v = 0; v < V; v++) q.e[v] = at.e[v] == h * p.w + w ? g.e[v] : shorten<T>(0.f);
        store_pack<T, V>(pixel<T, V>(p, o, h, w), q, p.aligned);
      }
  }
}

// hot: max_pool_tiles_f32x4 max_pool_tiles_f16x8 max_pool_tiles_bf16x8
PACKED(max_pool_tiles, THREADS, PoolParams)

// share is what each tap of a window counts: 1 over the number of its pixels, or of those in the padded image.
template <class A> __device__ inline A share(const PoolParams &p, int oh, int ow) {
  const int h0 = oh * p.sh - p.ph, w0 = ow * p.sw - p.pw, more = p.count_pad;
  int hl, hh, wl, wh;
  inside(h0, p.kh, p.dh, p.h + more * p.ph, hl, hh);
  inside(w0, p.kw, p.dw, p.w + more * p.pw, wl, wh);
  const int count = more ? hh * wh : (hh - hl) * (wh - wl);
  return count > 0 ? 1 / (A)count : A(0);
}

template <class T, int V> __device__ inline void avg_pool(const PoolParams &p) {
  typedef typename Acc<T>::type A;
  for (u32 e = FIRST; e < p.n; e += STEP) {
    Place<V> o(p, e);
    const int h0 = o.row * p.sh - p.ph, w0 = o.col * p.sw - p.pw;
    int hl, hh, wl, wh;
    inside(h0, p.kh, p.dh, p.h, hl, hh);
    inside(w0, p.kw, p.dw, p.w, wl, wh);
    A sum[V];
#pragma unroll
    for (int v = 0; v < V; v++) sum[v] = 0;
    for (int i = hl; i < hh; i++)
#pragma unroll 4
      for (int j = wl; j < wh; j++) {
        Pack<T, V> q = load_pack<T, V>(pixel<T, V>(p, o, h0 + i * p.dh, w0 + j * p.dw), p.aligned);
#pragma unroll
        for (int v = 0; v < V; v++) sum[v] += widen(q.e[v]);
      }
    const A s = share<A>(p, o.row, o.col);
    Pack<T, V> q;
#pragma unroll
    for (int v = 0; v < V; v++) q.e[v] = shorten<T>(sum[v] * s);
    store_pack<T, V>(result<T, V>(p, o, o.row, o.col), q, p.aligned);
  }
}

// hot: avg_pool_f32x4 avg_pool_f16x8 avg_pool_bf16x8
PACKED(avg_pool, THREADS, PoolParams)

template <class T, int V> __device__ inline void avg_pool_grad(const PoolParams &p) {
  typedef typename Acc<T>::type A;
  for (u32 e = FIRST; e < p.n; e += STEP) {
    Place<V> o(p, e);
    int hl, hh, wl, wh;
    windows(o.row, p.kh, p.ph, p.dh, p.oh, p.stride_h, hl, hh);
    windows(o.col, p.kw, p.pw, p.dw, p.ow, p.stride_w, wl, wh);
    A sum[V];
#pragma unroll
    for (int v = 0; v < V; v++) sum[v] = 0;
    for (int i = hl; i < hh; i++) {
      if (p.dh > 1 && (o.row + p.ph - i * p.sh) % p.dh != 0) continue;
      for (int j = wl; j < wh; j++) {
        if (p.dw > 1 && (o.col + p.pw - j * p.sw) % p.dw != 0) continue;
        Pack<T, V> g = load_pack<T, V>(result<T, V>(p, o, i, j), p.aligned);
        const A s = share<A>(p, i, j);
#pragma unroll
        for (int v = 0; v < V; v++) sum[v] += widen(g.e[v]) * s;
      }
    }
    Pack<T, V> q;
#pragma unroll
    for (int v = 0; v < V; v++) q.e[v] = shorten<T>(sum[v]);
    store_pack<T, V>(pixel<T, V>(p, o, o.row, o.col), q, p.aligned);
  }
}

// hot: avg_pool_grad_f32x4 avg_pool_grad_f16x8 avg_pool_grad_bf16x8
PACKED(avg_pool_grad, THREADS, PoolParams)
