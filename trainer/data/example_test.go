package data_test

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/trainer/data"
)

// Two grey pictures of 2x2, a dark and a bright one.
func ExampleNew() {
	images := tensor.New(tensor.WithShape(2, 2, 2, 1), tensor.WithBacking([]byte{0, 1, 2, 3, 250, 251, 252, 253}))
	labels := tensor.New(tensor.WithShape(2), tensor.WithBacking([]int32{0, 1}))
	s, err := data.New("brightness", []string{"dark", "bright"}, images, labels)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Len(), s.Shape(), s.Classes())
	// Output: 2 [2 2 1] [dark bright]
}

// stripes is a set that is made, not stored: picture k has stripes of width 1 + k%4.
type stripes struct{ labels []int32 }

func newStripes(n int) stripes {
	s := stripes{make([]int32, n)}
	for k := range s.labels {
		s.labels[k] = int32(k % 4)
	}
	return s
}

func (stripes) Name() string      { return "stripes" }
func (s stripes) Len() int        { return len(s.labels) }
func (stripes) Shape() [3]int     { return [3]int{8, 8, 1} }
func (stripes) Classes() []string { return []string{"1 wide", "2 wide", "3 wide", "4 wide"} }
func (s stripes) Labels() []int32 { return s.labels }

func (s stripes) Images(dst []byte, indices []int32) error {
	for i, k := range indices {
		width := 1 + int(s.labels[k])
		for p := range 64 {
			dst[64*i+p] = byte(p % 8 / width % 2 * 255)
		}
	}
	return nil
}

func ExampleSet() {
	images, labels, err := data.Read(newStripes(100), []int32{1})
	fmt.Println(images.Data().([]byte)[:8], labels, err)
	// Output: [0 0 255 255 0 0 255 255] [1] <nil>
}
