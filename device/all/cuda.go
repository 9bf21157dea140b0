//go:build cuda

package all

import _ "github.com/acumen-ml/acumen/cuda" // NVIDIA GPUs
