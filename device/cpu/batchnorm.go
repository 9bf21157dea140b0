package cpu

import (
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/cpu/simd"
)

// Batch norm works on x as a matrix (M,C), C channels. Rows are cut into blocks, whose sums in float64 are combined in
// their order.

// normRows is v as (M,C): its row stride, and whether it can be seen so with adjacent channels.
func normRows(v device.View) (m, c, stride int, ok bool) {
	if v.Rank == 0 || v.Len() == 0 {
		return 0, 0, 0, false
	}
	c = v.D(-1)
	m = v.Len() / c
	if !v.CanReshape(m, c) {
		return 0, 0, 0, false
	}
	w := v.Reshape(m, c)
	return m, c, int(w.Str[0]), w.Str[0] >= 0 && (w.Str[1] == 1 || c == 1)
}

// vectors reports whether all views that are there are contiguous, of type t and of n elements.
func vectors(t device.DType, n int, vs ...device.View) bool {
	for _, v := range vs {
		if v.Valid() && (v.Type != t || v.Len() != n || !v.Contiguous()) {
			return false
		}
	}
	return true
}

// optional is the memory of a view, nil if it is not there.
func optional[T float](v device.View) []T {
	if !v.Valid() {
		return nil
	}
	return slice[T](v)[:v.Len()]
}

func present(vs ...device.View) []device.View {
	out := vs[:0]
	for _, v := range vs {
		if v.Valid() {
			out = append(out, v)
		}
	}
	return out
}

// BatchNormStats is mean (C) and biased variance (C) of each channel of x (...,C). A block is summed as distances from the
// mean of its first rows; the means and sums of squared distances of blocks are combined as Chan, Golub and LeVeque do
// (The American Statistician 37, 1983): there is no cancellation, whatever the mean.
func (d *Device) BatchNormStats(mean, variance, x device.View) bool {
	_, c, _, ok := normRows(x)
	if !ok || !vectors(x.Type, c, mean, variance) {
		return false
	}
	switch x.Type {
	case device.F32:
		batchNormStats[float32](d, mean, variance, x)
	case device.F64:
		batchNormStats[float64](d, mean, variance, x)
	default:
		return false
	}
	return true
}

func batchNormStats[T float](d *Device, mean, variance, x device.View) {
	m, c, ld, _ := normRows(x)
	xs, means, variances := slice[T](x), slice[T](mean), slice[T](variance)
	b := newNormBlocks[T](m, c, ld)
	w := b.wide()
	d.reserve(w * (16 + sizeOf[T]()))
	d.shared((b.n + 1) * 2 * c * 8)
	d.enqueue("BatchNormStats", []device.View{mean, variance}, []device.View{x}, 4*float64(m)*float64(c), phase{
		n: b.n,
		run: func(part, worker int) {
			lo, rows := b.rows(part)
			sums, shift := scratchOf[float64](d, worker, 2*w), cast[T](d.perWorker[worker].data[2*w*8:])[:w]
			copy(shift, xs[lo*ld:][:c])
			first := min(rows, 32*b.long)
			channelSums(&b, sums, xs, shift, lo, first, ld)
			for j := range c {
				shift[j] += T(sums[j] / float64(first))
			}
			channelSums(&b, sums, xs, shift, lo, rows, ld)
			mean, sq := split(sharedOf[float64](d, (part+1)*2*c*8, 2*c))
			for j := range mean {
				off := sums[j] / float64(rows)
				mean[j], sq[j] = float64(shift[j])+off, max(sums[w+j]-sums[j]*off, 0)
			}
		},
	}, phase{
		n: 1,
		run: func(int, int) {
			mu, m2 := split(sharedOf[float64](d, 0, 2*c))
			clear(mu)
			clear(m2)
			var count float64
			for part := range b.n {
				_, rows := b.rows(part)
				mean, sq := split(sharedOf[float64](d, (part+1)*2*c*8, 2*c))
				total := count + float64(rows)
				share := float64(rows) / total
				for j, v := range mean {
					delta := v - mu[j]
					mu[j] += delta * share
					m2[j] += sq[j] + delta*delta*count*share
				}
				count = total
			}
			for j, v := range mu {
				means[j], variances[j] = T(v), T(m2[j]/count)
			}
		},
	})
}

