package cuda

import (
	"fmt"
	"math/bits"

	"github.com/acumen-ml/acumen/device"
)

var (
	// by the number of bytes that a thread copies
	kGather    = map[int]kernelID{1: kernel("gather", "gather_1"), 2: kernel("gather", "gather_2"), 4: kernel("gather", "gather_4"), 8: kernel("gather", "gather_8"), 16: kernel("gather", "gather_16")}
	kGatherF64 = kernel("gather", "gather_f64")
	kGatherI64 = kernel("gather", "gather_i64")

	kSortCount = kernel("gather", "sort_count")
	kSortScan  = kernel("gather", "sort_scan")
	kSortMove  = kernel("gather", "sort_move")
	kSortSmall = kernel("gather", "sort_small")

	kScatter     = map[device.DType]kernelID{device.F32: kernel("gather", "scatter_f32"), device.F16: kernel("gather", "scatter_f16"), device.BF16: kernel("gather", "scatter_bf16")}
	kScatterAs   = [...]kernelID{asF32: kernel("gather", "scatter_as_f32"), asF64: kernel("gather", "scatter_as_f64"), asI64: kernel("gather", "scatter_as_i64")}
	kScatterJoin = [...]kernelID{asF32: kernel("gather", "scatter_join_f32"), asF64: kernel("gather", "scatter_join_f64"), asI64: kernel("gather", "scatter_join_i64")}
)

// tableRows checks the shapes of Gather (rows[i...] = table[idx[i...]]) and ScatterAdd, and gives the walks over the places,
// with strides in rows and indices, and over a row, with strides in x, which is read, and y.
func tableRows(kernel string, rows, table, idx device.View) (at, row axes) {
	r := int(idx.Rank)
	ok := table.Rank >= 1 && int(rows.Rank) == r+int(table.Rank)-1 && idx.Type.IsInt()
	for a := 0; ok && a < r; a++ {
		ok = rows.Dim[a] == idx.Dim[a]
	}
	for a := 1; ok && a < int(table.Rank); a++ {
		ok = rows.Dim[r+a-1] == table.Dim[a]
	}
	if !ok {
		panic(fmt.Sprintf("cuda.%s: rows %s, table %s, indices %s", kernel, rows, table, idx))
	}
	for a := range r {
		at.add(idx.Dim[a], rows.Str[a], idx.Str[a])
	}
	for a := 1; a < int(table.Rank); a++ {
		if kernel == "Gather" {
			row.add(table.Dim[a], table.Str[a], rows.Str[r+a-1])
		} else {
			row.add(table.Dim[a], rows.Str[r+a-1], table.Str[a])
		}
	}
	return at, row
}

// flat reports whether the walk is along neighbours in both views.
func (a *axes) flat() bool {
	return a.rank == 0 || a.rank == 1 && a.x[0] == 1 && a.y[0] == 1
}

// len is the number of elements.
func (a *axes) len() int {
	n := 1
	for _, d := range a.dim[:a.rank] {
		n *= int(d)
	}
	return n
}

type gatherParams struct {
	fault, y, x, index  uintptr
	places, size        int64
	entries, stride     int64
	code                uint32
	ytype, xtype, itype int32
	at, row             axes
}

// Gather is y[i...] = x[idx[i...]].
func (d *Device) Gather(y, x, idx device.View) {
	at, row := tableRows("Gather", y, x, idx)
	d.enqueue("Gather", []device.View{y}, []device.View{x, idx}, 0, func() error {
		if y.Len() == 0 {
			return nil
		}
		p := gatherParams{
			fault: d.fault(), y: address(y), x: address(x), index: address(idx),
			places: int64(idx.Len()), size: int64(row.len()), entries: int64(x.Dim[0]), stride: int64(x.Str[0]),
			code: d.faults.code("Gather"), ytype: int32(y.Type), xtype: int32(x.Type), itype: int32(idx.Type),
			at: at.filled(), row: row.filled(),
		}
		k := kGatherF64
		if y.Type.IsInt() && x.Type.IsInt() {
			k = kGatherI64
		}
		if y.Type == x.Type && row.flat() {
			k = p.inUnits(y.Type.Size())
		}
		return launch(d, k, d.spread(int(p.places*p.size), 256), 256, 0, &p)
	})
}

// inUnits counts in the largest units in which all can be addressed, for rows whose elements are neighbours.
func (p *gatherParams) inUnits(size int) kernelID {
	all := uintptr(p.size) | uintptr(abs(int32(p.stride))) // in elements
	for _, s := range p.at.x[:p.at.rank] {
		all |= uintptr(abs(s))
	}
	all = all*uintptr(size) | p.y | p.x
	unit := size
	for unit < 16 && all%uintptr(2*unit) == 0 {
		unit *= 2
	}
	n := unit / size
	p.size /= int64(n)
	p.stride /= int64(n)
	for a := range p.at.rank {
		p.at.x[a] /= int32(n)
	}
	return kGather[unit]
}

type sortParams struct {
	fault, index     uintptr
	keys, values     uintptr
	toKeys, toValues uintptr
	counts, totals   uintptr
	entries          int64
	n, tiles, code   uint32
	shift, itype     int32
	at               axes
}

