// The calls that gorgonia.org/cu lacks, and those that must cost little. All but acu_error_* give 0, a CUresult, or a
// negated CUresult where it was cuCtxSetCurrent that failed.
#pragma once

#include <cuda.h>
#include <stddef.h>
#include "tramp.h"

// acu_context is a context and a number that no other opening of a context has had in this process.
typedef struct {
  CUcontext handle;
  unsigned long long id;
} acu_context;

// acu_enter makes the context current on this thread if it is not.
int acu_enter(acu_context c);

// acu_launch queues a kernel that takes size bytes of parameters.
int acu_launch(acu_context c, CUstream stream, CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
               unsigned bz, unsigned shared, void *params, size_t size);

// acu_launch_call is the name of the driver function that acu_launch calls; acu_launch_plain(1) makes it cuLaunchKernel.
const char *acu_launch_call(void);
void acu_launch_plain(int on);

int acu_function_set(acu_context c, CUfunction f, int attribute, int value);

int acu_pinned(acu_context c, size_t bytes, void **at);

int acu_begin_capture(acu_context c, CUstream stream);

typedef struct {
  CUgraphExec exec;
  size_t nodes;
  const char *call; // the one that failed
} acu_graph;

// acu_end_capture ends the capture and instantiates what was captured.
int acu_end_capture(acu_context c, CUstream stream, acu_graph *g);
int acu_graph_launch(acu_context c, CUgraphExec exec, CUstream stream);
int acu_graph_destroy(acu_context c, CUgraphExec exec);

int acu_uuid(CUdevice device, unsigned char *uuid);
int acu_pci(CUdevice device, char *id, int size);

// acu_version is the CUDA version of the driver, 13000 for 13.0, also where cuInit failed; 0 if there is no driver.
int acu_version(void);

const char *acu_error_name(int code);
const char *acu_error_text(int code);
