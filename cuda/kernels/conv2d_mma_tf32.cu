// hot: conv2d_tf32_128x128 conv2d_dx_tf32_128x128 shared=49152
// hot: conv2d_tf32_128x64 conv2d_dx_tf32_128x64 shared=36864
// hot: conv2d_tf32_128x32 conv2d_dx_tf32_128x32 conv2d_any_tf32_128x32 conv2d_dx_any_tf32_128x32 shared=30720
// hot: conv2d_tf32_64x64 conv2d_dx_tf32_64x64 conv2d_any_tf32_64x64 conv2d_dx_any_tf32_64x64 shared=24576
#include "conv2d_mma_images.cuh"

FAMILY(conv2d, tf32, float, false)
FAMILY(conv2d_dx, tf32, float, true)
