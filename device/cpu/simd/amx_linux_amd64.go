package simd

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"
)

// tmul is what a kernel of the matrix unit works on: blocks of rows, each of one or two tile registers of sums down and across.
// Distances are in bytes. Fields are where _gen/amx.go says.
type tmul struct {
	config           [64]byte // of tile registers: the palette, from byte 16 on bytes of a row of each, from 48 on rows
	a, b, c          uintptr
	segs             *Seg
	nSegs            int
	aRow, bRow, cRow int // by columns aRow lies between neighbours along k
	aStep, bStep     int // of chunk pairs
	aLast, chunk     int // aLast: from the first of them to the last, by columns
	blocks           int
	aBlock, cBlock   int // from block to block
	aSecond, cSecond int // from the upper tile registers to the lower
	add, kind        int
	first, rest      int     // by columns: masks of the rows in the upper registers and the lower
	space            uintptr // for rows of a transposed: 32 cache lines and one more
	aPlane, bPlane   int     // from part to part of split numbers
}

//go:noescape
func tmul_amx(t *tmul)

// hasAMX: the processor has TDPBF16PS, and Linux lets the process use its registers, for which it has to be asked.
func hasAMX() bool {
	const requestPermission, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
	if !cpu.X86.HasAMXTile || !cpu.X86.HasAMXBF16 || detect() != AVX512 {
		return false
	}
	_, _, errno := unix.RawSyscall(unix.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return errno == 0
}

// runAMX computes t, whose chunkAMX is chunk.
func (t *Tile[T]) runAMX(l Level, chunk int) {
	f := any(t).(*Tile[float32])
	var m tmul
	m.chunk = chunk
	m.segs, m.nSegs = &f.Segs[0], len(f.Segs)
	m.aRow, m.bRow, m.cRow = 4*f.ARow, 4*f.BK, 4*f.CRow
	m.aStep, m.bStep = 4*m.chunk, m.chunk*m.bRow
	m.aSecond, m.aBlock = amxSide*m.aRow, 2*amxSide*m.aRow
	m.cSecond, m.cBlock = amxSide*m.cRow, 2*amxSide*m.cRow
	if f.ABlock != 0 {
		m.aBlock = 4 * f.ABlock
	}
	if f.ByCols != 0 {
		m.aRow, m.aStep, m.aLast = 4*f.AK, 4*f.AK*m.chunk, 4*f.AK*(m.chunk-1)
		m.aSecond, m.aBlock = 4*amxSide, 4*2*amxSide
	}
	m.add = f.Flags & Add
	m.config[0] = 1
	across := 1 + (f.Cols-1)/amxSide
	whole := f.Rows / (2 * amxSide)
	for from := 0; from < f.Rows; from += 2 * amxSide * max(whole, 1) {
		if from > 0 {
			whole = 0
		}
		rows := f.Rows - from // of the last block, or 2 amxSide for each of whole ones
		if m.blocks = 1; whole > 0 {
			rows, m.blocks = 2*amxSide, whole
		}
		down := 1 + (rows-1)/amxSide
		for d := range down {
			high := min(amxSide, rows-d*amxSide)
			if d == 0 {
				m.first = 1<<high - 1
			} else {
				m.rest = 1<<high - 1
			}
			m.register(4+d, high, m.chunk)
			for x := range across {
				wide := min(amxSide, f.Cols-x*amxSide)
				m.register(2*d+x, high, wide)
				m.register(6+x, m.chunk, wide)
			}
		}
		m.kind = 2*(down-1) + across - 1
		m.a = uintptr(unsafe.Pointer(unsafe.SliceData(f.A))) + uintptr(from/(2*amxSide)*m.aBlock)
		m.b = uintptr(unsafe.Pointer(unsafe.SliceData(f.B)))
		m.c = uintptr(unsafe.Pointer(unsafe.SliceData(f.C))) + uintptr(from/(2*amxSide)*m.cBlock)
		if f.Flags&Split != 0 {
			m.aPlane, m.bPlane = 4*f.APlane, 4*f.BPlane
			m.kind += 8
			tmul_amx(&m)
		} else if f.ByCols != 0 {
			m.runByCols()
		} else {
			tmul_amx(&m)
		}
	}
	runtime.KeepAlive(t)
	t.finishAMX(l)
}

func (m *tmul) runByCols() {
	var space [(2*amxSide + 1) * amxSide]float32
	m.space = uintptr(unsafe.Pointer(&space[0]))
	m.kind += 4
	tmul_amx(m)
}

// register configures tile register n: rows of so many elements of 32 bits.
func (m *tmul) register(n, rows, elements int) {
	m.config[16+2*n], m.config[48+n] = byte(4*elements), byte(rows)
}
