// Package cuda is the back-end for NVIDIA GPUs: gorgonia.org/cu for the driver, cuBLAS for matrix products, kernels of our
// own for the rest, a whole step captured in one CUDA graph. It is compiled with the build tag cuda; what its kernels
// accept and need (shape.go) is plain Go without a tag.
package cuda
