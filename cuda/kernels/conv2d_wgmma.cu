// also: 90a
// hot: conv2d_wgmma_f16_128x128 conv2d_wgmma_bf16_128x128 conv2d_dx_wgmma_f16_128x128 conv2d_dx_wgmma_bf16_128x128 shared=99328
// hot: conv2d_wgmma_f16_128x32 conv2d_wgmma_bf16_128x32 conv2d_dx_wgmma_f16_128x32 conv2d_dx_wgmma_bf16_128x32 shared=62464
// hot: conv2d_wgmma_f16_128x64 conv2d_wgmma_bf16_128x64 conv2d_dx_wgmma_f16_128x64 conv2d_dx_wgmma_bf16_128x64 shared=74752
//
// The convolution forward and the gradient of the input on the tensor cores of compute capability 9.0, two warpgroups a block,
// each with half of its rows. The gradient is given weights whose input and output channels have changed places, so that both
// operands lie along k.
#include "conv2d_groups.cuh"

#ifdef ACUMEN_WGMMA
enum { STAGES = 3, THREADS = 256, DEPTH = 64 };
typedef Whole<THREADS> Block;

// Factors sends tiles of both operands to shared memory: a thread has the chunk of 8 of k at col, of rows row, row + 32, ...
//
// Along k go slices of DEPTH channels and in each the taps, so that what a block reads of the images is soon read again; where
// slices are not whole, the taps and in each the channels.
template <class T, int BN, bool GRAD> struct Factors {
  enum { APART = THREADS / 8, ROWS = BM / APART, COLS = BN / APART };
  const T *pixels[ROWS]; // without the tap
  u32 met[ROWS];         // a bit for each tap that meets a pixel
  const T *weights;
  int apart, left; // elements between rows of weights, rows that are there
  int r, s, c;     // next
  char *place;
  bool slices;

  __device__ void open(const Conv2DParams &p, const Taps &h, const Taps &w, const Work &b, int step, char *at) {
    const int row = threadIdx.x / 8, col = threadIdx.x % 8;
    place = at + wgmma_place(row, col);
#pragma unroll
    for (int a = 0; a < ROWS; a++) {
      const Pixel px = pixel_of<GRAD ? 0 : 8>(p, h, w, (u32)b.row * BM + row + a * APART);
      const int i = px.i * h.scale, j = px.j * w.scale;
      pixels[a] = (const T *)p.x + px.image * p.xImage + (i64)i * p.xRow + (i64)j * p.xCol + b.group * p.xc;
      u32 across = 0;
      met[a] = 0;
#pragma unroll 1
      for (int t = 0; t < w.n; t++) across |= (u32)((u32)(j + w.offset + t * w.apart) < (u32)p.xw) << t;
#pragma unroll 1
      for (int t = 0; t < h.n; t++)
        if ((u32)(i + h.offset + t * h.apart) < (u32)p.xh) met[a] |= across << t * w.n;
      if (px.image >= (u32)p.images) met[a] = 0;
    }
    const int ks = p.kh * p.kw * p.xc, o = b.col * BN + row;
    weights = (const T *)p.w + ((i64)b.group * p.yc + o) * ks + (h.first * p.kw + w.first) * p.xc;
    apart = APART * ks, left = p.yc - o;
    slices = p.xc % DEPTH == 0;
    if (slices) {
      const int taps = max(h.n * w.n, 1), slice = step / taps;
      step -= slice * taps;
      r = step / max(w.n, 1), s = step - r * w.n, c = slice * DEPTH + col * 8;
    } else {
      Depth d;
      d.open(step * DEPTH + col * 8, p.xc, w.n);
      r = d.r, s = d.s, c = d.c;
    }
  }

  __device__ void fetch(const Conv2DParams &p, const Taps &h, const Taps &w, int stage) {
    const int off = (h.offset + r * h.apart) * p.xRow + (w.offset + s * w.apart) * p.xCol + c;
    const u32 bit = r < h.n ? 1u << r * w.n + s : 0;
    char *to = place + stage;
#pragma unroll
    for (int a = 0; a < ROWS; a++) copy(to + a * APART * 128, pixels[a] + off, met[a] & bit);
    to += BM * 128;
    const T *from = weights + ((r * h.step * p.kw + s * w.step) * p.xc + c);
#pragma unroll
    for (int a = 0; a < COLS; a++) copy(to + a * APART * 128, from + a * apart, bit && a * APART < left);
    if (slices) {
      if (++s < w.n) return;
      s = 0;
      if (++r < h.n) return;
      r = 0, c += DEPTH;
    } else {
      Depth d = {r, s, c};
      d.advance(DEPTH, p.xc, w.n);
      r = d.r, s = d.s, c = d.c;
    }
  }

  // copy starts a copy of 16 bytes, or of zeros: then nothing is read, wherever from points.
  static __device__ void copy(char *to, const T *from, bool valid) { cp_async<16>(to, from, valid ? 16 : 0); }
};

