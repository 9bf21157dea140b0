// also: 90a
// hot: conv2d_wgmma_f16_128x128 conv2d_wgmma_bf16_128x128 conv2d_dx_wgmma_f16_128x128 conv2d_dx_wgmma_bf16_128x128 shared=207952
// hot: conv2d_wgmma_f16_128x64 conv2d_wgmma_bf16_128x64 conv2d_dx_wgmma_f16_128x64 conv2d_dx_wgmma_bf16_128x64 shared=191600
// hot: conv2d_wgmma_f16_128x32 conv2d_wgmma_bf16_128x32 conv2d_dx_wgmma_f16_128x32 conv2d_dx_wgmma_bf16_128x32 shared=150640
//
// The convolution forward and the gradient of the input on the tensor cores of compute capability 9.0. Of the three
// warpgroups of a block one fetches tiles of both factors into a ring of stages, and two multiply, each the tiles of every
// other part of what is written, so that one writes its sums while the other multiplies. A block does several parts one after
// the other. The gradient is given weights whose input and output channels have changed places.
#include "conv2d_groups.cuh"

#ifdef ACUMEN_WGMMA
enum { GROUP = 128, DEPTH = 64, SETS = 2 }; // SETS of rows' places: of the part that is fetched and of the next

// Consumer is one of the warpgroups that multiply, by a barrier of its own.
struct Consumer {
  enum { SIZE = GROUP };
  static __device__ int thread() { return threadIdx.x % GROUP; }
  static __device__ void sync() { group_sync<GROUP>(threadIdx.x / GROUP); }
};

template <int BN> struct Ring {
  enum {
    A = BM * 128, STAGE = A + BN * 128, STAGES = BN == 128 ? 4 : 6, LAG = STAGES - 2, // stages under way at a time
    BUFFER = Sums<BN, Consumer>::BYTES + 1024,                                          // of a consumer's sums, and where they go
    SUMS = STAGES * STAGE, ROWS = SUMS + 2 * BUFFER, BARS = ROWS + SETS * BM * 16, BYTES = BARS + STAGES * 16 + 16
  };
  static_assert(Pooled<64, BN>::BYTES - Pooled<64, BN>::WINDOWS <= 1024 && BUFFER % 128 == 0, "what goes behind the sums fits");
  char *s;
  __device__ u64 *full(int stage) const { return (u64 *)(s + BARS) + stage; }
  __device__ u64 *empty(int stage) const { return full(STAGES + stage); }
  __device__ u64 *turn(int consumer) const { return full(2 * STAGES + consumer); }
};

// Place is where stage number n of all that a block fetches is, and the parity of its turn.
template <int STAGES> struct Place {
  int stage;
  u32 parity;
  __device__ explicit Place(int n) : stage(n % STAGES), parity(n / STAGES & 1) {}
  __device__ void next() {
    if (++stage == STAGES) stage = 0, parity ^= 1;
  }
};

// Row is a pixel that is written: where it is gathered from, without the tap, and a bit for each tap that meets a pixel.
struct Row {
  i64 at;
  u32 met, pad;
};

// row_of finds row m.
template <bool GRAD> __device__ inline Row row_of(const Conv2DParams &p, const Taps &h, const Taps &w, int group, u32 m) {
  const Pixel px = pixel_of<GRAD ? 0 : 8>(p, h, w, m);
  const int i = px.i * h.scale, j = px.j * w.scale;
  Row row = {px.image * p.xImage + (i64)i * p.xRow + (i64)j * p.xCol + group * p.xc, 0, 0};
  u32 across = 0;
#pragma unroll 1
  for (int t = 0; t < w.n; t++) across |= (u32)((u32)(j + w.offset + t * w.apart) < (u32)p.xw) << t;
#pragma unroll 1
  for (int t = 0; t < h.n; t++)
    if ((u32)(i + h.offset + t * h.apart) < (u32)p.xh) row.met |= across << t * w.n;
  if (px.image >= (u32)p.images) row.met = 0;
  return row;
}

