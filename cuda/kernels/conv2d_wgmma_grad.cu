// also: 90a
// hot: conv2d_dw_wgmma_f16_256x64 conv2d_dw_wgmma_bf16_256x64 conv2d_dw_wgmma_f16_128x128 conv2d_dw_wgmma_bf16_128x128 shared=198784
// hot: conv2d_dw_wgmma_f16_128x64 conv2d_dw_wgmma_bf16_128x64 shared=133248
// hot: conv2d_dw_wgmma_f16_64x64 conv2d_dw_wgmma_bf16_64x64 shared=100480
//
// The gradient of the weights of stride 1 on the tensor cores of compute capability 9.0: of a tap, input channels by output
// channels, summed along the pixels. Images are of one size and lie evenly, so that the pixel that a tap meets is a fixed
// number of pixels away, and one copy of x in shared memory serves all taps of a block. It is read as fragments, for which
// each lane names its own row: one of zeros where the tap meets none. dy is read from where it lies.
#include "conv2d.cuh"
#include "wgmma.cuh"

#ifdef ACUMEN_WGMMA
enum { GROUPS = 3, THREADS = GROUPS * 128, DEPTH = 64 }; // warpgroups of a block; pixels of a step

// At step t, whose first fragments are loaded by then, dy of step t + 2 and x and masks of t + 3 are fetched: products of step
// t - 1 may still read dy, and rows of x from the first that a tap of step t meets to the last of step t + 3 lie in the ring:
// 4 DEPTH and as many as the taps of a block lie apart, conv2DGradReach in Go at most.
enum { STAGES = 4, RING = 512 };

// Store is where things lie in shared memory: stages of dy, rings of x for each 64 input channels, for each pixel of a step a
// mask with a bit for each tap that meets a pixel, a row of zeros.
template <int N, int MT> struct Store {
  enum { STAGE = N * 2 * DEPTH, X = STAGES * STAGE, MASKS = X + MT * RING * 128, ZEROS = MASKS + STAGES * DEPTH * 4 };
};

// anew is v, of which the compiler does not know that: what follows from it is reckoned anew, and takes no registers meanwhile.
#ifdef ACUMEN_SIM
__device__ inline u32 anew(u32 v) { return v; }
#else
__device__ inline u32 anew(u32 v) {
  asm volatile("" : "+r"(v));
  return v;
}
#endif

