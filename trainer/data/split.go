package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
)

// splitStream is the Philox stream of Split; a tape's streams count up from 1.
const splitStream = 1<<17 + 16

// Split sets a part of s aside for validation: so many pictures, or under 1 that fraction of them, taken from each class
// in proportion (largest remainders first) and within a class at random by seed. Both parts keep the order of s. The
// same set, part and seed give the same split on every machine; Indices tells it, and Digest names it in a few letters.
func Split(s Set, validation float64, seed uint64) (train, held Set, err error) {
	want := math.Round(validation * float64(s.Len()))
	if validation >= 1 {
		want = validation
	}
	const hint = "data.validation is a number of pictures, or under 1 a fraction of the training set"
	if !(validation > 0) || want != math.Trunc(want) || want < 1 || want >= float64(s.Len()) {
		return nil, nil, fault.Usagef(hint, "data.validation: %v of the %d pictures of %s cannot be set aside", validation, s.Len(), s.Name())
	}
	byClass := make([][]int32, len(s.Classes()))
	for i, l := range s.Labels() {
		byClass[l] = append(byClass[l], int32(i))
	}
	share := apportion(byClass, int(want), s.Len())
	aside := make([]bool, s.Len())
	for c, members := range byClass {
		state := [4]uint32{uint32(seed), uint32(seed >> 32), uint32(c), 0}
		for i := range share[c] {
			aside[members[device.PermutationAt(uint32(i), uint32(len(members)), state, splitStream)]] = true
		}
	}
	var in, out []int32
	for i, a := range aside {
		if a {
			out = append(out, int32(i))
		} else {
			in = append(in, int32(i))
		}
	}
	if train, err = Subset(s, in); err != nil {
		return nil, nil, err
	}
	held, err = Subset(s, out)
	return train, held, err
}

// apportion divides want among the classes in proportion to their sizes, n together: the integer parts first, the rest
// by largest remainder, of equal ones the first class.
func apportion(byClass [][]int32, want, n int) []int {
	share, order := make([]int, len(byClass)), make([]int, len(byClass))
	left := want
	for c, m := range byClass {
		order[c] = c
		share[c] = want * len(m) / n
		left -= share[c]
	}
	slices.SortStableFunc(order, func(a, b int) int { return want*len(byClass[b])%n - want*len(byClass[a])%n })
	for _, c := range order[:left] {
		share[c]++
	}
	return share
}

// Digest is the SHA-256 of indices as little-endian 32-bit numbers, in hexadecimal: two runs that print the same one
// held the same pictures back.
func Digest(indices []int32) string {
	h := sha256.Sum256(appendInt32(nil, indices))
	return hex.EncodeToString(h[:])
}

func appendInt32(b []byte, x []int32) []byte {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}
