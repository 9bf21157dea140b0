// conv2d_patch.cuh is what convolutions share that fetch pixels once for all taps: a tile's pixels, and those which its taps
// meet, are a patch of neighbours in memory, from which each tap takes its own as the first factor of wgmma.
//
// Only where the images that are written are no larger than those that are read: then what later pixels meet lies behind.
#pragma once
#include "conv2d_groups.cuh"

#ifdef ACUMEN_WGMMA
enum { HIGH = 256, DEPTH = 64 }; // pixels of a tile; of k in a step

// of_stride_1 are the taps as taps_of has them, where all pixels meet all.
template <bool GRAD> __device__ inline Taps of_stride_1(int k, int pad, int dil, int extent) {
  return {k, 0, 1, GRAD ? pad : -pad, GRAD ? -dil : dil, 1, 0, 1, extent};
}

// Tap walks over the taps of a kernel: column, number, and how far a tap lies from the pixel that is written.
struct Tap {
  int c, number, shift;
  __device__ Tap(const Conv2DParams &p, const Taps &h, const Taps &w) : c(0), number(0), shift(h.offset * p.xw + w.offset) {}
  __device__ void next(const Conv2DParams &p, const Taps &h, const Taps &w) {
    c++, number++, shift += w.apart;
    if (c == p.kw) c = 0, shift += h.apart * p.xw - p.kw * w.apart;
  }
};

// lowest is the first pixel of the patch of a tile, counted over all images; it may lie before them.
template <bool GRAD> __device__ inline int lowest(const Conv2DParams &p, const Taps &h, const Taps &w, int tile) {
  const Pixel first = pixel_of<GRAD ? 0 : 8>(p, h, w, (u32)tile * HIGH);
  const int up = min(h.offset, h.offset + (p.kh - 1) * h.apart), back = min(w.offset, w.offset + (p.kw - 1) * w.apart);
  return ((int)first.image * p.xh + first.i + up) * p.xw + first.j + back;
}

// meeting has a bit for each tap that meets a pixel.
__device__ inline u32 meeting(const Conv2DParams &p, const Taps &h, const Taps &w, const Pixel &px) {
  u32 met = 0, cols = 0;
#pragma unroll 1
  for (int t = 0; t < p.kw; t++) cols |= (u32)((u32)(px.j + w.offset + t * w.apart) < (u32)p.xw) << t;
#pragma unroll 1
  for (int t = 0; t < p.kh; t++)
    if ((u32)(px.i + h.offset + t * h.apart) < (u32)p.xh) met |= cols << t * p.kw;
  return px.image < (u32)p.images ? met : 0;
}

// in_patch is where chunk col of a patch's row lies: so that ldmatrix hits each bank once.
template <int SLOT> __device__ inline int in_patch(int row, int col) { return row * SLOT * 2 + ((col ^ (SLOT == 64 ? row & 7 : row >> 1 & 3)) << 4); }

// Weights sends those of BN output channels to shared memory, step by step: SLOT channels of one or of two taps. A thread of
// THREADS has the chunk of 8 of k at one column, of rows THREADS / 8 apart.
template <class T, int BN, int SLOT, int THREADS> struct Weights {
  enum { APART = THREADS / 8, TAPS = DEPTH / SLOT };
  const T *from;
  int across, left, tap; // elements between rows, rows that are there, tap

  __device__ void open(const Conv2DParams &p, const Work &b) {
    const int thread = threadIdx.x % THREADS, col = thread % 8 * 8, o = b.col * BN + thread / 8, c = col % SLOT;
    tap = col / SLOT;
    across = APART * p.kh * p.kw * p.xc, left = c < p.xc ? p.yc - o : 0;
    from = (const T *)p.w + (((i64)b.group * p.yc + o) * p.kh * p.kw + tap) * p.xc + c;
  }

  __device__ void fetch(const Conv2DParams &p, char *stage) {
    const int thread = threadIdx.x % THREADS, taps = p.kh * p.kw, rows = tap < taps ? left : 0;
    char *to = stage + wgmma_place(thread / 8, thread % 8);
#pragma unroll
    for (int a = 0; a < BN / APART; a++) cp_async<16>(to + a * APART * 128, from + a * across, a * APART < rows ? 16 : 0);
    tap += TAPS, from += TAPS * p.xc;
    if (SLOT == DEPTH && tap == taps) tap = 0, from += DEPTH - taps * p.xc;
  }
};

// Patch sends one to shared memory, THREADS / (SLOT / 8) pixels at a pass.
template <class T, int SLOT, int THREADS> struct Patch {
  enum { CHUNKS = SLOT / 8, PASS = THREADS / CHUNKS };
  const T *from;
  int low, line, to; // the patch's first pixel; which of the patch is this thread's next, and where it goes

  // open goes to the first pixel of a patch, of channels from c on.
  __device__ void open(const Conv2DParams &p, int group, int patch, int c) {
    const int thread = threadIdx.x % THREADS, col = thread % CHUNKS;
    line = thread / CHUNKS;
    to = patch + in_patch<SLOT>(line, col);
    from = (const T *)p.x + (i64)(low + line) * p.xCol + group * p.xc + c + col * 8;
  }

  __device__ void fetch(const Conv2DParams &p, char *s, int passes) {
    const u32 all = p.images * p.xh * p.xw;
    const bool there = SLOT == DEPTH || threadIdx.x % CHUNKS * 8 < p.xc;
#pragma unroll 1
    for (; passes > 0 && line < p.patch; passes--) {
      cp_async<16>(s + to, from, there && (u32)(low + line) < all ? 16 : 0);
      line += PASS, to += PASS * SLOT * 2, from += (i64)PASS * p.xCol;
    }
  }

  static __device__ int passes(const Conv2DParams &p) { return (p.patch + PASS - 1) / PASS; }
};
#endif
