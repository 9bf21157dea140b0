// Package sim holds the sources of a stand-in for NVIDIA's driver and cuBLAS: libcuda.so.1, libcublas.so.12 and
// libcublasLt.so.12, with the C interfaces of the real ones, which run the kernels of ../kernels on the CPU. The package
// itself has tests only.
//
//	build.sh [fast|checked] OUTDIR [KERNEL.cu...]
//
// makes the libraries in OUTDIR. shim/ gives g++ the words of CUDA and runs blocks and threads; driver/ is the driver; blas/
// is cuBLAS. The checked build sees every access that a kernel makes to memory: shim/checked.h says what it finds. A finding
// is one line on standard error, "acusim: KIND: kernel NAME, block (x,y,z), thread (x,y,z): ...", and fails the launch.
//
// Work on a stream waits until something needs it, and no more runs than that needs. cuModuleLoadData takes a cubin (its
// architecture and its function names are checked), PTX, or the text "acusim" or "acusim NAME": the kernels, or those of
// NAME.cu.
//
// Environment:
//
//	ACUSIM_GPU      h100 (default), h200, a100, rtx4060, t4
//	ACUSIM_MEMORY   the GPU's memory in MiB, of which a context takes 512; as the model has it unless told
//	ACUSIM_CASE     NODEVICE, NOT_PERMITTED: cuInit fails; HIDDEN: no devices; OLD_DRIVER: CUDA 11.4; OLD_ARCH: sm_60;
//	                MIG: a slice of an H100; EXCLUSIVE, PROHIBITED: the compute mode of that name, no context can be made
//	ACUSIM_FAIL     call:N or call:N:code, with commas between them: the N-th call of that function fails
//	ACUSIM_LOG      a file to which the name of every call is appended
//	ACUSIM_LEAKS    1: what was not released is told at exit; error: releasing the context before fails with
//	                CUDA_ERROR_ILLEGAL_STATE
//	ACUSIM_USE      a file that tells the most bytes that were allocated on the device at one time, and how many were not
//	                freed so far
//	ACUSIM_REVERSE  1: the threads of a block run from the last to the first
//	ACUSIM_RELU     zero: cublasLt's ReLU makes 0 of NaN, which else stays
//	ACUSIM_LEGACY   error: every use of the legacy stream fails with CUDA_ERROR_INVALID_HANDLE
//
// Beside the driver's functions the library exports acusim_live(char *text, size_t n), which counts what is not released,
// and acusim_peak(), the most bytes that were allocated on the device at one time.
//
// Not seen here: what ptxas does, registers and spills, contraction to fused multiply-add, the rounding of tensor cores and
// of approximate functions, weak memory order, blocks that wait for each other, bank conflicts, occupancy, time, and what
// cuBLAS really chooses. The checker knows no order within a block in global memory, and keeps one writer and two readers
// of each piece of shared memory: it can miss a race, and reports none that is not one. Of __shared__ variables those
// declared in a kernel's own body count towards its limit.
package sim
