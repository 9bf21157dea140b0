// hot: matmul_f16_128_nn matmul_f16_128_nt matmul_f16_128_tn matmul_f16_128_tt shared=49152
// hot: matmul_bf16_128_nn matmul_bf16_128_nt matmul_bf16_128_tn matmul_bf16_128_tt shared=49152
// hot: matmul_tf32_128_nn matmul_tf32_128_nt matmul_tf32_128_tn matmul_tf32_128_tt shared=49152
// hot: matmul_f16_64_nn matmul_f16_64_nt matmul_f16_64_tn matmul_f16_64_tt shared=24576
// hot: matmul_bf16_64_nn matmul_bf16_64_nt matmul_bf16_64_tn matmul_bf16_64_tt shared=24576
// hot: matmul_tf32_64_nn matmul_tf32_64_nt matmul_tf32_64_tn matmul_tf32_64_tt shared=24576
//
// Products on tensor cores (sm_80 and later). A block has 128 threads, 4 warps in 2 x 2, and a ring of 3 stages in shared
// memory that cp.async fills; each stage holds 64 bytes of k of both operands.
#include "matmul.cuh"
#include "ptx.cuh"

#if defined(ACUMEN_SIM) || __CUDA_ARCH__ >= 800

enum { STAGES = 3, THREADS = 128 };

// Panel is a tile of an operand, W of the outer axis (m or n) by 64 bytes of k, of elements T. DEEP: stride 1 along k, and
// a row for each of the W; else a row for each k. Rows are cut into chunks of 16 bytes, which are permuted so that the
// reads of a warp hit each bank once.
template <class T, int W, bool DEEP> struct Panel {
  enum {
    E = 16 / sizeof(T),    // elements of a chunk
    DEPTH = 64 / sizeof(T), // k
    CHUNKS = DEEP ? 4 : W / E,
    ROWS = DEEP ? W : DEPTH,
    BYTES = W * 64,
    EACH = ROWS * CHUNKS / THREADS,
    APART = THREADS / CHUNKS // rows between the chunks of a thread
  };

  static __device__ inline int place(int row, int chunk) {
    int twist = DEEP ? row >> 1 & 3 : sizeof(T) == 4 ? (row & 3) << 1 : row & 7;
    return (row * CHUNKS + (chunk ^ twist)) * 16;
  }

  const T *x; // this thread's first element
  i64 ld;
  int row, col;       // of that, in the tile
  int first, limit;   // along the outer axis
  int vec;

  __device__ inline void open(const T *matrix, i64 stride, int at, int extent, int k0, int width) {
    row = threadIdx.x / CHUNKS, col = threadIdx.x % CHUNKS;
    ld = stride, first = at, limit = extent, vec = width;
    x = matrix + (i64)(DEEP ? at + row : k0 + row) * ld + (DEEP ? k0 : at) + col * E;
  }

  // fetch starts the copies of the part of k from k0 to end into s, and moves on by one stage.
  __device__ inline void fetch(char *s, int k0, int end) {
#pragma unroll
    for (int i = 0; i < EACH; i++) {
      int r = row + i * APART;
      bool inside = DEEP ? first + r < limit : k0 + r < end;
      int valid = inside ? (DEEP ? end - k0 : limit - first) - col * E : 0; // elements of this chunk
      const T *q = x + (i64)i * APART * ld;
      char *to = s + place(r, col);
      if (vec == E) {
        cp_async<16>(to, valid > 0 ? q : x, (unsigned)(valid <= 0 ? 0 : valid >= E ? 16 : valid * (int)sizeof(T)));
      } else if (vec * sizeof(T) == 4) {
#pragma unroll
        for (int c = 0; c < 4; c++) {
          int left = valid * (int)sizeof(T) - 4 * c;
          cp_async<4>(to + 4 * c, left > 0 ? (const char *)q + 4 * c : (const char *)x, (unsigned)(left <= 0 ? 0 : left >= 4 ? 4 : left));
        }
      } else {
        T *e = (T *)to;
#pragma unroll
        for (int c = 0; c < E; c++) e[c] = c < valid ? q[c] : from_f32<T>(0.f);
      }
    }
    x += DEEP ? (i64)DEPTH : DEPTH * ld;
  }

  // a16 gives the fragment of 16 of the outer axis from w on, as operand A; step is 0 or 1, the half of k.
  static __device__ inline void a16(unsigned (&f)[4], const char *s, int w, int step) {
    const int lane = threadIdx.x % 32, l = lane % 8, j = lane / 8;
    if (DEEP) {
      ldmatrix_x4(f, s + place(w + (j & 1) * 8 + l, step * 2 + (j >> 1)));
    } else if (sizeof(T) == 2) {
      ldmatrix_x4_trans(f, s + place(step * 16 + (j >> 1) * 8 + l, w / E + (j & 1)));
    } else {
      const int g = lane / 4, t = lane % 4;
#pragma unroll
      for (int c = 0; c < 4; c++) f[c] = one(s, step * 8 + t + (c >> 1) * 4, w + g + (c & 1) * 8);
    }
  }

  // b16 gives the fragments of twice 8 of the outer axis from w on, as operand B.
  static __device__ inline void b16(unsigned (&f)[4], const char *s, int w, int step) {
    const int lane = threadIdx.x % 32, l = lane % 8, j = lane / 8;
    if (DEEP) {
      ldmatrix_x4(f, s + place(w + (j >> 1) * 8 + l, step * 2 + (j & 1)));
    } else if (sizeof(T) == 2) {
      ldmatrix_x4_trans(f, s + place(step * 16 + (j & 1) * 8 + l, w / E + (j >> 1)));
    } else {
      const int g = lane / 4, t = lane % 4;
#pragma unroll
      for (int c = 0; c < 4; c++) f[c] = one(s, step * 8 + t + (c & 1) * 4, w + g + (c >> 1) * 8);
    }
  }

  // one is element w of row k of a panel of 32-bit elements.
  static __device__ inline unsigned one(const char *s, int k, int w) { return *(const unsigned *)(s + place(k, w / E) + w % E * 4); }
};

