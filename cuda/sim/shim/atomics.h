// atomics.h: atomic operations and loads and stores with cache hints. Only one thread runs at a time, so plain operations do;
// in the checked build they stand in the runtime, which is not instrumented, and are told to the checker as atomic.
#pragma once
#include "simt.h"

namespace sim {
#ifdef ACUSIM_CHECKED
HIDDEN void note_atomic(void *p, unsigned bytes);
#define SIM_PLAIN __attribute__((no_sanitize("thread", "undefined"), noinline))
#else
inline void note_atomic(void *, unsigned) {}
#define SIM_PLAIN inline
#endif

template <class T> SIM_PLAIN T exchange(T *p, T v) {
  note_atomic(p, sizeof(T));
  T old = *p;
  *p = v;
  return old;
}
template <class T> SIM_PLAIN T atomic_load(T *p) {
  note_atomic(p, sizeof(T));
  return *p;
}
template <class T> SIM_PLAIN void atomic_store(T *p, T v) { *p = v; }
} // namespace sim

#define SIM_ATOMIC(name, T, expression)   \
  inline T name(T *p, T v) {              \
    T old = sim::atomic_load(p);          \
    sim::atomic_store(p, (T)(expression)); \
    return old;                           \
  }
#define SIM_ATOMIC_INTEGERS(T)                    \
  SIM_ATOMIC(atomicAdd, T, old + v)               \
  SIM_ATOMIC(atomicSub, T, old - v)               \
  SIM_ATOMIC(atomicMax, T, v > old ? v : old)     \
  SIM_ATOMIC(atomicMin, T, v < old ? v : old)     \
  SIM_ATOMIC(atomicAnd, T, old & v)               \
  SIM_ATOMIC(atomicOr, T, old | v)                \
  SIM_ATOMIC(atomicXor, T, old ^ v)               \
  SIM_ATOMIC(atomicExch, T, v)                    \
  inline T atomicCAS(T *p, T compare, T v) {      \
    T old = sim::atomic_load(p);                  \
    if (old == compare) sim::atomic_store(p, v);  \
    return old;                                   \
  }
SIM_ATOMIC_INTEGERS(int)
SIM_ATOMIC_INTEGERS(unsigned)
SIM_ATOMIC_INTEGERS(unsigned long long)
SIM_ATOMIC_INTEGERS(unsigned short)
SIM_ATOMIC(atomicMax, long long, v > old ? v : old)
SIM_ATOMIC(atomicMin, long long, v < old ? v : old)
SIM_ATOMIC(atomicAdd, float, old + v)
SIM_ATOMIC(atomicExch, float, v)
SIM_ATOMIC(atomicAdd, double, old + v)
#undef SIM_ATOMIC_INTEGERS
#undef SIM_ATOMIC
inline unsigned atomicInc(unsigned *p, unsigned limit) {
  unsigned old = sim::atomic_load(p);
  sim::atomic_store(p, old >= limit ? 0 : old + 1);
  return old;
}

template <class T> inline T __ldg(const T *p) { return *p; }
template <class T> inline T __ldca(const T *p) { return *p; }
template <class T> inline T __ldcg(const T *p) { return *p; }
template <class T> inline T __ldcs(const T *p) { return *p; }
template <class T> inline void __stcg(T *p, T v) { *p = v; }
template <class T> inline void __stcs(T *p, T v) { *p = v; }
template <class T> inline void __stwt(T *p, T v) { *p = v; }
