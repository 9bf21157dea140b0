// also: 90a
// hot: conv2d_patch_wide_f16_256x128 conv2d_patch_wide_bf16_256x128 conv2d_dx_patch_wide_f16_256x128 conv2d_dx_patch_wide_bf16_256x128 shared=195840
//
// The convolution forward and the gradient of the input of stride 1 on the tensor cores of compute capability 9.0, by tiles of
// 256 pixels and 128 channels from patches. Of the three warpgroups of a block one fetches, weights into a ring of stages and
// patches into two places in turn, and two multiply, each half of the pixels. A block does several tiles one after the other:
// the next one's first pixels are fetched before the last products of this one. The gradient is given weights whose input and
// output channels have changed places.
#include "conv2d_patch.cuh"

#ifdef ACUMEN_WGMMA
// The places of a tile's rows are in one of SETS: they are used until its sums are written, which is after the patch has been
// given back.
enum { GROUP = 128, BN = 128, STAGES = 4, SETS = 4, WRITTEN = 64 }; // WRITTEN: channels that are written at a time

// Consumer is one of the warpgroups that multiply, by a barrier of its own.
struct Consumer {
  enum { SIZE = GROUP };
  static __device__ int thread() { return threadIdx.x % GROUP; }
  static __device__ void sync() { group_sync<GROUP>(threadIdx.x / GROUP); }
};
typedef Sums<WRITTEN, Consumer> Turned64;

// Row is a pixel that is written: where it is in the patch, a bit for each tap that meets a pixel, and where it goes.
struct Row {
  int at;
  u32 met;
  i64 place;
};

// Ring is shared memory: stages, zeros for taps that meet no pixel, the sums of both consumers and where they go, rows,
// barriers, and patches.
struct Ring {
  enum {
    STAGE = BN * 128, ZERO = STAGES * STAGE, SUMS = ZERO + 128, BUFFER = Turned64::BYTES + 1024, ROWS = SUMS + 2 * BUFFER,
    BARS = ROWS + SETS * HIGH * (int)sizeof(Row), PATCH = BARS + 128
  };
  static_assert(Pooled<64, WRITTEN>::BYTES - Pooled<64, WRITTEN>::WINDOWS <= 1024 && BUFFER % 128 == 0, "what goes behind the sums fits");
  char *s;
  __device__ char *buffer(int consumer) const { return s + SUMS + consumer * BUFFER; }
  __device__ Row *rows(int part) const { return (Row *)(s + ROWS) + part % SETS * HIGH; }
  // What is told: that a stage is full or empty, that a patch is here or its place free.
  __device__ u64 *full(int stage) const { return (u64 *)(s + BARS) + stage; }
  __device__ u64 *empty(int stage) const { return full(STAGES + stage); }
  __device__ u64 *here(int patch) const { return full(2 * STAGES + patch % 2); }
  __device__ u64 *free(int patch) const { return full(2 * STAGES + 2 + patch % 2); }
  static __device__ int patch(const Conv2DParams &p, int patch) { return PATCH + patch % 2 * p.patch * 128; }
};

__device__ inline void arrive(u64 *bar) {
  __syncwarp();
  if (threadIdx.x % 32 == 0) phase_arrive(bar);
}

// Place is a stage, and the parity of its turn.
struct Place {
  int stage;
  u32 parity;
  __device__ void next() {
    stage = stage + 1 & STAGES - 1;
    parity ^= stage == 0;
  }
};

// Parts are a block's tiles of what is written: how many, the steps of a slice of channels, the slices.
struct Parts {
  int n, each, slices;
  __device__ explicit Parts(const Conv2DParams &p) {
    const int rows = ((u32)p.images * p.yh * p.yw + HIGH - 1) / HIGH;
    n = (rows * p.cols - (int)blockIdx.x + (int)gridDim.x - 1) / (int)gridDim.x;
    each = p.kh * p.kw, slices = p.xc / DEPTH;
  }
  __device__ Work part(const Conv2DParams &p, int i) const {
    const u32 at = blockIdx.x + i * gridDim.x, row = at / (u32)p.cols;
    return {(int)row, (int)(at - row * p.cols), (int)blockIdx.y, 0};
  }
};

// find finds the rows of part i.
template <bool GRAD> __device__ inline void find(const Conv2DParams &p, const Taps &h, const Taps &w, const Ring &ring, const Work &b, int i, int low) {
#pragma unroll 1
  for (int m = threadIdx.x % GROUP; m < HIGH; m += GROUP) {
    const Pixel px = pixel_of<GRAD ? 0 : 8>(p, h, w, (u32)b.row * HIGH + m);
    const bool there = px.image < (u32)p.images;
    ring.rows(i)[m] = {((int)px.image * p.xh + px.i) * p.xw + px.j - low, meeting(p, h, w, px),
                       there ? px.image * p.yImage + (i64)px.i * p.yRow + (i64)px.j * p.yCol + b.group * p.yc : -1};
  }
}

