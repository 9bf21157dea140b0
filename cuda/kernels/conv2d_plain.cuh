// conv2d_plain.cuh multiplies f32 tiles of conv2d_tiles.cuh on CUDA cores: blocks of 256 threads, TM x TN elements a thread
// in groups of 4 x 4. A tile lies in shared memory as rows of k, and is read into registers while the one before is used.
#pragma once
#include "conv2d_tiles.cuh"

enum { THREADS = 256, UNIT = 16 }; // UNIT: splits begin at multiples of it along k

// Held is a thread's chunks of a tile on their way to shared memory.
template <class Walk, int W, bool DEEP> struct Held {
  enum { PITCH = W + 4 };
  float4 r[Walk::EACH];
  __device__ void chunk(int a, int, int, const float *from, bool valid) {
    r[a] = valid ? *(const float4 *)from : make_float4(0, 0, 0, 0);
  }
  __device__ void elements(int a, int, int, const float (&v)[4]) { r[a] = make_float4(v[0], v[1], v[2], v[3]); }
  __device__ void put(const Walk &w, float *s) const {
    if (!w.mine()) return;
#pragma unroll
    for (int a = 0; a < Walk::EACH; a++) {
      const int row = w.row + a * Walk::APART;
      if (DEEP) {
        float *to = s + w.col * 4 * PITCH + row;
        to[0] = r[a].x, to[PITCH] = r[a].y, to[2 * PITCH] = r[a].z, to[3 * PITCH] = r[a].w;
      } else {
        *(float4 *)(s + row * PITCH + w.col * 4) = r[a];
      }
    }
  }
};

template <int BM, int BN, int TM, int TN> struct Plain {
  static_assert(BM / TM * (BN / TN) == THREADS, "256 threads");
  enum { DEPTH = TM * TN == 64 ? 8 : 16 }; // of a tile: many sums leave few registers for chunks
  enum { ROW = BM + 4, STAGE = DEPTH * (BM + BN + 8), GM = TM / 4, GN = TN / 4, HIGH = BM / GM, PITCH = BN + 4 };
  float sum[TM][TN];

  // multiply sums steps tiles, which fetch_a and fetch_b give to a Held.
  template <class HA, class HB, class A, class B, class FA, class FB>
  __device__ void multiply(int steps, float *s, const A &a, const B &b, FA fetch_a, FB fetch_b) {
    const int tx = threadIdx.x % (BN / TN), ty = threadIdx.x / (BN / TN);
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
      for (int j = 0; j < TN; j++) sum[i][j] = 0;
    if (steps <= 0) return;
    HA ha;
    HB hb;
    fetch_a(ha);
    fetch_b(hb);
    ha.put(a, s);
    hb.put(b, s + DEPTH * ROW);
    __syncthreads();
    int stage = 0;
    for (int t = 1; t <= steps; t++) {
      if (t < steps) {
        fetch_a(ha);
        fetch_b(hb);
      }
      const float *as = s + stage * STAGE + ty * 4, *bs = s + stage * STAGE + DEPTH * ROW + tx * 4;
#pragma unroll
      for (int k = 0; k < DEPTH; k++) {
        float u[TM], v[TN];
#pragma unroll
        for (int g = 0; g < GM; g++) {
          float4 q = *(const float4 *)(as + k * ROW + g * HIGH);
          u[4 * g] = q.x, u[4 * g + 1] = q.y, u[4 * g + 2] = q.z, u[4 * g + 3] = q.w;
        }
#pragma unroll
        for (int g = 0; g < GN; g++) {
          float4 q = *(const float4 *)(bs + k * PITCH + g * (BN / GN));
          v[4 * g] = q.x, v[4 * g + 1] = q.y, v[4 * g + 2] = q.z, v[4 * g + 3] = q.w;
        }
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
          for (int j = 0; j < TN; j++) sum[i][j] = fmaf(u[i], v[j], sum[i][j]);
      }
      stage ^= 1;
      if (t < steps) {
        ha.put(a, s + stage * STAGE);
        hb.put(b, s + stage * STAGE + DEPTH * ROW);
      }
      __syncthreads();
    }
  }

  // finish turns the sums over in shared memory, so that they are written in long stretches: where tells the place of a
  // row of the tile, and put writes four sums of a row at a place.
  template <class Where, class Put> __device__ void finish(float *s, Where where, Put put) {
    const int tx = threadIdx.x % (BN / TN), ty = threadIdx.x / (BN / TN);
    i64 *at = (i64 *)(s + HIGH * PITCH);
#pragma unroll
    for (int g = 0; g < GM; g++) {
      __syncthreads();
      if (threadIdx.x < HIGH) at[threadIdx.x] = where(g * HIGH + (int)threadIdx.x);
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < GN; j++)
          *(float4 *)(s + (ty * 4 + i) * PITCH + j * (BN / GN) + tx * 4) =
              make_float4(sum[4 * g + i][4 * j], sum[4 * g + i][4 * j + 1], sum[4 * g + i][4 * j + 2], sum[4 * g + i][4 * j + 3]);
      __syncthreads();
#pragma unroll 1
      for (int e = threadIdx.x; e < HIGH * (BN / 4); e += THREADS) {
        const int row = e / (BN / 4), col = e % (BN / 4) * 4;
        put(at[row], g * HIGH + row, col, *(const float4 *)(s + row * PITCH + col));
      }
    }
  }

  // pool writes the maxima of windows, whose pixels are the four rows of a group.
  __device__ void pool(const Conv2DParams &p, const Work &b, char *s, Moments &moments) {
    typedef Pooled<BM, BN> P;
    static_assert(P::BYTES <= HIGH * (PITCH * 4 + 8) + BN * 4, "the maxima take no more room than the sums");
    const int tx = threadIdx.x % (BN / TN), ty = threadIdx.x / (BN / TN);
    P::open(p, b, s, threadIdx.x);
    __syncthreads();
#pragma unroll
    for (int g = 0; g < GM; g++)
#pragma unroll
      for (int j = 0; j < TN; j++) {
        const int row = g * (HIGH / 4) + ty, col = j / 4 * (BN / GN) + tx * 4 + j % 4;
        const Largest<float> l = of_window<float>(p.act, P::bias(s)[col], sum[4 * g][j], sum[4 * g + 1][j], sum[4 * g + 2][j], sum[4 * g + 3][j]);
        P::maxima(s)[row * PITCH + col] = l.best;
        P::taps(s)[row * PITCH + col] = l.tap;
      }
    __syncthreads();
    P::template write<float, THREADS>(p, b, s, moments);
  }
};

// Part is what a split has of k, in tiles.
struct Part {
  int first, steps;
  __device__ Part(const Conv2DParams &p, int split, int k, int depth) {
    const int units = (k + UNIT - 1) / UNIT, each = (units + p.splits - 1) / p.splits;
    first = split * each * UNIT;
    steps = (min(k - first, each * UNIT) + depth - 1) / depth;
  }
};

// So many blocks are to share a processor, which limits the registers of a thread.
#ifdef ACUMEN_SIM
#define BLOCKS(n) 256
#else
#define BLOCKS(n) 256, n
#endif
