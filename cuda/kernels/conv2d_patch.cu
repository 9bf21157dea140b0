// also: 90a
//
// The convolution forward and the gradient of the input of stride 1 on the tensor cores of compute capability 9.0, where a
// kernel has several taps: the pixels that a tile meets are fetched once, as a patch of neighbours in memory, and each tap
// takes its own of them from shared memory to registers, as the first factor of wgmma. conv2d_wgmma.cu fetches them anew for
// each tap. The gradient is given weights whose input and output channels have changed places.
#include "conv2d_groups.cuh"

#ifdef ACUMEN_WGMMA
// A stage holds the weights of a step, 64 of k: SLOT channels of one or of two taps.
enum { STAGES = 4, DEPTH = 64 };

template <class T, int BN, int MT, int SLOT, bool GRAD> struct Patch {
  enum {
    STAGE = BN * 128, TAPS = DEPTH / SLOT, ROW = SLOT * 2, CHUNKS = SLOT / 8, // of a pixel
    PASS = THREADS / CHUNKS,                                                  // pixels that are fetched at once
    ZERO = STAGES * STAGE, PIXELS = ZERO + 128,                                // where zeros lie, and the first patch
    KS = MT == 2 ? 4 : 2, APART = THREADS / 8, COLS = BN / APART
  };
  char *s;
  // Pixels: of the patch, and those which lanes give to ldmatrix.
  const T *source;
  int have, room, slice; // pixels that are there, rows of a patch, channel of the next patch's first
  int at[MT];
  u32 met[MT]; // a bit for each tap that meets a pixel
  // Weights: of this thread's chunks.
  const T *weights;
  int across, left; // elements between rows, rows that are there
  int tap, c;       // of the next step
  int taps;

  static __device__ int swap(int row) { return SLOT == 64 ? row & 7 : row >> 1 & 3; }

  __device__ void open(const Conv2DParams &p, const Taps &h, const Taps &w, const Work &b, char *shared) {
    s = shared, room = p.patch, taps = p.kh * p.kw;
    const int up = min(h.offset, h.offset + (p.kh - 1) * h.apart), back = min(w.offset, w.offset + (p.kw - 1) * w.apart);
    const Pixel first = pixel_of<GRAD ? 0 : 8>(p, h, w, (u32)b.row * (BM * MT));
    const int low = ((int)first.image * p.xh + first.i + up) * p.xw + first.j + back;
    source = (const T *)p.x + (i64)low * p.xCol + b.group * p.xc;
    start = low, have = p.images * p.xh * p.xw, slice = 0;
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane % 16;
#pragma unroll
    for (int m = 0; m < MT; m++) {
      const Pixel px = pixel_of<GRAD ? 0 : 8>(p, h, w, (u32)b.row * (BM * MT) + m * BM + row);
      at[m] = (((int)px.image * p.xh + px.i) * p.xw + px.j - low);
      u32 cols = 0;
      met[m] = 0;
#pragma unroll 1
      for (int t = 0; t < p.kw; t++) cols |= (u32)((u32)(px.j + w.offset + t * w.apart) < (u32)p.xw) << t;
#pragma unroll 1
      for (int t = 0; t < p.kh; t++)
        if ((u32)(px.i + h.offset + t * h.apart) < (u32)p.xh) met[m] |= cols << t * p.kw;
      if (px.image >= (u32)p.images) met[m] = 0;
    }
    const int col = threadIdx.x % 8 * 8, line = threadIdx.x / 8, o = b.col * BN + line;
    across = APART * taps * p.xc, left = p.yc - o;
    tap = col / SLOT, c = col % SLOT;
    weights = (const T *)p.w + ((i64)b.group * p.yc + o) * taps * p.xc;
    if (threadIdx.x < 8) *(uint4 *)(s + ZERO + threadIdx.x * 16) = make_uint4(0, 0, 0, 0);
  }
  int start;

  // fetch_weights sends those of the next step to a stage.
  __device__ void fetch_weights(const Conv2DParams &p, int stage) {
    const int row = threadIdx.x / 8;
    char *to = s + stage * STAGE + wgmma_place(row, threadIdx.x % 8);
    const bool there = tap < taps && (SLOT == DEPTH || c < p.xc);
    const T *from = there ? weights + tap * p.xc + c : (const T *)p.w;
#pragma unroll
    for (int a = 0; a < COLS; a++) {
      const bool valid = there && a * APART < left;
      cp_async<16>(to + a * APART * 128, valid ? from + a * across : (const T *)p.w, valid ? 16 : 0);
    }
    tap += TAPS;
    if (SLOT == DEPTH && tap == taps) tap = 0, c += DEPTH;
  }

  // fetch_pixels sends passes of a patch's pixels to it.
  __device__ void fetch_pixels(const Conv2DParams &p, int patch, int from, int to) {
    const int col = threadIdx.x % CHUNKS;
    const bool there = SLOT == DEPTH || col * 8 < p.xc;
#pragma unroll 2
    for (int pass = from; pass < to; pass++) {
      const int row = pass * PASS + threadIdx.x / CHUNKS;
      if (row >= room) return;
      const bool valid = there && (u32)(start + row) < (u32)have;
      const T *at = source + (i64)row * p.xCol + slice + col * 8;
      cp_async<16>(s + PIXELS + (patch * room + row) * ROW + ((col ^ swap(row)) << 4), valid ? at : (const T *)p.x, valid ? 16 : 0);
    }
  }

  // load gives the fragments of pixels of tile m for KS steps of 16 of k from the first on; r and c are the first tap's row
  // and column.
  __device__ void load(unsigned (&f)[KS][4], const Conv2DParams &p, const Taps &h, const Taps &w, int m, int first, int patch, int r, int c) {
    const int half = threadIdx.x % 32 / 16;
    int place = 0;
#pragma unroll
    for (int k = 0; k < KS; k++) {
      const int kk = first + k, in = kk * 16 % SLOT / 8; // the chunk of the slot
      if (k == 0 || in == 0) {
        int tr = r, tc = c + kk * 16 / SLOT;
        if (TAPS > 1 && tc >= p.kw) tc -= p.kw, tr++;
        const int row = at[m] + (h.offset + tr * h.apart) * p.xw + w.offset + tc * w.apart;
        const bool meets = met[m] >> (tr * p.kw + tc) & 1;
        place = meets ? PIXELS + (patch * room + row) * ROW + ((half ^ swap(row)) << 4) : (int)ZERO;
      }
      ldmatrix_x4(f[k], s + (place ^ in << 4));
    }
  }
};

