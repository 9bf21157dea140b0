// wgmma.cuh holds the instructions by which a warpgroup, four warps of which the first is a multiple of four, multiplies
// matrices that lie in shared memory. Compute capability 9.0 alone has them, under the name sm_90a: ACUMEN_WGMMA says that
// they are there.
//
// A matrix has rows of 64 elements of 16 bits, 128 bytes one after the other, from a multiple of 1024 bytes on; the chunks
// of 16 bytes of a row are exchanged as wgmma_place tells. Rows lie along k, or, of B, TURNED, across it: then there is a row
// for each k, and matrices of further 64 columns follow at a distance.
#pragma once
#include "ptx.cuh"

#if defined(ACUMEN_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define ACUMEN_WGMMA

// wgmma_place is where chunk col of a row lies in a matrix.
__device__ inline int wgmma_place(int row, int col) { return row * 128 + ((col ^ (row & 7)) << 4); }

// The fragments of a warpgroup's sums of 64 rows and N columns: thread 32 w + 4 g + t has in c[4 j] (16 w + g, 8 j + 2 t), in
// c[4 j + 1] (.., 8 j + 2 t + 1), and in c[4 j + 2] and c[4 j + 3] those of row 16 w + g + 8.
#ifdef ACUMEN_SIM

// wgmma_matrix names the matrix at s; + 2 goes to the next 16 of k.
__device__ inline u64 wgmma_matrix(const char *s) { return (u64)s >> 4; }

// wgmma adds the product of 64 rows of A by N rows of B along 16 of k to the sums. It is done at once here.
template <class T, int R> __device__ inline void wgmma_sum(float (&c)[R], u64 a, u64 b) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
  auto row = [](float (&to)[16], u64 matrix, int r) { // addresses are exchanged as the hardware does it: by their bits
    for (int chunk = 0; chunk < 2; chunk++) {
      const u64 at = (matrix << 4) + r * 128 + chunk * 16;
      const T *from = (const T *)(at ^ (at >> 3 & 0x70));
      for (int e = 0; e < 8; e++) to[chunk * 8 + e] = to_f32(from[e]);
    }
  };
  sim::products_read((const char *)(a << 4 & ~(u64)127) + warp * 2048, 2048);
  sim::products_read((const char *)(b << 4 & ~(u64)127), 2 * R * 128);
  float u[2][16], v[16];
  row(u[0], a, warp * 16 + lane / 4);
  row(u[1], a, warp * 16 + lane / 4 + 8);
  for (int j = 0; j < R / 4; j++)
    for (int e = 0; e < 2; e++) {
      row(v, b, j * 8 + lane % 4 * 2 + e);
      for (int i = 0; i < 2; i++) {
        float &sum = c[j * 4 + i * 2 + e];
        for (int k = 0; k < 16; k++) sum += u[i][k] * v[k];
      }
    }
}
template <int R> __device__ inline void wgmma_f16(float (&c)[R], u64 a, u64 b) { wgmma_sum<f16>(c, a, b); }
template <int R> __device__ inline void wgmma_bf16(float (&c)[R], u64 a, u64 b) { wgmma_sum<bf16>(c, a, b); }

// wgmma_turned names the matrices at s and each apart bytes further, of which rows lie across k; + 128 goes to the next 16.
__device__ inline u64 wgmma_turned(const char *s, int apart) { return (u64)s >> 4 | (u64)(apart >> 10) << 48; }

// wgmma_rows adds the product of 64 rows of A, of which each warp has 16 as the fragment of mma 16x8x16, and of B.
template <bool TURNED, class T, int R> __device__ inline void wgmma_rows(T, float (&c)[R], const unsigned (&a)[4], u64 b) {
  const int lane = threadIdx.x % 32;
  const char *begin = (const char *)((b & (u64)-1 >> 16) << 4);
  if (!TURNED) sim::products_read((const char *)((u64)begin & ~(u64)127), 2 * R * 128);
  for (int n = 0; TURNED && n < 2 * R; n += 64) sim::products_read(begin + n / 64 * (b >> 48 << 10), 2048);
  unsigned all[16]; // of the four lanes that have a row
  sim::row_fragments(all, a);
  float u[2][16], v[16];
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < 16; k++) {
      const u16 bits = (u16)(all[k % 8 / 2 * 4 + i + k / 8 * 2] >> k % 2 * 16);
      T e;
      memcpy(&e, &bits, 2);
      u[i][k] = to_f32(e);
    }
  for (int j = 0; j < R / 4; j++)
    for (int e = 0; e < 2; e++) {
      const int n = j * 8 + lane % 4 * 2 + e;
      for (int k = 0; k < 16; k++) {
        const u64 base = (b & (u64)-1 >> 16) << 4, at = TURNED ? base + n / 64 * (b >> 48 << 10) + k * 128 + n % 64 * 2 : base + n * 128 + k * 2;
        v[k] = to_f32(*(const T *)(at ^ (at >> 3 & 0x70)));
      }
      for (int i = 0; i < 2; i++)
        for (int k = 0; k < 16; k++) c[j * 4 + i * 2 + e] += u[i][k] * v[k];
    }
}

