// philox.cuh draws the random numbers that device/philox.go defines: the words, the uniform numbers and the permutations
// are equal to the CPU's bit for bit.
#pragma once
#include "kernel.cuh"

// philox is Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011): four random words from a counter and a key.
__device__ inline uint4 philox(uint4 c, uint2 k) {
#ifndef ACUMEN_SIM
#pragma unroll
#endif
  for (int i = 0; i < 10; i++) {
    u32 h0 = __umulhi(c.x, 0xD2511F53u), l0 = c.x * 0xD2511F53u;
    u32 h1 = __umulhi(c.z, 0xCD9E8D57u), l1 = c.z * 0xCD9E8D57u;
    c = make_uint4(h1 ^ c.y ^ k.x, l1, h0 ^ c.w ^ k.y, l0);
    k.x += 0x9E3779B9u;
    k.y += 0xBB67AE85u;
  }
  return c;
}

// random_state is the four words that a state view holds: seed low, seed high, step, micro-batch.
__device__ inline uint4 random_state(const void *state) {
  const u32 *s = (const u32 *)state;
  return make_uint4(s[0], s[1], s[2], s[3]);
}

// words are the random words of elements 4 quad to 4 quad + 3 of a draw.
__device__ inline uint4 words(u32 quad, uint4 state, u32 stream) {
  return philox(make_uint4(quad, stream, state.z, state.w), make_uint2(state.x, state.y));
}

// uniform maps a random word to [0, 1), exactly.
__device__ inline float uniform(u32 u) { return (float)(u >> 8) * (1.f / (1 << 24)); }

// normals maps two random words to two normal deviates (Box and Muller 1958). In f32 the errors of the logarithm and the
// root alone could reach the 1e-6 within which devices agree.
__device__ inline void normals(u32 u0, u32 u1, double &n0, double &n1) {
  double r = sqrt(-2 * log(((double)(u0 >> 8) + 1) * (1.0 / (1 << 24)))), s, c;
  sincospi((double)(u1 >> 8) * (1.0 / (1 << 23)), &s, &c);
  n0 = r * c;
  n1 = r * s;
}

// permutation_at is element i of the random permutation of 0 .. n-1 that state and stream name: a Feistel network of six
// rounds, walked until it falls below n (Black and Rogaway 2002).
__device__ inline u32 permutation_at(u32 i, u32 n, uint4 state, u32 stream) {
  u32 half = 1;
  while ((1ull << (2 * half)) < n) half++;
  u32 mask = (1u << half) - 1;
  do {
    u32 l = i >> half, r = i & mask;
    for (u32 round = 0; round < 6; round++) {
      u32 f = words(r | round << 16, state, stream).x;
      u32 t = l ^ (f & mask);
      l = r;
      r = t;
    }
    i = l << half | r;
  } while (i >= n);
  return i;
}
