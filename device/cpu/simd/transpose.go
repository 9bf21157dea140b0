package simd

import "unsafe"

// Transpose is dst[c*dstStride+r] = src[r*srcStride+c] for rows x cols elements of src.
func Transpose[T Float](l Level, dst, src []T, rows, cols, dstStride, srcStride int) {
	if rows == 0 || cols == 0 {
		return
	}
	src, dst = src[:(rows-1)*srcStride+cols], dst[:(cols-1)*dstStride+rows]
	r, c := 0, 0 // what is done
	if l >= AVX2 && rows >= 8 && cols >= 8 && unsafe.Sizeof(src[0]) == 4 {
		r, c = rows&^7, cols&^7
		transpose32((*float32)(unsafe.Pointer(&dst[0])), (*float32)(unsafe.Pointer(&src[0])), r, c, dstStride, srcStride)
	}
	for i := range rows {
		from := 0
		if i < r {
			from = c
		}
		for j, v := range src[i*srcStride+from:][:cols-from] {
			dst[(from+j)*dstStride+i] = v
		}
	}
}
