// also: 90a
// hot: conv2d_patch_f16_256x64 conv2d_patch_bf16_256x64 conv2d_dx_patch_f16_256x64 conv2d_dx_patch_bf16_256x64 shared=70784
// hot: conv2d_patch_f16_256x32 conv2d_patch_bf16_256x32 conv2d_dx_patch_f16_256x32 conv2d_dx_patch_bf16_256x32 shared=54400
// hot: conv2d_patch_narrow_f16_256x64 conv2d_patch_narrow_bf16_256x64 conv2d_dx_patch_narrow_f16_256x64 conv2d_dx_patch_narrow_bf16_256x64 shared=52352
// hot: conv2d_patch_narrow_f16_256x32 conv2d_patch_narrow_bf16_256x32 conv2d_dx_patch_narrow_f16_256x32 conv2d_dx_patch_narrow_bf16_256x32 shared=35968
//
// The convolution forward and the gradient of the input of stride 1 on the tensor cores of compute capability 9.0, for up to
// 64 channels that are written, by patches. Two warpgroups a block, and two blocks a processor, so that one multiplies while
// the other waits or writes. The gradient is given weights whose input and output channels have changed places.
#include "conv2d_patch.cuh"

#ifdef ACUMEN_WGMMA
enum { STAGES = 4, THREADS = 256, TILES = HIGH / BM };
typedef Whole<THREADS> Block;

template <class T, int BN, int SLOT, bool GRAD> __device__ inline void images(const Conv2DParams &p, char *shared) {
  enum { STAGE = BN * 128, TAPS = DEPTH / SLOT, ZERO = STAGES * STAGE, PATCH = ZERO + 128 };
  char *s = shared + (-(u64)shared & 1023);
  const Taps h = of_stride_1<GRAD>(p.kh, p.padH, p.dilH, p.yh), w = of_stride_1<GRAD>(p.kw, p.padW, p.dilW, p.yw);
  const Work work = work_of(p);
  const int each = (p.kh * p.kw + TAPS - 1) / TAPS, slices = SLOT == DEPTH ? p.xc / DEPTH : 1, steps = slices * each;
  auto patch_at = [&](int patch) { return PATCH + (patch & 1) * p.patch * SLOT * 2; };
  Weights<T, BN, SLOT, THREADS> weights;
  Patch<T, SLOT, THREADS> pixels;
  weights.open(p, work);
  pixels.low = lowest<GRAD>(p, h, w, work.row);
  pixels.open(p, work.group, patch_at(0), 0);
  // The next slice's pixels are fetched in the steps of this one, but for the last two, whose copies come too late for the
  // fragments that are loaded a step ahead.
  const int passes = pixels.passes(p), share = (passes + each - 3) / max(each - 2, 1);
  pixels.fetch(p, s, passes);
  weights.fetch(p, s);
  cp_async_commit();
  if (steps > 1) weights.fetch(p, s + STAGE);
  cp_async_commit();
  const int lane = threadIdx.x % 32, half = lane / 16;
  if (threadIdx.x < 8) *(uint4 *)(s + ZERO + threadIdx.x * 16) = make_uint4(0, 0, 0, 0);

  // Of the pixels that lanes give to ldmatrix: where they are in the patch, and the taps that meet any.
  int at[TILES];
  u32 met[TILES];
#pragma unroll
  for (int m = 0; m < TILES; m++) {
    const Pixel px = pixel_of<GRAD ? 0 : 8>(p, h, w, (u32)work.row * HIGH + m * BM + threadIdx.x / 32 * 16 + lane % 16);
    at[m] = ((int)px.image * p.xh + px.i) * p.xw + px.j - pixels.low;
    met[m] = meeting(p, h, w, px);
  }
  auto load = [&](unsigned(&f)[4][4], int m, int patch, Tap tap) {
    int place = 0;
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int in = k * 16 % SLOT / 8; // the chunk of the slot
      if (in == 0 && k > 0) tap.next(p, h, w);
      if (in == 0) place = met[m] >> tap.number & 1 ? patch_at(patch) + in_patch<SLOT>(at[m] + tap.shift, half) : (int)ZERO;
      ldmatrix_x4(f[k], s + (place ^ in << 4));
    }
  };

  float sum[TILES][BN / 2];
