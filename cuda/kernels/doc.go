// Package kernels holds the CUDA kernels: the sources *.cu, one file per op family, and what compile.py made of them,
// machine code for each GPU architecture.
//
// With the build tag cuda the machine code is embedded in the program, and Image picks it by a GPU's compute capability.
// Without the tag only the reader of such a folder stands here, Open.
package kernels
