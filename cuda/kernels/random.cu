// options: -fmad=false
#include "philox.cuh"
#include "vector.cuh"

struct RandomParams {
  Fault *fault;
  const void *state;
  u32 stream;
  int four;  // whether y lies side by side, so that four numbers are written at once
  int bits;  // random words, in place of uniform numbers
  int pad;
  Nest nest; // y, its axes in row-major order
};

// store_quad writes numbers 4 quad to 4 quad + 3 of a draw.
template <class C> __device__ inline void store_quad(const Nest &n, i64 quad, C v0, C v1, C v2, C v3) {
  i64 e = 4 * quad;
  for (int k = 0; k < 4 && e + k < n.n; k++) {
    i64 at[1];
    spot<1>(n, e + k, at);
    put<C>(n.op[0], at[0], k == 0 ? v0 : k == 1 ? v1 : k == 2 ? v2 : v3);
  }
}

// random_uniform draws uniform numbers, or random words.
// hot
KERNEL(random_uniform, 256, RandomParams) {
  GUARD(p);
  uint4 s = random_state(p.state);
  ROLLED
  for (i64 q = FIRST; q < (p.nest.n + 3) / 4; q += STEP) {
    uint4 w = words((u32)q, s, p.stream);
    bool four = p.four && 4 * q + 4 <= p.nest.n;
    if (p.bits) {
      if (four)
        *(uint4 *)((u32 *)p.nest.op[0].data + 4 * q) = w;
      else
        store_quad<i64>(p.nest, q, (int)w.x, (int)w.y, (int)w.z, (int)w.w);
    } else if (four) {
      put4(p.nest, 4 * q, {uniform(w.x), uniform(w.y), uniform(w.z), uniform(w.w)});
    } else {
      store_quad<float>(p.nest, q, uniform(w.x), uniform(w.y), uniform(w.z), uniform(w.w));
    }
  }
}

// random_normal draws normal deviates.
KERNEL(random_normal, 256, RandomParams) {
  GUARD(p);
  uint4 s = random_state(p.state);
  ROLLED
  for (i64 q = FIRST; q < (p.nest.n + 3) / 4; q += STEP) {
    uint4 w = words((u32)q, s, p.stream);
    double v0, v1, v2, v3;
    normals(w.x, w.y, v0, v1);
    normals(w.z, w.w, v2, v3);
    if (p.four && 4 * q + 4 <= p.nest.n)
      *(float4 *)((float *)p.nest.op[0].data + 4 * q) = make_float4((float)v0, (float)v1, (float)v2, (float)v3);
    else
      store_quad<double>(p.nest, q, v0, v1, v2, v3);
  }
}

// random_permutation draws 0 .. n-1 in random order.
KERNEL(random_permutation, 256, RandomParams) {
  GUARD(p);
  uint4 s = random_state(p.state);
  ROLLED
  for (i64 e = FIRST; e < p.nest.n; e += STEP) {
    i64 at[1];
    spot<1>(p.nest, e, at);
    put<i64>(p.nest.op[0], at[0], (int)permutation_at((u32)e, (u32)p.nest.n, s, p.stream));
  }
}
