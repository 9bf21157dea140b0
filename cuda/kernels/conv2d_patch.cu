// also: 90a
//
// The convolution forward and the gradient of the input of stride 1 on the tensor cores of compute capability 9.0, where a
// kernel has several taps: the pixels that a tile meets are fetched once, as a patch of neighbours in memory, and each tap
// takes its own of them from shared memory to registers, as the first factor of wgmma. conv2d_wgmma.cu fetches them anew for
// each tap. The gradient is given weights whose input and output channels have changed places.
//
// Of the three warpgroups of a block one fetches, weights into a ring of stages and patches into two places in turn, and two
// multiply, each every other tile of the block's, so that one writes its sums while the other multiplies.
#include "conv2d_groups.cuh"

#ifdef ACUMEN_WGMMA
// A stage holds the weights of a step, 64 of k: SLOT channels of one or of two taps. The places of a tile's rows are in one of
// SETS: they are used until its sums are written, which is after the patch has been given back.
enum { GROUP = 128, DEPTH = 64, STAGES = 4, SETS = 4 };

// Consumer is one of the warpgroups that multiply, by a barrier of its own.
struct Consumer {
  enum { SIZE = GROUP };
  static __device__ int thread() { return threadIdx.x % GROUP; }
  static __device__ void sync() { group_sync<GROUP>(threadIdx.x / GROUP); }
};

// Row is a pixel that is written: where it is in the patch, a bit for each tap that meets a pixel, and where it goes.
struct Row {
  int at;
  u32 met;
  i64 place;
};

// Ring is shared memory: stages, zeros for taps that meet no pixel, the sums of both consumers and where they go, rows,
// barriers, and patches.
template <int BN, int MT, int SLOT, int SHARE> struct Ring {
  enum {
    WRITTEN = BN < 64 ? BN : 64, // columns that are written at a time
    STAGE = BN * 128, ROW = SLOT * 2, ZERO = STAGES * STAGE, SUMS = ZERO + 128, BUFFER = Sums<WRITTEN, Consumer>::BYTES + 1024,
    HIGH = 64 * MT * SHARE, ROWS = SUMS + 2 * BUFFER, BARS = ROWS + SETS * HIGH * (int)sizeof(Row), PIXELS = BARS + 128
  };
  static_assert(Pooled<64, WRITTEN>::BYTES - Pooled<64, WRITTEN>::WINDOWS <= 1024 && BUFFER % 128 == 0, "what goes behind the sums fits");
  char *s;
  __device__ char *buffer(int consumer) const { return s + SUMS + consumer * BUFFER; }
  __device__ Row *rows(int part) const { return (Row *)(s + ROWS) + part % SETS * HIGH; }
  __device__ u64 *full(int stage) const { return (u64 *)(s + BARS) + stage; }
  __device__ u64 *empty(int stage) const { return full(STAGES + stage); }
  __device__ u64 *here(int patch) const { return full(2 * STAGES + patch % 2); }
  __device__ u64 *free(int patch) const { return full(2 * STAGES + 2 + patch % 2); }
  __device__ u64 *turn(int consumer) const { return full(2 * STAGES + 4 + consumer); }
  static __device__ int swap(int row) { return SLOT == 64 ? row & 7 : row >> 1 & 3; }
  // pixel is where chunk col of a patch's row lies.
  static __device__ int pixel(const Conv2DParams &p, int patch, int row, int col) {
    return PIXELS + (patch % 2 * p.patch + row) * ROW + ((col ^ swap(row)) << 4);
  }
};

// Tap walks over the taps of a kernel: column, number, and how far a tap lies from the pixel that is written.
struct Tap {
  int c, number, shift;
  __device__ void next(const Conv2DParams &p, const Taps &h, const Taps &w) {
    c++, number++, shift += w.apart;
    if (c == p.kw) c = 0, shift += h.apart * p.xw - p.kw * w.apart;
  }
};

// Place is a stage, and the parity of its turn.
struct Place {
  int stage;
  u32 parity;
  __device__ explicit Place(int n) : stage(n % STAGES), parity(n / STAGES & 1) {}
  __device__ void next() {
    stage = stage + 1 & STAGES - 1;
    parity ^= stage == 0;
  }
};

