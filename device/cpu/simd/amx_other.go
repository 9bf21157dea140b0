//go:build !linux || !amd64

package simd

func hasAMX() bool { return false }

func (t *Tile[T]) runAMX(l Level) { t.amx() }
