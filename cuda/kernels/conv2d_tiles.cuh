// conv2d_tiles.cuh has the operands of convolutions as matrix products: for each a walk over its tiles that tells where
// chunks of 16 bytes lie in memory. A tile is W of an outer axis by DEPTH of the axis along which is summed.
//
// fetch hands a tile to a sink, which has chunk(i, row, col, from, valid) for chunks that lie in memory as such, and
// elements(i, row, col, v) for those that do not; i counts a thread's chunks, row and col are the chunk's place. In deep
// tiles rows are the outer axis; in wide ones rows are the other, and chunks lie along the outer axis.
#pragma once
#include "conv2d_finish.cuh"

template <bool FORMER, class A, class B> struct Either {
  typedef A type;
};
template <class A, class B> struct Either<false, A, B> {
  typedef B type;
};

template <class T, int W, int DEPTH, int THREADS, bool DEEP> struct Chunks {
  enum {
    E = 16 / sizeof(T),               // elements of a chunk
    ROWS = DEEP ? W : DEPTH,
    COLS = (DEEP ? DEPTH : W) / E,    // chunks of a row
    APART = THREADS / COLS,           // rows between the chunks of a thread
    EACH = (ROWS + APART - 1) / APART // chunks of a thread
  };
  static_assert(THREADS % COLS == 0 && (ROWS % APART == 0 || ROWS < APART), "chunks are dealt evenly");
  int row, col;
  __device__ Chunks() : row(threadIdx.x / COLS), col(threadIdx.x % COLS) {}
  // mine tells whether a thread has chunks at all.
  __device__ bool mine() const { return ROWS >= APART || row < ROWS; }
};

// Pixels is the operand of gathered images, deep: rows are pixels that are written, chunks lie along k. ACROSS is as in
// pixel_of.
template <class T, int W, int DEPTH, int THREADS, int ACROSS> struct Pixels : Chunks<T, W, DEPTH, THREADS, true> {
  typedef Chunks<T, W, DEPTH, THREADS, true> Base;
  using Base::E;
  using Base::APART;
  using Base::EACH;
  const T *from[EACH]; // the source pixel at offset 0
  int i[EACH], j[EACH];
  Depth d;

  __device__ void open(const Conv2DParams &p, const Taps &h, const Taps &w, const Work &b, int k) {
    d.open(k + this->col * E, p.xc, w.n);
#pragma unroll
    for (int a = 0; a < EACH; a++) {
      const Pixel at = pixel_of<ACROSS>(p, h, w, (u32)b.row * W + this->row + a * APART);
      i[a] = at.i * h.scale;
      j[a] = at.j * w.scale;
      from[a] = (const T *)p.x + at.image * p.xImage + (i64)i[a] * p.xRow + (i64)j[a] * p.xCol + b.group * p.xc;
      if (at.image >= (u32)p.images) i[a] = -(1 << 30); // no source pixel
    }
  }

  template <bool WHOLE, class S> __device__ void fetch(const Conv2DParams &p, const Taps &h, const Taps &w, S &&sink) {
    if (WHOLE) {
      const int di = h.offset + d.r * h.apart, dj = w.offset + d.s * w.apart;
      const i64 off = (i64)di * p.xRow + (i64)dj * p.xCol + d.c;
      const bool more = d.r < h.n;
#pragma unroll
      for (int a = 0; a < EACH; a++) {
        bool valid = more && (u32)(i[a] + di) < (u32)p.xh && (u32)(j[a] + dj) < (u32)p.xw;
        sink.chunk(a, this->row + a * APART, this->col, valid ? from[a] + off : (const T *)p.x, valid);
      }
      d.advance(DEPTH, p.xc, w.n);
      return;
    }
    T v[EACH][E];
    Depth u = d;
#pragma unroll
    for (int e = 0; e < E; e++) {
      const int di = h.offset + u.r * h.apart, dj = w.offset + u.s * w.apart;
      const i64 off = (i64)di * p.xRow + (i64)dj * p.xCol + u.c;
      const bool more = u.r < h.n;
#pragma unroll
      for (int a = 0; a < EACH; a++) {
        v[a][e] = from_f32<T>(0.f);
        if (more && (u32)(i[a] + di) < (u32)p.xh && (u32)(j[a] + dj) < (u32)p.xw) v[a][e] = from[a][off];
      }
      u.advance(1, p.xc, w.n);
    }
#pragma unroll
    for (int a = 0; a < EACH; a++) sink.elements(a, this->row + a * APART, this->col, v[a]);
    d.advance(DEPTH, p.xc, w.n);
  }
};