// Factors sends tiles of both operands to a stage: a thread has the chunk of 8 of k at col, of rows row, row + 16, ...
//
// Along k go slices of DEPTH channels and in each the taps, so that what is read of the images is soon read again; where
// slices are not whole, the taps and in each the channels.
template <class T, int BN> struct Factors {
  enum { APART = GROUP / 8, ROWS = BM / APART, COLS = BN / APART };
  const T *pixels[ROWS]; // without the tap
  u32 met[ROWS];
  const T *weights;
  int apart, left; // elements between rows of weights, rows that are there
  int r, s, c;     // next
  bool slices;

  __device__ void open(const Conv2DParams &p, const Taps &h, const Taps &w, const Work &b, const Row *rows, int step) {
    const int thread = threadIdx.x % GROUP, row = thread / 8, col = thread % 8;
#pragma unroll
    for (int a = 0; a < ROWS; a++) {
      const Row at = rows[row + a * APART];
      pixels[a] = (const T *)p.x + at.at;
      met[a] = at.met;
    }
    const int ks = p.kh * p.kw * p.xc, o = b.col * BN + row;
    weights = (const T *)p.w + ((i64)b.group * p.yc + o) * ks + (h.first * p.kw + w.first) * p.xc;
    apart = APART * ks, left = p.yc - o;
    slices = p.xc % DEPTH == 0;
    if (slices) {
      const int taps = h.n * w.n, slice = taps ? step / taps : 0;
      step -= slice * taps;
      r = w.n ? step / w.n : 0, s = step - r * w.n, c = slice * DEPTH + col * 8;
      if (c >= p.xc) r = h.n;
    } else {
      Depth d;
      d.open(step * DEPTH + col * 8, p.xc, w.n);
      r = d.r, s = d.s, c = d.c;
    }
  }

  __device__ void fetch(const Conv2DParams &p, const Taps &h, const Taps &w, char *stage) {
    const int thread = threadIdx.x % GROUP, off = (h.offset + r * h.apart) * p.xRow + (w.offset + s * w.apart) * p.xCol + c;
    const u32 bit = r < h.n ? 1u << r * w.n + s : 0;
    char *to = stage + wgmma_place(thread / 8, thread % 8);
#pragma unroll
    for (int a = 0; a < ROWS; a++) copy(to + a * APART * 128, pixels[a] + off, met[a] & bit);
    to += BM * 128;
    const T *from = weights + ((r * h.step * p.kw + s * w.step) * p.xc + c);
    const int there = bit ? left : 0;
#pragma unroll
    for (int a = 0; a < COLS; a++) copy(to + a * APART * 128, from + a * apart, a * APART < there);
    if (slices) {
      if (++s < w.n) return;
      s = 0;
      if (++r < h.n) return;
      r = 0, c += DEPTH;
      if (c >= p.xc) r = h.n; // steps that a split has too many
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

// Parts are a block's parts of what is written.
struct Parts {
  int n, steps; // of this block, of k in each
  u32 rows, cols;
  __device__ Parts(const Conv2DParams &p, const Taps &h, const Taps &w) {
    rows = ((u32)p.images * h.extent * w.extent + BM - 1) / BM, cols = p.cols;
    const int all = rows * cols * p.splits, k = (h.n * w.n * p.xc + DEPTH - 1) / DEPTH;
    n = (all - (int)blockIdx.x + (int)gridDim.x - 1) / (int)gridDim.x;
    steps = (k + p.splits - 1) / p.splits;
  }
  __device__ Work operator[](int i) const {
    const u32 at = blockIdx.x + i * gridDim.x, t = at / cols, split = t / rows;
    return {(int)(t - split * rows), (int)(at - t * cols), (int)blockIdx.y, (int)split};
  }
};

template <class T, int BN, bool GRAD> __device__ inline void produce(const Conv2DParams &p, const Taps &h, const Taps &w, const Ring<BN> &ring) {
  typedef Ring<BN> R;
  const Parts parts(p, h, w);
  const int thread = threadIdx.x % GROUP;
  Row *rows = (Row *)(ring.s + R::ROWS);
  auto find = [&](int i) { // the places of part i's rows
    const Work b = parts[i];
    rows[i % SETS * BM + thread] = row_of<GRAD>(p, h, w, b.group, (u32)b.row * BM + thread);
  };
  auto tell = [&](int stage) {
    wgmma_see();
    __syncwarp();
    if (thread % 32 == 0) phase_arrive(ring.full(stage));
  };
  Place<R::STAGES> to(0), done(0);
  int under = 0; // stages that are under way
  Factors<T, BN> factors;
  find(0);
#pragma unroll 1
  for (int i = 0; i < parts.n; i++) {
    group_sync<GROUP>(3); // the places are there, and nobody reads those of the part before the last
    const Work b = parts[i];
    factors.open(p, h, w, b, rows + i % SETS * BM, b.split * parts.steps);
#pragma unroll 1
    for (int t = 0; t < parts.steps; t++) {
      phase_wait(ring.empty(to.stage), to.parity ^ 1);
      factors.fetch(p, h, w, ring.s + to.stage * R::STAGE);
      cp_async_commit();
      to.next();
      if (t == 0 && i + 1 < parts.n) find(i + 1);
      if (++under > R::LAG) {
        cp_async_wait<R::LAG>();
        tell(done.stage);
        done.next();
        under--;
      }
    }
  }
  cp_async_wait_all();
  for (; under > 0; under--) {
    tell(done.stage);
    done.next();
  }
}

template <class T, int BN, bool GRAD> __device__ inline void consume(const Conv2DParams &p, const Taps &h, const Taps &w, const Ring<BN> &ring) {
  typedef Ring<BN> R;
  const Parts parts(p, h, w);
  const int me = threadIdx.x / GROUP - 1, lane = threadIdx.x % 32;
  char *buffer = ring.s + R::SUMS + me * R::BUFFER;
  auto arrive = [&](u64 *bar) {
    __syncwarp();
    if (lane == 0) phase_arrive(bar);
  };
  u32 turns = 0;
#pragma unroll 1
  for (int i = me; i < parts.n; i += 2) {
    float sum[2][BN / 2];
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
      for (int e = 0; e < BN / 2; e++) sum[m][e] = 0;
    // What is waited for must be the next turn of a stage: those of the part before have all been seen by the other.
    if (i > 0) phase_wait(ring.turn(me), turns++ & 1);
    Place<R::STAGES> from(i * parts.steps);
    int before = -1;
#pragma unroll 1
    for (int t = 0; t < parts.steps; t++) {
      phase_wait(ring.full(from.stage), from.parity);
      const char *stage = ring.s + from.stage * R::STAGE;
      const u64 rows = wgmma_matrix(stage), cols = wgmma_matrix(stage + R::A);
      wgmma_open();
#pragma unroll
      for (int k = 0; k < 4; k++)
#pragma unroll
        for (int m = 0; m < 2; m++) multiply(T(), sum[m], rows + m * (64 * 128 / 16) + 2 * k, cols + 2 * k);
      wgmma_commit();
      wgmma_wait<1>();
      if (before >= 0) arrive(ring.empty(before));
      before = from.stage;
      from.next();
    }
    arrive(ring.turn(1 - me));
    wgmma_wait<0>();
    if (before >= 0) arrive(ring.empty(before));
#pragma unroll
    for (int m = 0; m < 2; m++) wgmma_hold(sum[m]);
    Work work = parts[i];
    Moments moments;
#pragma unroll
    for (int m = 0; m < 2; m++) {
      const Work half = {work.row * 2 + m, work.col, work.group, work.split};
      Consumer::sync(); // nobody reads the buffer any more
      Sums<BN, Consumer>::turn(buffer, sum[m]);
      if (!GRAD && p.pool) pool<T, BN, Consumer>(p, half, buffer, moments);
      else write<T, BN, Consumer, GRAD>(p, h, w, half, buffer, moments);
    }
    if (!GRAD && p.moments) join_moments<BN, Consumer>(p, work, buffer, moments);
  }
}

template <class T, int BN, bool GRAD> __device__ inline void images(const Conv2DParams &p, char *shared) {
  typedef Ring<BN> R;
  const Ring<BN> ring = {shared + (-(u64)shared & 1023)};
  const Taps h = rows_of<GRAD>(p), w = cols_of<GRAD>(p);
  if (threadIdx.x < R::STAGES) {
    phase_init(ring.full(threadIdx.x), GROUP / 32);
    phase_init(ring.empty(threadIdx.x), GROUP / 32);
    if (threadIdx.x < 2) phase_init(ring.turn(threadIdx.x), GROUP / 32);
  }
  __syncthreads();
  if (threadIdx.x < GROUP) {
    registers_less<88>();
    produce<T, BN, GRAD>(p, h, w, ring);
  } else {
    registers_more<208>();
    consume<T, BN, GRAD>(p, h, w, ring);
  }
}
#define BODY(T, BN, GRAD) \
  GUARD(p);               \
  SHARED(char, s);        \
  images<T, BN, GRAD>(p, s);
#else
#define BODY(T, BN, GRAD) // other GPUs have conv2d_mma_*.cu
#endif

#ifdef ACUMEN_SIM
#define ALONE 384
#else
#define ALONE 384, 1
#endif

#define WGMMA(pass, suffix, T, GRAD)                                                         \
  KERNEL(pass##_##suffix##_128x128, ALONE, Conv2DParams) { BODY(T, 128, GRAD) }            \
  KERNEL(pass##_##suffix##_128x64, ALONE, Conv2DParams) { BODY(T, 64, GRAD) }              \
  KERNEL(pass##_##suffix##_128x32, ALONE, Conv2DParams) { BODY(T, 32, GRAD) }

WGMMA(conv2d_wgmma, f16, f16, false)
WGMMA(conv2d_wgmma, bf16, bf16, false)
WGMMA(conv2d_dx_wgmma, f16, f16, true)
WGMMA(conv2d_dx_wgmma, bf16, bf16, true)
