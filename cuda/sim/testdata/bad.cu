// bad.cu: kernels with one fault each, and without it where p.mended is 1.
#include "../../kernels/wgmma.cuh"
#include "params.h"

KERNEL(read_beyond, 64, VectorParams) {
  int i = threadIdx.x;
  p.y[i] = p.x[i + !p.mended];
}
KERNEL(write_beyond, 64, VectorParams) {
  int i = threadIdx.x;
  p.y[i + (i == 63 && !p.mended)] = p.x[i];
}
KERNEL(shared_beyond, 64, VectorParams) {
  SHARED(float, s);
  s[threadIdx.x] = p.x[threadIdx.x];
  __syncthreads();
  p.y[threadIdx.x] = s[threadIdx.x + !p.mended];
}
KERNEL(index_beyond, 64, VectorParams) {
  __shared__ float s[64];
  s[threadIdx.x + !p.mended] = p.x[threadIdx.x];
  __syncthreads();
  p.y[threadIdx.x] = s[threadIdx.x];
}
// Also the kernel of the uses of freed and of unwritten memory.
KERNEL(copy, 64, VectorParams) {
  p.y[threadIdx.x] = p.x[threadIdx.x];
}
KERNEL(shared_unwritten, 64, VectorParams) {
  __shared__ float s[65];
  s[threadIdx.x] = p.x[threadIdx.x];
  __syncthreads();
  p.y[threadIdx.x] = s[threadIdx.x + !p.mended];
}
KERNEL(no_syncthreads, 64, VectorParams) {
  __shared__ float s[64];
  s[63 - threadIdx.x] = 0;
  __syncthreads();
  s[threadIdx.x] = p.x[threadIdx.x];
  if (p.mended) __syncthreads();
  p.y[threadIdx.x] = s[63 - threadIdx.x];
}
// The second round writes what others may still read.
KERNEL(one_syncthreads, 64, VectorParams) {
  __shared__ float s[64];
  for (int round = 0; round < 2; round++) {
    s[threadIdx.x] = p.x[threadIdx.x] + round;
    __syncthreads();
    p.y[threadIdx.x] = s[(threadIdx.x + 32) % 64];
    if (p.mended) __syncthreads();
  }
}
// A thread writes what the others have read: without a barrier some may read it later. Here it runs last.
KERNEL(overwritten, 64, VectorParams) {
  __shared__ float s;
  if (threadIdx.x == 0) s = p.x[0];
  __syncthreads();
  p.y[threadIdx.x] = s;
  if (p.mended) __syncthreads();
  if (threadIdx.x == blockDim.x - 2) s = 0;
}
template <bool WAIT, bool SYNC> __device__ void staged(const VectorParams &p) {
  __shared__ __align__(16) u16 s[8 * 8];
  int l = threadIdx.x;
  s[2 * l] = s[2 * l + 1] = 0;
  __syncwarp();
  if (l < 8) cp_async<16>(s + 8 * l, (const u16 *)p.x + 8 * l);
  cp_async_commit();
  if (WAIT || p.mended) cp_async_wait<0>();
  if (SYNC || p.mended) __syncwarp();
  unsigned r[1];
  ldmatrix_x1(r, s + l % 8 * 8);
  ((unsigned *)p.y)[l] = r[0];
}
KERNEL(no_syncwarp, 32, VectorParams) { staged<true, false>(p); }
KERNEL(no_wait, 32, VectorParams) { staged<false, true>(p); }

KERNEL(blocks_race, 64, VectorParams) {
  p.y[threadIdx.x + (p.mended ? 64 * blockIdx.x : 0)] = p.x[threadIdx.x] + blockIdx.x;
}
KERNEL(blocks_race_read, 64, VectorParams) {
  int i = blockIdx.x * 64 + threadIdx.x;
  p.y[i] = i >= 64 && !p.mended ? p.y[i - 64] : p.x[threadIdx.x];
}
KERNEL(misaligned, 64, VectorParams) {
  float4 v = *(const float4 *)(p.x + (p.mended ? 4 : 1));
  p.y[threadIdx.x] = v.x + v.y + v.z + v.w;
}
KERNEL(misaligned_copy, 64, VectorParams) {
  __shared__ __align__(16) float s[64 * 4];
  cp_async<16>(s + 4 * threadIdx.x, p.x + (p.mended ? 4 : 1));
  cp_async_wait_all();
  p.y[threadIdx.x] = s[4 * threadIdx.x];
}
KERNEL(divergent_barrier, 64, VectorParams) {
  if (threadIdx.x < 10 || p.mended) __syncthreads();
  else p.y[threadIdx.x] = __shfl_sync(~0u, p.x[0], 0);
}
// Threads 32 to 63 wait for the phase that those before them end, or for copies into it (mbarrier); which they do not without
// the last arrival.
KERNEL(phase_never_ends, 64, VectorParams) {
  __shared__ float s[32];
  __shared__ u64 bar;
  if (threadIdx.x == 0) phase_init(&bar, 32);
  __syncthreads();
  if (threadIdx.x < 32) {
    cp_async<4>(&s[threadIdx.x], &p.x[threadIdx.x]);
    if (threadIdx.x < 31 || p.mended) phase_copied(&bar);
  } else {
    phase_wait(&bar, 0);
    p.y[threadIdx.x] = s[threadIdx.x - 32];
    group_sync<32>(1);
  }
}
// A product of a warpgroup still reads its factors when they are written to.
KERNEL(product_overwritten, 128, VectorParams) {
  SHARED(char, raw);
  char *s = raw + (-(u64)raw & 1023);
  for (int i = threadIdx.x; i < 12 * 256; i += 128) ((float *)s)[i] = 0;
  wgmma_see();
  __syncthreads();
  float c[16] = {};
  wgmma_open();
  wgmma_f16(c, wgmma_matrix(s), wgmma_matrix(s + 8 * 1024));
  wgmma_commit();
  if (p.mended) wgmma_wait<0>();
  __syncthreads();
  ((float *)s)[threadIdx.x] = 1;
  wgmma_wait<0>();
  if (threadIdx.x < 64) p.y[threadIdx.x] = c[0];
}
KERNEL(group_barrier, 64, VectorParams) {
  if (threadIdx.x < 32) group_sync<64>(1);
  else if (p.mended) group_sync<64>(1);
}
KERNEL(wild, 64, VectorParams) {
  *(float *)(p.n + 4 * threadIdx.x) = 1;
}
KERNEL(host_pointer, 64, VectorParams) {
  p.y[threadIdx.x] = *(const float *)p.n;
}
KERNEL(divide_by_zero, 64, VectorParams) {
  p.y[threadIdx.x] = 5 / (int)(p.n - 64);
}
KERNEL(add, 64, VectorParams) {
  p.y[threadIdx.x] += p.x[threadIdx.x];
}
