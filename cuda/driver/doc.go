// Package driver is a thin binding to what a GPU needs from NVIDIA: the CUDA driver (through gorgonia.org/cu for
// contexts, memory, streams, events and modules, and beside it for capture, graphs, pinned memory, function attributes
// and launches) and cuBLAS. Without the build tag cuda every call is an error.
//
// A binary with this package needs neither library to be linked or to start. tramp.c defines every driver function that
// is used; the first call loads libcuda.so.1 and passes on from there. So LD_LIBRARY_PATH can put another libcuda.so.1 in
// its place, and without one Load says what is missing. cuBLAS is looked for by LoadBlas.
//
// To compile it takes the headers of CUDA 12 or 13, and no library:
//
//	CGO_CFLAGS="-I$PWD/cuda/driver/compat -I$CUDA_HOME/include" CGO_ENABLED=1 go build -tags cuda ./...
//
// After a change to the driver functions that are called: go run ./cuda/driver/_gen -include $CUDA_HOME/include
package driver
