package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/internal/fault"
)

func TestReadPicture(t *testing.T) {
	dir := t.TempDir()
	grey := filepath.Join(dir, "grey.png")
	writePNG(t, grey, 3, 2, func(x, y int) byte { return byte(10*y + x) })
	px, err := readPicture(grey, [3]int{2, 3, 1}, false)
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 1, 2, 10, 11, 12}, px)
	px, err = readPicture(grey, [3]int{2, 3, 3}, false)
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 0, 0, 1, 1, 1, 2, 2, 2}, px[:9])
	_, err = readPicture(grey, [3]int{4, 4, 1}, false)
	require.Error(t, err)
	assert.Contains(t, err.Error(), "the picture is 2x3, the network takes 4x4")
	assert.Contains(t, fault.HintOf(err), "--resize")
	_, err = readPicture(filepath.Join(dir, "none.png"), [3]int{4, 4, 1}, false)
	assert.Equal(t, fault.Usage, fault.KindOf(err))

	m := image.NewNRGBA(image.Rect(5, 5, 6, 6)) // bounds need not begin at 0
	m.SetNRGBA(5, 5, color.NRGBA{1, 2, 3, 255})
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	write(t, filepath.Join(dir, "colour.png"), b.Bytes())
	px, err = readPicture(filepath.Join(dir, "colour.png"), [3]int{1, 1, 3}, false)
	require.NoError(t, err)
	assert.Equal(t, []byte{1, 2, 3}, px)
}

func TestResample(t *testing.T) {
	assert.Equal(t, []float64{1, 2, 3}, resample([]float64{1, 2, 3}, 1, 3, 1, 3))
	flat := resample([]float64{7, 7, 7, 7, 7, 7}, 1, 6, 1, 4)
	for _, v := range flat {
		assert.InDelta(t, 7, v, 1e-12, "weights add up to one") // f64 sums of a few terms
	}
	up := resample([]float64{0, 4}, 1, 2, 1, 4)
	assert.InDeltaSlice(t, []float64{0, 1, 3, 4}, up, 1e-12) // halfway between centres, level outside
	down := resample([]float64{0, 0, 8, 8}, 1, 4, 1, 2)
	assert.InDelta(t, 8, down[0]+down[1], 1e-12, "the mean stays")
	two := resample([]float64{1, 10, 3, 30}, 1, 2, 2, 1)
	assert.InDeltaSlice(t, []float64{2, 20}, two, 1e-12) // channels do not mix
}