template <class T, bool GRAD> __device__ inline void produce(const Conv2DParams &p, const Taps &h, const Taps &w, const Ring &ring) {
  const Parts parts(p);
  Weights<T, BN, DEPTH, GROUP> weights;
  Patch<T, DEPTH, GROUP> pixels;
  const int passes = pixels.passes(p), shares = parts.each - STAGES + 1, share = (passes + shares - 1) / shares;
  Place fill = {0, 0};
  int patch = 0, slice = 0; // the latest patch, and of which channels it is
  bool ahead = false;       // there is a patch after that of these steps
  auto begin = [&](int i) {
    const Work b = parts.part(p, i);
    pixels.low = lowest<GRAD>(p, h, w, b.row);
    find<GRAD>(p, h, w, ring, b, i, pixels.low);
  };
  begin(0);
  pixels.open(p, blockIdx.y, Ring::patch(p, 0), 0);
  pixels.fetch(p, ring.s, passes);
  arrive(ring.here(0));
  phase_copied(ring.here(0));
  for (int i = 0; i < parts.n; i++) {
    weights.open(p, parts.part(p, i));
#pragma unroll 1
    for (int t = 0, step = 0; t < parts.slices * parts.each; t++) {
      phase_wait(ring.empty(fill.stage), fill.parity ^ 1);
      weights.fetch(p, ring.s + fill.stage * Ring::STAGE);
      phase_copied(ring.full(fill.stage));
      fill.next();
      if (step == 0) ahead = patch + 1 < parts.n * parts.slices;
      if (ahead) {
        if (step == 0 && slice + 1 == parts.slices) begin(i + 1);
        if (step == STAGES - 1) { // now those who multiply are done with the patch before this, whose place is taken
          patch++;
          if (++slice == parts.slices) slice = 0;
          phase_wait(ring.free(patch), (patch >> 1 & 1) ^ 1);
          pixels.open(p, blockIdx.y, Ring::patch(p, patch), slice * DEPTH);
          arrive(ring.here(patch));
        }
        if (step >= STAGES - 1) pixels.fetch(p, ring.s, share);
        if (step == parts.each - 1) phase_copied(ring.here(patch));
      }
      if (++step == parts.each) step = 0;
    }
  }
}

