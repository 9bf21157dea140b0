// conv2d.cuh is what the kernels of convolutions share. Each convolution is a product of matrices that are never made
// (implicit GEMM). Those of images, forward and the gradient of the input, have a row for each pixel that is written, and
// sum along k, the taps of the kernel and within a tap the channels. The gradient of the weights sums along the positions.
#pragma once
#include "unary.cuh"

struct Conv2DParams {
  Fault *fault;
  const void *x;    // images that are gathered (N,XH,XW,G XC): x; in the gradient of the input dy
  const void *w;    // weights (O,KH,KW,C/G); in the gradient of the weights dy
  const void *bias; // (O), or none
  void *y;          // images that are written (N,YH,YW,G YC), or dw
  float *part;      // sums of the splits, if there are several
  int *idx;         // places of maxima, or none
  float *moments;   // of each row of tiles the means, and the sums of squared distances from them, of what is written; or none
  i64 xImage, yImage; // strides in elements; positions of dy in the gradient of the weights lie evenly, yCol apart
  int xRow, xCol, yRow, yCol;
  int xh, xw, yh, yw, xc, yc; // extents; channels of a group
  int images, groups;
  int kh, kw, strideH, strideW, padH, padW, dilH, dilW;
  int tapH, tapW, offH, offW; // gradient of the input: of the kernel each tapH-th row meets a pixel, offH rows of dy apart
  int splits, rows, cols;     // tiles
  int act, biasType, yType, together; // 1: four neighbours in y can be written at once
  float beta;
  int pool; // 1: maxima of windows of 2x2 are written, of which yh and yw are all pixels
  int patch; // how many pixels are staged at a time, where they are staged once for all taps
};

// Taps are the rows, or the columns, of the kernel that meet the pixels start, start + pitch, ..., extent of them, and
// where: number t of them is tap first + t step, and lies on the source pixel i scale + offset + t apart for pixel i.
struct Taps {
  int n, first, step, offset, apart, scale, start, pitch, extent;
};

// taps_of gives the taps. GRAD: of the transposed convolution, where only each stride-th pixel meets the same taps.
template <bool GRAD> __device__ inline Taps taps_of(int k, int stride, int pad, int dil, int step, int apart, int extent, int phase) {
  if (!GRAD) return {k, 0, 1, -pad, dil, stride, 0, 1, extent};
  Taps t = {0, 0, step, 0, -apart, 1, phase, stride, (extent - phase + stride - 1) / stride};
  for (int r = 0; r < step && r < k; r++) {
    int at = phase + pad - r * dil, q = at / stride;
    if (q * stride != at) continue;
    t.first = r, t.offset = q, t.n = (k - r + step - 1) / step;
    break;
  }
  return t;
}

template <bool GRAD> __device__ inline Taps rows_of(const Conv2DParams &p) {
  return taps_of<GRAD>(p.kh, p.strideH, p.padH, p.dilH, p.tapH, p.offH, p.yh, GRAD ? (int)blockIdx.z / p.strideW : 0);
}

template <bool GRAD> __device__ inline Taps cols_of(const Conv2DParams &p) {
  return taps_of<GRAD>(p.kw, p.strideW, p.padW, p.dilW, p.tapW, p.offW, p.yw, GRAD ? (int)blockIdx.z % p.strideW : 0);
}

// Depth walks along k: row and column among the taps, and channel.
struct Depth {
  int r, s, c;
  __device__ void open(int k, int channels, int columns) {
    int t = k / channels;
    c = k - t * channels;
    r = columns ? t / columns : 0;
    s = t - r * columns;
  }
  __device__ void advance(int by, int channels, int columns) {
    for (c += by; c >= channels;) {
      c -= channels;
      if (++s >= columns) s = 0, r++;
    }
  }
};

// Work is a block's tile of the product, its group of channels, and its part of k.
struct Work {
  int row, col, group, split;
};

// work_of lets blocks that run together share rows of the gathered images.
__device__ inline Work work_of(const Conv2DParams &p) {
  u32 t = blockIdx.x / (u32)p.cols, split = t / (u32)p.rows;
  return {(int)(t - split * p.rows), (int)(blockIdx.x - t * p.cols), (int)blockIdx.y, (int)split};
}

// activate is the activation without parameters that a convolution ends with.
__device__ inline float activate(int act, float v) {
  switch (act) {
  case RELU: return Un<RELU>::f(v, 0.f, 0.f);
  case SIGMOID: return Un<SIGMOID>::f(v, 0.f, 0.f);
  case TANH: return Un<TANH>::f(v, 0.f, 0.f);
  case GELU: return Un<GELU>::f(v, 0.f, 0.f);
  case GELU_TANH: return Un<GELU_TANH>::f(v, 0.f, 0.f);
  case SILU: return Un<SILU>::f(v, 0.f, 0.f);
  }
  return v;
}

