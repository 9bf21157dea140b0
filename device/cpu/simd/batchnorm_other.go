//go:build !amd64

package simd

func channelSums32(Level, *float64, *float64, *float32, *float32, int, int, int) bool { return false }

func gradSums32(Level, *float64, *float64, *float32, *float32, *float32, int, int, int, int) bool {
	return false
}

func normalise32(Level, *float32, *float32, *float32, *float32, *float32, int, int, int, int, int, bool) bool {
	return false
}

func normaliseGrad32(Level, *float32, *float32, *float32, *float32, *float32, *float32, *float32, int, int, int, int, int, int) bool {
	return false
}

func fence() {}
