//go:build !amd64

package simd

func maxPool32(Level, *float32, *int32, *float32, *windows32) { panic("simd: no vector kernels here") }

func maxPoolGrad32(Level, *float32, *int32, *float32, *windows32) {
	panic("simd: no vector kernels here")
}

func avgPool32(Level, *float32, *float32, *windows32) { panic("simd: no vector kernels here") }

func avgPoolGrad32(Level, *float32, *float32, *windows32) { panic("simd: no vector kernels here") }
