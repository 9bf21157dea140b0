// conv2d_padded.cuh has convolutions of stride 1 on tensor cores whose pixels come to shared memory once, not once for each
// tap: a block stages the rows of the padded images that its pixels meet, and the taps are shifts of the addresses that
// ldmatrix reads from. Channels are staged in slices of S chunks of 16 bytes, at most 4; along k go the slices, the taps,
// and the chunks.
#pragma once
#include "conv2d_mma.cuh"

#if defined(ACUMEN_SIM) || __CUDA_ARCH__ >= 800

// Padded is the images with their padding as one stack of rows, of which a block stages those from first on. ACROSS is as in
// pixel_of.
template <int ACROSS> struct Padded {
  int high, wide;    // of an image
  int above, before; // row and column in the image of the first padded pixel
  int first, pixels;
  int S;

  __device__ static int least(const Taps &t) { return min(t.offset, t.offset + (t.n - 1) * t.apart); }
  __device__ static int span(const Taps &t) { return (t.n - 1) * (t.apart < 0 ? -t.apart : t.apart); }

  __device__ Padded(const Conv2DParams &p, const Taps &h, const Taps &w) {
    high = h.extent + span(h), wide = w.extent + span(w), above = least(h), before = least(w);
    S = min(p.xc / 8, 4);
  }

  // move goes to what rows m to end - 1 of the product meet.
  __device__ void move(const Conv2DParams &p, const Taps &h, const Taps &w, u32 m, u32 end) {
    u32 last = end - 1;
    if (ACROSS && p.pool) { // the lowest pixel of the last window
      enum { A = ACROSS ? ACROSS : 1 };
      last = end / 4 - 1;
      last = last / A * 4 * A + 3 * A + last % A;
    }
    first = row_of(pixel_of<ACROSS>(p, h, w, m));
    pixels = (row_of(pixel_of<ACROSS>(p, h, w, last)) + span(h) + 1 - first) * wide;
  }

  // row_of is the row of the stack where a pixel finds its first tap.
  __device__ int row_of(const Pixel &at) const { return (int)(at.image * high) + at.i; }

  // pixel is the staged pixel of the first tap of row m's pixel, or that of another row where it has none.
  __device__ int pixel(const Conv2DParams &p, const Taps &h, const Taps &w, u32 m) const {
    const Pixel at = pixel_of<ACROSS>(p, h, w, m);
    return at.image < (u32)p.images ? (row_of(at) - first) * wide + at.j : 0;
  }

  // place is where a chunk of a staged pixel lies: 8 neighbours lie in different banks, or, where windows are pooled, 8
  // pixels of neighbouring windows, which are every second.
  __device__ int place(int pixel, int chunk, bool pool) const {
    int twist = S == 4 ? pixel >> 1 & 3 : S == 2 ? pixel >> 2 & 1 : 0;
    if (ACROSS && pool) twist = S == 4 ? pixel >> 1 & 7 : S == 2 ? pixel >> 2 & 3 : pixel >> 3 & 1;
    return (pixel * S + chunk ^ twist) * 16;
  }

  // stage starts the copies of a slice of channels. A thread's chunks lie THREADS apart.
  template <class T> __device__ void stage(const Conv2DParams &p, int group, int slice, char *s) const {
    const T *x = (const T *)p.x + group * p.xc + slice * S * 8;
    int pixel = (int)(threadIdx.x / (u32)S), chunk = (int)threadIdx.x - pixel * S;
    u32 row = (u32)pixel / (u32)wide, image = (first + row) / (u32)high;
    int i = (int)(first + row - image * high), j = (int)(pixel - row * wide);
    const int apart = THREADS / S, rest = THREADS - apart * S;
    while (pixel < pixels) {
      const bool valid = image < (u32)p.images && (u32)(i + above) < (u32)p.xh && (u32)(j + before) < (u32)p.xw;
      const T *from = x + image * p.xImage + (i64)(i + above) * p.xRow + (i64)(j + before) * p.xCol + chunk * 8;
      cp_async<16>(s + place(pixel, chunk, p.pool), valid ? from : (const T *)p.x, valid ? 16 : 0);
      int by = apart;
      if ((chunk += rest) >= S) chunk -= S, by++;
      pixel += by;
      for (j += by; j >= wide; j -= wide)
        if (++i == high) i = 0, image++;
    }
  }
};

// Shifted is where a lane finds the pixels that it gives to ldmatrix: those of the rows of its fragments at their first tap,
// and the tap and chunk that are next.
template <class Tile, int ACROSS> struct Shifted {
  int from[Tile::MI];
  Depth d;

  __device__ void open(const Conv2DParams &p, const Padded<ACROSS> &pad, const Taps &h, const Taps &w, u32 m) {
#pragma unroll
    for (int i = 0; i < Tile::MI; i++) from[i] = pad.pixel(p, h, w, m + 16 * i + threadIdx.x % 16);
  }
  __device__ void begin(const Padded<ACROSS> &pad, const Taps &w) { d.open(threadIdx.x % 32 / 16, pad.S, w.n); }

  // multiply_step adds the product of 64 bytes of k: of staged pixels, and of a panel of weights from its column wj on.
  template <class T>
  __device__ void multiply_step(Tile &tile, const Conv2DParams &p, const Padded<ACROSS> &pad, const Taps &h, const Taps &w, const char *pixels,
                                const char *zeros, const char *weights, int wj) {
    enum { MI = Tile::MI, NI = Tile::NI };
#pragma unroll
    for (int step = 0; step < 2; step++) {
      unsigned u[MI][4], v[NI / 2][4];
      const int shift = (h.offset + d.r * h.apart - pad.above) * pad.wide + w.offset + d.s * w.apart - pad.before;
#pragma unroll
      for (int i = 0; i < MI; i++) ldmatrix_x4(u[i], d.r < h.n ? pixels + pad.place(from[i] + shift, d.c, p.pool) : zeros);
#pragma unroll
      for (int j = 0; j < NI / 2; j++) Tile::B::b16(v[j], weights, wj + 16 * j, step);
#pragma unroll
      for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++) {
          const unsigned y[2] = {v[j / 2][j % 2 * 2], v[j / 2][j % 2 * 2 + 1]};
          multiply<T>(tile.sum[i][j], u[i], y);
        }
      d.advance(2, pad.S, w.n);
    }
  }
};

// Panels walks the weights as panels of 64 bytes of k in the order of staged pixels: slices of channels, taps, channels.
template <class Walk> struct Panels {
  Walk b;
  int slices, r, s, c; // tap and channel of the next panel, where there are several slices

  __device__ void open(const Conv2DParams &p, const Taps &h, const Taps &w, const Work &work, int n) {
    slices = n, r = s = c = 0;
    b.open(p, h, w, work, 0);
  }
  template <int DEPTH, class Sink> __device__ void fetch(const Conv2DParams &p, const Taps &h, const Taps &w, Sink sink) {
    if (slices > 1) {
      b.seek(p, r, s, c);
      if (++s == w.n) {
        s = 0;
        if (++r == h.n) r = 0, c += DEPTH;
      }
    }
    b.template fetch<true>(p, h, w, sink);
  }
};
#endif
