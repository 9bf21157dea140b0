// hot: conv2d_f32_128x128 conv2d_dx_f32_128x128 shared=34816
// hot: conv2d_f32_128x64 conv2d_dx_f32_128x64 shared=25600
// hot: conv2d_f32_128x32 conv2d_dx_f32_128x32 conv2d_any_f32_128x32 conv2d_dx_any_f32_128x32 shared=21504
// hot: conv2d_f32_64x64 conv2d_dx_f32_64x64 conv2d_any_f32_64x64 conv2d_dx_any_f32_64x64 shared=18176
//
// Convolutions in f32 on CUDA cores: forward with bias and activation, and the gradient of the input, which is the
// transposed convolution. With strides only each stride-th pixel meets the same taps: those are a phase, blockIdx.z.
#include "conv2d_plain.cuh"

// WHOLE: 16 bytes of channels lie together in both operands.
template <int BM, int BN, int TM, int TN, bool GRAD, bool WHOLE> __device__ inline void images(const Conv2DParams &p, float *s) {
  typedef Plain<BM, BN, TM, TN> Tile;
  enum { DEPTH = Tile::DEPTH };
  typedef Pixels<float, BM, DEPTH, THREADS, GRAD ? 0 : 1> A;
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
  Moments moments;
  if (!GRAD && p.pool)
    tile.pool(p, work, (char *)s, moments);
  else
    tile.finish(
        s, [&](int row) { return place(p, h, w, work.group, work.row * BM + row); },
        [&](i64 at, int, int col, const float4 &v) { put4<float, GRAD>(p, work, at, work.col * BN + col, v, moments); });
  if (!GRAD && p.moments) join_moments<BN, Whole<THREADS>>(p, work, (char *)s, moments);
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

// finish_images adds the splits of an image kernel in their order, and does what put4 or Pooled would have.
template <class T> __device__ inline void finish_images(const Conv2DParams &p) {
  const u32 channels = (u32)(p.groups * p.yc);
  const int step = p.pool ? 2 : 1; // pixels of a window along an axis
  const u32 high = (u32)(p.yh / step), wide = (u32)(p.yw / step);
  const i64 all = (i64)p.images * p.yh * p.yw * channels, results = p.images * (i64)high * wide * channels;
  for (i64 e = FIRST; e < results; e += STEP) {
    const u32 position = (u32)(e / channels), c = (u32)(e - (i64)position * channels);
    const u32 row = position / wide, j = position - row * wide, image = row / high, i = row - image * high;
    const float bias = p.bias ? load<float>(p.bias, p.biasType, c) : 0;
    auto sum = [&](int di, int dj) {
      const i64 at = (((i64)image * p.yh + i * step + di) * p.yw + j * step + dj) * channels + c;
      float v = 0;
      for (int s = 0; s < p.splits; s++) v += p.part[s * all + at];
      return v;
    };
    T *to = (T *)p.y + image * p.yImage + (i64)i * p.yRow + (i64)j * p.yCol + c;
    if (step == 1) {
      *to = from_f32<T>(activate(p.act, sum(0, 0) + bias));
      continue;
    }
    const Largest<T> l = of_window<T>(p.act, bias, sum(0, 0), sum(0, 1), sum(1, 0), sum(1, 1));
    *to = from_f32<T>(l.best);
    if (p.idx) p.idx[e] = (2 * (int)i + (l.tap >> 1)) * p.yw + 2 * (int)j + (l.tap & 1);
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

// Merge joins the moments of tiles, `group` neighbours at a time, so that few are left for bn_join_stats.
struct MergeParams {
  Fault *fault;
  const float *part; // of each chunk of `per` rows, the last perhaps shorter, the means and the sums of squared distances
  float *to;
  i64 rows;
  int channels, chunks, per, group;
};

enum { MERGED = 32 }; // channels of a block

// A block has a group of chunks: each eighth of its threads every eighth of them, then the eighths in their order.
KERNEL(conv2d_merge, 256, MergeParams) {
  GUARD(p);
  __shared__ float ns[8], means[8][MERGED], m2s[8][MERGED];
  const int line = threadIdx.x / MERGED, column = threadIdx.x % MERGED, c = blockIdx.y * MERGED + column;
  const int first = blockIdx.x * p.group, last = min(first + p.group, p.chunks);
  float n = 0, mean = 0, m2 = 0;
  auto meet = [&](float more, float its, float its2) {
    const float share = __fdividef(more, n + more), off = its - mean;
    mean += off * share;
    m2 += its2 + off * off * (n * share);
    n += more;
  };
  for (int i = first + line; i < last; i += 8) {
    const i64 at = (i64)i * 2 * p.channels + c;
    const float more = (float)min((i64)p.per, p.rows - (i64)i * p.per);
    if (c < p.channels) meet(more, p.part[at], p.part[at + p.channels]);
    else n += more;
  }
  means[line][column] = mean, m2s[line][column] = m2;
  if (column == 0) ns[line] = n;
  __syncthreads();
  if (line > 0 || c >= p.channels) return;
  for (int l = 1; l < 8; l++)
    if (ns[l] > 0) meet(ns[l], means[l][column], m2s[l][column]);
  float *to = p.to + (i64)blockIdx.x * 2 * p.channels + c;
  to[0] = mean;
  to[p.channels] = m2;
}
