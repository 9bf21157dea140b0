// conv2d_mma.cuh multiplies tiles of conv2d_tiles.cuh on tensor cores (sm_80 and later): blocks of 128 threads, WM x WN
// warps, and a ring of 3 stages in shared memory that cp.async fills. A stage holds 64 bytes of k of both operands.
#pragma once
#include "conv2d_tiles.cuh"
#include "ptx.cuh"

enum { STAGES = 3, THREADS = 128 };

// So many blocks are to share a processor, which limits the registers of a thread.
#ifdef ACUMEN_SIM
#define BLOCKS(n) 128
#else
#define BLOCKS(n) 128, n
#endif

// Panel is a tile of an operand in shared memory: DEEP: a row for each of the W, else for each k. Rows are cut into chunks
// of 16 bytes, which are permuted so that the reads of a warp hit each bank once.
template <class T, int W, bool DEEP> struct Panel {
  enum { E = 16 / sizeof(T), CHUNKS = DEEP ? 4 : W / E, BYTES = W * 64 };

  static __device__ inline int place(int row, int chunk) {
    int twist = DEEP || CHUNKS == 4 ? row >> 1 & 3 : sizeof(T) == 4 ? (row & 3) << 1 : row & 7;
    return (row * CHUNKS + (chunk ^ twist)) * 16;
  }

  // a16 gives the fragment of 16 of the outer axis from w on, as operand A; step is 0 or 1, the half of k.
  static __device__ inline void a16(unsigned (&f)[4], const char *s, int w, int step) {
    const int lane = threadIdx.x % 32, l = lane % 8, j = lane / 8;
    if (DEEP) {
      ldmatrix_x4(f, s + place(w + (j & 1) * 8 + l, step * 2 + (j >> 1)));
    } else if (sizeof(T) == 2) {
      ldmatrix_x4_trans(f, s + place(step * 16 + (j >> 1) * 8 + l, w / E + (j & 1)));
    } else {
#pragma unroll
      for (int c = 0; c < 4; c++) f[c] = one(s, step * 8 + lane % 4 + (c >> 1) * 4, w + lane / 4 + (c & 1) * 8);
    }
    rounded(f);
  }

  // b16 gives the fragments of twice 8 of the outer axis from w on, as operand B.
  static __device__ inline void b16(unsigned (&f)[4], const char *s, int w, int step) {
    const int lane = threadIdx.x % 32, l = lane % 8, j = lane / 8;
    if (DEEP) {
      ldmatrix_x4(f, s + place(w + (j >> 1) * 8 + l, step * 2 + (j & 1)));
    } else if (sizeof(T) == 2) {
      ldmatrix_x4_trans(f, s + place(step * 16 + (j & 1) * 8 + l, w / E + (j >> 1)));
    } else {
#pragma unroll
      for (int c = 0; c < 4; c++) f[c] = one(s, step * 8 + lane % 4 + (c & 1) * 4, w + lane / 4 + (c >> 1) * 8);
    }
    rounded(f);
  }

  // one is element w of row k of a panel of 32-bit elements.
  static __device__ inline unsigned one(const char *s, int k, int w) { return *(const unsigned *)(s + place(k, w / E) + w % E * 4); }

  static __device__ inline void rounded(unsigned (&f)[4]) {
    if (sizeof(T) == 4)
#pragma unroll
      for (int c = 0; c < 4; c++) f[c] = to_tf32(__uint_as_float(f[c]));
  }
};

// Sent puts a thread's chunks of a tile where the panel has them.
template <class P, class T> struct Sent {
  char *s;
  __device__ void chunk(int, int row, int col, const T *from, bool valid) { cp_async<16>(s + P::place(row, col), from, valid ? 16 : 0); }
  __device__ void elements(int, int row, int col, const T (&v)[16 / sizeof(T)]) {
    uint4 u;
    memcpy(&u, v, 16);
    *(uint4 *)(s + P::place(row, col)) = u;
  }
};

template <class T> __device__ inline void multiply(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]);
template <> __device__ inline void multiply<f16>(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma_f16(c, a, b); }
template <> __device__ inline void multiply<bf16>(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma_bf16(c, a, b); }
template <> __device__ inline void multiply<float>(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma_tf32(c, a, b); }

