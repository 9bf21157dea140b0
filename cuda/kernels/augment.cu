#include "pack.cuh"
#include "philox.cuh"

struct AugmentParams {
  Fault *fault;
  const u8 *images; // (M,H,W,C)
  const int *idx;   // (B)
  const void *state;
  void *y; // (B,H,W,C)
  i64 image, count; // elements from image to image of y; M
  int row, col;     // strides of y
  int h, w, c;
  int crop, reflect, flip, cutout; // crop: pixels of padding
  u32 stream, code;
  float scale[4], bias[4];
  int chunk; // elements of a block
  int dense; // y's images have no gaps
  int pad;
};

// mirror brings a place outside 0..n-1 back in, without repeating the edge.
__device__ inline int mirror(int i, int n) { return i < 0 ? -i : i < n ? i : 2 * (n - 1) - i; }

__device__ inline int drawn(u32 word, int n) { return (int)__fmul_rn(uniform(word), (float)n); }

// augment makes V elements of an image a thread, in y's order; block (i, j) has chunk j of image i of the batch.
template <class T, int V> __device__ inline void augment(const AugmentParams &p) {
  const int i = blockIdx.x, size = p.h * p.w * p.c;
  const int from = p.idx[i];
  const bool there = from >= 0 && from < p.count;
  if (!there && blockIdx.y == 0 && threadIdx.x == 0) fault(p.fault, p.code, from, i, p.count);
  int dh = 0, dw = 0, ch = 0, cw = 0;
  bool flip = false;
  if (p.state) {
    const uint4 state = random_state(p.state), u = words(2 * i, state, p.stream);
    dh = drawn(u.x, 2 * p.crop + 1) - p.crop;
    dw = drawn(u.y, 2 * p.crop + 1) - p.crop;
    flip = p.flip && uniform(u.z) < 0.5f;
    ch = drawn(u.w, p.h) - p.cutout / 2;
    cw = drawn(words(2 * i + 1, state, p.stream).x, p.w) - p.cutout / 2;
  }
  const u8 *image = p.images + (i64)(there ? from : 0) * size;
  T *y = (T *)p.y + i * p.image;
  const int last = min(size - (int)blockIdx.y * p.chunk, p.chunk) + blockIdx.y * p.chunk;
  for (int e = blockIdx.y * p.chunk + threadIdx.x * V; e < last; e += blockDim.x * V) {
    int s = e / p.c, c = e - s * p.c, r = s / p.w;
    s -= r * p.w;
    Pack<T, V> q;
#pragma unroll
    for (int v = 0; v < V; v++) {
      int h = r + dh, w = (flip ? p.w - 1 - s : s) + dw;
      if (p.reflect) {
        h = mirror(h, p.h);
        w = mirror(w, p.w);
      }
      float x = 0;
      bool cut = r >= ch && r < ch + p.cutout && s >= cw && s < cw + p.cutout;
      // Two roundings, as the CPU's and the composed kernels' are.
      if (there && !cut && (u32)h < (u32)p.h && (u32)w < (u32)p.w && (V == 1 || e + v < last))
        x = __fadd_rn(__fmul_rn((float)image[(h * p.w + w) * p.c + c], p.scale[c]), p.bias[c]);
      q.e[v] = shorten<T>(x);
      if (V > 1 && ++c == p.c) {
        c = 0;
        if (++s == p.w) s = 0, r++;
      }
    }
    if (V == 1)
      y[p.dense ? e : r * p.row + s * p.col + c] = q.e[0];
    else
      store_pack<T, V>(y + e, q, true);
  }
}

// hot
KERNEL(augment_f32x4, 128, AugmentParams) {
  GUARD(p);
  augment<float, 4>(p);
}
// hot
KERNEL(augment_f16x8, 128, AugmentParams) {
  GUARD(p);
  augment<f16, 8>(p);
}
// hot
KERNEL(augment_bf16x8, 128, AugmentParams) {
  GUARD(p);
  augment<bf16, 8>(p);
}
KERNEL(augment_f32x1, 128, AugmentParams) {
  GUARD(p);
  augment<float, 1>(p);
}
KERNEL(augment_f16x1, 128, AugmentParams) {
  GUARD(p);
  augment<f16, 1>(p);
}
KERNEL(augment_bf16x1, 128, AugmentParams) {
  GUARD(p);
  augment<bf16, 1>(p);
}
KERNEL(augment_f64x1, 128, AugmentParams) {
  GUARD(p);
  augment<double, 1>(p);
}
