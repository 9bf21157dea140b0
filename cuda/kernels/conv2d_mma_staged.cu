// hot: conv2d_staged_f16_128x128 conv2d_dx_staged_f16_128x128 conv2d_staged_bf16_128x128 conv2d_dx_staged_bf16_128x128 shared=56848
// hot: conv2d_staged_f16_128x64 conv2d_dx_staged_f16_128x64 conv2d_staged_bf16_128x64 conv2d_dx_staged_bf16_128x64 shared=46336
// hot: conv2d_staged_f16_128x32 conv2d_dx_staged_f16_128x32 conv2d_staged_bf16_128x32 conv2d_dx_staged_bf16_128x32 shared=41088
//
// Convolutions of staged pixels whose weights come through a ring of stages.
#include "conv2d_padded.cuh"

#if defined(ACUMEN_SIM) || __CUDA_ARCH__ >= 800
template <class T, int BN, int WM, int WN, bool GRAD> __device__ inline void staged(const Conv2DParams &p, char *s) {
  enum { BM = 128, ACROSS = GRAD ? 0 : 8 };
  typedef Tensor<T, BM, BN, WM, WN, true, !GRAD> Tile;
  typedef typename Tile::B B;
  enum { DEPTH = Tile::DEPTH };
  const Taps h = rows_of<GRAD>(p), w = cols_of<GRAD>(p);
  const Work work = work_of(p);
  const int m = p.images * h.extent * w.extent, m0 = work.row * BM;
  Padded<ACROSS> pad(p, h, w);
  pad.move(p, h, w, m0, min(m0 + BM, m));
  const int slices = p.xc / (8 * pad.S), per = (h.n * w.n * pad.S + 3) / 4, steps = slices * per;
  char *pixels = s + STAGES * B::BYTES, *zeros = pixels + (slices > 1 ? 2 : 1) * p.staged;
  Panels<typename Either<GRAD, Turned<T, BN, DEPTH, THREADS>, Filters<T, BN, DEPTH, THREADS>>::type> panels;
  panels.open(p, h, w, work, slices);
  auto fetch = [&](int stage) { panels.template fetch<DEPTH>(p, h, w, typename Tile::SB{s + stage * B::BYTES}); };

  const int warp = threadIdx.x / 32;
  Shifted<Tile, ACROSS> a;
  a.open(p, pad, h, w, m0 + warp / WN * Tile::HIGH);
  a.begin(pad, w);
  Tile tile;
  tile.clear();
  if (threadIdx.x == 0) *(uint4 *)zeros = make_uint4(0, 0, 0, 0);
  pad.template stage<T>(p, work.group, 0, pixels);
#pragma unroll 1
  for (int f = 0; f < STAGES - 1; f++) {
    if (f < steps) fetch(f);
    cp_async_commit();
  }
  int use = 0, fill = STAGES - 1, slice = 0, left = per; // steps left in the slice
#pragma unroll 1
  for (int t = 0; t < steps; t++) {
    cp_async_wait<STAGES - 2>();
    __syncthreads(); // this stage is there for all, and nobody reads the one before it any more, nor the slice before
    if (t + STAGES - 1 < steps) fetch(fill);
    if (left == per && slice + 1 < slices) pad.template stage<T>(p, work.group, slice + 1, pixels + (slice + 1) % 2 * p.staged);
    cp_async_commit();
    a.template multiply_step<T>(tile, p, pad, h, w, pixels + slice % 2 * p.staged, zeros, s + use * B::BYTES, warp % WN * Tile::WIDE);
    if (--left == 0) {
      left = per;
      slice++;
      a.begin(pad, w);
    }
    use = use == STAGES - 1 ? 0 : use + 1;
    fill = fill == STAGES - 1 ? 0 : fill + 1;
  }
  cp_async_wait_all();
  tile.template put_images<GRAD>(p, h, w, work, s);
}
#define BODY(T, BN, WM, WN, GRAD) \
  GUARD(p);                       \
  SHARED(char, s);                \
  staged<T, BN, WM, WN, GRAD>(p, s);
#else
#define BODY(T, BN, WM, WN, GRAD) // older GPUs compose their convolutions
#endif

#define STAGED(suffix, T)                                                                           \
  KERNEL(conv2d_staged_##suffix##_128x128, BLOCKS(2), Conv2DParams) { BODY(T, 128, 2, 2, false) }   \
  KERNEL(conv2d_staged_##suffix##_128x64, BLOCKS(3), Conv2DParams) { BODY(T, 64, 2, 2, false) }     \
  KERNEL(conv2d_staged_##suffix##_128x32, BLOCKS(3), Conv2DParams) { BODY(T, 32, 4, 1, false) }     \
  KERNEL(conv2d_dx_staged_##suffix##_128x128, BLOCKS(2), Conv2DParams) { BODY(T, 128, 2, 2, true) } \
  KERNEL(conv2d_dx_staged_##suffix##_128x64, BLOCKS(3), Conv2DParams) { BODY(T, 64, 2, 2, true) }   \
  KERNEL(conv2d_dx_staged_##suffix##_128x32, BLOCKS(3), Conv2DParams) { BODY(T, 32, 4, 1, true) }

STAGED(f16, f16)
STAGED(bf16, bf16)
