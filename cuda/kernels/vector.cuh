// vector.cuh has the loops of elementwise kernels: over contiguous memory in packs of 16 bytes, over strided memory in
// fours of neighbours, and over single elements.
#pragma once
#include "kernel.cuh"

// ROLLED keeps the compiler from unrolling a loop whose body is unrolled already.
#ifdef ACUMEN_SIM
#define ROLLED
#else
#define ROLLED _Pragma("unroll 1")
#endif

// Pack is 16 bytes of neighbouring elements, read and written at once.
template <class T> struct alignas(16) Pack {
  enum { N = 16 / sizeof(T) };
  T v[N];
};

template <class T> __device__ inline Pack<T> load_pack(const T *from) {
  uint4 u = *(const uint4 *)from;
  Pack<T> p;
  memcpy(&p, &u, 16);
  return p;
}

template <class T> __device__ inline void store_pack(T *to, const Pack<T> &p) {
  uint4 u;
  memcpy(&u, &p, 16);
  *(uint4 *)to = u;
}

// flat is y = f(x) over n contiguous elements of one type, in f32.
template <class T, class F> __device__ inline void flat(void *y, const void *x, i64 n, F f) {
  T *to = (T *)y;
  const T *from = (const T *)x;
  const int N = Pack<T>::N;
  i64 packs = n / N;
  ROLLED
  for (i64 i = FIRST; i < packs; i += STEP) {
    Pack<T> p = load_pack(from + i * N);
    for (int k = 0; k < N; k++) p.v[k] = from_f32<T>(f(to_f32(p.v[k])));
    store_pack(to + i * N, p);
  }
  ROLLED
  for (i64 e = packs * N + FIRST; e < n; e += STEP) to[e] = from_f32<T>(f(to_f32(from[e])));
}

// flat is y = f(a, b), likewise.
template <class T, class F> __device__ inline void flat(void *y, const void *a, const void *b, i64 n, F f) {
  T *to = (T *)y;
  const T *s = (const T *)a, *t = (const T *)b;
  const int N = Pack<T>::N;
  i64 packs = n / N;
  ROLLED
  for (i64 i = FIRST; i < packs; i += STEP) {
    Pack<T> p = load_pack(s + i * N), q = load_pack(t + i * N);
    for (int k = 0; k < N; k++) p.v[k] = from_f32<T>(f(to_f32(p.v[k]), to_f32(q.v[k])));
    store_pack(to + i * N, p);
  }
  ROLLED
  for (i64 e = packs * N + FIRST; e < n; e += STEP) to[e] = from_f32<T>(f(to_f32(s[e]), to_f32(t[e])));
}

// spot is locate with division in 32 bits, which is several times as fast, where the count of elements allows.
template <int K> __device__ inline void spot(const Nest &n, i64 e, i64 (&at)[K]) {
  if (n.n > 0x7fffffff) {
    locate<K>(n, e, at);
    return;
  }
  u32 rest = (u32)e;
  for (int k = 0; k < K; k++) at[k] = 0;
  for (int a = n.rank - 1; a > 0; a--) {
    u32 q = rest / (u32)n.dim[a];
    int r = (int)(rest - q * (u32)n.dim[a]);
    for (int k = 0; k < K; k++) at[k] += (i64)r * n.op[k].str[a];
    rest = q;
  }
  for (int k = 0; k < K; k++) at[k] += (i64)rest * n.op[k].str[0];
}

// each calls f with the offsets of every element in the first K operands.
template <int K, class F> __device__ inline void each(const Nest &n, F f) {
  ROLLED
  for (i64 e = FIRST; e < n.n; e += STEP) {
    i64 at[K];
    spot<K>(n, e, at);
    f(at);
  }
}

// each_four calls four with the offsets of every group of four neighbours, and one with those of elements that are left
// over. The host has seen to it that groups are aligned, and do not cross the innermost axis.
template <int K, class F, class G> __device__ inline void each_four(const Nest &n, F four, G one) {
  i64 at[K];
  ROLLED
  for (i64 i = FIRST; i < n.n / 4; i += STEP) {
    spot<K>(n, 4 * i, at);
    four(at);
  }
  ROLLED
  for (i64 e = n.n / 4 * 4 + FIRST; e < n.n; e += STEP) {
    spot<K>(n, e, at);
    one(at);
  }
}

// Four is four neighbours.
struct Four {
  float v[4];
};

// widen4 and narrow4 read and write four neighbours of a 16-bit type.
template <class T> __device__ inline Four widen4(const void *data, i64 at) {
  uint2 u = *(const uint2 *)((const T *)data + at);
  T v[4];
  memcpy(v, &u, 8);
  return {to_f32(v[0]), to_f32(v[1]), to_f32(v[2]), to_f32(v[3])};
}

template <class T> __device__ inline void narrow4(void *data, i64 at, const Four &x) {
  T v[4];
  for (int k = 0; k < 4; k++) v[k] = from_f32<T>(x.v[k]);
  uint2 u;
  memcpy(&u, v, 8);
  *(uint2 *)((T *)data + at) = u;
}

// get4 reads four neighbours, or one element four times where the innermost stride is 0. F64 is not among the types.
__device__ inline Four get4(const Nest &n, int k, i64 at) {
  const Operand &o = n.op[k];
  if (o.str[n.rank - 1] == 0) {
    float x = get<float>(o, at);
    return {x, x, x, x};
  }
  switch (o.type) {
  case F32: {
    float4 f = *(const float4 *)((const float *)o.data + at);
    return {f.x, f.y, f.z, f.w};
  }
  case F16: return widen4<f16>(o.data, at);
  case BF16: return widen4<bf16>(o.data, at);
  case U8: {
    uchar4 u = *(const uchar4 *)((const u8 *)o.data + at);
    return {(float)u.x, (float)u.y, (float)u.z, (float)u.w};
  }
  }
  int4 i = *(const int4 *)((const int *)o.data + at);
  return {(float)i.x, (float)i.y, (float)i.z, (float)i.w};
}

// put4 writes four neighbours of the destination.
__device__ inline void put4(const Nest &n, i64 at, const Four &x) {
  const Operand &o = n.op[0];
  switch (o.type) {
  case F32: *(float4 *)((float *)o.data + at) = make_float4(x.v[0], x.v[1], x.v[2], x.v[3]); break;
  case F16: narrow4<f16>(o.data, at, x); break;
  case BF16: narrow4<bf16>(o.data, at, x); break;
  case U8: *(uchar4 *)((u8 *)o.data + at) = make_uchar4(to_u8(x.v[0]), to_u8(x.v[1]), to_u8(x.v[2]), to_u8(x.v[3])); break;
  default: *(int4 *)((int *)o.data + at) = make_int4(to_i32(x.v[0]), to_i32(x.v[1]), to_i32(x.v[2]), to_i32(x.v[3]));
  }
}