// Filters is the operand of the weights forward, deep: rows are output channels, k lies in memory as it is counted.
template <class T, int W, int DEPTH, int THREADS> struct Filters : Chunks<T, W, DEPTH, THREADS, true> {
  typedef Chunks<T, W, DEPTH, THREADS, true> Base;
  using Base::E;
  using Base::APART;
  using Base::EACH;
  const T *from;
  int ks, k, left; // along k in all, this chunk's first, rows left

  __device__ void open(const Conv2DParams &p, const Taps &, const Taps &, const Work &b, int first) {
    ks = p.kh * p.kw * p.xc;
    k = first + this->col * E;
    int o = b.col * W + this->row;
    left = p.yc - o;
    from = (const T *)p.w + ((i64)b.group * p.yc + o) * ks + k;
  }

  template <bool WHOLE, class S> __device__ void fetch(const Conv2DParams &p, const Taps &, const Taps &, S &&sink) {
    if (this->mine()) {
#pragma unroll
      for (int a = 0; a < EACH; a++) {
        const bool valid = a * APART < left;
        const T *at = from + (i64)a * APART * ks;
        if (WHOLE) {
          sink.chunk(a, this->row + a * APART, this->col, valid && k < ks ? at : (const T *)p.w, valid && k < ks);
        } else {
          T v[E];
#pragma unroll
          for (int e = 0; e < E; e++) v[e] = valid && k + e < ks ? at[e] : from_f32<T>(0.f);
          sink.elements(a, this->row + a * APART, this->col, v);
        }
      }
    }
    k += DEPTH;
    from += DEPTH;
  }
};

// Turned is the operand of the weights in the gradient of the input, wide: a row for each k, which are taps and output
// channels, and chunks of input channels.
template <class T, int W, int DEPTH, int THREADS> struct Turned : Chunks<T, W, DEPTH, THREADS, false> {
  typedef Chunks<T, W, DEPTH, THREADS, false> Base;
  using Base::E;
  using Base::APART;
  using Base::EACH;
  const T *from;
  int left; // channels
  Depth d;

  __device__ void open(const Conv2DParams &p, const Taps &, const Taps &w, const Work &b, int k) {
    d.open(k + this->row, p.xc, w.n);
    int c = b.col * W + this->col * E;
    left = p.yc - c;
    from = (const T *)p.w + (i64)b.group * p.xc * p.kh * p.kw * p.yc + c;
  }

  template <bool WHOLE, class S> __device__ void fetch(const Conv2DParams &p, const Taps &h, const Taps &w, S &&sink) {
    if (!this->mine()) return;
#pragma unroll
    for (int a = 0; a < EACH; a++) {
      const bool valid = d.r < h.n && left > 0;
      const T *at = from + (((i64)d.c * p.kh + h.first + d.r * h.step) * p.kw + w.first + d.s * w.step) * p.yc;
      if (WHOLE) {
        sink.chunk(a, this->row + a * APART, this->col, valid ? at : (const T *)p.w, valid);
      } else {
        T v[E];
#pragma unroll
        for (int e = 0; e < E; e++) v[e] = valid && e < left ? at[e] : from_f32<T>(0.f);
        sink.elements(a, this->row + a * APART, this->col, v);
      }
      d.advance(EACH == 1 ? DEPTH : APART, p.xc, w.n);
    }
  }
};