template <class T, int BN, int MT, int SLOT, bool GRAD> __device__ inline void images(const Conv2DParams &p, char *shared) {
  typedef Patch<T, BN, MT, SLOT, GRAD> P;
  enum { KS = P::KS, TAPS = P::TAPS };
  char *s = shared + (-(u64)shared & 1023);
  const Taps h = rows_of<GRAD>(p), w = cols_of<GRAD>(p);
  const Work work = work_of(p);
  P patch;
  patch.open(p, h, w, work, s);
  const int each = (p.kh * p.kw + TAPS - 1) / TAPS, slices = SLOT == DEPTH ? p.xc / DEPTH : 1, steps = slices * each;
  // The next slice's pixels are fetched in the steps of this one, but for the last two, whose copies come too late for the
  // fragments that are loaded a step ahead.
  const int passes = (p.patch + P::PASS - 1) / P::PASS, share = (passes + each - 3) / max(each - 2, 1);
  patch.fetch_pixels(p, 0, 0, passes);
  patch.fetch_weights(p, 0);
  cp_async_commit();
  if (steps > 1) patch.fetch_weights(p, 1);
  cp_async_commit();
  float sum[MT][BN / 2];
#pragma unroll
  for (int m = 0; m < MT; m++)
#pragma unroll
    for (int i = 0; i < BN / 2; i++) sum[m][i] = 0;
  unsigned f[2][KS][4];
  int r = 0, c = 0, use = 0, now = 0, slice = 0; // the tap of a step, its number in the slice
  cp_async_wait<1>();
  wgmma_see();
  __syncthreads();
  patch.load(f[0], p, h, w, 0, 0, 0, 0, 0);
#pragma unroll 1
  for (int t = 0; t < steps; t++) {
    if (t) {
      cp_async_wait<1>();
      wgmma_see();
      __syncthreads(); // the step's weights are there for all, and nobody uses those of the step before the last
    }
    const u64 cols = wgmma_matrix(s + use * P::STAGE);
#pragma unroll
    for (int u = 0; u < 2; u++) {
      wgmma_open();
#pragma unroll
      for (int k = 0; k < KS; k++) wgmma_rows<false>(T(), sum[MT == 2 ? u : 0], f[u][k], cols + 2 * (MT == 2 ? k : u * 2 + k));
      wgmma_commit();
      wgmma_wait<1>(); // the fragments of those before may change
      if (u == 0) {
        patch.load(f[1], p, h, w, MT - 1, MT == 2 ? 0 : 2, slice & 1, r, c);
        if (t + 2 < steps) patch.fetch_weights(p, use ^ 2);
        if (SLOT == DEPTH && slice + 1 < slices && now < each - 2) {
          patch.slice = (slice + 1) * DEPTH;
          patch.fetch_pixels(p, slice + 1 & 1, now * share, min((now + 1) * share, passes));
        }
        cp_async_commit();
        c += TAPS;
        if (c >= p.kw) c -= p.kw, r++;
        if (++now == each) now = 0, r = c = 0, slice++;
      } else if (t + 1 < steps) {
        patch.load(f[0], p, h, w, 0, 0, slice & 1, r, c);
      }
    }
    use = use + 1 & 3;
  }
  cp_async_wait_all();
  wgmma_wait<0>();
#pragma unroll
  for (int m = 0; m < MT; m++) wgmma_hold(sum[m]);
#pragma unroll
  for (int m = 0; m < MT; m++) {
    const Work tile = {work.row * MT + m, work.col, work.group, 0};
    if (m && (i64)tile.row * BM >= (i64)p.images * p.yh * p.yw) break;
    __syncthreads();
    Sums<BN>::turn(s, sum[m]);
    Moments moments;
    if (!GRAD && p.pool) pool<T, BN>(p, tile, s, moments);
    else write<T, BN, GRAD>(p, h, w, tile, s, moments);
    if (!GRAD && p.moments) join_moments<BN, THREADS>(p, tile, s, moments);
  }
}
#define BODY(T, BN, MT, SLOT, GRAD) \
  GUARD(p);                         \
  SHARED(char, s);                  \
  images<T, BN, MT, SLOT, GRAD>(p, s);