template <class T, int BM, int BN, int WM, int WN, bool ADEEP, bool BDEEP> struct Tensor {
  typedef Panel<T, BM, ADEEP> A;
  typedef Panel<T, BN, BDEEP> B;
  typedef Sent<A, T> SA;
  typedef Sent<B, T> SB;
  enum {
    DEPTH = 64 / sizeof(T), STAGE = A::BYTES + B::BYTES,
    HIGH = BM / WM, WIDE = BN / WN, MI = HIGH / 16, NI = WIDE / 8, // of a warp
    PITCH = BN + 4, ROWS = WM * 32                                  // of the sums in shared memory
  };
  static_assert(WM * WN * 32 == THREADS && MI % 2 == 0 && NI % 2 == 0, "4 warps, pairs of fragments");
  static_assert(ROWS * (PITCH * 4 + 8) + BN * 4 <= STAGES * STAGE, "the sums fit into the stages");
  float sum[MI][NI][4];

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < NI; j++)
#pragma unroll
        for (int c = 0; c < 4; c++) sum[i][j][c] = 0;
  }

  // multiply sums steps tiles, which fetch_a and fetch_b send to shared memory.
  template <class FA, class FB> __device__ void multiply_tiles(int steps, char *s, FA fetch_a, FB fetch_b) {
    const int warp = threadIdx.x / 32, wi = warp / WN * HIGH, wj = warp % WN * WIDE;
    clear();
#pragma unroll 1
    for (int f = 0; f < STAGES - 1; f++) {
      if (f < steps) {
        fetch_a(SA{s + f * STAGE});
        fetch_b(SB{s + f * STAGE + A::BYTES});
      }
      cp_async_commit();
    }
    int use = 0, fill = STAGES - 1;
#pragma unroll 1
    for (int t = 0; t < steps; t++) {
      cp_async_wait<STAGES - 2>();
      __syncthreads(); // this stage is there for all, and nobody reads the one before it any more
      if (t + STAGES - 1 < steps) {
        fetch_a(SA{s + fill * STAGE});
        fetch_b(SB{s + fill * STAGE + A::BYTES});
      }
      cp_async_commit();
      const char *as = s + use * STAGE, *bs = as + A::BYTES;
#pragma unroll
      for (int step = 0; step < 2; step++) {
        unsigned u[MI][4], v[NI / 2][4];
#pragma unroll
        for (int i = 0; i < MI; i++) A::a16(u[i], as, wi + 16 * i, step);
#pragma unroll
        for (int j = 0; j < NI / 2; j++) B::b16(v[j], bs, wj + 16 * j, step);
#pragma unroll
        for (int i = 0; i < MI; i++)
#pragma unroll
          for (int j = 0; j < NI; j++) {
            const unsigned w[2] = {v[j / 2][j % 2 * 2], v[j / 2][j % 2 * 2 + 1]};
            multiply<T>(sum[i][j], u[i], w);
          }
      }
      use = use == STAGES - 1 ? 0 : use + 1;
      fill = fill == STAGES - 1 ? 0 : fill + 1;
    }
    cp_async_wait_all();
  }

  // finish turns the sums over in shared memory, 32 rows of each warp at a time, so that they are written in long stretches:
  // where tells the place of a row of the tile, and put writes four sums of a row at a place.
  template <class Where, class Put> __device__ void finish(char *s, Where where, Put put) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, wj = warp % WN * WIDE;
    float *turn = (float *)s;
    i64 *at = (i64 *)(s + ROWS * PITCH * 4);
    auto row_of = [](int row, int half) { return row / 32 * HIGH + half * 32 + row % 32; };
#pragma unroll
    for (int half = 0; half < MI / 2; half++) {
      __syncthreads();
      if (threadIdx.x < ROWS) at[threadIdx.x] = where(row_of(threadIdx.x, half));
#pragma unroll
      for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < NI; j++) {
          float *to = turn + (warp / WN * 32 + i * 16 + lane / 4) * PITCH + wj + j * 8 + lane % 4 * 2;
          const float(&c)[4] = sum[2 * half + i][j];
          *(float2 *)to = make_float2(c[0], c[1]);
          *(float2 *)(to + 8 * PITCH) = make_float2(c[2], c[3]);
        }
      __syncthreads();
#pragma unroll 1
      for (int e = threadIdx.x; e < ROWS * (BN / 4); e += THREADS) {
        const int row = e / (BN / 4), col = e % (BN / 4) * 4;
        put(at[row], row_of(row, half), col, *(const float4 *)(turn + row * PITCH + col));
      }
    }
  }

  // pool writes the maxima of windows, whose pixels are rows g, g + 8, g + 16, g + 24 of 32.
  __device__ void pool(const Conv2DParams &p, const Work &b, char *s, Moments &moments) {
    typedef Pooled<BM, BN> P;
    static_assert(P::BYTES <= ROWS * (PITCH * 4 + 8) + BN * 4, "the maxima take no more room than the sums");
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    __syncthreads();
    P::open(p, b, s, threadIdx.x);
    __syncthreads();
#pragma unroll
    for (int u = 0; u < MI / 2; u++)
#pragma unroll
      for (int j = 0; j < NI; j++) {
        const int row = warp / WN * (HIGH / 4) + u * 8 + lane / 4, col = warp % WN * WIDE + j * 8 + lane % 4 * 2;
        const float(&a)[4] = sum[2 * u][j], (&c)[4] = sum[2 * u + 1][j];
        const float2 bias = *(const float2 *)(P::bias(s) + col);
        const Largest<T> l = of_window<T>(p.act, bias.x, a[0], a[2], c[0], c[2]), r = of_window<T>(p.act, bias.y, a[1], a[3], c[1], c[3]);
        *(float2 *)(P::maxima(s) + row * PITCH + col) = make_float2(l.best, r.best);
        *(int2 *)(P::taps(s) + row * PITCH + col) = make_int2(l.tap, r.tap);
      }
    __syncthreads();
    P::template write<T, THREADS>(p, b, s, moments);
  }

  // put_images finishes a tile of pixels.
  template <bool GRAD> __device__ void put_images(const Conv2DParams &p, const Taps &h, const Taps &w, const Work &b, char *s) {
    Moments moments;
    if (!GRAD && p.pool)
      pool(p, b, s, moments);
    else
      finish(
          s, [&](int row) { return place(p, h, w, b.group, b.row * BM + row); },
          [&](i64 at, int, int col, const float4 &v) { put4<T, GRAD>(p, b, at, b.col * BN + col, v, moments); });
    if (!GRAD && p.moments) join_moments<BN, Whole<THREADS>>(p, b, s, moments);
  }
};
