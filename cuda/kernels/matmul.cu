// hot: matmul_f32_128_nn matmul_f32_128_nt matmul_f32_128_tn matmul_f32_128_tt shared=16896
// hot: matmul_f32_64_nn matmul_f32_64_nt matmul_f32_64_tn matmul_f32_64_tt shared=17408
// hot: matmul_f32_32_nn matmul_f32_32_nt matmul_f32_32_tn matmul_f32_32_tt shared=21504
#include "matmul.cuh"

// any is the product for all types and strides, in C: tiles of 64 x 64 x 16, 4 x 4 elements of y a thread.
template <class C> struct Sum {
  typedef C Result;
};
template <> struct Sum<i64> { // integers are scaled in double, and cut by store
  typedef double Result;
};

template <class C> __device__ inline void any(const MatMulParams &p, C *as) {
  typedef typename Sum<C>::Result R;
  enum { TILE = 64, DEPTH = 16, PITCH = TILE + 1 };
  C *bs = as + DEPTH * PITCH;
  const int tid = threadIdx.x, tx = tid % 16, ty = tid / 16;
  const Tile t = tile(p);
  const int i0 = t.i * TILE, j0 = t.j * TILE;
  // Neighbouring threads read along the shorter stride.
  const bool adeep = (p.acs < 0 ? -p.acs : p.acs) <= (p.ars < 0 ? -p.ars : p.ars);
  const bool bdeep = (p.brs < 0 ? -p.brs : p.brs) < (p.bcs < 0 ? -p.bcs : p.bcs);
  for (int z = blockIdx.y; z < p.batch; z += gridDim.y) {
    i64 a, b, y;
    origin(p, z, a, b, y);
    C sum[4][4] = {};
    for (int k0 = 0; k0 < p.k; k0 += DEPTH) {
      __syncthreads();
      for (int e = tid; e < TILE * DEPTH; e += 256) {
        int k = adeep ? e % DEPTH : e / TILE, i = adeep ? e / DEPTH : e % TILE;
        as[k * PITCH + i] = i0 + i < p.m && k0 + k < p.k ? load<C>(p.a, p.ta, a + (i0 + i) * p.ars + (k0 + k) * p.acs) : C(0);
        k = bdeep ? e % DEPTH : e / TILE, i = bdeep ? e / DEPTH : e % TILE;
        bs[k * PITCH + i] = j0 + i < p.n && k0 + k < p.k ? load<C>(p.b, p.tb, b + (j0 + i) * p.bcs + (k0 + k) * p.brs) : C(0);
      }
      __syncthreads();
      for (int k = 0; k < DEPTH; k++) {
        C u[4], v[4];
#pragma unroll
        for (int i = 0; i < 4; i++) u[i] = as[k * PITCH + ty + 16 * i], v[i] = bs[k * PITCH + tx + 16 * i];
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < 4; j++) sum[i][j] += u[i] * v[j];
      }
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < 4; j++) {
        int row = i0 + ty + 16 * i, col = j0 + tx + 16 * j;
        if (row >= p.m || col >= p.n) continue;
        i64 at = y + row * p.yrs + col * p.ycs;
        store<R>(p.y, p.ty, at, scaled<R>(p, (R)sum[i][j], at));
      }
  }
}

KERNEL(matmul_any_f32, 256, MatMulParams) {
  GUARD(p);
  SHARED(float, s);
  any<float>(p, s);
}

KERNEL(matmul_any_f64, 256, MatMulParams) {
  GUARD(p);
  SHARED(double, s);
  any<double>(p, s);
}

KERNEL(matmul_any_i64, 256, MatMulParams) {
  GUARD(p);
  SHARED(i64, s);
  any<i64>(p, s);
}

// matmul_reduce sums the parts of k, in their order.
KERNEL(matmul_reduce, 256, MatMulParams) {
  GUARD(p);
  i64 size = (i64)p.m * p.n, all = size * p.batch;
  for (i64 e = FIRST; e < all; e += STEP) {
    float sum = 0;
    for (int s = 0; s < p.splits; s++) sum += p.part[s * all + e];
    int z = (int)(e / size);
    i64 r = e - z * size, i = r / p.n, a, b, y;
    origin(p, z, a, b, y);
    i64 at = y + i * p.yrs + (r - i * p.n) * p.ycs;
    store<float>(p.y, p.ty, at, scaled<float>(p, sum, at));
  }
}

