package simd

// SumRows adds rows to sum, one after the other: sum[j] += x[i stride + j], with as many columns as sum has. All levels give
// the same bits.
func SumRows[T Float](l Level, sum []float64, x []T, rows, stride int) {
	c := len(sum)
	if rows == 0 || c == 0 {
		return
	}
	x = x[:(rows-1)*stride+c]
	if is32[T]() && sumRows32(l, &sum[0], ptr32(x), rows, c, stride) {
		return
	}
	for i := range rows {
		for j, v := range x[i*stride:][:c] {
			sum[j] += float64(v)
		}
	}
}