__device__ inline void wgmma_open() {}
__device__ inline void wgmma_commit() { sim::products_commit(); }
template <int N> __device__ inline void wgmma_wait() { sim::products_wait(N); }
template <int R> __device__ inline void wgmma_hold(float (&)[R]) {}
__device__ inline void wgmma_see() {}

// group_sync waits for the threads of whole warps that have a barrier, 1 to 15, to themselves.
template <int THREADS> __device__ inline void group_sync(int barrier) { sim::named_barrier(barrier, THREADS); }
// An mbarrier is 8 bytes of shared memory. A phase ends with the count-th arrival; phase_wait waits for the end of the phase
// whose number is even (0) or odd (1).
__device__ inline void phase_init(u64 *bar, int count) { sim::mbarrier_init(bar, count); }
__device__ inline void phase_arrive(u64 *bar) { sim::mbarrier_arrive(bar); }
__device__ inline void phase_wait(u64 *bar, u32 parity) { sim::mbarrier_wait(bar, parity); }
// phase_copied arrives once all copies that this thread has started have landed.
__device__ inline void phase_copied(u64 *bar) { sim::cp_async_arrive(bar); }
// registers_less and registers_more change how many registers the threads of a warpgroup have.
template <int N> __device__ inline void registers_less() {}
template <int N> __device__ inline void registers_more() {}

#else

__device__ inline u64 wgmma_matrix(const char *s) {
  const u64 strides = (u64)1 << 62 | (u64)(1024 >> 4) << 32 | (u64)1 << 16; // exchanged within 128 bytes; 8 rows are 1024 bytes
  return strides | (shared_address(s) & 0x3ffff) >> 4;
}

#define SUMS4(i) "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3])
#define SUMS16(i) SUMS4(i), SUMS4(i + 4), SUMS4(i + 8), SUMS4(i + 12)
#define WGMMA32(types, name) \
  __device__ inline void name(float (&c)[16], u64 a, u64 b) { \
    asm volatile("wgmma.mma_async.sync.aligned.m64n32k16.f32." types " " \
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, " \
      "%16, %17, 1, 1, 1, 0, 0;" \
      : SUMS16(0) \
      : "l"(a), "l"(b) \
      : "memory"); \
  }
WGMMA32("f16.f16", wgmma_f16)
WGMMA32("bf16.bf16", wgmma_bf16)
#define WGMMA64(types, name) \
  __device__ inline void name(float (&c)[32], u64 a, u64 b) { \
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." types " " \
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15," \
      " %16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, " \
      "%32, %33, 1, 1, 1, 0, 0;" \
      : SUMS16(0), SUMS16(16) \
      : "l"(a), "l"(b) \
      : "memory"); \
  }
WGMMA64("f16.f16", wgmma_f16)
WGMMA64("bf16.bf16", wgmma_bf16)
#define WGMMA128(types, name) \
  __device__ inline void name(float (&c)[64], u64 a, u64 b) { \
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32." types " " \
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15," \
      " %16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31," \
      " %32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47," \
      " %48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, " \
      "%64, %65, 1, 1, 1, 0, 0;" \
      : SUMS16(0), SUMS16(16), SUMS16(32), SUMS16(48) \
      : "l"(a), "l"(b) \
      : "memory"); \
  }
WGMMA128("f16.f16", wgmma_f16)
WGMMA128("bf16.bf16", wgmma_bf16)

// wgmma_turned names the matrices at s and each apart bytes further, of which rows lie across k; + 128 goes to the next 16.
__device__ inline u64 wgmma_turned(const char *s, int apart) {
  const u64 strides = (u64)1 << 62 | (u64)(1024 >> 4) << 32 | (u64)(apart >> 4) << 16;
  return strides | (shared_address(s) & 0x3ffff) >> 4;
}

