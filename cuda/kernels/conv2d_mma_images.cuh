// conv2d_mma_images.cuh has the convolution forward and the gradient of its input on tensor cores, as conv2d.cu has them
// on CUDA cores.
#pragma once
#include "conv2d_mma.cuh"

#if defined(ACUMEN_SIM) || __CUDA_ARCH__ >= 800
// WHOLE: 16 bytes of channels lie together in both operands.
template <class T, int BM, int BN, int WM, int WN, bool GRAD, bool WHOLE> __device__ inline void images(const Conv2DParams &p, char *s) {
  typedef Tensor<T, BM, BN, WM, WN, true, !GRAD> Tile;
  enum { DEPTH = Tile::DEPTH };
  const Taps h = rows_of<GRAD>(p), w = cols_of<GRAD>(p);
  const Work work = work_of(p);
  if ((i64)work.row * BM >= (i64)p.images * h.extent * w.extent) return;
  const int all = (h.n * w.n * p.xc + DEPTH - 1) / DEPTH, each = (all + p.splits - 1) / p.splits, first = work.split * each;
  Pixels<T, BM, DEPTH, THREADS, GRAD ? 0 : 8> a;
  typename Either<GRAD, Turned<T, BN, DEPTH, THREADS>, Filters<T, BN, DEPTH, THREADS>>::type b;
  a.open(p, h, w, work, first * DEPTH);
  b.open(p, h, w, work, first * DEPTH);
  Tile tile;
  tile.multiply_tiles(
      min(each, all - first), s, [&](typename Tile::SA to) { a.template fetch<WHOLE>(p, h, w, to); },
      [&](typename Tile::SB to) { b.template fetch<WHOLE>(p, h, w, to); });
  tile.template put_images<GRAD>(p, h, w, work, s);
}
#define BODY(T, BM, BN, WM, WN, GRAD, WHOLE) \
  GUARD(p);                                  \
  SHARED(char, s);                           \
  images<T, BM, BN, WM, WN, GRAD, WHOLE>(p, s);
#else
#define BODY(T, BM, BN, WM, WN, GRAD, WHOLE) // older GPUs compose their convolutions
#endif

#define IMAGES(name, T, BM, BN, WM, WN, GRAD, WHOLE) \
  KERNEL(name, BLOCKS(BM * BN == 128 * 128 ? 2 : 3), Conv2DParams) { BODY(T, BM, BN, WM, WN, GRAD, WHOLE) }

#define FAMILY(pass, suffix, T, GRAD)                                      \
  IMAGES(pass##_##suffix##_128x128, T, 128, 128, 2, 2, GRAD, true)         \
  IMAGES(pass##_##suffix##_128x64, T, 128, 64, 2, 2, GRAD, true)           \
  IMAGES(pass##_##suffix##_128x32, T, 128, 32, 4, 1, GRAD, true)           \
  IMAGES(pass##_##suffix##_64x64, T, 64, 64, 2, 2, GRAD, true)             \
  IMAGES(pass##_any_##suffix##_128x32, T, 128, 32, 4, 1, GRAD, false)      \
  IMAGES(pass##_any_##suffix##_64x64, T, 64, 64, 2, 2, GRAD, false)
