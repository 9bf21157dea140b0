// mma.h: ldmatrix and mma.sync. Lane l of a warp has g = l/4, t = l%4; where each element of a fragment lies is as in the PTX
// manual. Products are exact or rounded once in f32; the sum over k runs upward from zero in f32 and is then added to C. A
// GPU adds in another order and may truncate, so that only sums which are exact in f32 are equal there bit for bit.
#pragma once
#include "simt.h"

namespace sim {
// ldmatrix gives each lane elements 2t and 2t+1 of row g of n 8x8 matrices of 16-bit elements, or of column g if transposed.
// The addresses of the rows of matrix j come from lanes 8j..8j+7.
HIDDEN void ldmatrix(unsigned *r, int n, bool transposed, const void *row);
// mma_f16, mma_bf16: C (16x8, f32) += A (16x16) * B (16x8). mma_tf32: C += A (16x8) * B (8x8), inputs cut to 10 mantissa bits.
HIDDEN void mma_f16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]);
HIDDEN void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]);
HIDDEN void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]);
} // namespace sim
