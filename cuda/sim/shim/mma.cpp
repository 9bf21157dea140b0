// mma.cpp: the matrix instructions. The last lane that arrives computes for its warp.
#include "mma.h"

#include "internal.h"
#ifdef ACUSIM_CHECKED
#include "checked.h"
#endif

namespace sim {
namespace {
// load_rows takes a row address from each lane's slot and leaves the lane's fragments there.
template <int N, bool TRANSPOSED> void load_rows(Warp &w, unsigned lanes) {
  if (lanes != ~0u) fail(LAUNCH_FAILED, "divergence", "ldmatrix by lanes %08x: all 32 are needed", lanes);
  for (unsigned l = 0; l < WARP; l++) {
    unsigned g = l / 4, t = l % 4;
    for (unsigned j = 0; j < N; j++) {
      uint16_t e[2];
      for (unsigned q = 0; q < 2; q++) {
        unsigned row = TRANSPOSED ? 2 * t + q : g, column = TRANSPOSED ? g : 2 * t + q;
        const uint16_t *p = (const uint16_t *)w.slot[8 * j + row].u[0] + column;
#ifdef ACUSIM_CHECKED
        check_read_by((unsigned)(&w - block.warp) * WARP + l, p, 2);
#endif
        e[q] = *p;
      }
      w.slot[l].w[4 + j] = e[0] | (unsigned)e[1] << 16;
    }
  }
}

enum { K = 16 };
template <class In> void multiply(Warp &w, unsigned lanes, In in) {
  if (lanes != ~0u) fail(LAUNCH_FAILED, "divergence", "mma.sync by lanes %08x: all 32 are needed", lanes);
  float a[16][K], b[K][8];
  for (unsigned l = 0; l < WARP; l++) {
    const Slot &s = w.slot[l];
    unsigned g = l / 4, t = l % 4;
    for (unsigned i = 0; i < 2; i++)
      for (unsigned j = 0; j < 2; j++) { // register i + 2j of A: rows g + 8i, columns from 2t + 8j
        unsigned r = s.w[4 + i + 2 * j];
        a[g + 8 * i][2 * t + 8 * j] = in((uint16_t)r);
        a[g + 8 * i][2 * t + 8 * j + 1] = in((uint16_t)(r >> 16));
      }
    for (unsigned j = 0; j < 2; j++) {
      unsigned r = s.w[8 + j];
      b[2 * t + 8 * j][g] = in((uint16_t)r);
      b[2 * t + 8 * j + 1][g] = in((uint16_t)(r >> 16));
    }
  }
  float c[16][8] = {};
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < K; k++)
      for (int j = 0; j < 8; j++) c[i][j] += a[i][k] * b[k][j];
  for (unsigned l = 0; l < WARP; l++)
    for (unsigned q = 0; q < 4; q++) w.slot[l].f[q] += c[l / 4 + q / 2 * 8][l % 4 * 2 + q % 2];
}

float tf32(uint32_t u) { return bits<float>(u & 0xffffe000u); }

void multiply_tf32(Warp &w, unsigned lanes) {
  if (lanes != ~0u) fail(LAUNCH_FAILED, "divergence", "mma.sync by lanes %08x: all 32 are needed", lanes);
  float a[16][8], b[8][8], c[16][8] = {};
  for (unsigned l = 0; l < WARP; l++) {
    const Slot &s = w.slot[l];
    unsigned g = l / 4, t = l % 4;
    for (unsigned i = 0; i < 2; i++)
      for (unsigned j = 0; j < 2; j++) a[g + 8 * i][t + 4 * j] = tf32(s.w[4 + i + 2 * j]);
    for (unsigned j = 0; j < 2; j++) b[t + 4 * j][g] = tf32(s.w[8 + j]);
  }
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 8; k++)
      for (int j = 0; j < 8; j++) c[i][j] += a[i][k] * b[k][j];
  for (unsigned l = 0; l < WARP; l++)
    for (unsigned q = 0; q < 4; q++) w.slot[l].f[q] += c[l / 4 + q / 2 * 8][l % 4 * 2 + q % 2];
}

void multiply_f16(Warp &w, unsigned lanes) { multiply(w, lanes, half_to_f32); }
void multiply_bf16(Warp &w, unsigned lanes) { multiply(w, lanes, bfloat_to_f32); }

void mma(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], Exchange f) {
  Slot &s = slot();
  memcpy(s.f, c, sizeof c);
  memcpy(s.w + 4, a, sizeof a);
  memcpy(s.w + 8, b, sizeof b);
  collective(~0u, f);
  memcpy(c, s.f, sizeof c);
}
} // namespace

void ldmatrix(unsigned *r, int n, bool transposed, const void *row) {
  static const Exchange load[] = {load_rows<1, false>, load_rows<2, false>, load_rows<4, false>,
                                  load_rows<1, true>,  load_rows<2, true>,  load_rows<4, true>};
  if (lane() < 8 * (unsigned)n && (uintptr_t)row % 16)
    fail(MISALIGNED_ADDRESS, "alignment", "ldmatrix of a row at %p, which is not a multiple of 16", row);
  slot().u[0] = (uintptr_t)row;
  collective(~0u, load[n / 2 + (transposed ? 3 : 0)]);
  memcpy(r, slot().w + 4, 4 * (size_t)n);
}

void mma_f16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma(c, a, b, multiply_f16); }
void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma(c, a, b, multiply_bf16); }
void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma(c, a, b, multiply_tf32); }
} // namespace sim
