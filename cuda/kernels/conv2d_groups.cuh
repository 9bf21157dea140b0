// conv2d_groups.cuh is how convolutions by warpgroups finish their sums. A PARTY does: 16 pixels for each of its warps.
#pragma once
#include "conv2d_tiles.cuh"
#include "wgmma.cuh"

#ifdef ACUMEN_WGMMA
enum { BM = 128 };

// Sums are those of a block, turned over in shared memory so that they are written in long stretches: a row of floats for
// each pixel, of which 8 neighbours begin in different banks, and behind them what tells where they go.
template <int BN, class PARTY> struct Sums {
  enum { ROWS = PARTY::SIZE / 2, PITCH = BN + 8, BYTES = ROWS * PITCH * 4, ALL = BYTES + ROWS * 8 };

  // turn takes BN columns of a thread's sums, of which the first is number FROM.
  template <int FROM = 0, int R> static __device__ void turn(char *s, const float (&sum)[R]) {
    const int lane = threadIdx.x % 32, row = PARTY::thread() / 32 * 16 + lane / 4;
    float *to = (float *)s + row * PITCH + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < BN / 8; j++) {
      *(float2 *)(to + j * 8) = make_float2(sum[FROM + 4 * j], sum[FROM + 4 * j + 1]);
      *(float2 *)(to + j * 8 + 8 * PITCH) = make_float2(sum[FROM + 4 * j + 2], sum[FROM + 4 * j + 3]);
    }
  }
};

// places tells where the rows of the sums go.
template <class PARTY> __device__ inline const i64 *places(const Conv2DParams &p, const Taps &h, const Taps &w, const Work &work, char *s) {
  const int t = PARTY::thread();
  i64 *at = (i64 *)s;
  if (t < PARTY::SIZE / 2) at[t] = place(p, h, w, work.group, work.row * (PARTY::SIZE / 2) + t);
  return at;
}

// write writes the sums, of which work.row counts so many rows. A thread has the same four channels of all its pixels.
template <class T, int BN, class PARTY, bool GRAD>
__device__ inline void write(const Conv2DParams &p, const Work &work, const char *s, const i64 *at, Moments &moments) {
  typedef Sums<BN, PARTY> S;
  enum { APART = PARTY::SIZE / (BN / 4) };
  const int t = PARTY::thread();
  PARTY::sync();
  const int col = t % (BN / 4) * 4, o = work.col * BN + col;
  const float *from = (const float *)s + col;
  if (p.splits > 1 || !p.together || !GRAD && p.act != IDENTITY && p.act != RELU) {
#pragma unroll 1
    for (int row = t / (BN / 4); row < S::ROWS; row += APART) put4<T, GRAD>(p, work, at[row], o, *(const float4 *)(from + row * S::PITCH), moments);
    return;
  }
  if (o >= p.yc) return;
  float bias[4] = {0, 0, 0, 0};
  if (!GRAD && p.bias)
#pragma unroll
    for (int e = 0; e < 4; e++) bias[e] = load<float>(p.bias, p.biasType, work.group * p.yc + o + e);
#pragma unroll 4
  for (int row = t / (BN / 4); row < S::ROWS; row += APART) {
    if (at[row] < 0) continue;
    const float4 sums = *(const float4 *)(from + row * S::PITCH);
    const float v[4] = {sums.x + bias[0], sums.y + bias[1], sums.z + bias[2], sums.w + bias[3]};
    Quad<T> q;
#pragma unroll
    for (int e = 0; e < 4; e++) q.v[e] = from_f32<T>(!GRAD && p.act == RELU ? Un<RELU>::f(v[e], 0.f, 0.f) : v[e]);
    if (!GRAD && p.moments) moments.add(q);
    *(Quad<T> *)((T *)p.y + at[row] + o) = q;
  }
}

// pool writes the maxima of windows, whose pixels are rows g, g + 8, g + 16, g + 24 of 32 of the sums.
template <class T, int BN, class PARTY> __device__ inline void pool(const Conv2DParams &p, const Work &work, char *s, Moments &moments) {
  typedef Pooled<PARTY::SIZE / 2, BN> P;
  typedef Sums<BN, PARTY> S;
  char *after = s + S::BYTES - P::WINDOWS; // windows and bias lie behind the sums
  P::open(p, work, after, PARTY::thread());
  PARTY::sync();
#pragma unroll 1
  for (int e = PARTY::thread(); e < P::ROWS * (BN / 4); e += PARTY::SIZE) {
    const int row = e / (BN / 4), col = e % (BN / 4) * 4;
    const float *at = (const float *)s + (row / 8 * 32 + row % 8) * S::PITCH + col, *bias = P::bias(after) + col;
    float best[4];
    int tap[4];
#pragma unroll
    for (int c = 0; c < 4; c++) {
      const Largest<T> l = of_window<T>(p.act, bias[c], at[c], at[8 * S::PITCH + c], at[16 * S::PITCH + c], at[24 * S::PITCH + c]);
      best[c] = l.best, tap[c] = l.tap;
    }
    P::template put<T>(p, work, after, row, col, best, tap, moments);
  }
}
#endif
