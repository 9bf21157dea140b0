// The command _gen writes the assembly of package simd: go run ./_gen, in the package's folder.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("o", ".", "folder to write to")
	flag.Parse()
	for name, f := range map[string]*file{
		"copy_avx512_amd64.s": copyFile(avx512),
		"copy_avx2_amd64.s":   copyFile(avx2),
		"tile_avx512_amd64.s": tileFile(avx512),
		"tile_avx2_amd64.s":   tileFile(avx2),
		"transpose_amd64.s":   transposeFile(),
	} {
		if err := os.WriteFile(filepath.Join(*out, name), []byte(f.String()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "simd/_gen:", err)
			os.Exit(1)
		}
	}
}