// channelSums puts the sums of x - shift over some rows, and those of its squares, to the first of the elements that
// either half of sums has for a long row.
func channelSums[T float](b *normBlocks, sums []float64, x, shift []T, lo, rows, ld int) {
	repeat(shift, b.c)
	clear(sums)
	sum, sq := split(sums)
	b.each(lo, rows, func(lo, rows, w, k int) {
		simd.ChannelSums(b.level, sum, sq, x[lo*ld:], shift[:w], rows, k*ld)
	})
	fold(sum, b.c)
	fold(sq, b.c)
}

// BatchNormApply is y = act((x-mean)*rstd*gamma + beta), x and y (...,C), the others (C); gamma and beta may be absent.
func (d *Device) BatchNormApply(y, x, mean, rstd, gamma, beta device.View, act device.UnOp) bool {
	m, c, _, ok := normRows(x)
	my, cy, _, oky := normRows(y)
	if !ok || !oky || m != my || c != cy || y.Type != x.Type || !epilogue(act) || !vectors(x.Type, c, mean, rstd, gamma, beta) {
		return false
	}
	switch x.Type {
	case device.F32:
		batchNormApply[float32](d, y, x, mean, rstd, gamma, beta, act)
	case device.F64:
		batchNormApply[float64](d, y, x, mean, rstd, gamma, beta, act)
	default:
		return false
	}
	return true
}

func batchNormApply[T float](d *Device, y, x, mean, rstd, gamma, beta device.View, act device.UnOp) {
	m, c, ldx, _ := normRows(x)
	_, _, ldy, _ := normRows(y)
	xs, ys, means, scales := slice[T](x), slice[T](y), slice[T](mean), slice[T](rstd)
	gammas, betas := optional[T](gamma), optional[T](beta)
	b := newNormBlocks[T](m, c, ldx, ldy)
	w := b.wide()
	d.shared(3 * w * sizeOf[T]())
	fused := act == device.Identity || act == device.Relu
	stream, some := fused && streams(y), b.block
	if !fused { // few enough rows for the activation to find them in the first cache
		some = max(1, b.block/16/b.long) * b.long
	}
	d.enqueue("BatchNormApply", []device.View{y}, present(x, mean, rstd, gamma, beta), 3*float64(m)*float64(c), phase{
		n: 1,
		run: func(int, int) {
			mu, scale, shift := split3(sharedOf[T](d, 0, 3*w))
			copy(mu, means[:c])
			copy(scale, scales[:c])
			for j, g := range gammas {
				scale[j] *= g
			}
			clear(shift[:c])
			copy(shift, betas)
			repeat(mu, c)
			repeat(scale, c)
			repeat(shift, c)
		},
	}, phase{
		n: b.n,
		run: func(part, _ int) {
			mu, scale, shift := split3(sharedOf[T](d, 0, 3*w))
			lo, rows := b.rows(b.n - 1 - part) // those that were read last may still be in a cache
			for end := lo + rows; lo < end; lo += some {
				b.each(lo, min(some, end-lo), func(lo, rows, w, k int) {
					y := ys[lo*ldy:]
					simd.Normalise(b.level, y, xs[lo*ldx:], mu[:w], scale[:w], shift[:w], rows, k*ldy, k*ldx, act == device.Relu, stream)
					if fused {
						return
					}
					if ldy == c {
						w, rows = rows*w, 1
					}
					for i := range rows {
						activate(act, y[i*ldy:][:w])
					}
				})
			}
			if stream {
				simd.Fence(b.level)
			}
		},
	})
}

