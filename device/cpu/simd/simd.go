// Package simd has the vector kernels of the CPU back-end: assembly for AVX-512 and AVX2 that _gen writes, and a twin of
// each in plain Go, which is its definition and serves where there is no assembly. A Level says which are meant.
package simd

import (
	"fmt"
	"os"
)

// Level is an instruction set.
type Level int

// The levels, each with all that those before it have.
const (
	Generic Level = iota // plain Go
	AVX2                 // and FMA
	AVX512               // F, BW, DQ and VL
)

var levelName = [...]string{"generic", "avx2", "avx512"}

// String is the level's name, as ACUMEN_SIMD has it.
func (l Level) String() string { return levelName[l] }

// active is the level in use; refused is what is wrong with the level that was asked for.
var active, refused = best(os.Getenv("ACUMEN_SIMD"), detect())

// amxName is ACUMEN_SIMD's name for avx512 with the matrix unit.
const amxName = "amx"

// Active is the level in use: the highest that the processor has, or the one that the environment variable ACUMEN_SIMD
// names. With a name that cannot be served, which Refused tells, it is the highest.
func Active() Level { return active }

// Refused says what is wrong with the level that ACUMEN_SIMD names; empty if nothing is.
func Refused() string { return refused }

func best(asked string, have Level) (Level, string) {
	if asked == "" || asked == amxName && hasAMX() {
		return have, ""
	}
	for l, name := range levelName {
		if name == asked {
			if Level(l) > have {
				return have, fmt.Sprintf("ACUMEN_SIMD is %s, but this processor has no more than %s", asked, have)
			}
			return Level(l), ""
		}
	}
	if asked == amxName {
		return have, fmt.Sprintf("ACUMEN_SIMD is amx, but this processor, or system, has no matrix unit for bf16, only %s", have)
	}
	return have, fmt.Sprintf("ACUMEN_SIMD is %q, which is none of generic, avx2, avx512, amx", asked)
}

// DisableAVX512 makes AVX2 the highest level until the function that it returns is called. It is for tests, and not safe
// while a device is in use.
func DisableAVX512() (restore func()) { return limit(AVX2) }

// DisableAll leaves plain Go until the function that it returns is called, as DisableAVX512.
func DisableAll() (restore func()) { return limit(Generic) }

// dots: AVX512 has VDPBF16PS, which adds the products of pairs of numbers in bf16.
var dots = hasDots()

// ForPairs is the level of tiles of Pairs: the one in use, but AVX2 instead of an AVX512 without VDPBF16PS.
func ForPairs() Level {
	if active == AVX512 && !dots {
		return AVX2
	}
	return active
}

// matrixUnit: products of pairs are AMX's, where they serve.
var matrixUnit = hasAMX() && active == AVX512 && (os.Getenv("ACUMEN_SIMD") == "" || os.Getenv("ACUMEN_SIMD") == amxName)

// MatrixUnit reports whether tiles of Pairs are computed by the matrix unit of AMX, at least ten times as fast as tiles of f32.
func MatrixUnit() bool { return matrixUnit && ForPairs() == AVX512 }

// DisableMatrixUnit does without it until the function that it returns is called, as DisableAVX512.
func DisableMatrixUnit() (restore func()) {
	old := matrixUnit
	matrixUnit = false
	return func() { matrixUnit = old }
}

// far: see FarCaches.
var far = hasFarCaches()

// FarCaches reports whether what lies beyond a processor's second-level cache takes long to come. It is for how work is cut and
// what is copied; results never depend on it.
func FarCaches() bool { return far }

// SetFarCaches says what FarCaches reports until the function that it returns is called, as DisableAVX512.
func SetFarCaches(on bool) (restore func()) {
	old := far
	far = on
	return func() { far = old }
}

// DisableDots does without VDPBF16PS until the function that it returns is called, as DisableAVX512.
func DisableDots() (restore func()) {
	old := dots
	dots = false
	return func() { dots = old }
}

func limit(l Level) (restore func()) {
	old := active
	active = min(old, l)
	return func() { active = old }
}

// Panel is the number of columns of a tile of full width.
func (l Level) Panel() int { return [...]int{Generic: 8, AVX2: 16, AVX512: 32}[l] }

// Width is the least width of a tile with room for so many columns, at most Panel: widths are the multiples of the first,
// Width(1).
func (l Level) Width(cols int) int {
	unit := [...]int{Generic: 4, AVX2: 8, AVX512: 8}[l]
	return max(cols+unit-1, unit) / unit * unit
}

// Rows is the most rows of a tile, width columns wide, whose sums one kernel holds in registers.
func (l Level) Rows(width int) int {
	switch {
	case l == AVX512 && width > 16:
		return 14
	case l == AVX512:
		return 15
	case l == AVX2 && width > 8:
		return 6
	case l == AVX2:
		return 12
	}
	return 8
}
