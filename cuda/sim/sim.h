// sim.h gives g++ the words of CUDA, so that the .cu files of ../kernels compile and run on the CPU. build.sh includes it
// before a kernel file, and puts the file itself into an unnamed namespace: all that it declares stays its own.
#pragma once
#include "shim/types.h"

#include "shim/math.h"

#include "shim/simt.h"

#include "shim/atomics.h"

#include "shim/async.h"

#include "shim/mma.h"

#include "shim/products.h"
