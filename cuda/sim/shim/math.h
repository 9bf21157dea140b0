// math.h: the functions of CUDA's math library and integer intrinsics that g++ lacks. The approximate ones (__expf and its
// like) give the host library's value: their error on a GPU is not seen here.
#pragma once
#include <cfenv>
#include <cmath>

#include "types.h"

using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;

template <class A, class B> constexpr std::common_type_t<A, B> min(A a, B b) {
  typedef std::common_type_t<A, B> T;
  return (T)b < (T)a ? (T)b : (T)a;
}
template <class A, class B> constexpr std::common_type_t<A, B> max(A a, B b) {
  typedef std::common_type_t<A, B> T;
  return (T)a < (T)b ? (T)b : (T)a;
}
// Of a NaN and a number these give the number, as CUDA's overloads for floating point do.
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
using std::abs;

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rcbrtf(float x) { return 1.0f / cbrtf(x); }
inline double normcdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }
inline float normcdff(float x) { return (float)normcdf((double)x); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

inline void sincospi(double x, double *s, double *c) { // x is brought to [-1/4, 1/4] first, exactly
  double r = x - 2 * floor(x * 0.5), q = floor(r * 2 + 0.5), a = (r - q * 0.5) * 3.14159265358979323846;
  double u = sin(a), v = cos(a);
  switch ((int)q & 3) {
  case 0: *s = u, *c = v; break;
  case 1: *s = v, *c = -u; break;
  case 2: *s = -u, *c = -v; break;
  default: *s = -v, *c = u;
  }
}
inline void sincospif(float x, float *s, float *c) {
  double u, v;
  sincospi(x, &u, &v);
  *s = (float)u, *c = (float)v;
}
inline double sinpi(double x) { double s, c; sincospi(x, &s, &c); return s; }
inline double cospi(double x) { double s, c; sincospi(x, &s, &c); return c; }
inline float sinpif(float x) { return (float)sinpi(x); }
inline float cospif(float x) { return (float)cospi(x); }

inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return exp10f(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frsqrt_rn(float x) { return rsqrtf(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dsub_rn(double x, double y) { return x - y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline double __ddiv_rn(double x, double y) { return x / y; }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }

inline unsigned __float_as_uint(float x) { return sim::bits<unsigned>(x); }
inline int __float_as_int(float x) { return sim::bits<int>(x); }
inline float __uint_as_float(unsigned x) { return sim::bits<float>(x); }
inline float __int_as_float(int x) { return sim::bits<float>(x); }
inline long long __double_as_longlong(double x) { return sim::bits<long long>(x); }
inline double __longlong_as_double(long long x) { return sim::bits<double>(x); }
inline int __double2hiint(double x) { return (int)(sim::bits<uint64_t>(x) >> 32); }
inline int __double2loint(double x) { return (int)sim::bits<uint64_t>(x); }
inline double __hiloint2double(int hi, int lo) { return sim::bits<double>((uint64_t)(uint32_t)hi << 32 | (uint32_t)lo); }

namespace sim {
// clamp is x, an integral value, as an integer of type T: saturated, NaN becomes 0.
template <class T> inline T clamp(double x) {
  constexpr double lo = (double)(T)(std::is_signed<T>::value ? (T)1 << (sizeof(T) * 8 - 1) : 0);
  constexpr double hi = (std::is_signed<T>::value ? 0x1p0 : 0x1p1) * (double)(1ull << (sizeof(T) * 8 - 1));
  return x != x ? 0 : x <= lo ? (T)lo : x >= hi ? (T) ~(T)(std::is_signed<T>::value ? (T)1 << (sizeof(T) * 8 - 1) : 0) : (T)x;
}
} // namespace sim
#define SIM_CONVERSIONS(from, F, to, T)                                   \
  inline T __##from##2##to##_rn(F x) { return sim::clamp<T>(nearbyint((double)x)); } \
  inline T __##from##2##to##_rz(F x) { return sim::clamp<T>(trunc((double)x)); }     \
  inline T __##from##2##to##_rd(F x) { return sim::clamp<T>(floor((double)x)); }     \
  inline T __##from##2##to##_ru(F x) { return sim::clamp<T>(ceil((double)x)); }
SIM_CONVERSIONS(float, float, int, int)
SIM_CONVERSIONS(float, float, uint, unsigned)
SIM_CONVERSIONS(float, float, ll, long long)
SIM_CONVERSIONS(float, float, ull, unsigned long long)
SIM_CONVERSIONS(double, double, int, int)
SIM_CONVERSIONS(double, double, uint, unsigned)
SIM_CONVERSIONS(double, double, ll, long long)
SIM_CONVERSIONS(double, double, ull, unsigned long long)
#undef SIM_CONVERSIONS
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }
inline float __ll2float_rn(long long x) { return (float)x; }
inline float __ull2float_rn(unsigned long long x) { return (float)x; }
inline double __int2double_rn(int x) { return x; }
inline double __uint2double_rn(unsigned x) { return x; }
inline double __ll2double_rn(long long x) { return (double)x; }
inline float __double2float_rn(double x) { return (float)x; }

inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline unsigned __brev(unsigned x) {
  x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
  x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
  x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
  return __builtin_bswap32(x);
}
inline int __mulhi(int x, int y) { return (int)((long long)x * y >> 32); }
inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)((unsigned long long)x * y >> 32); }
inline long long __mul64hi(long long x, long long y) { return (long long)((__int128)x * y >> 64); }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return (unsigned long long)((unsigned __int128)x * y >> 64);
}
inline int __mul24(int x, int y) { return (x << 8 >> 8) * (y << 8 >> 8); }
inline unsigned __umul24(unsigned x, unsigned y) { return (x & 0xffffffu) * (y & 0xffffffu); }
inline unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned s) {
  return (unsigned)((((unsigned long long)hi << 32 | lo) << (s & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned s) {
  return (unsigned)(((unsigned long long)hi << 32 | lo) >> (s & 31));
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned s) {
  unsigned long long v = (unsigned long long)y << 32 | x;
  unsigned r = 0;
  for (int i = 0; i < 4; i++) {
    unsigned n = s >> (4 * i) & 15, b = (unsigned)(v >> (8 * (n & 7))) & 255;
    r |= (n & 8 ? (b & 128 ? 255u : 0u) : b) << (8 * i);
  }
  return r;
}
