package devicetest

import (
	"encoding/binary"
	"math"

	"github.com/acumen-ml/acumen/device"
)

// rows calls f for every run of evenly strided elements of v, in row-major order: n elements, step apart, from at on.
// Neighbouring axes that are one run are merged, so that short axes cost little.
func rows(v device.View, f func(at, n, step int)) {
	if v.Len() == 0 {
		return
	}
	var dim, str, i [device.MaxRank]int
	r := 0
	for k := range int(v.Rank) {
		d, s := int(v.Dim[k]), int(v.Str[k])
		switch {
		case d == 1:
		case r > 0 && str[r-1] == d*s:
			dim[r-1] *= d
			str[r-1] = s
		default:
			dim[r], str[r] = d, s
			r++
		}
	}
	if r == 0 {
		f(v.Off, 1, 0)
		return
	}
	at := v.Off
	for {
		f(at, dim[r-1], str[r-1])
		k := r - 2
		for ; k >= 0; k-- {
			at += str[k]
			if i[k]++; i[k] < dim[k] {
				break
			}
			at -= str[k] * dim[k]
			i[k] = 0
		}
		if k < 0 {
			return
		}
	}
}

var le = binary.LittleEndian

// load reads v in row-major order as numbers of type ct, each exactly held by a float64.
func load(v device.View, ct device.DType) []float64 {
	b := v.Mem.(*memory).bytes
	out := make([]float64, 0, v.Len())
	switch v.Type {
	case device.F32:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at = n-1, at+step {
				out = append(out, float64(math.Float32frombits(le.Uint32(b[4*at:]))))
			}
		})
	case device.F64:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at = n-1, at+step {
				out = append(out, math.Float64frombits(le.Uint64(b[8*at:])))
			}
		})
	case device.F16:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at = n-1, at+step {
				out = append(out, float64(device.F16ToF32(le.Uint16(b[2*at:]))))
			}
		})
	case device.BF16:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at = n-1, at+step {
				out = append(out, float64(device.BF16ToF32(le.Uint16(b[2*at:]))))
			}
		})
	case device.U8:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at = n-1, at+step {
				out = append(out, float64(b[at]))
			}
		})
	case device.I32:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at = n-1, at+step {
				x := float64(int32(le.Uint32(b[4*at:])))
				if ct == device.F32 {
					x = float64(float32(x))
				}
				out = append(out, x)
			}
		})
	}
	return out
}

// store rounds numbers to ct, the type of the calculation, and writes them to v in row-major order.
func store(v device.View, ct device.DType, x []float64) {
	b := v.Mem.(*memory).bytes
	if ct == device.F32 {
		for i := range x {
			x[i] = float64(float32(x[i]))
		}
	}
	i := 0
	switch v.Type {
	case device.F32:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at, i = n-1, at+step, i+1 {
				le.PutUint32(b[4*at:], math.Float32bits(float32(x[i])))
			}
		})
	case device.F64:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at, i = n-1, at+step, i+1 {
				le.PutUint64(b[8*at:], math.Float64bits(x[i]))
			}
		})
	case device.F16:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at, i = n-1, at+step, i+1 {
				le.PutUint16(b[2*at:], device.F64ToF16(x[i]))
			}
		})
	case device.BF16:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at, i = n-1, at+step, i+1 {
				le.PutUint16(b[2*at:], device.F64ToBF16(x[i]))
			}
		})
	case device.U8:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at, i = n-1, at+step, i+1 {
				b[at] = uint8(toInt(x[i], 0, 255))
			}
		})
	case device.I32:
		rows(v, func(at, n, step int) {
			for ; n > 0; n, at, i = n-1, at+step, i+1 {
				le.PutUint32(b[4*at:], uint32(int32(toInt(x[i], math.MinInt32, math.MaxInt32))))
			}
		})
	}
}

// toInt rounds x toward zero and saturates; NaN gives 0.
func toInt(x, lo, hi float64) int {
	if x != x {
		return 0
	}
	return int(min(max(math.Trunc(x), lo), hi))
}
