//go:build linux && !race

package cpu

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/acumen-ml/acumen/device"
)

// onLargePages is how many bytes of m are, as the system says.
func onLargePages(t *testing.T, m device.Memory) int {
	b, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	first := regexp.MustCompile(`^([0-9a-f]+)-([0-9a-f]+) `)
	at, inside, n := uint64(address(m)), false, 0
	for line := range strings.Lines(string(b)) {
		if x := first.FindStringSubmatch(line); x != nil {
			lo, _ := strconv.ParseUint(x[1], 16, 64)
			hi, _ := strconv.ParseUint(x[2], 16, 64)
			inside = lo <= at && at < hi
		} else if f := strings.Fields(line); inside && f[0] == "AnonHugePages:" {
			kb, err := strconv.Atoi(f[1])
			require.NoError(t, err)
			n += kb << 10
		}
	}
	return n
}

// canCollapse tells whether the system brings memory onto large pages at once, which Linux does from 6.1 on.
func canCollapse(t *testing.T) bool {
	data, a, err := pages(hugePage)
	require.NoError(t, err)
	defer a.free()
	data[0] = 1
	return unix.Madvise(data, unix.MADV_COLLAPSE) == nil
}

// Memory that is used again and again comes onto large pages, with what it holds; what was never touched takes nothing.
func TestMemoryComesOntoLargePages(t *testing.T) {
	const half, rows = 4 << 20, 1 << 10
	for name, use := range map[string]func(d *Device, v device.View){
		"graph": func(d *Device, v device.View) {
			g, err := d.Capture(func() { d.Unary(device.Affine, v, v, 1, 1) })
			require.NoError(t, err)
			defer g.Close()
			g.Launch()
			assert.Zero(t, onLargePages(t, v.Mem), "after one launch")
			g.Launch()
		},
		"calls": func(d *Device, v device.View) {
			row := v.Slice(0, 0, rows, 1)
			for range often/2 - 2 { // each uses it twice, Iota once
				d.Unary(device.Affine, row, row, 1, 0)
			}
			d.Unary(device.Affine, v, v, 1, 1)
			assert.Zero(t, onLargePages(t, v.Mem))
			d.Unary(device.Affine, v, v, 1, 1)
		},
	} {
		d := openTest(t, 2)
		m, err := d.Alloc(2 * half)
		require.NoError(t, err)
		v := device.Make(m, device.F32, 0, half/4)
		d.Iota(v, 0, 0, 1)
		use(d, v)
		for i, x := range slice[float32](v)[:half/4] {
			if x != float32(i+2) {
				require.Equal(t, i+2, x, name)
			}
		}
		if canCollapse(t) {
			assert.Equal(t, half, onLargePages(t, m), name)
		}
		m.Free()
	}
}