// Gradients is the operand dy in the gradient of the weights, wide: a row for each position, chunks of output channels.
template <class T, int W, int DEPTH, int THREADS> struct Gradients : Chunks<T, W, DEPTH, THREADS, false> {
  typedef Chunks<T, W, DEPTH, THREADS, false> Base;
  using Base::E;
  using Base::APART;
  using Base::EACH;
  const T *from;
  int left, rows; // channels, positions

  __device__ void open(const Conv2DParams &p, const Work &b, int first, int end) {
    int o = b.row * W + this->col * E;
    left = p.yc - o;
    rows = end - first - this->row;
    from = (const T *)p.w + (i64)(first + this->row) * p.yCol + b.group * p.yc + o;
  }

  template <bool WHOLE, class S> __device__ void fetch(const Conv2DParams &p, S &&sink) {
    if (this->mine()) {
#pragma unroll
      for (int a = 0; a < EACH; a++) {
        const bool valid = a * APART < rows && left > 0;
        const T *at = from + (i64)a * APART * p.yCol;
        if (WHOLE) {
          sink.chunk(a, this->row + a * APART, this->col, valid ? at : (const T *)p.w, valid);
        } else {
          T v[E];
#pragma unroll
          for (int e = 0; e < E; e++) v[e] = valid && e < left ? at[e] : from_f32<T>(0.f);
          sink.elements(a, this->row + a * APART, this->col, v);
        }
      }
    }
    from += (i64)DEPTH * p.yCol;
    rows -= DEPTH;
  }
};

// Columns is the operand of gathered images in the gradient of the weights, wide: a row for each position, chunks of
// neighbours in the kernel, its taps and their channels.
template <class T, int W, int DEPTH, int THREADS> struct Columns : Chunks<T, W, DEPTH, THREADS, false> {
  typedef Chunks<T, W, DEPTH, THREADS, false> Base;
  using Base::E;
  using Base::APART;
  using Base::EACH;
  enum { STRIDE = EACH == 1 ? DEPTH : APART };
  const T *from; // of the image
  i64 off;       // of the tap and the channel
  int di, dj;
  int i, j, si, sj; // position; a step of STRIDE positions
  i64 step;         // from image to image
  int rows;
  Depth d;

  __device__ void open(const Conv2DParams &p, const Work &b, int first, int end) {
    d.open(b.col * W + this->col * E, p.xc, p.kw);
    tap(p, d);
    if (d.r >= p.kh) di = -(1 << 30);
    rows = end - first - this->row;
    u32 m = (u32)(first + this->row), row = m / (u32)p.yw, image = row / (u32)p.yh;
    i = (int)(row - image * p.yh);
    j = (int)(m - row * p.yw);
    from = (const T *)p.x + image * p.xImage + b.group * p.xc;
    u32 r = STRIDE / (u32)p.yw, n = r / (u32)p.yh;
    sj = (int)(STRIDE - r * p.yw);
    si = (int)(r - n * p.yh);
    step = n * p.xImage;
  }

  // tap sets what depends on the tap alone.
  __device__ void tap(const Conv2DParams &p, const Depth &u) {
    di = u.r * p.dilH - p.padH, dj = u.s * p.dilW - p.padW;
    off = (i64)di * p.xRow + (i64)dj * p.xCol + u.c;
  }

  template <bool WHOLE, class S> __device__ void fetch(const Conv2DParams &p, S &&sink) {
    if (!this->mine()) return;
#pragma unroll
    for (int a = 0; a < EACH; a++) {
      const int y = i * p.strideH, x = j * p.strideW;
      const bool inside = rows > 0;
      const T *at = from + (i64)y * p.xRow + (i64)x * p.xCol;
      if (WHOLE) {
        bool valid = inside && (u32)(y + di) < (u32)p.xh && (u32)(x + dj) < (u32)p.xw;
        sink.chunk(a, this->row + a * APART, this->col, valid ? at + off : (const T *)p.x, valid);
      } else {
        T v[E];
        Depth u = d;
#pragma unroll
        for (int e = 0; e < E; e++) {
          tap(p, u);
          bool valid = inside && u.r < p.kh && (u32)(y + di) < (u32)p.xh && (u32)(x + dj) < (u32)p.xw;
          v[e] = valid ? at[off] : from_f32<T>(0.f);
          u.advance(1, p.xc, p.kw);
        }
        sink.elements(a, this->row + a * APART, this->col, v);
      }
      rows -= STRIDE;
      j += sj;
      i += si;
      from += step;
      if (j >= p.yw) j -= p.yw, i++;
      if (i >= p.yh) i -= p.yh, from += p.xImage;
    }
  }
};