// Source sends pixels of both operands to shared memory, DEPTH after DEPTH, in parts of a copy a thread.
template <class T, int N, int MT> struct Source {
  typedef Store<N, MT> S;
  enum {
    XAPART = THREADS / (8 * MT), XPARTS = (DEPTH + XAPART - 1) / XAPART, // rows between the copies of a thread
    APART = THREADS / (N / 8), PARTS = (DEPTH + APART - 1) / APART
  };
  static_assert(XAPART % 8 == 0 && APART % 4 == 0, "chunks of a thread have one place in their rows, or two");
  const T *x, *dy; // of this thread's next copies the first
  char *xto, *to;  // where that goes, but for the row of x and the stage of dy
  int row, last;   // of x: this thread's first, and after the last that is read
  int end, rows;   // after the last pixel, and how many rows there are of dy from this thread's first on

  // open begins with row from of x, which may lie before the images, and with row first of dy.
  __device__ void open(const Conv2DParams &p, char *s, int o, int c, int from, int first, int until, int high) {
    const int all = p.images * p.xh * p.xw, xcol = threadIdx.x % (8 * MT), col = threadIdx.x % (N / 8), at = threadIdx.x / (N / 8);
    row = from + threadIdx.x / (8 * MT);
    end = min(all, until);
    last = min(all, until + high);
    x = (const T *)p.x + (i64)row * p.xCol + blockIdx.y * p.xc + c + xcol * 8;
    xto = s + S::X + xcol / 8 * (RING * 128) + ((xcol ^ row) & 7) * 16;
    dy = (const T *)p.w + (i64)(first + at) * p.yCol + blockIdx.y * p.yc + o + col * 8;
    to = s + col / 8 * (DEPTH * 128) + wgmma_place(at, col % 8);
    rows = o + col * 8 < p.yc ? end - first - at : 0;
  }

  __device__ void pixels(const Conv2DParams &p, int a) {
    if (DEPTH % XAPART && a == XPARTS - 1 && threadIdx.x >= DEPTH % XAPART * (8 * MT)) return;
    const int r = row + a * XAPART;
    copy(xto + (r & RING - 1) * 128, x + (i64)(a * XAPART) * p.xCol, r >= 0 && r < last);
  }

  __device__ void gradients(const Conv2DParams &p, int stage, int a) {
    if (DEPTH % APART && a == PARTS - 1 && threadIdx.x >= DEPTH % APART * (N / 8)) return;
    const u64 swapped = a * APART % 8 * 16; // rows four apart
    copy((char *)((u64)(to + stage + a * APART * 128) ^ swapped), dy + (i64)(a * APART) * p.yCol, a * APART < rows);
  }

  __device__ void next_pixels(const Conv2DParams &p) { x += (i64)DEPTH * p.xCol, row += DEPTH; }
  __device__ void next_gradients(const Conv2DParams &p) { dy += (i64)DEPTH * p.yCol, rows -= DEPTH; }

  // masks tells which taps of DEPTH pixels meet a pixel; there is a thread for each.
  __device__ void masks(const Conv2DParams &p, u32 *to, int first) {
    if (threadIdx.x >= DEPTH) return;
    const u32 pixel = first + threadIdx.x, row = pixel / (u32)p.xw, image = row / (u32)p.xh;
    const int i = (int)(row - image * p.xh) - p.padH, j = (int)(pixel - row * p.xw) - p.padW;
    u32 across = 0, met = 0;
#pragma unroll 1
    for (int t = 0; t < p.kw; t++) across |= (u32)((u32)(j + t * p.dilW) < (u32)p.xw) << t;
#pragma unroll 1
    for (int t = 0; t < p.kh; t++)
      if ((u32)(i + t * p.dilH) < (u32)p.xh) met |= across << t * p.kw;
    to[threadIdx.x] = (int)pixel < end ? met : 0;
  }

  // copy starts a copy of 16 bytes, or of zeros: then nothing is read, wherever from points.
  static __device__ void copy(char *to, const T *from, bool valid) { cp_async<16>(to, from, valid ? 16 : 0); }
};

// shift is how many pixels away a tap meets one.
__device__ inline int shift(const Conv2DParams &p, int tap) {
  const int r = tap / p.kw, s = tap - r * p.kw;
  return (r * p.dilH - p.padH) * p.xw + s * p.dilW - p.padW;
}

// write writes the sums of a tap. 8 lanes have neighbours, which are 32 bytes of f32.
template <class T, int R> __device__ inline void write(const Conv2DParams &p, T *to, float beta, int left, const float (&sum)[R]) {
  const i64 apart = p.kh * p.kw * p.xc;
#pragma unroll
  for (int j = 0; j < R / 4; j++) {
    if (8 * j >= left) break; // output channels come in eights
#pragma unroll
    for (int e = 0; e < 4; e++) {
      T *at = to + (8 * j + e % 2) * apart + e / 2 * 8;
      float v = sum[4 * j + e];
      if (beta != 0) v += beta * to_f32(*at);
      *at = from_f32<T>(v);
    }
  }
}

// Tile is what a block sums: output channels from o, input channels from c, taps from tap, steps from first.
struct Tile {
  int o, c, tap, first, steps, split;
  __device__ Tile(const Conv2DParams &p, int n, int channels, int taps) {
    const u32 block = anew(blockIdx.x), t = block / (u32)p.cols, slices = p.xc / channels;
    const int col = block - t * p.cols, all = (p.images * p.xh * p.xw + DEPTH - 1) / DEPTH, each = (all + p.splits - 1) / p.splits;
    split = t / (u32)p.rows;
    o = (t - split * p.rows) * n;
    tap = col / slices * taps;
    c = col % slices * channels;
    first = split * each;
    steps = min(each, all - first);
  }
};

