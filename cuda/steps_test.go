package cuda

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGraphSteps(t *testing.T) {
	d := &Device{}
	for _, c := range []struct {
		calls        int
		bytes, flops float64
		want         int
	}{
		{1, 0, 0, 16},
		{100, 1e6, 1e8, 8},  // as LeNet-5: 200 us
		{300, 1e8, 1e10, 2}, // 700 us
		{300, 2e9, 1e11, 1}, // bound by memory: 1.3 ms
		{300, 1e9, 1e12, 1}, // by operations: 10 ms
		{600, 0, 0, 1},      // by launches
		{499, 0, 0, 2},
	} {
		assert.Equal(t, c.want, d.GraphSteps(c.calls, c.bytes, c.flops), "%+v", c)
	}
}
