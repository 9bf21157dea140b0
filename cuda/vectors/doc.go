// Package vectors puts fixed inputs through single instructions and functions of the kernels (kernels/vectors.cu), and
// compares what comes out with references that share no code with them: every wrapper of ptx.cuh, every function of
// CUDA's math library that a kernel calls, conversions and random numbers.
//
// What a GPU gave is kept in ../sim/testdata/vectors as the oracle of the stand-in: where a result is defined to the bit
// the stand-in must give the same, elsewhere both must lie within the bound of the reference. The GPU bundle writes such a
// file; `cp` is all that it takes to keep it.
package vectors