// Parts are a block's tiles of what is written: how many, the steps of a slice of channels, the slices.
template <int HIGH, int SLOT> struct Parts {
  int n, each, slices;
  u32 rows;
  __device__ explicit Parts(const Conv2DParams &p) {
    rows = ((u32)p.images * p.yh * p.yw + HIGH - 1) / HIGH;
    n = ((int)rows * p.cols - (int)blockIdx.x + (int)gridDim.x - 1) / (int)gridDim.x;
    each = (p.kh * p.kw * SLOT + DEPTH - 1) / DEPTH, slices = SLOT == DEPTH ? p.xc / DEPTH : 1;
  }
  __device__ Work part(const Conv2DParams &p, int i) const {
    const u32 at = blockIdx.x + i * gridDim.x, row = at / (u32)p.cols;
    return {(int)row, (int)(at - row * p.cols), (int)blockIdx.y, 0};
  }
};

template <class T, int BN, int MT, int SLOT, int SHARE, bool GRAD> struct Producer {
  typedef Ring<BN, MT, SLOT, SHARE> R;
  enum { TAPS = DEPTH / SLOT, CHUNKS = SLOT / 8, PASS = GROUP / CHUNKS, APART = GROUP / 8, COLS = BN / APART };
  const R ring;
  const T *source;   // of this thread's next pixel
  int low, line, to; // the patch's first pixel, and this thread's next: which of the patch, and where it is put
  const T *weights;
  int across, left, tap; // elements between rows, rows that are there, tap

  __device__ explicit Producer(const R &r) : ring(r) {}

  // find finds the rows of part i.
  __device__ void find(const Conv2DParams &p, const Taps &h, const Taps &w, const Work &b, int i) {
    const Pixel first = pixel_of<GRAD ? 0 : 8>(p, h, w, (u32)b.row * R::HIGH);
    const int up = min(h.offset, h.offset + (p.kh - 1) * h.apart), back = min(w.offset, w.offset + (p.kw - 1) * w.apart);
    low = ((int)first.image * p.xh + first.i + up) * p.xw + first.j + back;
    Row *rows = ring.rows(i);
#pragma unroll 1
    for (int m = threadIdx.x % GROUP; m < R::HIGH; m += GROUP) {
      const Pixel px = pixel_of<GRAD ? 0 : 8>(p, h, w, (u32)b.row * R::HIGH + m);
      Row row = {((int)px.image * p.xh + px.i) * p.xw + px.j - low, 0, -1};
      u32 cols = 0;
#pragma unroll 1
      for (int t = 0; t < p.kw; t++) cols |= (u32)((u32)(px.j + w.offset + t * w.apart) < (u32)p.xw) << t;
#pragma unroll 1
      for (int t = 0; t < p.kh; t++)
        if ((u32)(px.i + h.offset + t * h.apart) < (u32)p.xh) row.met |= cols << t * p.kw;
      if (px.image < (u32)p.images) row.place = px.image * p.yImage + (i64)px.i * p.yRow + (i64)px.j * p.yCol + b.group * p.yc;
      else row.met = 0;
      rows[m] = row;
    }
  }

  // open goes to the first weights of a part.
  __device__ void open(const Conv2DParams &p, const Work &b) {
    const int thread = threadIdx.x % GROUP, col = thread % 8 * 8, o = b.col * BN + thread / 8, c = col % SLOT;
    tap = col / SLOT;
    across = APART * p.kh * p.kw * p.xc, left = c < p.xc ? p.yc - o : 0;
    weights = (const T *)p.w + (((i64)b.group * p.yc + o) * p.kh * p.kw + tap) * p.xc + c;
  }

  __device__ void fetch_weights(const Conv2DParams &p, int stage) {
    const int thread = threadIdx.x % GROUP, taps = p.kh * p.kw, rows = tap < taps ? left : 0;
    char *place = ring.s + stage * R::STAGE + wgmma_place(thread / 8, thread % 8);
#pragma unroll
    for (int a = 0; a < COLS; a++) cp_async<16>(place + a * APART * 128, weights + a * across, a * APART < rows ? 16 : 0);
    tap += TAPS, weights += TAPS * p.xc;
    if (SLOT == DEPTH && tap == taps) tap = 0, weights += DEPTH - taps * p.xc;
  }

  // turn goes to the first pixel of a patch, of channels from c on.
  __device__ void turn(const Conv2DParams &p, int patch, int c) {
    const int thread = threadIdx.x % GROUP, col = thread % CHUNKS;
    line = thread / CHUNKS;
    to = R::pixel(p, patch, line, col);
    source = (const T *)p.x + (i64)(low + line) * p.xCol + (int)blockIdx.y * p.xc + c + col * 8;
  }

  // fetch_pixels sends passes of pixels to a patch.
  __device__ void fetch_pixels(const Conv2DParams &p, int passes) {
    const u32 all = p.images * p.xh * p.xw;
    const bool there = SLOT == DEPTH || threadIdx.x % CHUNKS * 8 < p.xc;
#pragma unroll 2
    for (; passes > 0 && line < p.patch; passes--) {
      cp_async<16>(ring.s + to, source, there && (u32)(low + line) < all ? 16 : 0);
      line += PASS, to += PASS * R::ROW, source += (i64)PASS * p.xCol;
    }
  }

  __device__ void run(const Conv2DParams &p, const Taps &h, const Taps &w) {
    const Parts<R::HIGH, SLOT> parts(p);
    const int passes = (p.patch + PASS - 1) / PASS, shares = parts.each - STAGES + 1, share = (passes + shares - 1) / shares;
    const int patches = parts.n * parts.slices;
    auto arrive = [&](u64 *bar) {
      __syncwarp();
      if (threadIdx.x % 32 == 0) phase_arrive(bar);
    };
    Place fill(0);
    int patch = 0, slice = 0; // the latest patch, and of which channels it is
    bool ahead = false;       // there is a patch after that of these steps
    find(p, h, w, parts.part(p, 0), 0);
    turn(p, 0, 0);
    fetch_pixels(p, passes);
    arrive(ring.here(0));
    phase_copied(ring.here(0));
    for (int i = 0; i < parts.n; i++) {
      open(p, parts.part(p, i));
#pragma unroll 1
      for (int t = 0, step = 0; t < parts.slices * parts.each; t++) {
        phase_wait(ring.empty(fill.stage), fill.parity ^ 1);
        fetch_weights(p, fill.stage);
        phase_copied(ring.full(fill.stage));
        fill.next();
        if (step == 0) ahead = patch + 1 < patches;
        if (ahead) {
          if (step == 0 && slice + 1 == parts.slices) find(p, h, w, parts.part(p, i + 1), i + 1);
          if (step == STAGES - 1) { // now those who multiply are done with the patch before this, whose place is taken
            patch++;
            if (++slice == parts.slices) slice = 0;
            phase_wait(ring.free(patch), (patch >> 1 & 1) ^ 1);
            turn(p, patch, slice * DEPTH);
            arrive(ring.here(patch));
          }
          if (step >= STAGES - 1) fetch_pixels(p, share);
          if (step == parts.each - 1) phase_copied(ring.here(patch));
        }
        if (++step == parts.each) step = 0;
      }
    }
  }
};

