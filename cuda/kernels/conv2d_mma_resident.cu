// hot: conv2d_resident_f16_128x64 conv2d_resident_bf16_128x64 shared=110608
// hot: conv2d_dx_resident_f16_128x64 conv2d_dx_resident_bf16_128x64 shared=110608
// hot: conv2d_resident_f16_128x32 conv2d_resident_bf16_128x32 shared=79120
// hot: conv2d_dx_resident_f16_128x32 conv2d_dx_resident_bf16_128x32 shared=79120
//
// Convolutions of staged pixels whose weights stay in shared memory: a block has p.each neighbouring tiles of rows one after
// the other, and stages pixels for the next slice or tile while it multiplies those of one. It waits for its other threads
// once a slice, not once a panel of weights.
#include "conv2d_padded.cuh"

#if defined(ACUMEN_SIM) || __CUDA_ARCH__ >= 800
template <class T, int BN, int WM, int WN, bool GRAD> __device__ inline void resident(const Conv2DParams &p, char *s) {
  enum { BM = 128, ACROSS = GRAD ? 0 : 8 };
  typedef Tensor<T, BM, BN, WM, WN, true, !GRAD> Tile;
  typedef typename Tile::B B;
  enum { DEPTH = Tile::DEPTH };
  const Taps h = rows_of<GRAD>(p), w = cols_of<GRAD>(p);
  Work work = work_of(p);
  const int m = p.images * h.extent * w.extent, last = min((work.row + 1) * p.each, (m + BM - 1) / BM);
  work.row *= p.each;
  Padded<ACROSS> pad(p, h, w);
  const int slices = p.xc / (8 * pad.S), per = (h.n * w.n * pad.S + 3) / 4;
  char *pixels = s + slices * per * B::BYTES, *zeros = pixels + 2 * p.staged;
  if (threadIdx.x == 0) *(uint4 *)zeros = make_uint4(0, 0, 0, 0);
  pad.move(p, h, w, work.row * BM, min((work.row + 1) * BM, m));
  pad.template stage<T>(p, work.group, 0, pixels);
  {
    Panels<typename Either<GRAD, Turned<T, BN, DEPTH, THREADS>, Filters<T, BN, DEPTH, THREADS>>::type> panels;
    panels.open(p, h, w, work, slices);
#pragma unroll 1
    for (int t = 0; t < slices * per; t++) panels.template fetch<DEPTH>(p, h, w, typename Tile::SB{s + t * B::BYTES});
  }

  const int warp = threadIdx.x / 32;
  char *now = pixels, *next = pixels + p.staged;
#pragma unroll 1
  for (; work.row < last; work.row++) {
    Shifted<Tile, ACROSS> a;
    a.open(p, pad, h, w, work.row * BM + warp / WN * Tile::HIGH);
    Tile tile;
    tile.clear();
    const char *panel = s;
#pragma unroll 1
    for (int slice = 0; slice < slices; slice++) {
      cp_async_wait_all();
      __syncthreads(); // the slice is there for all, and nobody reads the one before it any more
      int ahead = slice + 1;
      if (ahead == slices) {
        ahead = 0;
        pad.move(p, h, w, (work.row + 1) * BM, min((work.row + 2) * BM, m));
      }
      if (ahead > 0 || work.row + 1 < last) pad.template stage<T>(p, work.group, ahead, next);
      a.begin(pad, w);
#pragma unroll 1
      for (int t = 0; t < per; t++, panel += B::BYTES)
        a.template multiply_step<T>(tile, p, pad, h, w, now, zeros, panel, warp % WN * Tile::WIDE);
      char *used = now;
      now = next, next = used;
    }
    tile.template put_images<GRAD>(p, h, w, work, next); // in the place of the slice that was used last
  }
}
#define BODY(T, BN, WM, WN, GRAD) \
  GUARD(p);                       \
  SHARED(char, s);                \
  resident<T, BN, WM, WN, GRAD>(p, s);
#else
#define BODY(T, BN, WM, WN, GRAD) // older GPUs compose their convolutions
#endif

#define RESIDENT(suffix, T)                                                                      \
  KERNEL(conv2d_resident_##suffix##_128x64, BLOCKS(3), Conv2DParams) { BODY(T, 64, 2, 2, false) }   \
  KERNEL(conv2d_resident_##suffix##_128x32, BLOCKS(3), Conv2DParams) { BODY(T, 32, 4, 1, false) }   \
  KERNEL(conv2d_dx_resident_##suffix##_128x64, BLOCKS(3), Conv2DParams) { BODY(T, 64, 2, 2, true) } \
  KERNEL(conv2d_dx_resident_##suffix##_128x32, BLOCKS(3), Conv2DParams) { BODY(T, 32, 4, 1, true) }

RESIDENT(f16, f16)
RESIDENT(bf16, bf16)