#else
#define BODY(T, BN, MT, SLOT, GRAD) // other GPUs have conv2d_mma_*.cu
#endif

// Two blocks share a processor where registers and shared memory allow it, so that one multiplies while the other waits or
// writes.
#ifdef ACUMEN_SIM
#define SHARERS(n) 256
#else
#define SHARERS(n) 256, n
#endif

#define PATCH(pass, suffix, T, GRAD)                                                                   \
  KERNEL(pass##_##suffix##_256x128, SHARERS(1), Conv2DParams) { BODY(T, 128, 2, 64, GRAD) }            \
  KERNEL(pass##_##suffix##_128x128, SHARERS(2), Conv2DParams) { BODY(T, 128, 1, 64, GRAD) }            \
  KERNEL(pass##_##suffix##_256x64, SHARERS(2), Conv2DParams) { BODY(T, 64, 2, 64, GRAD) }              \
  KERNEL(pass##_##suffix##_256x32, SHARERS(2), Conv2DParams) { BODY(T, 32, 2, 64, GRAD) }              \
  KERNEL(pass##_narrow_##suffix##_128x128, SHARERS(2), Conv2DParams) { BODY(T, 128, 1, 32, GRAD) }     \
  KERNEL(pass##_narrow_##suffix##_256x64, SHARERS(2), Conv2DParams) { BODY(T, 64, 2, 32, GRAD) }       \
  KERNEL(pass##_narrow_##suffix##_256x32, SHARERS(2), Conv2DParams) { BODY(T, 32, 2, 32, GRAD) }

PATCH(conv2d_patch, f16, f16, false)
PATCH(conv2d_patch, bf16, bf16, false)
PATCH(conv2d_dx_patch, f16, f16, true)
PATCH(conv2d_dx_patch, bf16, bf16, true)
