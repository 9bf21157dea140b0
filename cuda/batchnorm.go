package cuda

import "github.com/acumen-ml/acumen/device"

var (
	kBNStats     = packedKernels("batchnorm", "bn_stats")
	kBNJoinStats = [...]kernelID{device.F32: kernel("batchnorm_join", "bn_join_stats_f32"), device.F64: kernel("batchnorm_join", "bn_join_stats_f64")}
	kBNApply     = packedKernels("batchnorm", "bn_apply")
	kBNGradSums  = packedKernels("batchnorm", "bn_grad_sums")
	kBNJoinGrad  = [...]kernelID{device.F32: kernel("batchnorm_join", "bn_join_grad_f32"), device.F64: kernel("batchnorm_join", "bn_join_grad_f64")}
	kBNGrad      = packedKernels("batchnorm", "bn_grad")
	kBNReluSums  = packedKernels("batchnorm", "bn_relu_grad_sums")
	kBNReluGrad  = packedKernels("batchnorm", "bn_relu_grad")
	kBNTrack     = [...]kernelID{device.F32: kernel("batchnorm_join", "bn_track_f32"), device.F64: kernel("batchnorm_join", "bn_track_f64")}
)

// bnTile is the twin of struct Tile in rows.cuh: how rows and channels are cut among blocks, from the shape alone.
type bnTile struct {
	rows                        int64
	channels, packs, lines, per int32
}

const (
	bnThreads = 256
	bnBlocks  = 512 // aimed at, over all tiles of channels: about as many as a large GPU has at a time, four a processor
	bnMasked  = 384 // the same with three
	bnRows    = 4   // that a thread has at least, and a multiple of, so as to read so many at once
	bnJoined  = 8   // channels that a block joins the chunks of
)

// newBNTile cuts m rows of c channels, v of which a thread has, for about so many blocks. It also gives the grid.
func newBNTile(m, c, v, blocks int) (t bnTile, grid [3]uint32) {
	columns := (c + v - 1) / v
	limit := 16 // of them side by side: 256 bytes
	if v == 1 {
		limit = 32
	}
	tiles := (columns + limit - 1) / limit
	packs := (columns + tiles - 1) / tiles
	lines := bnThreads / packs
	chunks := max(1, blocks/tiles)
	per := lines * bnRows * ((m + lines*bnRows*chunks - 1) / (lines * bnRows * chunks))
	chunks = (m + per - 1) / per
	return bnTile{int64(m), int32(c), int32(packs), int32(lines), int32(per)}, [3]uint32{uint32(chunks), uint32(tiles), 1}
}

// where is of for what calculates each element for itself: where the rows of views do not lie so that 16 bytes can be read
// at once, neighbouring threads read single elements.
func (p *packed) where(t device.DType, c int, views ...device.View) (k kernelID, v int) {
	if k, v = p.of(t, c); v > 1 && aligned(v, views...) == 0 {
		return p.single[t], 1
	}
	return k, v
}

// normRows is v as (M,C) with adjacent channels: the view, and false where it cannot be seen so.
func normRows(v device.View) (w device.View, ok bool) {
	if !v.Valid() || v.Rank == 0 || v.Len() == 0 || !isFloat(v.Type) {
		return w, false
	}
	c := v.D(-1)
	m := v.Len() / c
	if !v.CanReshape(m, c) {
		return w, false
	}
	w = v.Reshape(m, c)
	return w, w.Str[0] >= 0 && (w.Str[1] == 1 || c == 1)
}

// sameRows reports whether other is a matrix of x's shape and type, and gives it.
func sameRows(x, other device.View) (w device.View, ok bool) {
	w, ok = normRows(other)
	return w, ok && w.SameShape(x) && w.Type == x.Type
}

// coefficients reports whether v is absent, or (C) of the type t or of sums over it.
func coefficients(t device.DType, c int, vs ...device.View) bool {
	for _, v := range vs {
		if v.Valid() && !vectors(v.Type, c, v) || v.Valid() && v.Type != t && v.Type != sumType(t) {
			return false
		}
	}
	return true
}

