package simd

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLevelAskedFor(t *testing.T) {
	for _, c := range []struct {
		asked string
		have  Level
		want  Level
		why   string
	}{
		{"", AVX2, AVX2, ""},
		{"generic", AVX512, Generic, ""},
		{"avx2", AVX512, AVX2, ""},
		{"avx512", AVX2, AVX2, "ACUMEN_SIMD is avx512, but this processor has no more than avx2"},
		{"avx9", AVX2, AVX2, `ACUMEN_SIMD is "avx9", which is none of generic, avx2, avx512, amx`},
	} {
		l, why := best(c.asked, c.have)
		assert.Equal(t, c.want, l, c.asked)
		assert.Equal(t, c.why, why, c.asked)
	}
}
