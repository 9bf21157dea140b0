// hot: conv2d_f32_128x128 conv2d_dx_f32_128x128 shared=34304
// hot: conv2d_f32_128x64 conv2d_dx_f32_128x64 shared=25600
// hot: conv2d_f32_128x32 conv2d_dx_f32_128x32 conv2d_any_f32_128x32 conv2d_dx_any_f32_128x32 shared=21504
// hot: conv2d_f32_64x64 conv2d_dx_f32_64x64 conv2d_any_f32_64x64 conv2d_dx_any_f32_64x64 shared=17920
//
// Convolutions in f32 on CUDA cores: forward with bias and activation, and the gradient of the input, which is the
// transposed convolution. With strides only each stride-th pixel meets the same taps: those are a phase, blockIdx.z.
#include "conv2d_plain.cuh"

// WHOLE: 16 bytes of channels lie together in both operands.
template <int BM, int BN, int TM, int TN, bool GRAD, bool WHOLE> __device__ inline void images(const Conv2DParams &p, float *s) {
  typedef Plain<BM, BN, TM, TN> Tile;
  enum { DEPTH = Tile::DEPTH };
  typedef Pixels<float, BM, DEPTH, THREADS> A;
  typedef typename Either<GRAD, Turned<float, BN, DEPTH, THREADS>, Filters<float, BN, DEPTH, THREADS>>::type B;
  typedef Held<A, BM, true> HA;
  typedef Held<B, BN, !GRAD> HB;
  const Taps h = rows_of<GRAD>(p), w = cols_of<GRAD>(p);
  const Work work = work_of(p);
  if ((i64)work.row * BM >= (i64)p.images * h.extent * w.extent) return;
  const Part part(p, work.split, h.n * w.n * p.xc, DEPTH);
  A a;
  B b;
  a.open(p, h, w, work, part.first);
  b.open(p, h, w, work, part.first);
  Tile tile;
  tile.template multiply<HA, HB>(
      part.steps, s, a, b, [&](HA &to) { a.template fetch<WHOLE>(p, h, w, to); },
      [&](HB &to) { b.template fetch<WHOLE>(p, h, w, to); });
  tile.finish(
      s, [&](int row) { return place(p, h, w, work.group, work.row * BM + row); },
      [&](i64 at, int, int col, const float4 &v) { put4<float, GRAD>(p, work, at, work.col * BN + col, v); });
}

#define IMAGES(name, BM, BN, TM, TN, GRAD, WHOLE, n) \
  KERNEL(name, BLOCKS(n), Conv2DParams) {            \
    GUARD(p);                                        \
    SHARED(float, s);                                \
    images<BM, BN, TM, TN, GRAD, WHOLE>(p, s);       \
  }

IMAGES(conv2d_f32_128x128, 128, 128, 8, 8, false, true, 2)
IMAGES(conv2d_f32_128x64, 128, 64, 8, 4, false, true, 2)
IMAGES(conv2d_f32_128x32, 128, 32, 4, 4, false, true, 3)
IMAGES(conv2d_f32_64x64, 64, 64, 4, 4, false, true, 3)
IMAGES(conv2d_any_f32_128x32, 128, 32, 4, 4, false, false, 3)
IMAGES(conv2d_any_f32_64x64, 64, 64, 4, 4, false, false, 3)
IMAGES(conv2d_dx_f32_128x128, 128, 128, 8, 8, true, true, 2)
IMAGES(conv2d_dx_f32_128x64, 128, 64, 8, 4, true, true, 2)
IMAGES(conv2d_dx_f32_128x32, 128, 32, 4, 4, true, true, 2)
IMAGES(conv2d_dx_f32_64x64, 64, 64, 4, 4, true, true, 3)
IMAGES(conv2d_dx_any_f32_128x32, 128, 32, 4, 4, true, false, 2)
IMAGES(conv2d_dx_any_f32_64x64, 64, 64, 4, 4, true, false, 2)

// finish_images adds the splits of an image kernel in their order, and does what put4 would have.
template <class T> __device__ inline void finish_images(const Conv2DParams &p) {
  const u32 channels = (u32)(p.groups * p.yc);
  const i64 all = (i64)p.images * p.yh * p.yw * channels;
  for (i64 e = FIRST; e < all; e += STEP) {
    float v = 0;
    for (int s = 0; s < p.splits; s++) v += p.part[s * all + e];
    const u32 position = (u32)(e / channels), c = (u32)(e - (i64)position * channels);
    const u32 row = position / (u32)p.yw, j = position - row * (u32)p.yw, image = row / (u32)p.yh, i = row - image * (u32)p.yh;
    if (p.bias) v += load<float>(p.bias, p.biasType, c);
    ((T *)p.y)[image * p.yImage + (i64)i * p.yRow + (i64)j * p.yCol + c] = from_f32<T>(activate(p.act, v));
  }
}

KERNEL(conv2d_finish_f32, 256, Conv2DParams) {
  GUARD(p);
  finish_images<float>(p);
}
KERNEL(conv2d_finish_f16, 256, Conv2DParams) {
  GUARD(p);
  finish_images<f16>(p);
}
KERNEL(conv2d_finish_bf16, 256, Conv2DParams) {
  GUARD(p);
  finish_images<bf16>(p);
}