type bnStatsParams struct {
	fault, x, part uintptr
	stride         int64
	tile           bnTile
	aligned        int32
	_              int32
}

type bnJoinStatsParams struct {
	fault, part, mean, variance uintptr
	rows                        int64
	channels, chunks, per       int32
	_                           int32
}

// BatchNormStats is mean (C) and biased variance (C) of each channel of x (...,C), both of the type of sums over x's.
// Chunks of rows have their own means and sums of squared distances, which are then joined: there is no cancellation,
// whatever the mean.
func (d *Device) BatchNormStats(mean, variance, x device.View) bool {
	xs, ok := normRows(x)
	if !ok {
		return false
	}
	m, c, acc := xs.D(0), xs.D(1), sumType(x.Type)
	if !mean.Valid() || !variance.Valid() || !vectors(acc, c, mean, variance) {
		return false
	}
	d.reserve(statsScratch(m, c, x.Type))
	d.enqueue("BatchNormStats", []device.View{mean, variance}, []device.View{x}, 4*float64(m)*float64(c), func() error { return d.launchStats(mean, variance, xs) })
	return true
}

// statsScratch is the bytes that the chunks of m rows of c channels take.
func statsScratch(m, c int, typ device.DType) int {
	_, v := kBNStats.of(typ, c)
	_, grid := newBNTile(m, c, v, bnBlocks)
	return int(grid[0]) * 2 * c * sumType(typ).Size()
}

// launchStats queues the statistics of x, whose rows normRows can show.
func (d *Device) launchStats(mean, variance, x device.View) error {
	xs, _ := normRows(x)
	m, c := xs.D(0), xs.D(1)
	part, err := d.borrow(statsScratch(m, c, x.Type))
	if err != nil {
		return err
	}
	k, v := kBNStats.of(x.Type, c)
	tile, grid := newBNTile(m, c, v, bnBlocks)
	p := bnStatsParams{fault: d.fault(), x: address(xs), part: part, stride: int64(xs.Str[0]), tile: tile, aligned: aligned(v, xs)}
	if err := launch(d, k, grid, bnThreads, 0, &p); err != nil {
		return err
	}
	return d.joinStats(part, mean, variance, m, int(grid[0]), int(tile.per))
}

// joinStats queues the statistics of all rows from those of chunks, each of so many rows, the last perhaps of fewer.
func (d *Device) joinStats(part uintptr, mean, variance device.View, rows, chunks, per int) error {
	p := bnJoinStatsParams{fault: d.fault(), part: part, mean: address(mean), variance: address(variance),
		rows: int64(rows), channels: mean.Dim[0], chunks: int32(chunks), per: int32(per)}
	return launch(d, kBNJoinStats[mean.Type], bnJoiners(mean.D(0)), bnThreads, 0, &p)
}

func bnJoiners(c int) [3]uint32 { return [3]uint32{uint32((c + bnJoined - 1) / bnJoined), 1, 1} }

type bnTrackParams struct {
	fault, rstd, nextMean, nextVar, mean, variance uintptr
	keep, moved, unbiased, eps                     float64
	channels                                       int64
}

