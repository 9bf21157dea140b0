// hot: conv2d_staged_f16_128x64 conv2d_dx_staged_f16_128x64 conv2d_staged_bf16_128x64 conv2d_dx_staged_bf16_128x64 shared=46336
// hot: conv2d_staged_f16_128x32 conv2d_dx_staged_f16_128x32 conv2d_staged_bf16_128x32 conv2d_dx_staged_bf16_128x32 shared=41088
//
// Convolutions of stride 1 on tensor cores whose pixels come to shared memory once, not once for each tap: a block stages
// the rows of the padded images that its pixels meet, and the taps are shifts of the addresses that ldmatrix reads from.
// Channels are staged in slices of S chunks of 16 bytes, at most 4; along k go the slices, the taps, and the chunks.
#include "conv2d_mma.cuh"

#if defined(ACUMEN_SIM) || __CUDA_ARCH__ >= 800

// Padded is the images with their padding as one stack of rows, of which a block stages those from first on. ACROSS is as in
// pixel_of.
template <int ACROSS> struct Padded {
  int high, wide;    // of an image
  int above, before; // row and column in the image of the first padded pixel
  int first, pixels;
  int S;

  __device__ static int least(const Taps &t) { return min(t.offset, t.offset + (t.n - 1) * t.apart); }
  __device__ static int span(const Taps &t) { return (t.n - 1) * (t.apart < 0 ? -t.apart : t.apart); }

  // The block has rows m to end - 1 of the product.
  __device__ Padded(const Conv2DParams &p, const Taps &h, const Taps &w, u32 m, u32 end) {
    high = h.extent + span(h), wide = w.extent + span(w), above = least(h), before = least(w);
    S = min(p.xc / 8, 4);
    u32 last = end - 1;
    if (ACROSS && p.pool) { // the lowest pixel of the last window
      enum { A = ACROSS ? ACROSS : 1 };
      last = end / 4 - 1;
      last = last / A * 4 * A + 3 * A + last % A;
    }
    first = row_of(pixel_of<ACROSS>(p, h, w, m));
    pixels = (row_of(pixel_of<ACROSS>(p, h, w, last)) + span(h) + 1 - first) * wide;
  }

  // row_of is the row of the stack where a pixel finds its first tap.
  __device__ int row_of(const Pixel &at) const { return (int)(at.image * high) + at.i; }

  // pixel is the staged pixel of the first tap of row m's pixel, or that of another row where it has none.
  __device__ int pixel(const Conv2DParams &p, const Taps &h, const Taps &w, u32 m) const {
    const Pixel at = pixel_of<ACROSS>(p, h, w, m);
    return at.image < (u32)p.images ? (row_of(at) - first) * wide + at.j : 0;
  }

  // place is where a chunk of a staged pixel lies: 8 neighbours lie in different banks, or, where windows are pooled, 8
  // pixels of neighbouring windows, which are every second.
  __device__ int place(int pixel, int chunk, bool pool) const {
    int twist = S == 4 ? pixel >> 1 & 3 : S == 2 ? pixel >> 2 & 1 : 0;
    if (ACROSS && pool) twist = S == 4 ? pixel >> 1 & 7 : S == 2 ? pixel >> 2 & 3 : pixel >> 3 & 1;
    return (pixel * S + chunk ^ twist) * 16;
  }

  // stage starts the copies of a slice of channels.
  template <class T> __device__ void stage(const Conv2DParams &p, int group, int slice, char *s) const {
    const T *x = (const T *)p.x + group * p.xc + slice * S * 8;
    for (int e = threadIdx.x; e < pixels * S; e += THREADS) {
      const u32 pixel = (u32)e / (u32)S, chunk = e - pixel * S, row = pixel / (u32)wide;
      const u32 image = (first + row) / (u32)high;
      const int i = (int)(first + row - image * high) + above, j = (int)(pixel - row * wide) + before;
      const bool valid = image < (u32)p.images && (u32)i < (u32)p.xh && (u32)j < (u32)p.xw;
      const T *from = valid ? x + image * p.xImage + (i64)i * p.xRow + (i64)j * p.xCol + chunk * 8 : (const T *)p.x;
      cp_async<16>(s + place(pixel, chunk, p.pool), from, valid ? 16 : 0);
    }
  }
};