// Lanes is where the chunks lie that a lane gives to ldmatrix for a step: of one tap or of two.
template <class R, int SLOT> struct Lanes {
  int at[DEPTH / SLOT];
  __device__ Lanes(const Conv2DParams &p, const Taps &h, const Taps &w, int row, u32 met, int patch, Tap tap) {
    const int half = threadIdx.x % 32 / 16;
#pragma unroll
    for (int e = 0; e < DEPTH / SLOT; e++) {
      if (e > 0) tap.next(p, h, w);
      at[e] = met >> tap.number & 1 ? R::pixel(p, patch, row + tap.shift, half) : (int)R::ZERO;
    }
  }
  // load gives the fragment of the k-th 16 of k.
  __device__ void load(unsigned (&f)[4], const R &ring, int k) const { ldmatrix_x4(f, ring.s + (at[k * 16 / SLOT] ^ k * 16 % SLOT / 8 << 4)); }
};

template <class T, int BN, int MT, int SLOT, int SHARE, bool GRAD> __device__ inline void consume(const Conv2DParams &p, const Taps &h, const Taps &w, const Ring<BN, MT, SLOT, SHARE> &ring) {
  typedef Ring<BN, MT, SLOT, SHARE> R;
  typedef Sums<R::WRITTEN, Consumer> S;
  const Parts<R::HIGH, SLOT> parts(p);
  const int me = threadIdx.x / GROUP - 1, lane = threadIdx.x % 32, steps = parts.slices * parts.each;
  const int half = SHARE == 1 ? 0 : me, first = half * 64 * MT; // of a tile's rows
  char *buffer = ring.buffer(me);
  auto arrive = [&](u64 *bar) {
    __syncwarp();
    if (lane == 0) phase_arrive(bar);
  };
  const Tap zero = {0, 0, h.offset * p.xw + w.offset};
  u32 turns = 0;
#pragma unroll 1
  for (int i = SHARE == 1 ? me : 0; i < parts.n; i += 3 - SHARE) {
    // What is waited for must be the next turn of a place: those of the part before have all been seen by the other.
    if (SHARE == 1 && i > 0) phase_wait(ring.turn(me), turns++ & 1);
    float sum[MT][BN / 2];
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
      for (int e = 0; e < BN / 2; e++) sum[m][e] = 0;
    unsigned f[4][4]; // of four products that follow each other
    int at[MT];
    u32 met[MT];
    Place from(i * steps);
    int patch = i * parts.slices, before = -1;
    phase_wait(ring.here(patch), patch >> 1 & 1);
#pragma unroll
    for (int m = 0; m < MT; m++) {
      const Row &row = ring.rows(i)[first + m * 64 + Consumer::thread() / 32 * 16 + lane % 16];
      at[m] = row.at, met[m] = row.met;
    }
    Tap tap = zero;
    Lanes<R, SLOT> lanes(p, h, w, at[0], met[0], patch, tap);
    lanes.load(f[0], ring, 0);
    lanes.load(f[1], ring, 1);
#pragma unroll 1
    for (int t = 0, step = 0; t < steps; t++) {
      phase_wait(ring.full(from.stage), from.parity);
      wgmma_see();
      const u64 cols = wgmma_matrix(ring.s + from.stage * R::STAGE);
#pragma unroll
      for (int j = 0; j < 4 * MT; j++) {
        wgmma_open();
        wgmma_rows<false>(T(), sum[j / 4], f[j % 4], cols + 2 * (j % 4));
        wgmma_commit();
        wgmma_wait<1>();
        // The fragment of the product after the next is loaded while these two are under way.
        const int to = (j + 2) / 4 % MT;
        if (j % 4 == 2) {
          if (to == 0) { // the last fragments of this step have been loaded
#pragma unroll
            for (int e = 0; e < DEPTH / SLOT; e++) tap.next(p, h, w);
            if (++step == parts.each) {
              arrive(ring.free(patch++));
              step = 0, tap = zero;
              if (t + 1 < steps) phase_wait(ring.here(patch), patch >> 1 & 1);
            }
          }
          lanes = Lanes<R, SLOT>(p, h, w, at[to], to == 0 && t + 1 == steps ? 0 : met[to], patch, tap);
        }
        lanes.load(f[(j + 2) % 4], ring, (j + 2) % 4);
        if (j == 0 && before >= 0) arrive(ring.empty(before));
      }
      before = from.stage;
      from.next();
    }
    if (SHARE == 1) arrive(ring.turn(1 - me));
    wgmma_wait<0>();
    arrive(ring.empty(before));
#pragma unroll
    for (int m = 0; m < MT; m++) wgmma_hold(sum[m]);
    const Work work = parts.part(p, i);
    i64 *places = (i64 *)(buffer + S::BYTES);
#pragma unroll
    for (int c = 0; c < BN / R::WRITTEN; c++) {
      Work part = {0, work.col * (BN / R::WRITTEN) + c, work.group, 0};
      Moments moments;
#pragma unroll
      for (int m = 0; m < MT; m++) {
        part.row = (work.row * SHARE + half) * MT + m;
        Consumer::sync(); // nobody reads the buffer any more
        if (c == 0) S::template turn<0>(buffer, sum[m]);
        else S::template turn<(BN > R::WRITTEN ? R::WRITTEN / 2 : 0)>(buffer, sum[m]);
        if (!GRAD && p.pool) {
          pool<T, R::WRITTEN, Consumer>(p, part, buffer, moments);
        } else {
          if (Consumer::thread() < 64) places[Consumer::thread()] = ring.rows(i)[first + m * 64 + Consumer::thread()].place;
          write<T, R::WRITTEN, Consumer, GRAD>(p, part, buffer, places, moments);
        }
      }
      part.row = work.row * SHARE + half;
      if (!GRAD && p.moments && (SHARE == 1 || (i64)part.row * MT * 64 < (i64)p.images * p.yh * p.yw)) join_moments<R::WRITTEN, Consumer>(p, part, buffer, moments);
    }
  }
}

