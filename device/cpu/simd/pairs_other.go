//go:build !amd64

package simd

func tilePairs(*Tile[float32], Level) bool { return false }

func pairRows32(Level, *float32, *float32, int, int, int, int) bool { return false }

func zipRows32(Level, *float32, *float32, *float32, int, int, int, int) bool { return false }

func splitRows32(Level, *float32, *float32, int, int, int, int, int) bool { return false }

func zipSplitRows32(Level, *float32, *float32, *float32, int, int, int, int, int) bool { return false }
