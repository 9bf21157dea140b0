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

// Tap walks over the taps of a kernel: column, number, and how far a tap lies from the pixel that is written.
struct Tap {
  int c, number, shift;
  __device__ void next(const Conv2DParams &p, const Taps &h, const Taps &w) {
    c++, number++, shift += w.apart;
    if (c == p.kw) c = 0, shift += h.apart * p.xw - p.kw * w.apart;
  }
};

template <class T, int BN, int MT, int SLOT, bool GRAD> struct Patch {
  enum {
    STAGE = BN * 128, TAPS = DEPTH / SLOT, ROW = SLOT * 2, CHUNKS = SLOT / 8, // of a pixel
    PASS = THREADS / CHUNKS,                                                  // pixels that are fetched at once
    ZERO = STAGES * STAGE, PIXELS = ZERO + 128,                               // where zeros lie, and the first patch
    KS = MT == 2 ? 4 : 2, APART = THREADS / 8, COLS = BN / APART
  };
  char *s;
  // Pixels that this thread fetches.
  const T *source;
  i64 apart;           // elements between one pass's and the next's
  int low, line, to;   // the patch's first pixel, and this thread's next: which of the patch, and where it is put
  bool there;          // its channels
  // Pixels that lanes give to ldmatrix: where they are in the patch, and a bit for each tap that meets one.
  int at[MT];
  u32 met[MT];
  // Weights of this thread's chunks.
  const T *weights;
  int across, left, tap; // elements between rows, rows that are there, tap

  static __device__ int swap(int row) { return SLOT == 64 ? row & 7 : row >> 1 & 3; }

  __device__ void open(const Conv2DParams &p, const Taps &h, const Taps &w, const Work &b, char *shared) {
    s = shared;
    const int up = min(h.offset, h.offset + (p.kh - 1) * h.apart), back = min(w.offset, w.offset + (p.kw - 1) * w.apart);
    const Pixel first = pixel_of<GRAD ? 0 : 8>(p, h, w, (u32)b.row * (BM * MT));
    low = ((int)first.image * p.xh + first.i + up) * p.xw + first.j + back;
    apart = (i64)PASS * p.xCol;
    there = SLOT == DEPTH || threadIdx.x % CHUNKS * 8 < p.xc;
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane % 16;
#pragma unroll
    for (int m = 0; m < MT; m++) {
      const Pixel px = pixel_of<GRAD ? 0 : 8>(p, h, w, (u32)b.row * (BM * MT) + m * BM + row);
      at[m] = ((int)px.image * p.xh + px.i) * p.xw + px.j - low;
      u32 cols = 0;
      met[m] = 0;
#pragma unroll 1
      for (int t = 0; t < p.kw; t++) cols |= (u32)((u32)(px.j + w.offset + t * w.apart) < (u32)p.xw) << t;
#pragma unroll 1
      for (int t = 0; t < p.kh; t++)
        if ((u32)(px.i + h.offset + t * h.apart) < (u32)p.xh) met[m] |= cols << t * p.kw;
      if (px.image >= (u32)p.images) met[m] = 0;
    }
    const int col = threadIdx.x % 8 * 8, o = b.col * BN + threadIdx.x / 8, c = col % SLOT;
    tap = col / SLOT;
    across = APART * p.kh * p.kw * p.xc, left = c < p.xc ? p.yc - o : 0;
    weights = (const T *)p.w + (((i64)b.group * p.yc + o) * p.kh * p.kw + tap) * p.xc + c;
    if (threadIdx.x < 8) *(uint4 *)(s + ZERO + threadIdx.x * 16) = make_uint4(0, 0, 0, 0);
  }

  // fetch_weights sends those of the next step to a stage.
  __device__ void fetch_weights(const Conv2DParams &p, int stage) {
    char *place = s + stage * STAGE + wgmma_place(threadIdx.x / 8, threadIdx.x % 8);
    const int taps = p.kh * p.kw, rows = tap < taps ? left : 0;
#pragma unroll
    for (int a = 0; a < COLS; a++) cp_async<16>(place + a * APART * 128, weights + a * across, a * APART < rows ? 16 : 0);
    tap += TAPS, weights += TAPS * p.xc;
    if (SLOT == DEPTH && tap == taps) tap = 0, weights += DEPTH - taps * p.xc;
  }

  // turn goes to the first pixel of a patch, of channels from c on.
  __device__ void turn(const Conv2DParams &p, const Work &b, int patch, int c) {
    const int col = threadIdx.x % CHUNKS;
    line = threadIdx.x / CHUNKS;
    to = PIXELS + (patch * p.patch + line) * ROW + ((col ^ swap(line)) << 4);
    source = (const T *)p.x + (i64)(low + line) * p.xCol + b.group * p.xc + c + col * 8;
  }

  // fetch_pixels sends passes of pixels to a patch.
  __device__ void fetch_pixels(const Conv2DParams &p, int passes) {
    const u32 all = p.images * p.xh * p.xw;
#pragma unroll 1
    for (; passes > 0 && line < p.patch; passes--) {
      cp_async<16>(s + to, source, there && (u32)(low + line) < all ? 16 : 0);
      line += PASS, to += PASS * ROW, source += apart;
    }
  }

  // load gives the fragments of the pixels of tile m for KS steps of 16 of k from the first on.
  __device__ void load(unsigned (&f)[KS][4], const Conv2DParams &p, const Taps &h, const Taps &w, int m, int first, int patch, Tap tap) {
    const int half = threadIdx.x % 32 / 16;
    int place = 0;
#pragma unroll
    for (int k = 0; k < KS; k++) {
      const int in = (first + k) * 16 % SLOT / 8; // the chunk of the slot
      if (in == 0 && first + k > 0) tap.next(p, h, w);
      if (k == 0 || in == 0) {
        const int row = at[m] + tap.shift;
        place = met[m] >> tap.number & 1 ? PIXELS + (patch * p.patch + row) * ROW + ((half ^ swap(row)) << 4) : (int)ZERO;
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
  patch.turn(p, work, 0, 0);
  patch.fetch_pixels(p, passes);
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
  const Tap zero = {0, 0, h.offset * p.xw + w.offset};
  Tap tap = zero;
  int use = 0, now = 0, slice = 0; // the step's number in its slice
  cp_async_wait<1>();
  wgmma_see();
  __syncthreads();
  patch.load(f[0], p, h, w, 0, 0, 0, tap);
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
        patch.load(f[1], p, h, w, MT - 1, MT == 2 ? 0 : 2, slice & 1, tap);
        if (t + 2 < steps) patch.fetch_weights(p, use ^ 2);
        if (SLOT == DEPTH && slice + 1 < slices) {
          if (now == 0) patch.turn(p, work, slice + 1 & 1, (slice + 1) * DEPTH);
          if (now < each - 2) patch.fetch_pixels(p, share);
        }
        cp_async_commit();
        for (int e = 0; e < TAPS; e++) tap.next(p, h, w);
        if (++now == each) now = 0, tap = zero, slice++;
      } else if (t + 1 < steps) {
        patch.load(f[0], p, h, w, 0, 0, slice & 1, tap);
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
    Sums<BN, Whole<THREADS>>::turn(s, sum[m]);
    Moments moments;
    if (!GRAD && p.pool) pool<T, BN, Whole<THREADS>>(p, tile, s, moments);
    else write<T, BN, Whole<THREADS>, GRAD>(p, h, w, tile, s, moments);
    if (!GRAD && p.moments) join_moments<BN, Whole<THREADS>>(p, tile, s, moments);
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
