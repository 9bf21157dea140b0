// vectors.cu applies single instructions and functions to numbers of the host's, which compares what comes out with
// references and with what a GPU gave: see cuda/vectors. No step of a training runs it.
#include "philox.cuh"
#include "ptx.cuh"
#include "unary.cuh"

struct VectorParams {
  Fault *fault;
  int op, n; // which function of the kernel; how many times
  const void *a, *b, *c;
  void *y;
};

// vector_f32 is y = f(a, b, c).
KERNEL(vector_f32, 128, VectorParams) {
  GUARD(p);
  for (i64 e = FIRST; e < p.n; e += STEP) {
    float a = ((const float *)p.a)[e], b = ((const float *)p.b)[e], c = ((const float *)p.c)[e], y = 0;
    switch (p.op) {
    case 0: y = expf(a); break;
    case 1: y = expm1f(a); break;
    case 2: y = logf(a); break;
    case 3: y = log1pf(a); break;
    case 4: y = sqrtf(a); break;
    case 5: y = tanhf(a); break;
    case 6: y = erff(a); break;
    case 7: y = erfcf(a); break;
    case 8: y = floorf(a); break;
    case 9: y = fabsf(a); break;
    case 10: y = powf(a, b); break;
    case 11: y = fmaf(a, b, c); break;
    case 12: y = a / b; break;
    case 13: y = __fdividef(a, b); break;
    case 14: y = fminf(a, b); break;
    case 15: y = fmaxf(a, b); break;
    case 16: y = __fmul_rn(a, b); break;
    case 17: y = __fadd_rn(a, b); break;
    case 18: y = sigmoid(a); break;
    case 19: y = normal_cdf(a); break;
    case 20: y = Un<GELU>::f<float>(a, 0, 0); break;
    case 21: y = Un<GELU>::df<float>(1, a, 0, 0); break;
    case 22: y = Un<GELU_TANH>::f<float>(a, 0, 0); break;
    case 23: y = Un<GELU_TANH>::df<float>(1, a, 0, 0); break;
    case 24: y = Un<SILU>::f<float>(a, 0, 0); break;
    case 25: y = Un<SILU>::df<float>(1, a, 0, 0); break;
    case 26: y = __expf(a); break;
    case 27: y = normal_cdf_short(a); break;
    }
    ((float *)p.y)[e] = y;
  }
}

// vector_f64 is y = f(a, b, c).
KERNEL(vector_f64, 128, VectorParams) {
  GUARD(p);
  for (i64 e = FIRST; e < p.n; e += STEP) {
    double a = ((const double *)p.a)[e], b = ((const double *)p.b)[e], c = ((const double *)p.c)[e], y = 0, other;
    switch (p.op) {
    case 0: y = exp(a); break;
    case 1: y = expm1(a); break;
    case 2: y = log(a); break;
    case 3: y = log1p(a); break;
    case 4: y = sqrt(a); break;
    case 5: y = tanh(a); break;
    case 6: y = erf(a); break;
    case 7: y = erfc(a); break;
    case 8: y = floor(a); break;
    case 9: y = fabs(a); break;
    case 10: y = pow(a, b); break;
    case 11: y = fma(a, b, c); break;
    case 12: y = a / b; break;
    case 13: y = __dmul_rn(a, b); break;
    case 14: y = __dadd_rn(a, b); break;
    case 15: sincospi(a, &y, &other); break;
    case 16: sincospi(a, &other, &y); break;
    }
    ((double *)p.y)[e] = y;
  }
}

// vector_convert casts a to y; a word of y is a number's bits.
KERNEL(vector_convert, 128, VectorParams) {
  GUARD(p);
  for (i64 e = FIRST; e < p.n; e += STEP) {
    u32 y = 0;
    switch (p.op) {
    case 0: y = __half_as_ushort(from_f32<f16>(((const float *)p.a)[e])); break;
    case 1: y = __bfloat16_as_ushort(from_f32<bf16>(((const float *)p.a)[e])); break;
    case 2: y = __float_as_uint(to_f32(__ushort_as_half(((const u16 *)p.a)[e]))); break;
    case 3: y = __float_as_uint(to_f32(__ushort_as_bfloat16(((const u16 *)p.a)[e]))); break;
    case 4: y = __half_as_ushort(from_f32<f16>(narrow(((const double *)p.a)[e]))); break;
    case 5: y = __bfloat16_as_ushort(from_f32<bf16>(narrow(((const double *)p.a)[e]))); break;
    case 6: y = __float_as_uint(to_f32(((const double *)p.a)[e])); break;
    case 7: y = (u32)to_i32(((const float *)p.a)[e]); break;
    case 8: y = (u32)to_i32(((const double *)p.a)[e]); break;
    case 9: y = to_u8(((const float *)p.a)[e]); break;
    case 10: y = to_tf32(((const float *)p.a)[e]); break;
    }
    ((u32 *)p.y)[e] = y;
  }
}