template <class T, int BN, int MT, int SLOT, int SHARE, bool GRAD> __device__ inline void images(const Conv2DParams &p, char *shared) {
  typedef Ring<BN, MT, SLOT, SHARE> R;
  const R ring = {shared + (-(u64)shared & 1023)};
  const Taps h = rows_of<GRAD>(p), w = cols_of<GRAD>(p);
  const int t = threadIdx.x;
  if (t < STAGES) {
    phase_init(ring.full(t), GROUP);
    phase_init(ring.empty(t), SHARE * GROUP / 32);
  }
  if (t < 2) {
    phase_init(ring.here(t), GROUP + GROUP / 32);
    phase_init(ring.free(t), SHARE * GROUP / 32);
    phase_init(ring.turn(t), GROUP / 32);
  }
  if (t < 8) *(uint4 *)(ring.s + R::ZERO + t * 16) = make_uint4(0, 0, 0, 0);
  __syncthreads();
  if (t < GROUP) {
    registers_less<88>();
    Producer<T, BN, MT, SLOT, SHARE, GRAD>(ring).run(p, h, w);
  } else {
    registers_more<208>();
    consume<T, BN, MT, SLOT, SHARE, GRAD>(p, h, w, ring);
  }
}
#define BODY(T, BN, MT, SLOT, SHARE, GRAD) \
  GUARD(p);                         \
  SHARED(char, s);                  \
  images<T, BN, MT, SLOT, SHARE, GRAD>(p, s);
