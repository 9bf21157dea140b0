package data

import (
	"math"
	"slices"
)

// normalisations are mean and deviation of byte/255 per channel over the training set.
var normalisations = map[string][2][]float64{
	"mnist":   {{0.1307}, {0.3081}},
	"cifar10": {{0.4914, 0.4822, 0.4465}, {0.2470, 0.2435, 0.2616}},
}

// Normalisation is the mean and standard deviation of byte/255 by which the pictures of s are normalised unless told
// otherwise, one number per channel: those of the training set for mnist and cifar10, 0.5 and 0.5 for any other.
func Normalisation(s Set) (mean, std []float64) {
	if n, ok := normalisations[s.Name()]; ok && len(n[0]) == s.Shape()[2] {
		return slices.Clone(n[0]), slices.Clone(n[1])
	}
	half := slices.Repeat([]float64{0.5}, s.Shape()[2])
	return half, slices.Clone(half)
}

// Statistics computes mean and standard deviation of byte/255 of each channel over all pictures of s.
func Statistics(s Set) (mean, std []float64, err error) {
	const chunk = 256
	c := s.Shape()[2]
	sum, squares := make([]uint64, c), make([]uint64, c)
	room, all := make([]byte, min(chunk, s.Len())*pictureBytes(s)), iota32(s.Len())
	for part := range slices.Chunk(all, chunk) {
		px := room[:len(part)*pictureBytes(s)]
		if err := s.Images(px, part); err != nil {
			return nil, nil, err
		}
		for i := 0; i < len(px); i += c {
			for k, v := range px[i : i+c] {
				sum[k] += uint64(v)
				squares[k] += uint64(v) * uint64(v)
			}
		}
	}
	n := float64(s.Len()*pictureBytes(s)) / float64(c)
	for k := range c {
		m := float64(sum[k]) / n
		mean = append(mean, m/255)
		std = append(std, math.Sqrt(max(float64(squares[k])/n-m*m, 0))/255)
	}
	return mean, std, nil
}