template <int R> __device__ inline void multiply(f16, float (&c)[R], u64 a, u64 b) { wgmma_f16(c, a, b); }
template <int R> __device__ inline void multiply(bf16, float (&c)[R], u64 a, u64 b) { wgmma_bf16(c, a, b); }

template <class T, int BN, bool GRAD> __device__ inline void images(const Conv2DParams &p, char *shared) {
  enum { A = BM * 128, STAGE = A + BN * 128 };
  static_assert((int)Sums<BN, Block>::ALL <= STAGES * STAGE && Sums<BN, Block>::BYTES + Pooled<BM, BN>::BYTES - Pooled<BM, BN>::WINDOWS <= STAGES * STAGE, "the sums fit into the stages");
  char *s = shared + (-(u64)shared & 1023);
  const Taps h = rows_of<GRAD>(p), w = cols_of<GRAD>(p);
  const Work work = work_of(p);
  if ((i64)work.row * BM >= (i64)p.images * h.extent * w.extent) return;
  const int all = (h.n * w.n * p.xc + DEPTH - 1) / DEPTH, each = (all + p.splits - 1) / p.splits, first = work.split * each;
  const int steps = min(each, all - first);
  Factors<T, BN, GRAD> factors;
  factors.open(p, h, w, work, first, s);
  auto fetch = [&](int stage) { factors.fetch(p, h, w, stage * STAGE); };
  float sum[BN / 2];
#pragma unroll
  for (int i = 0; i < BN / 2; i++) sum[i] = 0;
#pragma unroll 1
  for (int f = 0; f < STAGES - 1; f++) {
    if (f < steps) fetch(f);
    cp_async_commit();
  }
  const int group = threadIdx.x / 128;
  int use = 0, fill = STAGES - 1;
#pragma unroll 1
  for (int t = 0; t < steps; t++) {
    cp_async_wait<STAGES - 2>();
    wgmma_wait<0>();
    wgmma_hold(sum);
    wgmma_see();
    __syncthreads(); // this stage is there for all, and nobody reads the one before it any more
    const u64 rows = wgmma_matrix(s + use * STAGE + group * (A / 2)), cols = wgmma_matrix(s + use * STAGE + A);
    wgmma_open();
#pragma unroll
    for (int k = 0; k < 4; k++) multiply(T(), sum, rows + 2 * k, cols + 2 * k);
    wgmma_commit();
    if (t + STAGES - 1 < steps) fetch(fill); // while products are made
    cp_async_commit();
    use = use == STAGES - 1 ? 0 : use + 1;
    fill = fill == STAGES - 1 ? 0 : fill + 1;
  }
  cp_async_wait_all();
  wgmma_wait<0>();
  wgmma_hold(sum);
  __syncthreads();
  Sums<BN, Block>::turn(s, sum);
  Moments moments;
  if (!GRAD && p.pool) pool<T, BN, Block>(p, work, s, moments);
  else write<T, BN, Block, GRAD>(p, work, s, places<Block>(p, h, w, work, s + Sums<BN, Block>::BYTES), moments);
  if (!GRAD && p.moments) join_moments<BN, Block>(p, work, s, moments);
}
#define BODY(T, BN, GRAD) \
  GUARD(p);               \
  SHARED(char, s);        \
  images<T, BN, GRAD>(p, s);
#else
#define BODY(T, BN, GRAD) // other GPUs have conv2d_mma_*.cu
#endif

// Several blocks share a processor, so that one multiplies while the other waits or writes.
#ifdef ACUMEN_SIM
#define SHARERS(n) 256
#else
#define SHARERS(n) 256, n
#endif

#define WGMMA(pass, suffix, T, GRAD)                                                              \
  KERNEL(pass##_##suffix##_128x128, SHARERS(2), Conv2DParams) { BODY(T, 128, GRAD) } \
  KERNEL(pass##_##suffix##_128x64, SHARERS(3), Conv2DParams) { BODY(T, 64, GRAD) }   \
  KERNEL(pass##_##suffix##_128x32, SHARERS(3), Conv2DParams) { BODY(T, 32, GRAD) }

WGMMA(conv2d_wgmma, f16, f16, false)
WGMMA(conv2d_wgmma, bf16, bf16, false)
WGMMA(conv2d_dx_wgmma, f16, f16, true)
WGMMA(conv2d_dx_wgmma, bf16, bf16, true)