#else
#define BODY(T, BN, MT, SLOT, SHARE, GRAD) // other GPUs have conv2d_mma_*.cu
#endif

#ifdef ACUMEN_SIM
#define ALONE 384
#else
#define ALONE 384, 1
#endif

#define PATCH(pass, suffix, T, GRAD)                                                                  \
  KERNEL(pass##_##suffix##_256x128, ALONE, Conv2DParams) { BODY(T, 128, 2, 64, 2, GRAD) }         \
  KERNEL(pass##_##suffix##_128x128, ALONE, Conv2DParams) { BODY(T, 128, 2, 64, 1, GRAD) }         \
  KERNEL(pass##_##suffix##_256x64, ALONE, Conv2DParams) { BODY(T, 64, 4, 64, 1, GRAD) }           \
  KERNEL(pass##_##suffix##_256x32, ALONE, Conv2DParams) { BODY(T, 32, 4, 64, 1, GRAD) }           \
  KERNEL(pass##_narrow_##suffix##_128x128, ALONE, Conv2DParams) { BODY(T, 128, 2, 32, 1, GRAD) }  \
  KERNEL(pass##_narrow_##suffix##_256x64, ALONE, Conv2DParams) { BODY(T, 64, 4, 32, 1, GRAD) }    \
  KERNEL(pass##_narrow_##suffix##_256x32, ALONE, Conv2DParams) { BODY(T, 32, 4, 32, 1, GRAD) }

PATCH(conv2d_patch, f16, f16, false)
PATCH(conv2d_patch, bf16, bf16, false)
PATCH(conv2d_dx_patch, f16, f16, true)
PATCH(conv2d_dx_patch, bf16, bf16, true)
