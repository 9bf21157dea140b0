// good.cu: correct kernels. Both builds must run them without a word.
#include "../../kernels/ptx.cuh"
#include "params.h"

KERNEL(axpy, 256, VectorParams) {
  for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < p.n; i += (i64)gridDim.x * blockDim.x) p.y[i] += 2 * p.x[i];
}

// Threads use bytes of their own, which lie side by side in shared memory.
KERNEL(bytes, 64, VectorParams) {
  __shared__ u8 s[64];
  s[threadIdx.x] = (u8)threadIdx.x;
  s[threadIdx.x] = (u8)(s[threadIdx.x] + 1);
  s[threadIdx.x] = (u8)(s[threadIdx.x] + 1);
  p.y[threadIdx.x] = s[threadIdx.x];
}

KERNEL(axpy4, 256, VectorParams) {
  for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < p.n / 4; i += (i64)gridDim.x * blockDim.x) {
    float4 x = ((const float4 *)p.x)[i], y = ((float4 *)p.y)[i];
    y.x += 2 * x.x, y.y += 2 * x.y, y.z += 2 * x.z, y.w += 2 * x.w;
    ((float4 *)p.y)[i] = y;
  }
}

template <class T> __device__ T warp_sum(T v) {
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(~0u, v, o);
  return v;
}

// Each block adds its part; the last one to come adds the parts, after a fence.
KERNEL(sum, 256, VectorParams) {
  __shared__ float part[8];
  __shared__ bool last;
  float v = 0;
  for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < p.n; i += (i64)gridDim.x * blockDim.x) v += p.x[i];
  v = warp_sum(v);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x < 32) {
    v = warp_sum(threadIdx.x < blockDim.x / 32 ? part[threadIdx.x] : 0.f);
    if (threadIdx.x == 0) {
      p.y[1 + blockIdx.x] = v;
      __threadfence();
      last = atomicAdd(p.flag, 1) == (int)gridDim.x - 1;
    }
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    v = 0;
    for (unsigned i = 0; i < gridDim.x; i++) v += p.y[1 + i];
    p.y[0] = v;
  }
}

KERNEL(collectives, 96, VectorParams) {
  int t = threadIdx.x, l = t % 32;
  int odd = __ballot_sync(~0u, t & 1), any = __any_sync(~0u, l == 7), all = __all_sync(~0u, l < 31);
  int up = __shfl_up_sync(~0u, t, 1), down = __shfl_down_sync(~0u, t, 4, 8), at = __shfl_sync(~0u, t, 5);
  int half = 0;
  if (l < 16) half = __shfl_xor_sync(0xffffu, l, 1);
  else half = __shfl_xor_sync(0xffff0000u, l, 2);
  int count = __syncthreads_count(t < 40), some = __syncthreads_or(t == 95), every = __syncthreads_and(t != 3);
  int *o = (int *)p.y + 10 * t;
  o[0] = odd, o[1] = any, o[2] = all, o[3] = up, o[4] = down, o[5] = at, o[6] = half, o[7] = count, o[8] = some, o[9] = every;
}

enum { TM = 64, TN = 64, TK = 16 };
KERNEL(sgemm, 256, MatrixParams) {
  __shared__ __align__(16) float as[TK][TM + 4];
  __shared__ __align__(16) float bs[TK][TN];
  const float *a = (const float *)p.a, *b = (const float *)p.b;
  int x = threadIdx.x % 16, y = threadIdx.x / 16, m0 = blockIdx.y * TM, n0 = blockIdx.x * TN;
  float acc[4][4] = {};
  for (int k0 = 0; k0 < p.k; k0 += TK) {
    for (int i = threadIdx.x; i < TM * TK; i += 256) as[i % TK][i / TK] = a[(m0 + i / TK) * p.k + k0 + i % TK];
    for (int i = threadIdx.x; i < TK * TN; i += 256) bs[i / TN][i % TN] = b[(k0 + i / TN) * p.n + n0 + i % TN];
    __syncthreads();
    for (int k = 0; k < TK; k++) {
      float4 u = *(const float4 *)&as[k][4 * y], v = *(const float4 *)&bs[k][4 * x];
      float r[4] = {u.x, u.y, u.z, u.w}, s[4] = {v.x, v.y, v.z, v.w};
      for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) acc[i][j] += r[i] * s[j];
    }
    __syncthreads();
  }
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) p.c[(m0 + 4 * y + i) * p.n + n0 + 4 * x + j] = acc[i][j];
}

