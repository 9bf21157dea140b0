// Convolutions with one channel a group: no product of matrices, but a sum over the taps for each element. A thread has V
// adjacent channels; a block has p.cols such packs of channels, and p.rows positions at a time. p.together: packs lie at
// multiples of 16 bytes.
// hot: conv2d_depthwise_f32x4 conv2d_depthwise_f16x8 conv2d_depthwise_bf16x8 shared=9216
// hot: conv2d_depthwise_dx_f32x4 conv2d_depthwise_dx_f16x8 conv2d_depthwise_dx_bf16x8 shared=9216
// hot: conv2d_depthwise_dw_f32x4 conv2d_depthwise_dw_f16x8 conv2d_depthwise_dw_bf16x8 shared=8192
#include "conv2d.cuh"
#include "pack.cuh"

// Lane is a thread's place in its block: a line of positions, a pack of channels in the block's tile, and its channel.
template <int V> struct Lane {
  int line, pack, channel;
  bool mine;
  __device__ Lane(const Conv2DParams &p) {
    line = threadIdx.x / p.cols;
    pack = threadIdx.x - line * p.cols;
    channel = (blockIdx.y * p.cols + pack) * V;
    mine = line < p.rows && channel < p.groups;
  }
};

// source is the pixel of one axis that tap r gives to pixel i; false if there is none.
template <bool GRAD> __device__ inline bool source(int i, int r, int stride, int pad, int dil, int extent, int &at) {
  at = GRAD ? i + pad - r * dil : i * stride - pad + r * dil;
  if (GRAD) {
    if (at < 0) return false;
    int q = at / stride;
    if (q * stride != at) return false;
    at = q;
  }
  return (u32)at < (u32)extent;
}

// depthwise is the convolution, or with GRAD the gradient of its input.
template <class T, int V, bool GRAD> __device__ inline void depthwise(const Conv2DParams &p, float *ws) {
  const Lane<V> me(p);
  const int taps = p.kh * p.kw, wide = p.cols * V;
  for (int e = threadIdx.x; e < taps * wide; e += blockDim.x) {
    int t = e / wide, c = blockIdx.y * wide + e - t * wide;
    ws[e] = c < p.groups ? to_f32(((const T *)p.w)[(i64)c * taps + t]) : 0;
  }
  __syncthreads();
  if (!me.mine) return;
  const u32 positions = (u32)p.images * p.yh * p.yw;
  for (u32 m = blockIdx.x * p.rows + me.line; m < positions; m += gridDim.x * p.rows) {
    const u32 row = m / (u32)p.yw, j = m - row * (u32)p.yw, image = row / (u32)p.yh, i = row - image * (u32)p.yh;
    const T *x = (const T *)p.x + image * p.xImage + me.channel;
    float sum[V];
#pragma unroll
    for (int v = 0; v < V; v++) sum[v] = 0;
    for (int r = 0; r < p.kh; r++) {
      int h, w;
      if (!source<GRAD>(i, r, p.strideH, p.padH, p.dilH, p.xh, h)) continue;
      for (int s = 0; s < p.kw; s++) {
        if (!source<GRAD>(j, s, p.strideW, p.padW, p.dilW, p.xw, w)) continue;
        const Pack<T, V> q = load_pack<T, V>(x + (i64)h * p.xRow + (i64)w * p.xCol, p.together);
        const float *weight = ws + (r * p.kw + s) * wide + me.pack * V;
#pragma unroll
        for (int v = 0; v < V; v++) sum[v] = fmaf(to_f32(q.e[v]), weight[v], sum[v]);
      }
    }
    Pack<T, V> y;
#pragma unroll
    for (int v = 0; v < V; v++) {
      float a = sum[v];
      if (!GRAD) {
        if (p.bias) a += load<float>(p.bias, p.biasType, me.channel + v);
        a = activate(p.act, a);
      }
      y.e[v] = from_f32<T>(a);
    }
    store_pack<T, V>((T *)p.y + image * p.yImage + (i64)i * p.yRow + (i64)j * p.yCol + me.channel, y, p.together);
  }
}

// depthwise_weights is the gradient of the weights: a tap is blockIdx.z, a part of the positions blockIdx.x.
template <class T, int V> __device__ inline void depthwise_weights(const Conv2DParams &p, float *sums) {
  const Lane<V> me(p);
  const int taps = p.kh * p.kw, wide = p.cols * V, tap = blockIdx.z;
  const int di = tap / p.kw * p.dilH - p.padH, dj = tap % p.kw * p.dilW - p.padW;
  const u32 positions = (u32)p.images * p.yh * p.yw, each = (positions + p.splits - 1) / p.splits, first = blockIdx.x * each;
  const u32 end = min(positions, first + each);
  float sum[V];
#pragma unroll
  for (int v = 0; v < V; v++) sum[v] = 0;
  if (me.mine)
    for (u32 m = first + me.line; m < end; m += p.rows) {
      const u32 row = m / (u32)p.yw, j = m - row * (u32)p.yw, image = row / (u32)p.yh, i = row - image * (u32)p.yh;
      const int h = (int)i * p.strideH + di, w = (int)j * p.strideW + dj;
      if ((u32)h >= (u32)p.xh || (u32)w >= (u32)p.xw) continue;
      const Pack<T, V> x = load_pack<T, V>((const T *)p.x + image * p.xImage + (i64)h * p.xRow + (i64)w * p.xCol + me.channel, p.together);
      const Pack<T, V> g = load_pack<T, V>((const T *)p.w + (i64)m * p.yCol + me.channel, p.together);
#pragma unroll
      for (int v = 0; v < V; v++) sum[v] = fmaf(to_f32(x.e[v]), to_f32(g.e[v]), sum[v]);
    }
  if (me.line < p.rows)
    for (int v = 0; v < V; v++) sums[me.line * wide + me.pack * V + v] = sum[v];
  __syncthreads();
  for (int e = threadIdx.x; e < wide; e += blockDim.x) {
    const int c = blockIdx.y * wide + e;
    if (c >= p.groups) break;
    float a = 0;
    for (int l = 0; l < p.rows; l++) a += sums[l * wide + e];
    const i64 at = (i64)c * taps + tap;
    if (p.splits > 1) {
      p.part[blockIdx.x * ((i64)p.groups * taps) + at] = a;
      continue;
    }
    if (p.beta != 0) a += p.beta * load<float>(p.y, p.yType, at);
    store<float>(p.y, p.yType, at, a);
  }
}

#define DEPTHWISE(suffix, T, V)                                \
  KERNEL(conv2d_depthwise_##suffix, 256, Conv2DParams) {       \
    GUARD(p);                                                  \
    SHARED(float, s);                                          \
    depthwise<T, V, false>(p, s);                              \
  }                                                            \
  KERNEL(conv2d_depthwise_dx_##suffix, 256, Conv2DParams) {    \
    GUARD(p);                                                  \
    SHARED(float, s);                                          \
    depthwise<T, V, true>(p, s);                               \
  }                                                            \
  KERNEL(conv2d_depthwise_dw_##suffix, 256, Conv2DParams) {    \
    GUARD(p);                                                  \
    SHARED(float, s);                                          \
    depthwise_weights<T, V>(p, s);                             \
  }

DEPTHWISE(f32x4, float, 4)
DEPTHWISE(f16x8, f16, 8)
DEPTHWISE(bf16x8, bf16, 8)
DEPTHWISE(f32x1, float, 1)
DEPTHWISE(f16x1, f16, 1)
DEPTHWISE(bf16x1, bf16, 1)