// vector_random draws: the four words of quads from counters a (four words) and keys b (two), uniform numbers and normal
// ones from words a and b, and elements of permutations.
KERNEL(vector_random, 128, VectorParams) {
  GUARD(p);
  const u32 *a = (const u32 *)p.a, *b = (const u32 *)p.b;
  for (i64 e = FIRST; e < p.n; e += STEP) {
    switch (p.op) {
    case 0: ((uint4 *)p.y)[e] = philox(make_uint4(a[4 * e], a[4 * e + 1], a[4 * e + 2], a[4 * e + 3]), make_uint2(b[2 * e], b[2 * e + 1])); break;
    case 1: ((float *)p.y)[e] = uniform(a[e]); break;
    case 2: {
      double n0, n1;
      normals(a[e], b[e], n0, n1);
      ((double *)p.y)[2 * e] = n0;
      ((double *)p.y)[2 * e + 1] = n1;
      break;
    }
    case 3: ((u32 *)p.y)[e] = permutation_at((u32)e, (u32)p.n, random_state(p.a), b[0]); break;
    case 4: ((u32 *)p.y)[e] = __umulhi(a[e], b[e]); break;
    case 5: ((u32 *)p.y)[e] = (u32)__popc(a[e]); break;
    }
  }
}

// vector_warp exchanges words a between the lanes of a warp; b holds one distance, or one predicate a lane.
KERNEL(vector_warp, 32, VectorParams) {
  GUARD(p);
  i64 e = (i64)blockIdx.x * 32 + threadIdx.x;
  u32 v = ((const u32 *)p.a)[e], b = ((const u32 *)p.b)[e], y = 0;
  switch (p.op) {
  case 0: y = __shfl_xor_sync(0xffffffffu, v, (int)b); break;
  case 1: y = __shfl_up_sync(0xffffffffu, v, b); break;
  case 2: y = __ballot_sync(0xffffffffu, (int)b); break;
  }
  __syncwarp();
  ((u32 *)p.y)[e] = y;
}

// vector_ldmatrix loads from 32 rows a of eight 16-bit elements; b is the row that each lane names. y has four words a lane.
KERNEL(vector_ldmatrix, 32, VectorParams) {
  GUARD(p);
  __shared__ __align__(16) uint4 rows[32];
  i64 e = (i64)blockIdx.x * 32 + threadIdx.x;
  rows[threadIdx.x] = ((const uint4 *)p.a)[e];
  __syncthreads();
  const void *row = &rows[((const u32 *)p.b)[e]];
  unsigned r1[1] = {0}, r2[2] = {0, 0}, r4[4] = {0, 0, 0, 0};
  switch (p.op) {
  case 0: ldmatrix_x1(r1, row); break;
  case 1: ldmatrix_x2(r2, row); break;
  case 2: ldmatrix_x4(r4, row); break;
  case 3: ldmatrix_x1_trans(r1, row); break;
  case 4: ldmatrix_x2_trans(r2, row); break;
  case 5: ldmatrix_x4_trans(r4, row); break;
  }
  ((uint4 *)p.y)[e] = make_uint4(r1[0] | r2[0] | r4[0], r2[1] | r4[1], r4[2], r4[3]);
}

// vector_mma is y = A B + C, the fragments of a lane being four words of a, two of b and four of c.
KERNEL(vector_mma, 32, VectorParams) {
  GUARD(p);
  i64 e = (i64)blockIdx.x * 32 + threadIdx.x;
  uint4 u = ((const uint4 *)p.a)[e];
  uint2 v = ((const uint2 *)p.b)[e];
  float4 w = ((const float4 *)p.c)[e];
  unsigned a[4] = {u.x, u.y, u.z, u.w}, b[2] = {v.x, v.y};
  float c[4] = {w.x, w.y, w.z, w.w};
  switch (p.op) {
  case 0: mma_f16(c, a, b); break;
  case 1: mma_bf16(c, a, b); break;
  case 2: mma_tf32(c, a, b); break;
  }
  ((float4 *)p.y)[e] = make_float4(c[0], c[1], c[2], c[3]);
}

// vector_cp_async copies each lane's 16 bytes of a to shared memory that is full of 0xA5, and from there to y; b says how
// many bytes of the source to read. The last one waits for groups one by one.
KERNEL(vector_cp_async, 32, VectorParams) {
  GUARD(p);
  __shared__ __align__(16) uint4 at[3][32];
  int t = threadIdx.x;
  i64 e = (i64)blockIdx.x * 32 + t;
  const uint4 *a = (const uint4 *)p.a + e;
  u32 bytes = ((const u32 *)p.b)[e];
  for (int g = 0; g < 3; g++) at[g][t] = make_uint4(0xA5A5A5A5u, 0xA5A5A5A5u, 0xA5A5A5A5u, 0xA5A5A5A5u);
  __syncthreads();
  uint4 y = make_uint4(0, 0, 0, 0);
  switch (p.op) {
  case 0: cp_async<4>(&at[0][t], a); break;
  case 1: cp_async<8>(&at[0][t], a); break;
  case 2: cp_async<16>(&at[0][t], a); break;
  case 3: cp_async<4>(&at[0][t], a, bytes); break;
  case 4: cp_async<8>(&at[0][t], a, bytes); break;
  case 5: cp_async<16>(&at[0][t], a, bytes); break;
  case 6:
    for (int g = 0; g < 3; g++) {
      cp_async<4>(&at[g][t], (const u32 *)a + g);
      cp_async_commit();
    }
    cp_async_wait<2>();
    y.x = at[0][t].x;
    cp_async_wait<1>();
    y.y = at[1][t].x;
    cp_async_wait<0>();
    y.z = at[2][t].x;
    break;
  }
  cp_async_commit();
  cp_async_wait_all();
  if (p.op < 6) y = at[0][t];
  ((uint4 *)p.y)[e] = y;
}
