// hot: conv2d_dw_f32_128x128 shared=34816
// hot: conv2d_dw_f32_64x64 conv2d_dw_any_f32_64x64 shared=18176
//
// The gradient of the weights in f32 on CUDA cores: rows are output channels, columns the taps and their channels, and the
// positions are what is summed over, cut into splits.
#include "conv2d_plain.cuh"

template <int BM, int BN, int TM, int TN, bool WHOLE> __device__ inline void weights(const Conv2DParams &p, float *s) {
  typedef Plain<BM, BN, TM, TN> Tile;
  enum { DEPTH = Tile::DEPTH };
  typedef Gradients<float, BM, DEPTH, THREADS> A;
  typedef Columns<float, BN, DEPTH, THREADS> B;
  typedef Held<A, BM, false> HA;
  typedef Held<B, BN, false> HB;
  const Work work = work_of(p);
  const int m = p.images * p.yh * p.yw;
  const Part part(p, work.split, m, DEPTH);
  A a;
  B b;
  a.open(p, work, part.first, m);
  b.open(p, work, part.first, m);
  Tile tile;
  tile.template multiply<HA, HB>(
      part.steps, s, a, b, [&](HA &to) { a.template fetch<WHOLE>(p, to); }, [&](HB &to) { b.template fetch<WHOLE>(p, to); });
  tile.finish(
      s, [](int) { return (i64)0; },
      [&](i64, int row, int col, const float4 &v) { put4_weights(p, work, work.row * BM + row, work.col * BN + col, v); });
}

#define WEIGHTS(name, BM, BN, TM, TN, WHOLE, n) \
  KERNEL(name, BLOCKS(n), Conv2DParams) {       \
    GUARD(p);                                   \
    SHARED(float, s);                           \
    weights<BM, BN, TM, TN, WHOLE>(p, s);       \
  }

WEIGHTS(conv2d_dw_f32_128x128, 128, 128, 8, 8, true, 2)
WEIGHTS(conv2d_dw_f32_64x64, 64, 64, 4, 4, true, 3)
WEIGHTS(conv2d_dw_any_f32_64x64, 64, 64, 4, 4, false, 3)

// conv2d_dw_finish adds the splits in their order, and beta dw. It reads eight before it adds: there may be hundreds.
KERNEL(conv2d_dw_finish, 256, Conv2DParams) {
  GUARD(p);
  const i64 all = (i64)p.groups * p.yc * p.kh * p.kw * p.xc;
  for (i64 e = FIRST; e < all; e += STEP) {
    float v = 0;
    int s = 0;
    for (; s + 8 <= p.splits; s += 8) {
      float part[8];
#pragma unroll
      for (int i = 0; i < 8; i++) part[i] = p.part[(s + i) * all + e];
#pragma unroll
      for (int i = 0; i < 8; i++) v += part[i];
    }
    for (; s < p.splits; s++) v += p.part[s * all + e];
    if (p.beta != 0) v += p.beta * load<float>(p.y, p.yType, e);
    store<float>(p.y, p.yType, e, v);
  }
}
