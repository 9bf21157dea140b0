//go:build !linux || !amd64

package simd

func hasAMX() bool { return false }

func (t *Tile[T]) runAMX(_ Level, chunk int) { t.amx(chunk) }
