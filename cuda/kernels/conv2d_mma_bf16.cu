// hot: conv2d_bf16_128x128 conv2d_dx_bf16_128x128 shared=49152
// hot: conv2d_bf16_128x64 conv2d_dx_bf16_128x64 shared=36864
// hot: conv2d_bf16_128x32 conv2d_dx_bf16_128x32 conv2d_any_bf16_128x32 conv2d_dx_any_bf16_128x32 shared=30720
// hot: conv2d_bf16_64x64 conv2d_dx_bf16_64x64 conv2d_any_bf16_64x64 conv2d_dx_any_bf16_64x64 shared=24576
#include "conv2d_mma_images.cuh"

FAMILY(conv2d, bf16, bf16, false)
FAMILY(conv2d_dx, bf16, bf16, true)
