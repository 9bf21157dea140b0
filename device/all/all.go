// Package all registers every back-end: import it for its side effect.
//
//	import _ "github.com/acumen-ml/acumen/device/all"
//
// That for NVIDIA GPUs opens a device only in programs built with the tag cuda; in others it says so, and plans.
package all

import (
	_ "github.com/acumen-ml/acumen/cuda"       // NVIDIA GPUs
	_ "github.com/acumen-ml/acumen/device/cpu" // the Go back-end
)