// weights sums N output channels by MT times 64 input channels of TW taps a warpgroup.
template <class T, int N, int MT, int TW> __device__ inline void weights(const Conv2DParams &p, char *shared) {
  typedef Store<N, MT> S;
  typedef Source<T, N, MT> F;
  enum {
    KS = MT * TW * N > 192 ? 1 : 2, // of 16 pixels: products under way at a time; registers hold fragments of twice as many
    PRODUCTS = DEPTH / 16 * MT * TW, UNITS = PRODUCTS / KS, // of a step
    EACH = (F::PARTS + F::XPARTS + UNITS - 1) / UNITS // parts that are fetched during a unit
  };
  char *s = shared + (-(u64)shared & 1023);
  u32 *masks = (u32 *)(s + S::MASKS);
  float sum[MT][TW][N / 2];
#pragma unroll
  for (int m = 0; m < MT; m++)
#pragma unroll
    for (int u = 0; u < TW; u++)
#pragma unroll
      for (int i = 0; i < N / 2; i++) sum[m][u][i] = 0;

  const Tile b(p, N, 64 * MT, GROUPS * TW);
  if (b.steps > 0) {
    F source;
    int row = b.first * DEPTH; // first of a step
    int low = shift(p, b.tap), high = low;
#pragma unroll 1
    for (int tap = b.tap + 1; tap < min(b.tap + GROUPS * TW, p.kh * p.kw); tap++) {
      const int at = shift(p, tap);
      low = min(low, at), high = max(high, at);
    }
    const int early = (2 * DEPTH + high - low + DEPTH - 1) / DEPTH; // fetches of x for two steps
    source.open(p, s, b.o, b.c, row + high + (2 - early) * DEPTH, row, row + b.steps * DEPTH, high);
    const int lane = threadIdx.x % 32, mine = b.tap + threadIdx.x / 128 * TW;
    const int pixel = (lane >> 4) * 8 + (lane & 7); // of 16, whose row this lane names
    u32 bit[TW], at[TW];                            // of a tap: in masks; bytes from the ring's begin to this lane's chunk, not wrapped
#pragma unroll
    for (int u = 0; u < TW; u++) {
      bit[u] = mine + u < p.kh * p.kw ? 1u << (mine + u) : 0;
      at[u] = (u32)wgmma_place(row + pixel + shift(p, mine + u), threadIdx.x / 32 % 4 * 2 + (lane >> 3 & 1));
    }
    unsigned a[2 * KS][4];
    // load loads the fragments of a product of a step.
    auto load = [&](int step, int i) {
      const int from = i / (KS * MT * TW) * (KS * 16) + i % KS * 16; // rows eight apart have their chunks in the same places
      const char *row = s + S::X + i / KS / TW % MT * (RING * 128) + (at[i / KS % TW] + (u32)(step * DEPTH + from) * 128 & RING * 128 - 1);
      ldmatrix_x4_trans(a[i % (2 * KS)], masks[step % STAGES * DEPTH + from + pixel] & bit[i / KS % TW] ? row : s + S::ZEROS);
    };
    if (threadIdx.x < 8) *(uint4 *)(s + S::ZEROS + threadIdx.x * 16) = make_uint4(0, 0, 0, 0);
#pragma unroll 1
    for (int t = 0; t < 3; t++) source.masks(p, masks + t * DEPTH, row + t * DEPTH);
#pragma unroll 1
    for (int n = 0; n <= early; n++) {
      for (int a = 0; a < F::XPARTS; a++) source.pixels(p, a);
      source.next_pixels(p);
      if (n < early - 1) continue;
      for (int a = 0; a < F::PARTS; a++) source.gradients(p, (n - early + 1) * S::STAGE, a);
      source.next_gradients(p);
      cp_async_commit();
    }
    cp_async_wait<1>();
    __syncthreads();
#pragma unroll
    for (int i = 0; i < KS; i++) load(0, i);
    auto fetch = [&](int stage, int n) {
      if (n < F::PARTS) source.gradients(p, stage, n);
      else if (n < F::PARTS + F::XPARTS) source.pixels(p, n - F::PARTS);
    };
#pragma unroll 1
    for (int t = 0; t < b.steps; t++) {
      cp_async_wait<1>(); // dy of this step, x of the next
      wgmma_see();
      __syncthreads();
      const u64 dy = wgmma_turned(s + t % STAGES * S::STAGE, DEPTH * 128);
#pragma unroll
      for (int i = 0; i < PRODUCTS; i++) {
        if (i % KS == 0) wgmma_open();
        wgmma_rows<true>(T(), sum[i / KS / TW % MT][i / KS % TW], a[i % (2 * KS)], dy + (i / (KS * MT * TW) * KS + i % KS) * 128);
        if (i % KS < KS - 1) continue;
        wgmma_commit();
        wgmma_wait<1>(); // those before are done with their fragments
        const int unit = i / KS, stage = (t + 2) % STAGES * S::STAGE; // each fetches some: none is to wait long for fragments
        if (unit == 0) source.masks(p, masks + (t + 3) % STAGES * DEPTH, row + 3 * DEPTH); // while the other warpgroups have work
        fetch(stage, unit * EACH);
        if (EACH > 1) fetch(stage, unit * EACH + 1);
        if (EACH > 2) fetch(stage, unit * EACH + 2);
        if (unit == UNITS - 1) {
          source.next_pixels(p);
          source.next_gradients(p);
          cp_async_commit();
        }
        load(t + (i + 1) / PRODUCTS, (i + 1) % PRODUCTS);
        if (KS == 2) load(t + (i + 1) / PRODUCTS, (i + 2) % PRODUCTS);
      }
      row += DEPTH;
    }
    wgmma_wait<0>();
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
      for (int u = 0; u < TW; u++) wgmma_hold(sum[m][u]);
    cp_async_wait_all();
  }

  const Tile to(p, N, 64 * MT, GROUPS * TW);
  const int thread = anew(threadIdx.x), left = p.yc - to.o, ks = p.kh * p.kw * p.xc;
#pragma unroll
  for (int m = 0; m < MT; m++)
#pragma unroll
    for (int u = 0; u < TW; u++) {
      const int tap = to.tap + thread / 128 * TW + u;
      if (tap >= p.kh * p.kw) continue;
      const i64 at = ((i64)blockIdx.y * p.yc + to.o + thread % 4 * 2) * ks + tap * p.xc + to.c + m * 64 + thread / 32 % 4 * 16 + thread % 32 / 4;
      if (p.splits > 1) write(p, p.part + to.split * ((i64)p.groups * p.yc * ks) + at, 0.f, left, sum[m][u]);
      else if (p.yType == F32) write(p, (float *)p.y + at, p.beta, left, sum[m][u]);
      else write(p, (T *)p.y + at, p.beta, left, sum[m][u]);
    }
}
#define BODY(T, N, MT, TW) \
  GUARD(p);                \
  SHARED(char, s);         \
  weights<T, N, MT, TW>(p, s);
#else
#define BODY(T, N, MT, TW) // other GPUs have conv2d_mma_grad.cu
#endif

// One block has a processor for itself: sums are all that its registers hold.
#ifdef ACUMEN_SIM
#define ALONE 384
#else
#define ALONE 384, 1
#endif

#define WEIGHTS(suffix, T)                                                                   \
  KERNEL(conv2d_dw_wgmma_##suffix##_256x64, ALONE, Conv2DParams) { BODY(T, 256, 1, 1) }  \
  KERNEL(conv2d_dw_wgmma_##suffix##_128x128, ALONE, Conv2DParams) { BODY(T, 128, 2, 1) } \
  KERNEL(conv2d_dw_wgmma_##suffix##_128x64, ALONE, Conv2DParams) { BODY(T, 128, 1, 1) }  \
  KERNEL(conv2d_dw_wgmma_##suffix##_64x64, ALONE, Conv2DParams) { BODY(T, 64, 1, 3) }

WEIGHTS(f16, f16)
WEIGHTS(bf16, bf16)
