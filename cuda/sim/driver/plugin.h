// plugin.h: what the driver gives to a library that puts work of its own on streams, as the stand-in for cuBLAS does.
#pragma once
#include <cstddef>

#define ACUSIM_EXPORT __attribute__((visibility("default")))

extern "C" {
// acusim_enter takes the driver's lock and begins a call: 0, a planned failure as a positive number, or the negated CUresult
// of what is wrong. acusim_leave is owed in every case.
ACUSIM_EXPORT int acusim_enter(const char *name, int capture_forbids);
ACUSIM_EXPORT void acusim_leave();
// acusim_enqueue puts a call of run, with a copy of data, on a stream or into the graph that it captures.
ACUSIM_EXPORT int acusim_enqueue(void *stream, const char *name, void (*run)(const void *), const void *data, size_t bytes);
ACUSIM_EXPORT int acusim_capturing(void *stream);
// acusim_unsafe is for work that a capture forbids, such as loading a kernel: it ends the thread's captures, says what it
// was, and returns a CUresult, 0 if nothing is being captured.
ACUSIM_EXPORT int acusim_unsafe(const char *what);
ACUSIM_EXPORT void acusim_count(const char *what, long n);
// acusim_access tells that run reads or writes device memory, or asks whether an allocation holds it; 0 if run may not: it
// must then end.
enum AcusimAccess { ACUSIM_READ, ACUSIM_WRITE, ACUSIM_HELD };
ACUSIM_EXPORT int acusim_access(const char *name, const void *p, size_t bytes, enum AcusimAccess access);
// acusim_checked tells whether this is the checked build, in which reads and writes should be told exactly.
ACUSIM_EXPORT int acusim_checked();
}

namespace driver {
int plugin_failure(); // the code of a forbidden access since the last call, or 0
}
