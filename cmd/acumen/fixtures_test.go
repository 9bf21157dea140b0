package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// gzipped is b as a gzip file.
func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return z.Bytes()
}

// idx is a file of MNIST's format: magic, extents, bytes.
func idx(magic uint32, dims []int, b []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, magic)
	for _, d := range dims {
		out = binary.BigEndian.AppendUint32(out, uint32(d))
	}
	return append(out, b...)
}

// digits are n pictures of 28x28 whose class shows: a bright bar whose height is the label.
func digits(n int) (images, labels []byte) {
	for i := range n {
		label := i % 10
		for y := range 28 {
			for x := range 28 {
				v := byte(i % 7)
				if y/2 == label+2 && x > 3 && x < 24 {
					v = 255
				}
				images = append(images, v)
			}
		}
		labels = append(labels, byte(label))
	}
	return images, labels
}

// writeMNIST writes the four files of a small data set in MNIST's format.
func writeMNIST(t *testing.T, dir string, train, test int) {
	t.Helper()
	for _, part := range []struct {
		name string
		n    int
	}{{"train", train}, {"t10k", test}} {
		images, labels := digits(part.n)
		write(t, filepath.Join(dir, part.name+"-images-idx3-ubyte.gz"), gzipped(t, idx(0x803, []int{part.n, 28, 28}, images)))
		write(t, filepath.Join(dir, part.name+"-labels-idx1-ubyte.gz"), gzipped(t, idx(0x801, []int{part.n}, labels)))
	}
}

// writePNG writes a grey picture.
func writePNG(t *testing.T, path string, w, h int, at func(x, y int) byte) {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetGray(x, y, color.Gray{Y: at(x, y)})
		}
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	write(t, path, b.Bytes())
}

// writeCIFAR10 writes the six files of a small data set in CIFAR-10's format; each class is a colour, under a pattern.
func writeCIFAR10(t *testing.T, dir string, perBatch, test int) {
	t.Helper()
	for i, name := range []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"} {
		n := perBatch
		if i == 5 {
			n = test
		}
		var b []byte
		for k := range n {
			label := (k + i) % 10
			b = append(b, byte(label))
			for c := range 3 {
				for p := range 1024 {
					b = append(b, byte(label*(20+c)+(p*(k+3)+p/32*i)%50))
				}
			}
		}
		write(t, filepath.Join(dir, "cifar-10-batches-bin", name), b)
	}
}