// BatchNormGrad is the gradient of training-mode batch norm (Ioffe and Szegedy, arXiv 1502.03167): with
// xhat = (x-mean)*rstd over M rows, dbeta = sum dy, dgamma = sum dy xhat, and
// dx = gamma rstd (dy - dbeta/M - xhat dgamma/M). gamma, dx, dgamma and dbeta may be absent.
func (d *Device) BatchNormGrad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma device.View) bool {
	m, c, _, ok := normRows(x)
	my, cy, _, oky := normRows(dy)
	if !ok || !oky || m != my || c != cy || dy.Type != x.Type || !vectors(x.Type, c, dgamma, dbeta, mean, rstd, gamma) {
		return false
	}
	if dx.Valid() {
		if md, cd, _, okd := normRows(dx); !okd || md != m || cd != c || dx.Type != x.Type {
			return false
		}
	}
	switch x.Type {
	case device.F32:
		batchNormGrad[float32](d, dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
	case device.F64:
		batchNormGrad[float64](d, dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
	default:
		return false
	}
	return true
}

func batchNormGrad[T float](d *Device, dx, dgamma, dbeta, dy, x, mean, rstd, gamma device.View) {
	m, c, ldx, _ := normRows(x)
	_, _, ldy, _ := normRows(dy)
	ldd := c
	if dx.Valid() {
		_, _, ldd, _ = normRows(dx)
	}
	xs, ys, means, scales := slice[T](x), slice[T](dy), slice[T](mean), slice[T](rstd)
	gammas, dgammas, dbetas := optional[T](gamma), optional[T](dgamma), optional[T](dbeta)
	b := newNormBlocks[T](m, c, ldx, ldy, ldd)
	w := b.wide()
	d.reserve(2 * w * 8)
	d.shared(b.n*2*c*8 + 4*w*sizeOf[T]())
	parameters := func() (mu, k, a, b []T) { // dx = k dy + a + b (x-mean)
		all := sharedOf[T](d, 0, 4*w)
		return all[:w], all[w : 2*w], all[2*w : 3*w], all[3*w:]
	}
	blockSums := func(part int) (sum, dot []float64) {
		return split(sharedOf[float64](d, 4*w*sizeOf[T]()+part*2*c*8, 2*c))
	}
	phases := []phase{{
		n: 1,
		run: func(int, int) {
			mu, _, _, _ := parameters()
			copy(mu, means[:c])
			repeat(mu, c)
		},
	}, {
		n: b.n,
		run: func(part, worker int) { // sums of dy and of dy (x-mean)
			mu, _, _, _ := parameters()
			sums := scratchOf[float64](d, worker, 2*w)
			clear(sums)
			sum, dot := split(sums)
			lo, rows := b.rows(part)
			b.each(lo, rows, func(lo, rows, w, k int) {
				simd.GradSums(b.level, sum, dot, ys[lo*ldy:], xs[lo*ldx:], mu[:w], rows, k*ldy, k*ldx)
			})
			fold(sum, c)
			fold(dot, c)
			outSum, outDot := blockSums(part)
			copy(outSum, sum)
			copy(outDot, dot)
		},
	}, {
		n: 1,
		run: func(int, int) {
			sum, dot := blockSums(0)
			for part := 1; part < b.n; part++ {
				s, t := blockSums(part)
				for j, v := range s {
					sum[j] += v
					dot[j] += t[j]
				}
			}
			for j := range dbetas {
				dbetas[j] = T(sum[j])
			}
			_, k, a, b := parameters()
			for j := range c {
				r := float64(scales[j])
				f := r
				if gammas != nil {
					f *= float64(gammas[j])
				}
				k[j], a[j], b[j] = T(f), T(-f*sum[j]/float64(m)), T(-f*r*r*dot[j]/float64(m))
			}
			for j := range dgammas {
				dgammas[j] = T(dot[j] * float64(scales[j]))
			}
			repeat(k, c)
			repeat(a, c)
			repeat(b, c)
		},
	}}
	writes := present(dx, dgamma, dbeta)
	if dx.Valid() {
		ds, stream := slice[T](dx), streams(dx)
		phases = append(phases, phase{
			n: b.n,
			run: func(part, _ int) {
				mu, k, a, slope := parameters()
				lo, rows := b.rows(b.n - 1 - part) // as in BatchNormApply
				b.each(lo, rows, func(lo, rows, w, n int) {
					simd.NormaliseGrad(b.level, ds[lo*ldd:], ys[lo*ldy:], xs[lo*ldx:], mu[:w], k[:w], a[:w], slope[:w], rows, n*ldd, n*ldy, n*ldx, stream)
				})
				if stream {
					simd.Fence(b.level)
				}
			},
		})
	}
	d.enqueue("BatchNormGrad", writes, present(dy, x, mean, rstd, gamma), 8*float64(m)*float64(c), phases...)
}