// f32 on CUDA cores. A tile of an operand lies in shared memory as rows of k; it is read four elements at a time, along k
// (DEEP) or along the other axis, whichever has stride 1, into registers while the tile before it is used.
template <int W, int DEPTH, bool DEEP> struct Reader {
  enum { PITCH = W + 4, VECTORS = W * DEPTH / 4, EACH = (VECTORS + 255) / 256 };
  const float *x;
  i64 ld;
  int first, limit; // along the other axis
  bool vec;
  float4 r[EACH];

  __device__ inline float4 four(const float *q, int valid) const {
    if (valid >= 4 && vec) return *(const float4 *)q;
    float4 v = {0, 0, 0, 0};
    if (valid > 0) v.x = q[0];
    if (valid > 1) v.y = q[1];
    if (valid > 2) v.z = q[2];
    if (valid > 3) v.w = q[3];
    return v;
  }

  __device__ inline void fetch(int k0, int end) {
#pragma unroll
    for (int i = 0; i < EACH; i++) {
      int e = threadIdx.x + 256 * i;
      if (VECTORS % 256 != 0 && e >= VECTORS) break;
      if (DEEP) {
        int w = first + e / (DEPTH / 4), k = k0 + e % (DEPTH / 4) * 4;
        r[i] = four(x + w * ld + k, w < limit ? end - k : 0);
      } else {
        int k = k0 + e / (W / 4), w = first + e % (W / 4) * 4;
        r[i] = four(x + k * ld + w, k < end ? limit - w : 0);
      }
    }
  }

  __device__ inline void put(float *s) const {
#pragma unroll
    for (int i = 0; i < EACH; i++) {
      int e = threadIdx.x + 256 * i;
      if (VECTORS % 256 != 0 && e >= VECTORS) break;
      if (DEEP) {
        float *to = s + e % (DEPTH / 4) * 4 * PITCH + e / (DEPTH / 4);
        to[0] = r[i].x, to[PITCH] = r[i].y, to[2 * PITCH] = r[i].z, to[3 * PITCH] = r[i].w;
      } else {
        *(float4 *)(s + e / (W / 4) * PITCH + e % (W / 4) * 4) = r[i];
      }
    }
  }
};