// BatchNormTrack is what training does with the mean (C) and the biased variance (C) of so many rows:
// rstd = 1 / sqrt(variance + eps), nextMean = (1-momentum) nextMean + momentum mean, and likewise nextVar with the unbiased
// variance (of a single row: 0). All are of one type; nextMean and nextVar may be absent together, and then mean too. The
// results are those of Unary and Binary to the bit.
func (d *Device) BatchNormTrack(rstd, nextMean, nextVar, mean, variance device.View, rows int, momentum, eps float64) bool {
	typ := variance.Type
	if !variance.Valid() || typ > device.F64 || !rstd.Valid() || nextMean.Valid() != nextVar.Valid() || nextMean.Valid() && !mean.Valid() {
		return false
	}
	c := variance.Len()
	if c == 0 || !vectors(typ, c, rstd, nextMean, nextVar, mean, variance) {
		return false
	}
	d.enqueue("BatchNormTrack", present(rstd, nextMean, nextVar), present(variance, mean, nextMean, nextVar), 8*float64(c), func() error {
		p := bnTrackParams{fault: d.fault(), rstd: address(rstd), nextMean: addressOf(nextMean), nextVar: addressOf(nextVar), mean: addressOf(mean), variance: address(variance),
			keep: 1 - momentum, moved: momentum, unbiased: momentum * (float64(rows) / float64(max(rows-1, 1))), eps: eps, channels: int64(c)}
		return launch(d, kBNTrack[typ], d.spread(c, bnThreads), bnThreads, 0, &p)
	})
	return true
}

type bnApplyParams struct {
	fault, x, mean, rstd, gamma, beta, y uintptr
	stride, toStride                     int64
	tile                                 bnTile
	coefficientsAligned                  int32
	gammaSummed, betaSummed              int32
	act                                  int32
}

// bnActs reports whether batch norm can end with act.
func bnActs(act device.UnOp) bool {
	switch act {
	case device.Identity, device.Relu, device.Sigmoid, device.Tanh, device.Gelu, device.Silu:
		return true
	}
	return false
}

// BatchNormApply is y = act((x-mean)*rstd*gamma + beta), x and y (...,C), the others (C); gamma and beta may be absent.
// mean and rstd are of the type of sums over x's, gamma and beta of that or of x's.
func (d *Device) BatchNormApply(y, x, mean, rstd, gamma, beta device.View, act device.UnOp) bool {
	xs, ok := normRows(x)
	if !ok || !bnActs(act) {
		return false
	}
	ys, ok := sameRows(xs, y)
	m, c, acc := xs.D(0), xs.D(1), sumType(x.Type)
	if !ok || !mean.Valid() || !rstd.Valid() || !vectors(acc, c, mean, rstd) || !coefficients(x.Type, c, gamma, beta) {
		return false
	}
	k, v := kBNApply.where(x.Type, c, xs, ys)
	tile, grid := newBNTile(m, c, v, bnBlocks)
	d.enqueue("BatchNormApply", []device.View{y}, present(x, mean, rstd, gamma, beta), 3*float64(m)*float64(c), func() error {
		p := bnApplyParams{fault: d.fault(), x: address(xs), mean: address(mean), rstd: address(rstd), gamma: addressOf(gamma), beta: addressOf(beta), y: address(ys),
			stride: int64(xs.Str[0]), toStride: int64(ys.Str[0]), tile: tile, coefficientsAligned: aligned(v, mean, rstd),
			gammaSummed: flag(gamma.Type == acc), betaSummed: flag(beta.Type == acc), act: int32(act)}
		return launch(d, k, grid, bnThreads, 0, &p)
	})
	return true
}

type bnGradSumsParams struct {
	fault, x, dy, mean           uintptr
	rstd, gamma, beta, part      uintptr
	stride, dyStride             int64
	tile                         bnTile
	aligned, coefficientsAligned int32
	gammaSummed, betaSummed      int32
}

type bnJoinGradParams struct {
	fault, part, mean, rstd, gamma, beta, dgamma, dbeta, slopes uintptr
	rows                                                        int64
	channels, chunks, gammaType, betaType                       int32
	masked                                                      int32
	_                                                           int32
}

type bnGradParams struct {
	fault, x, dy, slopes, dx   uintptr
	stride, dyStride, dxStride int64
	tile                       bnTile
}

// BatchNormGrad is the gradient of training-mode batch norm (Ioffe and Szegedy, arXiv 1502.03167): with
// xhat = (x-mean)*rstd over M rows, dbeta = sum dy, dgamma = sum dy xhat, and
// dx = gamma rstd (dy - dbeta/M - xhat dgamma/M). gamma, dx, dgamma and dbeta may be absent. All but x, dy, dx and gamma
// are of the type of sums over x's.
func (d *Device) BatchNormGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma device.View) bool {
	return d.batchNormGrad("BatchNormGrad", false, dx, dgamma, dbeta, dy, x, mean, rstd, gamma, device.View{})
}

