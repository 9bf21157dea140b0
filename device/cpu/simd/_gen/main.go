// The command _gen writes the assembly of package simd: go run ./_gen, in the package's folder.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// families are files that there are of each instruction set.
var families = map[string]func(isa) *file{
	"batchnorm": batchNormFile,
	"copy":      copyFile,
	"depthwise": depthwiseFile,
	"half":      halfFile,
	"map":       mapFile,
	"pairs":     pairsFile,
	"philox":    philoxFile,
	"pixels":    pixelsFile,
	"pool2d":    pool2dFile,
	"rows":      rowsFile,
	"tile":      tileFile,
	"tilepairs": tilePairsFile,
	"winograd":  winogradFile,
}

func main() {
	out := flag.String("o", ".", "folder to write to")
	flag.Parse()
	files := map[string]*file{"amx_linux_amd64.s": amxFile(), "cpuid_amd64.s": cpuidFile(), "fence_amd64.s": fenceFile(), "matvec_amd64.s": matVecFile(), "transpose_amd64.s": transposeFile(), "map_kernels.go": mapNumbers()}
	for family, write := range families {
		for _, i := range []isa{avx512, avx2} {
			files[family+"_"+i.name+"_amd64.s"] = write(i)
		}
	}
	for name, f := range files {
		if err := os.WriteFile(filepath.Join(*out, name), []byte(f.String()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "simd/_gen:", err)
			os.Exit(1)
		}
	}
}
