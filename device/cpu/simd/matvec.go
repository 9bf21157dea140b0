package simd

// MatVec is a matrix by a vector: y[i] is the sum of w[i*ld+k] x[k] over k, for every i of y and every k of x, of which there
// is one at least. Vector kernels have sixteen sums of a row, and add those in the end.
func MatVec[T Float](l Level, y, w, x []T, ld int) {
	if len(y) == 0 {
		return
	}
	k := len(x)
	w = w[:(len(y)-1)*ld+k]
	if l >= AVX2 && is32[T]() {
		matVec32(ptr32(y), ptr32(w), ptr32(x), len(y), k, ld)
		return
	}
	for i := range y {
		var s, t T // an addition waits for the one before
		row := w[i*ld:][:k]
		j := 0
		for ; j+2 <= k; j += 2 {
			s += row[j] * x[j]
			t += row[j+1] * x[j+1]
		}
		if j < k {
			s += row[j] * x[j]
		}
		y[i] = s + t
	}
}
