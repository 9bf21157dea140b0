// hot: conv2d_few_f16_32 conv2d_few_bf16_32 shared=4096
// hot: conv2d_few_f16_24 conv2d_few_bf16_24 shared=3072
// hot: conv2d_few_f16_8 conv2d_few_bf16_8 shared=1024
//
// The convolution forward where few numbers meet in a sum, as in a network's first layer: on CUDA cores, since matrices of
// them would be mostly zeros and memory is what bounds it. A thread has two pixels and N channels; the weights are in shared
// memory, as floats.
#include "conv2d.cuh"
#include "pack.cuh"

enum { THREADS = 128, EACH = 2 }; // pixels of a thread

template <class T, int N> __device__ inline void few(const Conv2DParams &p, float *weights) {
  const int depth = p.kh * p.kw * p.xc, first = blockIdx.y * N;
  for (int e = threadIdx.x; e < depth * N; e += THREADS) weights[e] = to_f32(((const T *)p.w)[(i64)(first + e % N) * depth + e / N]);
  __syncthreads();
  const Taps h = rows_of<false>(p), w = cols_of<false>(p);
  const T *x[EACH];
  int i[EACH], j[EACH];
  Pixel at[EACH];
#pragma unroll
  for (int q = 0; q < EACH; q++) {
    at[q] = pixel_of<0>(p, h, w, (blockIdx.x * EACH + q) * THREADS + threadIdx.x);
    const bool there = at[q].image < (u32)p.images;
    i[q] = there ? at[q].i * p.strideH - p.padH : -(1 << 30), j[q] = at[q].j * p.strideW - p.padW;
    x[q] = (const T *)p.x + (there ? at[q].image : 0) * p.xImage + (i64)i[q] * p.xRow + (i64)j[q] * p.xCol;
  }
  float sum[EACH][N];
#pragma unroll
  for (int n = 0; n < N; n++) {
    const float bias = p.bias ? load<float>(p.bias, p.biasType, first + n) : 0;
#pragma unroll
    for (int q = 0; q < EACH; q++) sum[q][n] = bias;
  }
  const float *weight = weights;
#pragma unroll 1
  for (int r = 0; r < p.kh; r++)
#pragma unroll 1
    for (int s = 0; s < p.kw; s++) {
      const int di = r * p.dilH, dj = s * p.dilW;
      const i64 off = (i64)di * p.xRow + (i64)dj * p.xCol;
      bool meets[EACH];
#pragma unroll
      for (int q = 0; q < EACH; q++) meets[q] = (u32)(i[q] + di) < (u32)p.xh && (u32)(j[q] + dj) < (u32)p.xw;
#pragma unroll 1
      for (int c = 0; c < p.xc; c++, weight += N) {
        float v[EACH];
#pragma unroll
        for (int q = 0; q < EACH; q++) v[q] = meets[q] ? to_f32(x[q][off + c]) : 0;
#pragma unroll
        for (int n = 0; n < N; n += 4) {
          const float4 f = *(const float4 *)(weight + n);
#pragma unroll
          for (int q = 0; q < EACH; q++) {
            sum[q][n] += v[q] * f.x;
            sum[q][n + 1] += v[q] * f.y;
            sum[q][n + 2] += v[q] * f.z;
            sum[q][n + 3] += v[q] * f.w;
          }
        }
      }
    }
#pragma unroll
  for (int q = 0; q < EACH; q++) {
    if (at[q].image >= (u32)p.images) continue;
    T *y = (T *)p.y + at[q].image * p.yImage + (i64)at[q].i * p.yRow + (i64)at[q].j * p.yCol + first;
#pragma unroll
    for (int n = 0; n < N; n += 8) {
      Pack<T, 8> eight;
#pragma unroll
      for (int e = 0; e < 8; e++) eight.e[e] = from_f32<T>(p.act == RELU ? Un<RELU>::f(sum[q][n + e], 0.f, 0.f) : sum[q][n + e]);
      *(Pack<T, 8> *)(y + n) = eight;
    }
  }
}

#define FEW(suffix, T)                                                \
  KERNEL(conv2d_few_##suffix##_32, THREADS, Conv2DParams) {           \
    GUARD(p);                                                         \
    SHARED(float, s);                                                 \
    few<T, 32>(p, s);                                                 \
  }                                                                   \
  KERNEL(conv2d_few_##suffix##_24, THREADS, Conv2DParams) {           \
    GUARD(p);                                                         \
    SHARED(float, s);                                                 \
    few<T, 24>(p, s);                                                 \
  }                                                                   \
  KERNEL(conv2d_few_##suffix##_8, THREADS, Conv2DParams) {            \
    GUARD(p);                                                         \
    SHARED(float, s);                                                 \
    few<T, 8>(p, s);                                                  \
  }

FEW(f16, f16)
FEW(bf16, bf16)