#pragma unroll
  for (int m = 0; m < TILES; m++)
#pragma unroll
    for (int i = 0; i < BN / 2; i++) sum[m][i] = 0;
  unsigned f[TILES][4][4];
  const Tap zero(p, h, w);
  Tap tap = zero;
  int use = 0, now = 0, slice = 0; // the step's number in its slice
  cp_async_wait<1>();
  wgmma_see();
  __syncthreads();
  load(f[0], 0, 0, tap);
#pragma unroll 1
  for (int t = 0; t < steps; t++) {
    if (t) {
      cp_async_wait<1>();
      wgmma_see();
      __syncthreads(); // the step's weights are there for all, and nobody uses those of the step before the last
    }
    const u64 cols = wgmma_matrix(s + use * STAGE);
#pragma unroll
    for (int m = 0; m < TILES; m++) {
      wgmma_open();
#pragma unroll
      for (int k = 0; k < 4; k++) wgmma_rows<false>(T(), sum[m], f[m][k], cols + 2 * k);
      wgmma_commit();
      wgmma_wait<1>(); // the fragments of those before may change
      if (m == 0) {
        load(f[1], 1, slice, tap);
        if (t + 2 < steps) weights.fetch(p, s + (use ^ 2) * STAGE);
        if (SLOT == DEPTH && slice + 1 < slices) {
          if (now == 0) pixels.open(p, work.group, patch_at(slice + 1), (slice + 1) * DEPTH);
          if (now < each - 2) pixels.fetch(p, s, share);
        }
        cp_async_commit();
#pragma unroll
        for (int e = 0; e < TAPS; e++) tap.next(p, h, w);
        if (++now == each) now = 0, tap = zero, slice++;
      } else if (t + 1 < steps) {
        load(f[0], 0, slice, tap);
      }
    }
    use = use + 1 & 3;
  }
  cp_async_wait_all();
  wgmma_wait<0>();
#pragma unroll
  for (int m = 0; m < TILES; m++) wgmma_hold(sum[m]);
#pragma unroll
  for (int m = 0; m < TILES; m++) {
    const Work tile = {work.row * TILES + m, work.col, work.group, 0};
    if (m && (i64)tile.row * BM >= (i64)p.images * p.yh * p.yw) break;
    __syncthreads();
    Sums<BN, Block>::turn(s, sum[m]);
    Moments moments;
    if (!GRAD && p.pool) pool<T, BN, Block>(p, tile, s, moments);
    else write<T, BN, Block, GRAD>(p, tile, s, places<Block>(p, h, w, tile, s + Sums<BN, Block>::BYTES), moments);
    if (!GRAD && p.moments) join_moments<BN, Block>(p, tile, s, moments);
  }
}
#define BODY(T, BN, SLOT, GRAD) \
  GUARD(p);                     \
  SHARED(char, s);              \
  images<T, BN, SLOT, GRAD>(p, s);
#else
#define BODY(T, BN, SLOT, GRAD) // other GPUs have conv2d_mma_*.cu
#endif

#ifdef ACUMEN_SIM
#define SHARED_BY_TWO 256
#else
#define SHARED_BY_TWO 256, 2
#endif

#define PATCH(pass, suffix, T, GRAD)                                                                    \
  KERNEL(pass##_##suffix##_256x64, SHARED_BY_TWO, Conv2DParams) { BODY(T, 64, 64, GRAD) }              \
  KERNEL(pass##_##suffix##_256x32, SHARED_BY_TWO, Conv2DParams) { BODY(T, 32, 64, GRAD) }              \
  KERNEL(pass##_narrow_##suffix##_256x64, SHARED_BY_TWO, Conv2DParams) { BODY(T, 64, 32, GRAD) }       \
  KERNEL(pass##_narrow_##suffix##_256x32, SHARED_BY_TWO, Conv2DParams) { BODY(T, 32, 32, GRAD) }

PATCH(conv2d_patch, f16, f16, false)
PATCH(conv2d_patch, bf16, bf16, false)
PATCH(conv2d_dx_patch, f16, f16, true)
PATCH(conv2d_dx_patch, bf16, bf16, true)
