package simd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestGenerated holds the assembly in the tree against what _gen writes.
func TestGenerated(t *testing.T) {
	dir := t.TempDir()
	out, err := exec.Command("go", "run", "./_gen", "-o", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	written, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	kept, err := filepath.Glob("*.s")
	require.NoError(t, err)
	require.Len(t, written, len(kept)+1, "assembly that _gen does not write")
	for _, path := range written {
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		have, err := os.ReadFile(filepath.Base(path))
		require.NoError(t, err)
		require.True(t, string(want) == string(have), "%s is not what _gen writes: go generate ./device/cpu/simd", filepath.Base(path))
	}
}

// TestOffsets holds the constants of _gen against the structures that assembly reads.
func TestOffsets(t *testing.T) {
	source, err := os.ReadFile("_gen/tile.go")
	require.NoError(t, err)
	var x Tile[float32]
	for names, offsets := range map[string][]uintptr{
		"tileA, tileB, tileC, tileBias = 0, 24, 48, 72": {unsafe.Offsetof(x.A), unsafe.Offsetof(x.B), unsafe.Offsetof(x.C), unsafe.Offsetof(x.Bias), 0, 24, 48, 72},
		"tileSegs, tileNSegs = 96, 104":                 {unsafe.Offsetof(x.Segs), unsafe.Offsetof(x.Segs) + 8, 96, 104},
		"tileARow, tileAK, tileBK = 120, 128, 136":      {unsafe.Offsetof(x.ARow), unsafe.Offsetof(x.AK), unsafe.Offsetof(x.BK), 120, 128, 136},
		"tileCRow = 144":                                {unsafe.Offsetof(x.CRow), 144},
		"tileRows, tileCols, tileWidth = 152, 160, 168": {unsafe.Offsetof(x.Rows), unsafe.Offsetof(x.Cols), unsafe.Offsetof(x.Width), 152, 160, 168},
		"tileByCols, tileFlags = 176, 184":              {unsafe.Offsetof(x.ByCols), unsafe.Offsetof(x.Flags), 176, 184},
		"tileAlpha = 192":                               {unsafe.Offsetof(x.Alpha), 192},
		"tileAhead = 200":                               {unsafe.Offsetof(x.Ahead), 200},
		"segSize = 24":                                  {unsafe.Sizeof(Seg{}), 24},
		"flagAdd, flagRelu, flagScale = 1, 2, 4":        {Add, Relu, Scale, 1, 2, 4},
	} {
		require.Contains(t, strings.Join(strings.Fields(string(source)), " "), names)
		half := len(offsets) / 2
		require.Equal(t, offsets[half:], offsets[:half], names)
	}
}

// TestVecOffsets is TestOffsets for what the kernels of Map read.
func TestVecOffsets(t *testing.T) {
	source, err := os.ReadFile("_gen/vector.go")
	require.NoError(t, err)
	var v vec
	require.Contains(t, strings.Join(strings.Fields(string(source)), " "), fmt.Sprintf("vecN, vecAt, vecK = %d, %d, %d vecStream, vecNaN = %d, %d vecLanes = %d",
		unsafe.Offsetof(v.n), unsafe.Offsetof(v.at), unsafe.Offsetof(v.k), unsafe.Offsetof(v.stream), unsafe.Offsetof(v.nan), unsafe.Offsetof(v.lanes)))
}

// TestWindowsFields holds the list of fields that _gen has against the structure that assembly reads.
func TestWindowsFields(t *testing.T) {
	source, err := os.ReadFile("_gen/pool2d.go")
	require.NoError(t, err)
	var names []string
	for i, typ := 0, reflect.TypeFor[windows32](); i < typ.NumField(); i++ {
		names = append(names, strconv.Quote(typ.Field(i).Name))
		require.Equal(t, uintptr(8*i), typ.Field(i).Offset)
	}
	require.Contains(t, string(source), "{"+strings.Join(names, ", ")+"}")
}
