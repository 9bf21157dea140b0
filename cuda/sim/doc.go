// Package sim holds the sources of a stand-in for NVIDIA's driver: libcuda.so.1 and libcublas.so.12, with the C interface of
// the real ones, which run the kernels of ../kernels on the CPU. build.sh makes them; the package itself has tests only.
package sim
