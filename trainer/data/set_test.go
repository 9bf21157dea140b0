package data

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

func TestNew(t *testing.T) {
	s := numbered(t, 10, 3)
	assert.Equal(t, "numbered", s.Name())
	assert.Equal(t, 10, s.Len())
	assert.Equal(t, [3]int{2, 3, 1}, s.Shape())
	assert.Equal(t, []string{"0", "1", "2"}, s.Classes())
	images, labels, err := Read(s, []int32{9, 0, 9})
	require.NoError(t, err)
	assert.Equal(t, tensor.Shape{3, 2, 3, 1}, images.Shape())
	assert.Equal(t, []byte{63, 64, 65, 66, 67, 68, 0, 1, 2, 3, 4, 5, 63, 64, 65, 66, 67, 68}, images.Data())
	assert.Equal(t, []int32{0, 0, 0}, labels.Data())
	assert.Equal(t, s.Labels(), LabelTensor(s).Data())

	px, ls := tensor.New(tensor.WithShape(2, 1, 1, 1), tensor.WithBacking([]byte{1, 2})), tensor.New(tensor.WithShape(2), tensor.WithBacking([]int32{0, 1}))
	for _, c := range []struct {
		images, labels *tensor.Dense
		classes        []string
		say            string
	}{
		{tensor.New(tensor.WithShape(2, 1, 1, 1), tensor.WithBacking([]float32{1, 2})), ls, digits, "images are float32"},
		{tensor.New(tensor.WithShape(2, 1), tensor.WithBacking([]byte{1, 2})), ls, digits, "of shape (2, 1)"},
		{px, tensor.New(tensor.WithShape(2), tensor.WithBacking([]int64{0, 1})), digits, "labels are int64"},
		{px, tensor.New(tensor.WithShape(2, 1), tensor.WithBacking([]int32{0, 1})), digits, "of shape (2, 1)"},
		{tensor.New(tensor.WithShape(2, 1, 3, 1), tensor.AsFortran([]byte{1, 2, 3, 4, 5, 6})), ls, digits, "of shape (2, 1, 3, 1)"},
		{px, tensor.New(tensor.WithShape(3), tensor.WithBacking([]int32{0, 1, 1})), digits, "3 labels and 2 bytes"},
		{px, ls, digits[:1], "record 1: label 1 is not in 0..0"},
		{px, tensor.New(tensor.WithShape(2), tensor.WithBacking([]int32{-1, 1})), digits, "record 0: label -1"},
	} {
		_, err := New("x", c.classes, c.images, c.labels)
		refused(t, err, c.say)
	}
	assert.Panics(t, func() { _ = s.Images(make([]byte, 6), []int32{10}) })
	assert.Panics(t, func() { _ = s.Images(make([]byte, 5), []int32{0}) })
}

// Views are read as the elements they show, not as those lie in memory.
func TestNewOfViews(t *testing.T) {
	planes := tensor.New(tensor.WithShape(2, 3, 1, 2), tensor.WithBacking([]byte{0, 1, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51})) // (N,C,H,W)
	pairs := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]int32{4, 0, 5, 0}))
	require.NoError(t, planes.T(0, 2, 3, 1))
	labels, err := pairs.Slice(nil, tensor.S(0))
	require.NoError(t, err)
	s, err := New("x", digits, planes, labels.(*tensor.Dense))
	require.NoError(t, err)
	assert.Equal(t, [3]int{1, 2, 3}, s.Shape())
	assert.Equal(t, []int32{4, 5}, s.Labels())
	px, _ := Bytes(s)
	assert.Equal(t, []byte{0, 10, 20, 1, 11, 21, 30, 40, 50, 31, 41, 51}, px.Data())
	two, err := px.Slice(nil, nil, nil, tensor.S(1, 3))
	require.NoError(t, err)
	s, err = New("x", digits, two.(*tensor.Dense), labels.(*tensor.Dense))
	require.NoError(t, err)
	px, _ = Bytes(s)
	one, err := New("x", digits, tensor.New(tensor.WithShape(1, 1, 1, 1), tensor.WithBacking([]byte{9})), tensor.New(tensor.WithShape(1), tensor.WithBacking([]int32{3})))
	require.NoError(t, err)
	assert.Equal(t, []int32{3}, one.Labels())
	assert.Equal(t, []byte{10, 20, 11, 21, 40, 50, 41, 51}, px.Data())
}

func TestSubset(t *testing.T) {
	s := numbered(t, 12, 4)
	a, err := Subset(s, []int32{11, 3, 5, 7})
	require.NoError(t, err)
	b, err := Subset(a, []int32{2, 0})
	require.NoError(t, err)
	at, ok := Indices(b)
	assert.True(t, ok)
	assert.Equal(t, []int32{5, 11}, at, "indices of the first set")
	_, ok = Indices(s)
	assert.False(t, ok)
	assert.Equal(t, []int32{1, 3}, b.Labels())
	all, ok := Bytes(b)
	require.True(t, ok)
	assert.Equal(t, []byte{35, 36, 37, 38, 39, 40, 77, 78, 79, 80, 81, 82}, all.Data())
	for _, x := range [][]int32{nil, {12}, {-1}} {
		_, err := Subset(s, x)
		refused(t, err)
	}
	l, err := Limit(s, 2)
	require.NoError(t, err)
	assert.Equal(t, 2, l.Len())
	l, err = Limit(s, 20)
	require.NoError(t, err)
	assert.Equal(t, s, l)
	_, err = Limit(s, 0)
	refused(t, err)

	for _, base := range []Set{s, a, broken{s}} {
		labels := make([]int32, base.Len())
		labels[1] = 3
		w, err := WithLabels(base, labels)
		require.NoError(t, err)
		assert.Equal(t, labels, w.Labels())
		labels[1] = 0
		assert.Equal(t, int32(3), w.Labels()[1], "a copy is kept")
		x, y := make([]byte, 6), make([]byte, 6)
		require.NoError(t, base.Images(x, []int32{2}))
		require.NoError(t, w.Images(y, []int32{2}))
		assert.Equal(t, x, y)
	}
	_, err = WithLabels(s, make([]int32, 3))
	refused(t, err, "3 labels for 12 pictures")
	_, err = WithLabels(s, []int32{0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0})
	refused(t, err, "record 6: label 4")
	_, ok = Bytes(broken{s})
	assert.False(t, ok)
}

func TestStatistics(t *testing.T) {
	s, err := New("x", digits, tensor.New(tensor.WithShape(2, 1, 2, 2), tensor.WithBacking([]byte{0, 51, 255, 51, 0, 51, 255, 51})), tensor.New(tensor.WithShape(2), tensor.WithBacking([]int32{0, 1})))
	require.NoError(t, err)
	mean, std, err := Statistics(s)
	require.NoError(t, err)
	assert.InDeltaSlice(t, []float64{0.5, 0.2}, mean, 1e-15) // exact sums, one division
	assert.InDeltaSlice(t, []float64{0.5, 0}, std, 1e-15)
	mean, std = Normalisation(s)
	assert.Equal(t, []float64{0.5, 0.5}, mean)
	assert.Equal(t, []float64{0.5, 0.5}, std)
	_, _, err = Statistics(broken{numbered(t, 9, 2)})
	assert.ErrorIs(t, err, errPicture)
}