// BatchNormReluGrad is BatchNormGrad where ReLU followed: dy counts only where (x-mean)*rstd*gamma + beta is above 0, which
// may go the other way where that is as small as its own rounding. gamma and beta may be absent.
func (d *Device) BatchNormReluGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, beta device.View) bool {
	return d.batchNormGrad("BatchNormReluGrad", true, dx, dgamma, dbeta, dy, x, mean, rstd, gamma, beta)
}

func (d *Device) batchNormGrad(name string, masked bool, dx, dgamma, dbeta, dy, x, mean, rstd, gamma, beta device.View) bool {
	xs, ok := normRows(x)
	if !ok {
		return false
	}
	gs, ok := sameRows(xs, dy)
	m, c, acc := xs.D(0), xs.D(1), sumType(x.Type)
	if !ok || !mean.Valid() || !rstd.Valid() || !vectors(acc, c, dgamma, dbeta, mean, rstd) || !coefficients(x.Type, c, gamma, beta) {
		return false
	}
	var ds device.View
	if dx.Valid() {
		if ds, ok = sameRows(xs, dx); !ok {
			return false
		}
	}
	sums, grads, blocks := &kBNGradSums, &kBNGrad, bnBlocks
	if masked {
		sums, grads, blocks = &kBNReluSums, &kBNReluGrad, bnMasked
	}
	kSums, v := sums.of(x.Type, c)
	tile, grid := newBNTile(m, c, v, blocks)
	slopesBytes := (4*c*acc.Size() + 15) / 16 * 16 // the parts stand behind them
	scratch := slopesBytes + int(grid[0])*2*c*acc.Size()
	d.reserve(scratch)
	d.enqueue(name, present(dx, dgamma, dbeta), present(dy, x, mean, rstd, gamma, beta), 8*float64(m)*float64(c), func() error {
		slopes, err := d.borrow(scratch)
		if err != nil {
			return err
		}
		part := slopes + uintptr(slopesBytes)
		p := bnGradSumsParams{fault: d.fault(), x: address(xs), dy: address(gs), mean: address(mean), rstd: address(rstd), gamma: addressOf(gamma), beta: addressOf(beta), part: part,
			stride: int64(xs.Str[0]), dyStride: int64(gs.Str[0]), tile: tile, aligned: aligned(v, xs, gs), coefficientsAligned: aligned(v, mean, rstd),
			gammaSummed: flag(gamma.Type == acc), betaSummed: flag(beta.Type == acc)}
		if err := launch(d, kSums, grid, bnThreads, 0, &p); err != nil {
			return err
		}
		q := bnJoinGradParams{fault: d.fault(), part: part, mean: address(mean), rstd: address(rstd), gamma: addressOf(gamma), beta: addressOf(beta), dgamma: addressOf(dgamma), dbeta: addressOf(dbeta),
			slopes: slopes, rows: int64(m), channels: int32(c), chunks: int32(grid[0]), gammaType: int32(gamma.Type), betaType: int32(beta.Type), masked: flag(masked)}
		if err := launch(d, kBNJoinGrad[acc], bnJoiners(c), bnThreads, 0, &q); err != nil || !dx.Valid() {
			return err
		}
		kGrad, v := grads.where(x.Type, c, xs, gs, ds)
		tile, grid := newBNTile(m, c, v, blocks)
		r := bnGradParams{fault: d.fault(), x: address(xs), dy: address(gs), slopes: slopes, dx: address(ds),
			stride: int64(xs.Str[0]), dyStride: int64(gs.Str[0]), dxStride: int64(ds.Str[0]), tile: tile}
		return launch(d, kGrad, grid, bnThreads, 0, &r)
	})
	return true
}