template <class T, bool GRAD> __device__ inline void consume(const Conv2DParams &p, const Taps &h, const Taps &w, const Ring &ring) {
  enum { TILES = 2, PRODUCTS = 4 * TILES }; // of 64 pixels, and in a step
  const Parts parts(p);
  const int half = threadIdx.x / GROUP - 1, first = half * 64 * TILES, lane = threadIdx.x % 32, steps = parts.slices * parts.each;
  char *buffer = ring.buffer(half);
  Place from = {0, 0};
  int patch = 0;
  const Tap zero(p, h, w);
#pragma unroll 1
  for (int i = 0; i < parts.n; i++) {
    float sum[TILES][BN / 2];
#pragma unroll
    for (int m = 0; m < TILES; m++)
#pragma unroll
      for (int e = 0; e < BN / 2; e++) sum[m][e] = 0;
    unsigned f[4][4]; // of four products that follow each other
    int at[TILES], before = -1;
    u32 met[TILES];
    phase_wait(ring.here(patch), patch >> 1 & 1);
#pragma unroll
    for (int m = 0; m < TILES; m++) {
      const Row &row = ring.rows(i)[first + m * 64 + Consumer::thread() / 32 * 16 + lane % 16];
      at[m] = row.at, met[m] = row.met;
    }
    Tap tap = zero;
    auto lanes = [&](int m, u32 met) { return met >> tap.number & 1 ? Ring::patch(p, patch) + in_patch<DEPTH>(at[m] + tap.shift, lane / 16) : (int)Ring::ZERO; };
    int place = lanes(0, met[0]);
    ldmatrix_x4(f[0], ring.s + place);
    ldmatrix_x4(f[1], ring.s + (place ^ 2 << 4));
#pragma unroll 1
    for (int t = 0, step = 0; t < steps; t++) {
      phase_wait(ring.full(from.stage), from.parity);
      wgmma_see();
      const u64 cols = wgmma_matrix(ring.s + from.stage * Ring::STAGE);
#pragma unroll
      for (int j = 0; j < PRODUCTS; j++) {
        wgmma_open();
        wgmma_rows<false>(T(), sum[j / 4], f[j % 4], cols + 2 * (j % 4));
        wgmma_commit();
        wgmma_wait<2>(); // the fragment of the product before the last may change
        // It becomes that of the product after the next: one that waited for its fragments would be late. After the last product
        // there are zeros: a branch here would make products wait for each other.
        if (j == 2) place = lanes(1, met[1]);
        if (j == PRODUCTS - 2) { // the last fragments of this step have been loaded
          tap.next(p, h, w);
          if (++step == parts.each) {
            arrive(ring.free(patch++));
            step = 0, tap = zero;
            if (t + 1 < steps) phase_wait(ring.here(patch), patch >> 1 & 1);
          }
          place = lanes(0, t + 1 < steps ? met[0] : 0);
        }
        ldmatrix_x4(f[(j + 2) % 4], ring.s + (place ^ (j + 2) % 4 * 2 << 4));
        if (j == 1 && before >= 0) arrive(ring.empty(before)); // all products of the step before are done
      }
      before = from.stage;
      from.next();
    }
    wgmma_wait<0>();
    arrive(ring.empty(before));
#pragma unroll
    for (int m = 0; m < TILES; m++) wgmma_hold(sum[m]);
    const Work work = parts.part(p, i);
    i64 *places = (i64 *)(buffer + Turned64::BYTES);
#pragma unroll
    for (int c = 0; c < BN / WRITTEN; c++) {
      Work part = {0, work.col * (BN / WRITTEN) + c, work.group, 0};
      Moments moments;
#pragma unroll
      for (int m = 0; m < TILES; m++) {
        part.row = (work.row * 2 + half) * TILES + m;
        Consumer::sync(); // nobody reads the buffer any more
        if (c == 0) Turned64::turn<0>(buffer, sum[m]);
        else Turned64::turn<WRITTEN / 2>(buffer, sum[m]);
        if (!GRAD && p.pool) {
          pool<T, WRITTEN, Consumer>(p, part, buffer, moments);
        } else {
          if (Consumer::thread() < 64) places[Consumer::thread()] = ring.rows(i)[first + m * 64 + Consumer::thread()].place;
          write<T, WRITTEN, Consumer, GRAD>(p, part, buffer, places, moments);
        }
      }
      part.row = work.row * 2 + half;
      if (!GRAD && p.moments && (i64)part.row * BM < (i64)p.images * p.yh * p.yw) join_moments<WRITTEN, Consumer>(p, part, buffer, moments);
    }
  }
}

template <class T, bool GRAD> __device__ inline void images(const Conv2DParams &p, char *shared) {
  const Ring ring = {shared + (-(u64)shared & 1023)};
  const Taps h = of_stride_1<GRAD>(p.kh, p.padH, p.dilH, p.yh), w = of_stride_1<GRAD>(p.kw, p.padW, p.dilW, p.yw);
  const int t = threadIdx.x;
  if (t < STAGES) {
    phase_init(ring.full(t), GROUP);
    phase_init(ring.empty(t), 2 * GROUP / 32);
  }
  if (t < 2) {
    phase_init(ring.here(t), GROUP + GROUP / 32);
    phase_init(ring.free(t), 2 * GROUP / 32);
  }
  if (t < 8) *(uint4 *)(ring.s + Ring::ZERO + t * 16) = make_uint4(0, 0, 0, 0);
  __syncthreads();
  if (t < GROUP) {
    registers_less<88>();
    produce<T, GRAD>(p, h, w, ring);
  } else {
    registers_more<208>();
    consume<T, GRAD>(p, h, w, ring);
  }
}
#define BODY(T, GRAD) \
  GUARD(p);           \
  SHARED(char, s);    \
  images<T, GRAD>(p, s);
#else
#define BODY(T, GRAD) // other GPUs have conv2d_mma_*.cu
#endif

#ifdef ACUMEN_SIM
#define ALONE 384
#else
#define ALONE 384, 1
#endif

KERNEL(conv2d_patch_wide_f16_256x128, ALONE, Conv2DParams) { BODY(f16, false) }
KERNEL(conv2d_patch_wide_bf16_256x128, ALONE, Conv2DParams) { BODY(bf16, false) }
KERNEL(conv2d_dx_patch_wide_f16_256x128, ALONE, Conv2DParams) { BODY(f16, true) }
KERNEL(conv2d_dx_patch_wide_bf16_256x128, ALONE, Conv2DParams) { BODY(bf16, true) }