// A warp computes 16x8 of C: two stages of cp.async in dynamic shared memory.
template <bool BF> __device__ void tensor_product(const MatrixParams &p) {
  SHARED(u16, tiles);
  const u16 *a = (const u16 *)p.a, *b = (const u16 *)p.b;
  int l = threadIdx.x, m0 = blockIdx.y * 16, n0 = blockIdx.x * 8;
  float c[4] = {};
  auto stage = [&](int k0, int s) {
    u16 *sa = tiles + s * 384, *sb = sa + 256;
    cp_async<16>(sa + l * 8, a + (m0 + l / 2) * p.k + k0 + l % 2 * 8);
    if (l < 16) cp_async<16>(sb + l * 8, b + (k0 + l) * p.n + n0);
    cp_async_commit();
  };
  stage(0, 0);
  for (int k0 = 0, s = 0; k0 < p.k; k0 += 16, s ^= 1) {
    if (k0 + 16 < p.k) {
      stage(k0 + 16, s ^ 1);
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
    __syncwarp();
    unsigned fa[4], fb[2];
    ldmatrix_x4(fa, tiles + s * 384 + l % 16 * 16 + l / 16 * 8);
    ldmatrix_x2_trans(fb, tiles + s * 384 + 256 + l % 16 * 8);
    if (BF) mma_bf16(c, fa, fb);
    else mma_f16(c, fa, fb);
    __syncwarp();
  }
  float *o = p.c + (m0 + l / 4) * p.n + n0 + l % 4 * 2;
  o[0] = c[0], o[1] = c[1], o[8 * p.n] = c[2], o[8 * p.n + 1] = c[3];
}
KERNEL(hgemm, 32, MatrixParams) { tensor_product<false>(p); }
KERNEL(bgemm, 32, MatrixParams) { tensor_product<true>(p); }

KERNEL(tf32gemm, 32, MatrixParams) {
  const float *a = (const float *)p.a, *b = (const float *)p.b;
  int g = threadIdx.x / 4, t = threadIdx.x % 4, m0 = blockIdx.y * 16, n0 = blockIdx.x * 8;
  float c[4] = {};
  for (int k = 0; k < p.k; k += 8) {
    const float *q = a + (m0 + g) * p.k + k + t;
    unsigned fa[4] = {to_tf32(q[0]), to_tf32(q[8 * p.k]), to_tf32(q[4]), to_tf32(q[8 * p.k + 4])};
    unsigned fb[2] = {to_tf32(b[(k + t) * p.n + n0 + g]), to_tf32(b[(k + t + 4) * p.n + n0 + g])};
    mma_tf32(c, fa, fb);
  }
  float *o = p.c + (m0 + g) * p.n + n0 + 2 * t;
  o[0] = c[0], o[1] = c[1], o[8 * p.n] = c[2], o[8 * p.n + 1] = c[3];
}

// Copies with fewer source bytes than the copy has: the rest is zero. And ldmatrix in its other shapes.
KERNEL(ragged, 32, VectorParams) {
  __shared__ __align__(16) float s[32][4];
  __shared__ __align__(16) u16 m[8][8];
  int l = threadIdx.x, n = (int)p.n - 4 * l;
  n = n < 0 ? 0 : n > 4 ? 4 : n;
  cp_async<16>(s[l], n ? p.x + 4 * l : p.x, 4 * (unsigned)n);
  cp_async_wait_all();
  for (int i = 0; i < 4; i++) p.y[4 * l + i] = s[l][i];
  m[l / 4][l % 4 * 2] = (u16)(2 * l), m[l / 4][l % 4 * 2 + 1] = (u16)(2 * l + 1);
  __syncwarp();
  unsigned r[1], t[1];
  ldmatrix_x1(r, m[l % 8]);
  ldmatrix_x1_trans(t, m[l % 8]);
  ((unsigned *)p.y)[128 + l] = r[0];
  ((unsigned *)p.y)[160 + l] = t[0];
}