// Pixel is what a row of a product stands for: an image (the last or beyond: none), and row and column among a phase's.
struct Pixel {
  u32 image;
  int i, j;
};

// pixel_of finds the pixel of row m. ACROSS: where p.pool is set, the pixels of a window lie so many rows apart in a block of
// 4 ACROSS rows, so that one thread has the sums of all four; 0: nothing is pooled.
template <int ACROSS> __device__ inline Pixel pixel_of(const Conv2DParams &p, const Taps &h, const Taps &w, u32 m) {
  const bool pool = ACROSS && p.pool;
  const u32 wide = pool ? w.extent >> 1 : w.extent, high = pool ? h.extent >> 1 : h.extent;
  u32 tap = 0;
  if (pool) {
    enum { A = ACROSS ? ACROSS : 1 };
    tap = m / A % 4;
    m = m / (4 * A) * A + m % A;
  }
  const u32 row = m / wide, image = row / high;
  const int i = (int)(row - image * high), j = (int)(m - row * wide);
  if (pool) return {image, 2 * i + (int)(tap >> 1), 2 * j + (int)(tap & 1)};
  return {image, i, j};
}

// place is where pixel m of a phase lies in y, or, of splits, in the sums: the first channel of the group; -1: nowhere.
__device__ inline i64 place(const Conv2DParams &p, const Taps &h, const Taps &w, int group, int m) {
  const Pixel at = pixel_of<0>(p, h, w, m);
  if (at.image >= (u32)p.images) return -1;
  int i = h.start + at.i * h.pitch, j = w.start + at.j * w.pitch;
  if (p.splits > 1) return (((i64)at.image * p.yh + i) * p.yw + j) * p.groups * p.yc + group * p.yc;
  return at.image * p.yImage + (i64)i * p.yRow + (i64)j * p.yCol + group * p.yc;
}

template <class T> struct alignas(4 * sizeof(T)) Quad {
  T v[4];
};

// Moments are the mean of each of four channels, and the sum of squared distances from it, of n numbers.
struct Moments {
  float n, mean[4], m2[4];
  __device__ Moments() : n(0), mean{0, 0, 0, 0}, m2{0, 0, 0, 0} {}
  // add is a step of Welford's (Technometrics 4, 1962): nothing cancels, wherever the mean is.
  template <class T> __device__ void add(const Quad<T> &q) {
    n += 1;
    const float share = __fdividef(1.f, n);
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const float x = to_f32(q.v[e]), off = x - mean[e];
      mean[e] += off * share;
      m2[e] += off * (x - mean[e]);
    }
  }
};

// write4 writes four channels of which left are there.
template <class T> __device__ inline void write4(const Conv2DParams &p, T *to, const Quad<T> &q, int left) {
  if (p.together) {
    *(Quad<T> *)to = q;
    return;
  }
  for (int e = 0; e < 4; e++)
    if (e < left) to[e] = q.v[e];
}

// put4 finishes the sums of four channels of a group, from col on, of the pixel at a place.
template <class T, bool GRAD>
__device__ inline void put4(const Conv2DParams &p, const Work &b, i64 at, int col, const float4 &sums, Moments &moments) {
  if (at < 0 || col >= p.yc) return;
  const float *sum = &sums.x;
  const int left = p.yc - col;
  if (p.splits > 1) {
    float *to = p.part + b.split * ((i64)p.images * p.yh * p.yw * p.groups * p.yc) + at + col;
    for (int e = 0; e < 4; e++)
      if (e < left) to[e] = sum[e];
    return;
  }
  Quad<T> q;
  for (int e = 0; e < 4; e++) {
    float v = sum[e];
    if (!GRAD && e < left) {
      if (p.bias) v += load<float>(p.bias, p.biasType, b.group * p.yc + col + e);
      v = activate(p.act, v);
    }
    q.v[e] = from_f32<T>(v);
  }
  if (!GRAD && p.moments) moments.add(q);
  write4(p, (T *)p.y + at + col, q, left);
}

// put4_weights finishes the sums of four of the elements k of row o of a group in dw.
__device__ inline void put4_weights(const Conv2DParams &p, const Work &b, int o, int k, const float4 &sums) {
  const int ks = p.kh * p.kw * p.xc, left = ks - k;
  if (o >= p.yc || left <= 0) return;
  const float *sum = &sums.x;
  i64 at = ((i64)b.group * p.yc + o) * ks + k;
  float *to = p.part + b.split * ((i64)p.groups * p.yc * ks) + at;
  for (int e = 0; e < 4; e++) {
    if (e >= left) break;
    if (p.splits > 1) {
      to[e] = sum[e];
      continue;
    }
    float v = sum[e];
    if (p.beta != 0) v += p.beta * load<float>(p.y, p.yType, at + e);
    store<float>(p.y, p.yType, at + e, v);
  }
}
