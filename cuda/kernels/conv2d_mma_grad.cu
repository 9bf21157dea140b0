// hot: conv2d_dw_f16_128x128 conv2d_dw_bf16_128x128 conv2d_dw_tf32_128x128 shared=49152
// hot: conv2d_dw_f16_64x128 conv2d_dw_bf16_64x128 conv2d_dw_tf32_64x128 shared=36864
// hot: conv2d_dw_f16_64x64 conv2d_dw_bf16_64x64 conv2d_dw_tf32_64x64 shared=24576
// hot: conv2d_dw_any_f16_64x64 conv2d_dw_any_bf16_64x64 conv2d_dw_any_tf32_64x64 shared=24576
//
// The gradient of the weights on tensor cores, as conv2d_grad.cu has it on CUDA cores: both operands lie along the outer
// axis, and are transposed on their way from shared memory.
#include "conv2d_mma.cuh"

#if defined(ACUMEN_SIM) || __CUDA_ARCH__ >= 800
template <class T, int BM, int BN, bool WHOLE> __device__ inline void weights(const Conv2DParams &p, char *s) {
  typedef Tensor<T, BM, BN, 2, 2, false, false> Tile;
  enum { DEPTH = Tile::DEPTH };
  const Work work = work_of(p);
  const int m = p.images * p.yh * p.yw, all = (m + DEPTH - 1) / DEPTH, each = (all + p.splits - 1) / p.splits, first = work.split * each;
  Gradients<T, BM, DEPTH, THREADS> a;
  Columns<T, BN, DEPTH, THREADS> b;
  a.open(p, work, first * DEPTH, m);
  b.open(p, work, first * DEPTH, m);
  Tile tile;
  tile.multiply_tiles(
      min(each, all - first), s, [&](typename Tile::SA to) { a.template fetch<WHOLE>(p, to); },
      [&](typename Tile::SB to) { b.template fetch<WHOLE>(p, to); });
  tile.finish(
      s, [](int) { return (i64)0; },
      [&](i64, int row, int col, const float4 &v) { put4_weights(p, work, work.row * BM + row, work.col * BN + col, v); });
}
#define BODY(T, BM, BN, WHOLE) \
  GUARD(p);                    \
  SHARED(char, s);             \
  weights<T, BM, BN, WHOLE>(p, s);
#else
#define BODY(T, BM, BN, WHOLE) // older GPUs compose their convolutions
#endif

#define WEIGHTS(suffix, T)                                                      \
  KERNEL(conv2d_dw_##suffix##_128x128, BLOCKS(2), Conv2DParams) { BODY(T, 128, 128, true) } \
  KERNEL(conv2d_dw_##suffix##_64x128, BLOCKS(3), Conv2DParams) { BODY(T, 64, 128, true) }   \
  KERNEL(conv2d_dw_##suffix##_64x64, BLOCKS(3), Conv2DParams) { BODY(T, 64, 64, true) }     \
  KERNEL(conv2d_dw_any_##suffix##_64x64, BLOCKS(3), Conv2DParams) { BODY(T, 64, 64, false) }

WEIGHTS(f16, f16)
WEIGHTS(bf16, bf16)
WEIGHTS(tf32, float)