type scatterParams struct {
	fault, y, x          uintptr
	keys, values         uintptr
	head, tail           uintptr
	size, stride         int64
	n, pieces            uint32
	piece, wide, tall    int32
	ytype, xtype, isFlat int32
	at, row              axes
}

const (
	sortTile  = 2048 // SORT_TILE of gather.cu
	sortSmall = 1024 // SORT_SMALL
)

// scatterPlan is where in the scratch what lies.
type scatterPlan struct {
	n, tiles, digits    int
	piece, pieces, size int
	lists               [4]int // keys and values, twice
	counts, totals      int
	head, tail, bytes   int
}

func newScatterPlan(n, entries, size, sumBytes int) scatterPlan {
	s := scatterPlan{n: n, tiles: ceilDiv(n, sortTile), digits: max(1, (bits.Len(uint(max(entries-1, 0)))+7)/8), size: size, piece: 32}
	if size < 32 {
		s.piece = 8
	}
	s.pieces = ceilDiv(n, s.piece)
	take := func(bytes int) int {
		at := s.bytes
		s.bytes += ceilDiv(bytes, 256) * 256
		return at
	}
	for i := range s.lists {
		s.lists[i] = take(4 * n)
	}
	if n > sortSmall {
		s.counts, s.totals = take(4*256*s.tiles), take(4*256)
	}
	if s.pieces > 1 {
		s.head, s.tail = take(s.pieces*size*sumBytes), take(s.pieces*size*sumBytes)
	}
	return s
}

// ScatterAdd is y[idx[i...]] += x[i...], in the order of i. Each sum is calculated in one type and rounded once.
func (d *Device) ScatterAdd(y, x, idx device.View) {
	at, row := tableRows("ScatterAdd", x, y, idx)
	as, bytes := asF32, 4
	switch compute(y, x) {
	case device.F64:
		as, bytes = asF64, 8
	case device.I32:
		as, bytes = asI64, 8
	}
	plan := newScatterPlan(idx.Len(), int(y.Dim[0]), row.len(), bytes)
	if x.Len() > 0 {
		d.reserve(plan.bytes)
	}
	d.enqueue("ScatterAdd", []device.View{y}, []device.View{x, idx}, float64(x.Len()), func() error {
		if x.Len() == 0 {
			return nil
		}
		scratch, err := d.borrow(plan.bytes)
		if err != nil {
			return err
		}
		keys, values, err := d.sort(&plan, scratch, idx, at, int(y.Dim[0]))
		if err != nil {
			return err
		}
		p := scatterParams{
			fault: d.fault(), y: address(y), x: address(x), keys: keys, values: values,
			head: scratch + uintptr(plan.head), tail: scratch + uintptr(plan.tail), size: int64(plan.size), stride: int64(y.Str[0]),
			n: uint32(plan.n), pieces: uint32(plan.pieces), piece: int32(plan.piece), ytype: int32(y.Type), xtype: int32(x.Type), isFlat: flag(row.flat()),
			at: at.filled(), row: row.filled(),
		}
		k := kScatterAs[as]
		if fast, ok := kScatter[x.Type]; ok && as == asF32 {
			k = fast
		}
		if err := launch(d, k, d.spread(plan.pieces*plan.size, 256), 256, 0, &p); err != nil || plan.pieces == 1 {
			return err
		}
		p.wide = int32(min(32, pow2(plan.size)))
		p.tall = 256 / p.wide
		across := min(ceilDiv(plan.size, int(p.wide)), 1<<15)
		return launch(d, kScatterJoin[as], [3]uint32{uint32(plan.pieces - 1), uint32(across), 1}, 256, 0, &p)
	})
}

// sort queues a stable sort of the places by index, and tells where the sorted indices and their places are.
func (d *Device) sort(s *scatterPlan, scratch uintptr, idx device.View, at axes, entries int) (keys, values uintptr, err error) {
	list := func(i int) uintptr { return scratch + uintptr(s.lists[i]) }
	p := sortParams{
		fault: d.fault(), index: address(idx), toKeys: list(0), toValues: list(1), counts: scratch + uintptr(s.counts), totals: scratch + uintptr(s.totals),
		entries: int64(entries), n: uint32(s.n), tiles: uint32(s.tiles), code: d.faults.code("ScatterAdd"), itype: int32(idx.Type), at: at.filled(),
	}
	if s.n <= sortSmall {
		return p.toKeys, p.toValues, launch(d, kSortSmall, gridOf(1), sortSmall, 0, &p)
	}
	for digit := range s.digits {
		p.shift = int32(8 * digit)
		if err := launch(d, kSortCount, gridOf(s.tiles), 256, 0, &p); err != nil {
			return 0, 0, err
		}
		if err := launch(d, kSortScan, gridOf(256), 256, 0, &p); err != nil {
			return 0, 0, err
		}
		if err := launch(d, kSortMove, gridOf(s.tiles), 256, 0, &p); err != nil {
			return 0, 0, err
		}
		keys, values = p.toKeys, p.toValues
		p.keys, p.values = keys, values
		next := 2 * (1 - digit%2)
		p.toKeys, p.toValues = list(next), list(next+1)
	}
	return keys, values, nil
}