template <class T> __device__ inline void multiply(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]);
template <> __device__ inline void multiply<f16>(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma_f16(c, a, b); }
template <> __device__ inline void multiply<bf16>(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma_bf16(c, a, b); }
template <> __device__ inline void multiply<float>(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma_tf32(c, a, b); }

template <class T, int TILE, bool ADEEP, bool BDEEP> __device__ inline void tensor(const MatMulParams &p, char *s) {
  typedef Panel<T, TILE, ADEEP> A;
  typedef Panel<T, TILE, BDEEP> B;
  enum { STAGE = A::BYTES + B::BYTES, DEPTH = A::DEPTH, W = TILE / 2, MI = W / 16, NI = W / 8 };
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int wi = warp / 2 * W, wj = warp % 2 * W;
  const Tile t = tile(p);
  const int begin = t.split * p.chunk, end = min(p.k, begin + p.chunk);
  for (int z = blockIdx.y; z < p.batch; z += gridDim.y) {
    i64 oa, ob, oy;
    origin(p, z, oa, ob, oy);
    A a;
    B b;
    a.open((const T *)p.a + oa, ADEEP ? p.ars : p.acs, t.i * TILE, p.m, begin, p.avec);
    b.open((const T *)p.b + ob, BDEEP ? p.bcs : p.brs, t.j * TILE, p.n, begin, p.bvec);
    float sum[MI][NI][4] = {};
#pragma unroll
    for (int f = 0; f < STAGES - 1; f++) {
      int k0 = begin + f * DEPTH;
      if (k0 < end) {
        a.fetch(s + f * STAGE, k0, end);
        b.fetch(s + f * STAGE + A::BYTES, k0, end);
      }
      cp_async_commit();
    }
    int use = 0, fill = STAGES - 1;
    for (int k0 = begin; k0 < end; k0 += DEPTH) {
      cp_async_wait<STAGES - 2>();
      __syncthreads(); // this stage is there for all, and nobody reads the one before it any more
      int ahead = k0 + (STAGES - 1) * DEPTH;
      if (ahead < end) {
        a.fetch(s + fill * STAGE, ahead, end);
        b.fetch(s + fill * STAGE + A::BYTES, ahead, end);
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
        if (sizeof(T) == 4) {
#pragma unroll
          for (int c = 0; c < 4; c++) {
#pragma unroll
            for (int i = 0; i < MI; i++) u[i][c] = to_tf32(__uint_as_float(u[i][c]));
#pragma unroll
            for (int j = 0; j < NI / 2; j++) v[j][c] = to_tf32(__uint_as_float(v[j][c]));
          }
        }
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
    __syncthreads();
    // Each warp turns its sums over in shared memory, 16 rows at a time, so that they are written in long stretches.
    enum { PITCH = W + 8, LANES = W / 4 };
    static_assert(4 * 16 * PITCH * 4 <= STAGES * STAGE, "the rows fit into the stages");
    float *turn = (float *)s + warp * 16 * PITCH;
    const int g = lane / 4, c = lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < MI; i++) {
#pragma unroll
      for (int j = 0; j < NI; j++) {
        *(float2 *)(turn + g * PITCH + j * 8 + c) = make_float2(sum[i][j][0], sum[i][j][1]);
        *(float2 *)(turn + (g + 8) * PITCH + j * 8 + c) = make_float2(sum[i][j][2], sum[i][j][3]);
      }
      __syncwarp();
#pragma unroll 1
      for (int r = lane / LANES; r < 16; r += 32 / LANES) {
        int col = lane % LANES * 4;
        put4(p, oy, z, t.split, t.i * TILE + wi + 16 * i + r, t.j * TILE + wj + col, *(const float4 *)(turn + r * PITCH + col));
      }
      __syncwarp();
    }
    __syncthreads(); // before the next matrix
  }
}

#define BODY(T, TILE, ADEEP, BDEEP) \
  GUARD(p);                         \
  SHARED(char, s);                  \
  tensor<T, TILE, ADEEP, BDEEP>(p, s);
#else
#define BODY(T, TILE, ADEEP, BDEEP) // older GPUs get their products elsewhere
#endif

#define TENSOR(name, T, TILE)                                                 \
  KERNEL(name##_nn, 128, MatMulParams) { BODY(T, TILE, true, false) }  \
  KERNEL(name##_nt, 128, MatMulParams) { BODY(T, TILE, true, true) }   \
  KERNEL(name##_tn, 128, MatMulParams) { BODY(T, TILE, false, false) } \
  KERNEL(name##_tt, 128, MatMulParams) { BODY(T, TILE, false, true) }

TENSOR(matmul_f16_128, f16, 128)
TENSOR(matmul_f16_64, f16, 64)
TENSOR(matmul_bf16_128, bf16, 128)
TENSOR(matmul_bf16_64, bf16, 64)
TENSOR(matmul_tf32_128, float, 128)
TENSOR(matmul_tf32_64, float, 64)