// plain is a tile of BM x BN x DEPTH, TM x TN elements a thread in groups of 4 x 4. ADEEP: a has stride 1 along k; BDEEP: b.
template <int BM, int BN, int DEPTH, int TM, int TN, bool ADEEP, bool BDEEP> __device__ inline void plain(const MatMulParams &p, float *s) {
  typedef Reader<BM, DEPTH, ADEEP> A;
  typedef Reader<BN, DEPTH, BDEEP> B;
  static_assert(BM / TM * (BN / TN) == 256, "256 threads");
  enum { STAGE = DEPTH * (A::PITCH + B::PITCH), GM = TM / 4, GN = TN / 4 };
  constexpr int UNROLL = TM * TN > 16 ? 1 : DEPTH; // 8 x 8 sums leave registers for one k at a time
  const int tx = threadIdx.x % (BN / TN), ty = threadIdx.x / (BN / TN);
  const Tile t = tile(p);
  const int begin = t.split * p.chunk, end = min(p.k, begin + p.chunk);
  for (int z = blockIdx.y; z < p.batch; z += gridDim.y) {
    i64 oa, ob, oy;
    origin(p, z, oa, ob, oy);
    A a = {(const float *)p.a + oa, ADEEP ? p.ars : p.acs, t.i * BM, p.m, p.avec > 1};
    B b = {(const float *)p.b + ob, BDEEP ? p.bcs : p.brs, t.j * BN, p.n, p.bvec > 1};
    float sum[TM][TN] = {};
    a.fetch(begin, end);
    b.fetch(begin, end);
    a.put(s);
    b.put(s + DEPTH * A::PITCH);
    __syncthreads();
    int stage = 0;
    for (int k0 = begin; k0 < end; k0 += DEPTH) {
      const bool more = k0 + DEPTH < end;
      if (more) {
        a.fetch(k0 + DEPTH, end);
        b.fetch(k0 + DEPTH, end);
      }
      const float *as = s + stage * STAGE, *bs = as + DEPTH * A::PITCH;
#pragma unroll UNROLL
      for (int k = 0; k < DEPTH; k++) {
        float u[TM], v[TN];
#pragma unroll
        for (int g = 0; g < GM; g++) {
          float4 q = *(const float4 *)(as + k * A::PITCH + g * (BM / GM) + ty * 4);
          u[4 * g] = q.x, u[4 * g + 1] = q.y, u[4 * g + 2] = q.z, u[4 * g + 3] = q.w;
        }
#pragma unroll
        for (int g = 0; g < GN; g++) {
          float4 q = *(const float4 *)(bs + k * B::PITCH + g * (BN / GN) + tx * 4);
          v[4 * g] = q.x, v[4 * g + 1] = q.y, v[4 * g + 2] = q.z, v[4 * g + 3] = q.w;
        }
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
          for (int j = 0; j < TN; j++) sum[i][j] = fmaf(u[i], v[j], sum[i][j]);
      }
      stage ^= 1;
      if (more) {
        a.put(s + stage * STAGE);
        b.put(s + stage * STAGE + DEPTH * A::PITCH);
      }
      __syncthreads();
    }
    // The sums go by way of shared memory, a row of each thread at a time, so that whole rows of the tile are written.
    enum { HEIGHT = BM / TM };
    static_assert(HEIGHT * B::PITCH <= 2 * STAGE, "the rows fit into the stages");
#pragma unroll
    for (int i = 0; i < TM; i++) {
#pragma unroll
      for (int g = 0; g < GN; g++)
        *(float4 *)(s + ty * B::PITCH + g * (BN / GN) + tx * 4) =
            make_float4(sum[i][4 * g], sum[i][4 * g + 1], sum[i][4 * g + 2], sum[i][4 * g + 3]);
      __syncthreads();
#pragma unroll 1
      for (int e = threadIdx.x; e < HEIGHT * BN / 4; e += 256) {
        int r = e / (BN / 4), c = e % (BN / 4) * 4;
        put4(p, oy, z, t.split, t.i * BM + i / 4 * (BM / GM) + r * 4 + i % 4, t.j * BN + c, *(const float4 *)(s + r * B::PITCH + c));
      }
      __syncthreads();
    }
  }
}

// So many blocks are to share a processor, which limits the registers of a thread.
#ifdef ACUMEN_SIM
#define BLOCKS(n) 256
#else
#define BLOCKS(n) 256, n
#endif

// The names end as BLAS has it: n for a matrix whose rows lie in memory one after the other, t for its transpose.
#define PLAIN(name, ADEEP, BDEEP, BM, BN, DEPTH, TM, TN, n) \
  KERNEL(name, BLOCKS(n), MatMulParams) {                   \
    GUARD(p);                                               \
    SHARED(float, s);                                       \
    plain<BM, BN, DEPTH, TM, TN, ADEEP, BDEEP>(p, s);       \
  }

PLAIN(matmul_f32_128_nn, true, false, 128, 128, 8, 8, 8, 2)
PLAIN(matmul_f32_128_nt, true, true, 128, 128, 8, 8, 8, 2)
PLAIN(matmul_f32_128_tn, false, false, 128, 128, 8, 8, 8, 2)
PLAIN(matmul_f32_128_tt, false, true, 128, 128, 8, 8, 8, 2)
PLAIN(matmul_f32_64_nn, true, false, 64, 64, 16, 4, 4, 2)
PLAIN(matmul_f32_64_nt, true, true, 64, 64, 16, 4, 4, 2)
PLAIN(matmul_f32_64_tn, false, false, 64, 64, 16, 4, 4, 2)
PLAIN(matmul_f32_64_tt, false, true, 64, 64, 16, 4, 4, 2)
PLAIN(matmul_f32_32_nn, true, false, 128, 32, 16, 4, 4, 2)
PLAIN(matmul_f32_32_nt, true, true, 128, 32, 16, 4, 4, 2)
PLAIN(matmul_f32_32_tn, false, false, 128, 32, 16, 4, 4, 2)
PLAIN(matmul_f32_32_tt, false, true, 128, 32, 16, 4, 4, 2)
