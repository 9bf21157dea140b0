#include "vector.cuh"

struct FillParams {
  Fault *fault;
  double v;
  Nest nest;
};

// fill is y = v.
KERNEL(fill, 256, FillParams) {
  GUARD(p);
  each<1>(p.nest, [&](const i64 (&at)[1]) { put<double>(p.nest.op[0], at[0], p.v); });
}

struct FillFlatParams {
  Fault *fault;
  u8 *data;
  i64 bytes;
  u64 pattern; // the element, repeated to 8 bytes
};

// fill_flat repeats an element over memory that begins at a multiple of its size.
// hot
KERNEL(fill_flat, 256, FillFlatParams) {
  GUARD(p);
  i64 head = min((i64)(-(u64)p.data & 15), p.bytes), packs = (p.bytes - head) / 16, tail = head + 16 * packs;
  uint4 v = make_uint4((u32)p.pattern, (u32)(p.pattern >> 32), (u32)p.pattern, (u32)(p.pattern >> 32));
  uint4 *body = (uint4 *)(p.data + head);
  ROLLED
  for (i64 i = FIRST; i < packs; i += STEP) body[i] = v;
  // head is a whole number of elements, and so is tail: byte i has its place in the pattern in both.
  if (FIRST < head) p.data[FIRST] = (u8)(p.pattern >> (8 * (FIRST & 7)));
  if (tail + FIRST < p.bytes) p.data[tail + FIRST] = (u8)(p.pattern >> (8 * (FIRST & 7)));
}
