package data

import (
	"encoding/binary"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
)

type read struct {
	epoch, step int
	indices     []int32
}

func drain(t *testing.T, s Set, o PrefetchOptions) (all []read) {
	t.Helper()
	p := NewPrefetcher(s, o)
	defer p.Close()
	for {
		b, err := p.Next()
		if err == io.EOF {
			_, err = p.Next()
			require.Equal(t, io.EOF, err, "the end stays")
			return all
		}
		require.NoError(t, err)
		require.Len(t, b.Indices, b.N)
		images, labels, err := Read(s, b.Indices)
		require.NoError(t, err)
		require.Equal(t, images.Data(), b.Images)
		require.Equal(t, labels.Data(), b.Labels)
		for i, l := range b.Labels {
			require.Equal(t, uint32(l), binary.LittleEndian.Uint32(b.LabelBytes[4*i:]))
		}
		all = append(all, read{b.Epoch, b.Step, append([]int32(nil), b.Indices...)})
		p.Done(b)
	}
}

func TestPrefetch(t *testing.T) {
	s := numbered(t, 10, 3)
	back := func(epoch int, dst []int32) {
		for i := range dst {
			dst[i] = int32((len(dst) - 1 - i + epoch) % len(dst))
		}
	}
	assert.Equal(t, []read{{0, 0, []int32{0, 1, 2, 3}}, {0, 1, []int32{4, 5, 6, 7}}, {0, 2, []int32{8, 9}}}, drain(t, s, PrefetchOptions{Batch: 4, Epochs: 1}))
	all := drain(t, s, PrefetchOptions{Batch: 4, Epochs: 3, Order: back, Depth: 1})
	require.Len(t, all, 9)
	assert.Equal(t, read{1, 0, []int32{0, 9, 8, 7}}, all[3])
	for start := range all {
		assert.Equal(t, all[start:], drain(t, s, PrefetchOptions{Batch: 4, Epochs: 3, Order: back, Epoch: start / 3, Step: start % 3}), "a run begins at %d", start)
		assert.Equal(t, all[start:], drain(t, s, PrefetchOptions{Batch: 4, Epochs: 3, Order: back, Step: start}))
	}
	assert.Len(t, drain(t, s, PrefetchOptions{Batch: 4, Epochs: 2, DropLast: true}), 4)
	assert.Len(t, drain(t, s, PrefetchOptions{Batch: 40, Epochs: 2}), 2)
	assert.Panics(t, func() { NewPrefetcher(s, PrefetchOptions{}) })
	assert.Panics(t, func() { NewPrefetcher(s, PrefetchOptions{Batch: 11, DropLast: true}) })
}

func TestPrefetchErrors(t *testing.T) {
	p := NewPrefetcher(broken{numbered(t, 10, 3)}, PrefetchOptions{Batch: 2})
	for range 2 {
		b, err := p.Next()
		require.NoError(t, err)
		p.Done(b)
	}
	for range 3 {
		_, err := p.Next()
		require.ErrorIs(t, err, errPicture)
	}
	p.Close()
	p.Close()
	_, err := p.Next()
	assert.ErrorIs(t, err, ErrClosed)

	p = NewPrefetcher(numbered(t, 10, 3), PrefetchOptions{Batch: 2}) // without an end; closed while a batch is out
	_, err = p.Next()
	require.NoError(t, err)
	p.Close()
	<-p.ended // Close has waited for the goroutine
}

// What is read ahead has the order that a device draws.
func TestPermutationIsTheDevices(t *testing.T) {
	d, err := device.Open("cpu")
	require.NoError(t, err)
	m, err := d.Alloc(1 << 12)
	require.NoError(t, err)
	state, y := device.Make(m, device.I32, 0, 4), device.Make(m, device.I32, 64, 257)
	d.Upload(state, appendInt32(nil, []int32{5, 6, -7, 8}))
	d.Random(y, device.Permutation, state, 21)
	b := make([]byte, y.Bytes())
	require.NoError(t, d.Download(b, y))
	x := make([]int32, 257)
	minus := int32(-7)
	Permutation(x, [4]uint32{5, 6, uint32(minus), 8}, 21)
	assert.Equal(t, appendInt32(nil, x), b)
	m.Free()
	require.NoError(t, d.Close())
}
