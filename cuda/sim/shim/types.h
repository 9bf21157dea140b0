// types.h: qualifiers, vector types and the short floating-point types of CUDA C++.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#define HIDDEN __attribute__((visibility("hidden")))

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__ __restrict
// shared.ld puts these variables of kernels into one section, so that the runtime knows an address in it.
#define __shared__ static

#define SIM_VECTORS(T, name, align2, align4)                         \
  struct alignas(align2) name##2 { T x, y; };                        \
  struct name##3 { T x, y, z; };                                     \
  struct alignas(align4) name##4 { T x, y, z, w; };                  \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }         \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SIM_VECTORS(float, float, 8, 16)
SIM_VECTORS(double, double, 16, 16)
SIM_VECTORS(int, int, 8, 16)
SIM_VECTORS(unsigned, uint, 8, 16)
SIM_VECTORS(unsigned char, uchar, 2, 4)
SIM_VECTORS(signed char, char, 2, 4)
SIM_VECTORS(short, short, 4, 8)
SIM_VECTORS(unsigned short, ushort, 4, 8)
SIM_VECTORS(long long, longlong, 16, 16)
SIM_VECTORS(unsigned long long, ulonglong, 16, 16)
#undef SIM_VECTORS

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace sim {
template <class T, class F> inline T bits(F x) {
  static_assert(sizeof(T) == sizeof(F), "bits needs types of one size");
  T y;
  memcpy(&y, &x, sizeof y);
  return y;
}

// A binary16 number has 5 exponent and 10 mantissa bits.
inline float half_to_f32(uint16_t h) {
#ifdef __F16C__
  typedef short V __attribute__((vector_size(16)));
  return __builtin_ia32_vcvtph2ps(V{(short)h})[0];
#else
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff;
  if (e == 31) return bits<float>(sign | 0x7f800000u | m << 13 | (m ? 0x400000u : 0));
  float f = e ? bits<float>((e + 112) << 23 | m << 13) : (float)m * 0x1p-24f;
  return bits<float>(bits<uint32_t>(f) | sign);
#endif
}

// f32_to_half rounds to nearest even; what is too large becomes infinite.
inline uint16_t f32_to_half(float x) {
#ifdef __F16C__
  typedef float V __attribute__((vector_size(16)));
  return (uint16_t)__builtin_ia32_vcvtps2ph(V{x}, 0)[0];
#else
  uint32_t u = bits<uint32_t>(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
  if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
  if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00);
  if (a < 0x38800000u) { // subnormal: adding 0.5 leaves units of 2^-24 in the low bits, rounded to even
    float f = bits<float>(a) + 0.5f;
    return (uint16_t)(sign | (bits<uint32_t>(f) - 0x3f000000u));
  }
  return (uint16_t)(sign | ((a + 0xfff + (a >> 13 & 1) - 0x38000000u) >> 13));
#endif
}

inline float bfloat_to_f32(uint16_t h) { return bits<float>((uint32_t)h << 16); }
inline uint16_t f32_to_bfloat(float x) {
  uint32_t u = bits<uint32_t>(x);
  if ((u & 0x7fffffff) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);
  return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
} // namespace sim

typedef _Float16 f16;
struct bf16 { uint16_t u; };
typedef f16 half;
typedef f16 __half;
typedef bf16 __nv_bfloat16;
struct alignas(4) __half2 { f16 x, y; };
struct alignas(4) __nv_bfloat162 { bf16 x, y; };
typedef __half2 half2;

namespace sim {
inline float f16_to_f32(f16 x) { return half_to_f32(bits<uint16_t>(x)); }
inline f16 f32_to_f16(float x) { return bits<f16>(f32_to_half(x)); }
inline float bf16_to_f32(bf16 x) { return bfloat_to_f32(x.u); }
inline bf16 f32_to_bf16(float x) { return bf16{f32_to_bfloat(x)}; }
} // namespace sim

inline float __half2float(f16 x) { return sim::f16_to_f32(x); }
inline f16 __float2half(float x) { return sim::f32_to_f16(x); }
inline f16 __float2half_rn(float x) { return sim::f32_to_f16(x); }
inline float __bfloat162float(bf16 x) { return sim::bf16_to_f32(x); }
inline bf16 __float2bfloat16(float x) { return sim::f32_to_bf16(x); }
inline bf16 __float2bfloat16_rn(float x) { return sim::f32_to_bf16(x); }
inline unsigned short __half_as_ushort(f16 x) { return sim::bits<unsigned short>(x); }
inline f16 __ushort_as_half(unsigned short x) { return sim::bits<f16>(x); }
inline unsigned short __bfloat16_as_ushort(bf16 x) { return x.u; }
inline bf16 __ushort_as_bfloat16(unsigned short x) { return bf16{x}; }
inline __half2 __floats2half2_rn(float x, float y) { return {sim::f32_to_f16(x), sim::f32_to_f16(y)}; }
inline float2 __half22float2(__half2 h) { return {sim::f16_to_f32(h.x), sim::f16_to_f32(h.y)}; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {sim::f32_to_bf16(x), sim::f32_to_bf16(y)}; }
inline float2 __bfloat1622float2(__nv_bfloat162 h) { return {sim::bf16_to_f32(h.x), sim::bf16_to_f32(h.y)}; }
