// ptx.cuh holds every PTX instruction that kernels use, but those of wgmma.cuh, one wrapper each; with ACUMEN_SIM the stand-in
// of cuda/sim does their work. cp.async and mma.sync need sm_80: on older targets their wrappers are empty of them and trap, so that a file still
// compiles there; the host must not launch such a kernel.
#pragma once
#include "kernel.cuh"

// Fragments of a warp's matrices. Lane l has g = l/4 and t = l%4.
//
//	mma 16x8x16, 16-bit inputs: A a[0] (g, 2t..2t+1), a[1] (g+8, ..), a[2] (g, 2t+8..2t+9), a[3] (g+8, ..)
//	                            B b[0] (2t..2t+1, g), b[1] (2t+8..2t+9, g)
//	mma 16x8x8, tf32 inputs:    A a[0] (g, t), a[1] (g+8, t), a[2] (g, t+4), a[3] (g+8, t+4); B b[0] (t, g), b[1] (t+4, g)
//	C and D:                    c[0] (g, 2t), c[1] (g, 2t+1), c[2] (g+8, 2t), c[3] (g+8, 2t+1)

#ifdef ACUMEN_SIM

// ldmatrix_xN loads N matrices of 8x8 16-bit elements; row i of matrix j lies at the address that lane 8j+i gives.
__device__ inline void ldmatrix_x1(unsigned (&r)[1], const void *row) { sim::ldmatrix(r, 1, false, row); }
__device__ inline void ldmatrix_x2(unsigned (&r)[2], const void *row) { sim::ldmatrix(r, 2, false, row); }
__device__ inline void ldmatrix_x4(unsigned (&r)[4], const void *row) { sim::ldmatrix(r, 4, false, row); }
__device__ inline void ldmatrix_x1_trans(unsigned (&r)[1], const void *row) { sim::ldmatrix(r, 1, true, row); }
__device__ inline void ldmatrix_x2_trans(unsigned (&r)[2], const void *row) { sim::ldmatrix(r, 2, true, row); }
__device__ inline void ldmatrix_x4_trans(unsigned (&r)[4], const void *row) { sim::ldmatrix(r, 4, true, row); }

// mma_* adds A * B to C.
__device__ inline void mma_f16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { sim::mma_f16(c, a, b); }
__device__ inline void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { sim::mma_bf16(c, a, b); }
__device__ inline void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { sim::mma_tf32(c, a, b); }

// to_tf32 rounds to 10 mantissa bits, to nearest, ties away from zero: what mma_tf32 expects of its inputs.
__device__ inline unsigned to_tf32(float x) {
  unsigned u = __float_as_uint(x);
  return (u & 0x7f800000u) == 0x7f800000u ? u : (u + 0x1000u) & 0xffffe000u;
}

// cp_async copies N = 4, 8 or 16 bytes to shared memory; with bytes < N it reads so many and fills up with zeros.
template <int N> __device__ inline void cp_async(void *shared, const void *global) { sim::cp_async(shared, global, N, N); }
template <int N> __device__ inline void cp_async(void *shared, const void *global, unsigned bytes) {
  sim::cp_async(shared, global, N, bytes);
}
// cp_async_commit closes a group of this thread's copies; cp_async_wait<N> waits until at most its N latest are under way.
__device__ inline void cp_async_commit() { sim::cp_async_commit(); }
template <int N> __device__ inline void cp_async_wait() { sim::cp_async_wait(N); }
__device__ inline void cp_async_wait_all() { sim::cp_async_wait_all(); }

#else

__device__ inline unsigned shared_address(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }

#define LDMATRIX1(suffix, name)                                                                        \
  __device__ inline void name(unsigned (&r)[1], const void *row) {                                     \
    asm volatile("ldmatrix.sync.aligned.m8n8.x1" suffix ".shared.b16 {%0}, [%1];"                      \
                 : "=r"(r[0])                                                                          \
                 : "r"(shared_address(row))                                                            \
                 : "memory");                                                                          \
  }
#define LDMATRIX2(suffix, name)                                                                        \
  __device__ inline void name(unsigned (&r)[2], const void *row) {                                     \
    asm volatile("ldmatrix.sync.aligned.m8n8.x2" suffix ".shared.b16 {%0,%1}, [%2];"                   \
                 : "=r"(r[0]), "=r"(r[1])                                                              \
                 : "r"(shared_address(row))                                                            \
                 : "memory");                                                                          \
  }
#define LDMATRIX4(suffix, name)                                                                        \
  __device__ inline void name(unsigned (&r)[4], const void *row) {                                     \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" suffix ".shared.b16 {%0,%1,%2,%3}, [%4];"             \
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])                                      \
                 : "r"(shared_address(row))                                                            \
                 : "memory");                                                                          \
  }
LDMATRIX1("", ldmatrix_x1)
LDMATRIX2("", ldmatrix_x2)
LDMATRIX4("", ldmatrix_x4)
LDMATRIX1(".trans", ldmatrix_x1_trans)
LDMATRIX2(".trans", ldmatrix_x2_trans)
LDMATRIX4(".trans", ldmatrix_x4_trans)

#if __CUDA_ARCH__ >= 800

#define MMA(shape, types, name)                                                                        \
  __device__ inline void name(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {         \
    asm volatile("mma.sync.aligned." shape ".row.col.f32." types ".f32 "                               \
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                               \
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                  \
  }
MMA("m16n8k16", "f16.f16", mma_f16)
MMA("m16n8k16", "bf16.bf16", mma_bf16)
MMA("m16n8k8", "tf32.tf32", mma_tf32)

__device__ inline unsigned to_tf32(float x) {
  unsigned u;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(u) : "f"(x));
  return u;
}

template <int N> __device__ inline void cp_async(void *shared, const void *global, unsigned bytes) {
  static_assert(N == 4 || N == 8 || N == 16, "cp.async copies 4, 8 or 16 bytes");
  if (N == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)), "l"(global), "n"(N), "r"(bytes)
                 : "memory");
}
template <int N> __device__ inline void cp_async(void *shared, const void *global) {
  static_assert(N == 4 || N == 8 || N == 16, "cp.async copies 4, 8 or 16 bytes");
  if (N == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(global) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared_address(shared)), "l"(global), "n"(N) : "memory");
}
__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> __device__ inline void cp_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }
__device__ inline void cp_async_wait_all() { asm volatile("cp.async.wait_all;" ::: "memory"); }

#else

__device__ inline void mma_f16(float (&)[4], const unsigned (&)[4], const unsigned (&)[2]) { __trap(); }
__device__ inline void mma_bf16(float (&)[4], const unsigned (&)[4], const unsigned (&)[2]) { __trap(); }
__device__ inline void mma_tf32(float (&)[4], const unsigned (&)[4], const unsigned (&)[2]) { __trap(); }
__device__ inline unsigned to_tf32(float x) { return __float_as_uint(x); }
template <int N> __device__ inline void cp_async(void *, const void *, unsigned) { __trap(); }
template <int N> __device__ inline void cp_async(void *, const void *) { __trap(); }
__device__ inline void cp_async_commit() {}
template <int N> __device__ inline void cp_async_wait() {}
__device__ inline void cp_async_wait_all() {}

#endif
#endif