// wgmma_rows adds the product of 64 rows of A, of which each warp has 16 as the fragment of mma 16x8x16, and of B.
#define WGMMA_ROWS32(T, types) \
  template <bool TURNED> __device__ inline void wgmma_rows(T, float (&c)[16], const unsigned (&a)[4], u64 b) { \
    asm volatile("wgmma.mma_async.sync.aligned.m64n32k16.f32." types " " \
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, " \
      "{%16,%17,%18,%19}, %20, 1, 1, 1, %21;" \
      : SUMS16(0) \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(TURNED ? 1 : 0) \
      : "memory"); \
  }
WGMMA_ROWS32(f16, "f16.f16")
WGMMA_ROWS32(bf16, "bf16.bf16")
#define WGMMA_ROWS64(T, types) \
  template <bool TURNED> __device__ inline void wgmma_rows(T, float (&c)[32], const unsigned (&a)[4], u64 b) { \
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." types " " \
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15," \
      " %16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, " \
      "{%32,%33,%34,%35}, %36, 1, 1, 1, %37;" \
      : SUMS16(0), SUMS16(16) \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(TURNED ? 1 : 0) \
      : "memory"); \
  }
WGMMA_ROWS64(f16, "f16.f16")
WGMMA_ROWS64(bf16, "bf16.bf16")
#define WGMMA_ROWS128(T, types) \
  template <bool TURNED> __device__ inline void wgmma_rows(T, float (&c)[64], const unsigned (&a)[4], u64 b) { \
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32." types " " \
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15," \
      " %16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31," \
      " %32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47," \
      " %48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, " \
      "{%64,%65,%66,%67}, %68, 1, 1, 1, %69;" \
      : SUMS16(0), SUMS16(16), SUMS16(32), SUMS16(48) \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(TURNED ? 1 : 0) \
      : "memory"); \
  }
WGMMA_ROWS128(f16, "f16.f16")
WGMMA_ROWS128(bf16, "bf16.bf16")
#define WGMMA_ROWS256(T, types) \
  template <bool TURNED> __device__ inline void wgmma_rows(T, float (&c)[128], const unsigned (&a)[4], u64 b) { \
    asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32." types " " \
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15," \
      " %16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31," \
      " %32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47," \
      " %48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63," \
      " %64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79," \
      " %80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95," \
      " %96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111," \
      " %112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127}, " \
      "{%128,%129,%130,%131}, %132, 1, 1, 1, %133;" \
      : SUMS16(0), SUMS16(16), SUMS16(32), SUMS16(48), SUMS16(64), SUMS16(80), SUMS16(96), SUMS16(112) \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(TURNED ? 1 : 0) \
      : "memory"); \
  }
WGMMA_ROWS256(f16, "f16.f16")
WGMMA_ROWS256(bf16, "bf16.bf16")

// wgmma_open comes before the first of several products that follow each other, wgmma_commit after the last.
__device__ inline void wgmma_open() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// wgmma_wait waits until at most the N latest of what was committed are under way.
template <int N> __device__ inline void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory"); }
// wgmma_hold keeps the compiler from moving sums while they are added to.
template <int R> __device__ inline void wgmma_hold(float (&c)[R]) {
#pragma unroll
  for (int i = 0; i < R; i++) asm volatile("" : "+f"(c[i])::"memory");
}
// wgmma_see lets products see what this thread has written to shared memory. Before the barrier.
__device__ inline void wgmma_see() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

template <int THREADS> __device__ inline void group_sync(int barrier) { asm volatile("bar.sync %0, %1;" ::"r"(barrier), "n"(THREADS) : "memory"); }
__device__ inline void phase_init(u64 *bar, int count) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(bar)), "r"(count) : "memory"); }
__device__ inline void phase_arrive(u64 *bar) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(bar)) : "memory"); }
__device__ inline void phase_wait(u64 *bar, u32 parity) {
  asm volatile("{\n"
               ".reg .pred done;\n"
               "again: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@!done bra again;\n"
               "}" ::"r"(shared_address(bar)), "r"(parity) : "memory");
}
__device__ inline void phase_copied(u64 *bar) { asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(shared_address(bar)) : "memory"); }
template <int N> __device__ inline void registers_less() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N)); }
template <int N> __device__ inline void registers_more() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N)); }

#endif
#endif