template <class T, int BN, int WM, int WN, bool GRAD> __device__ inline void staged(const Conv2DParams &p, char *s) {
  enum { BM = 128 };
  typedef Tensor<T, BM, BN, WM, WN, true, !GRAD> Tile;
  typedef typename Tile::B B;
  enum { DEPTH = Tile::DEPTH, MI = Tile::MI, NI = Tile::NI };
  const Taps h = rows_of<GRAD>(p), w = cols_of<GRAD>(p);
  const Work work = work_of(p);
  const int m = p.images * h.extent * w.extent, m0 = work.row * BM;
  const Padded<GRAD ? 0 : 8> pad(p, h, w, m0, min(m0 + BM, m));
  const int slices = p.xc / (8 * pad.S), per = (h.n * w.n * pad.S + 3) / 4, steps = slices * per;
  char *pixels = s + STAGES * B::BYTES, *zeros = pixels + (slices > 1 ? 2 : 1) * p.staged;

  typename Either<GRAD, Turned<T, BN, DEPTH, THREADS>, Filters<T, BN, DEPTH, THREADS>>::type b;
  b.open(p, h, w, work, 0);
  int br = 0, bs = 0, bc = 0; // tap and channel of the next tile of b, where there are several slices
  auto fetch = [&](int stage) {
    if (slices > 1) {
      b.seek(p, br, bs, bc);
      if (++bs == w.n) {
        bs = 0;
        if (++br == h.n) br = 0, bc += DEPTH;
      }
    }
    b.template fetch<true>(p, h, w, typename Tile::SB{s + stage * B::BYTES});
  };

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, wi = warp / WN * Tile::HIGH, wj = warp % WN * Tile::WIDE;
  int from[MI]; // the pixels whose rows this lane gives to ldmatrix
#pragma unroll
  for (int i = 0; i < MI; i++) from[i] = pad.pixel(p, h, w, m0 + wi + 16 * i + lane % 16);
  Depth d; // tap and chunk of this lane
  d.open(lane / 16, pad.S, w.n);

  Tile tile;
#pragma unroll
  for (int i = 0; i < MI; i++)
#pragma unroll
    for (int j = 0; j < NI; j++)
#pragma unroll
      for (int c = 0; c < 4; c++) tile.sum[i][j][c] = 0;

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
    const char *as = pixels + slice % 2 * p.staged, *tiles = s + use * B::BYTES;
#pragma unroll
    for (int step = 0; step < 2; step++) {
      unsigned u[MI][4], v[NI / 2][4];
      const int shift = (h.offset + d.r * h.apart - pad.above) * pad.wide + w.offset + d.s * w.apart - pad.before;
#pragma unroll
      for (int i = 0; i < MI; i++) ldmatrix_x4(u[i], d.r < h.n ? as + pad.place(from[i] + shift, d.c, p.pool) : zeros);
#pragma unroll
      for (int j = 0; j < NI / 2; j++) B::b16(v[j], tiles, wj + 16 * j, step);
#pragma unroll
      for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++) {
          const unsigned y[2] = {v[j / 2][j % 2 * 2], v[j / 2][j % 2 * 2 + 1]};
          multiply<T>(tile.sum[i][j], u[i], y);
        }
      d.advance(2, pad.S, w.n);
    }
    if (--left == 0) {
      left = per;
      slice++;
      d.open(lane / 16, pad.S, w.n);
    }
    use = use == STAGES - 1 ? 0 : use + 1;
    fill = fill == STAGES - 1 ? 0 : fill + 1;
  }
  cp_async_wait_all();
  Moments moments;
  if (!GRAD && p.pool)
    tile.pool(p, work, s, moments);
  else
    tile.finish(
        s, [&](int row) { return place(p, h, w, work.group, m0 + row); },
        [&](i64 at, int, int col, const float4 &v) { put4<T, GRAD>(p, work, at, work.col * BN + col, v, moments); });
  if (!GRAD && p.moments) join_moments<BN, THREADS>(p, work, s, moments);
}
#define BODY(T, BN, WM, WN, GRAD) \
  GUARD(p);                       \
  SHARED(char, s);                \
  staged<T, BN, WM, WN, GRAD>(p, s);
#else
#define BODY(T, BN, WM, WN, GRAD) // older GPUs compose their convolutions
#endif

#define STAGED(suffix, T)                                                                     \
  KERNEL(conv2d_staged_##suffix##_128x64, BLOCKS(3), Conv2DParams) { BODY(T, 64, 2, 2, false) }     \
  KERNEL(conv2d_staged_##suffix##_128x32, BLOCKS(3), Conv2DParams) { BODY(T, 32, 4, 1, false) }     \
  KERNEL(conv2d_dx_staged_##suffix##_128x64, BLOCKS(3), Conv2DParams) { BODY(T, 64, 2, 2, true) }   \
  KERNEL(conv2d_dx_staged_##suffix##_128x32, BLOCKS(3), Conv2DParams) { BODY(T, 32, 4, 1, true) }

STAGED(f16, f16)
STAGED(bf16, bf16)
