package cpu

import (
	"github.com/acumen-ml/acumen/device"
)

// Batch norm works on x as a matrix (M,C), C channels. Rows are cut into blocks that stay in a cache while they are
// read twice; sums over a block are in float64, and blocks are combined in their order.

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

// normBlock is the number of rows of a block: 64 KiB of f32.
func normBlock(c int) int { return max(1, (1<<14)/c) }

// BatchNormStats is mean (C) and biased variance (C) of each channel of x (...,C). Each block has its own mean and sum
// of squared distances, which are combined as Chan, Golub and LeVeque do (The American Statistician 37, 1983): there
// is no cancellation, whatever the mean.
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
	block := normBlock(c)
	n := (m + block - 1) / block
	d.shared(n * 2 * c * 8)
	d.enqueue("BatchNormStats", []device.View{mean, variance}, []device.View{x}, 4*float64(m)*float64(c), phase{
		n: n,
		run: func(part, _ int) {
			out := sharedOf[float64](d, part*2*c*8, 2*c)
			lo := part * block
			rows := min(block, m-lo)
			var sum, sq [4]float64
			for j := 0; j < c; j += 4 {
				w := min(4, c-j)
				sum, sq = [4]float64{}, [4]float64{}
				at := lo*ld + j
				if w == 4 {
					for range rows {
						p := (*[4]T)(xs[at:])
						sum[0] += float64(p[0])
						sum[1] += float64(p[1])
						sum[2] += float64(p[2])
						sum[3] += float64(p[3])
						at += ld
					}
					m0, m1, m2, m3 := sum[0]/float64(rows), sum[1]/float64(rows), sum[2]/float64(rows), sum[3]/float64(rows)
					at = lo*ld + j
					for range rows {
						p := (*[4]T)(xs[at:])
						e0, e1, e2, e3 := float64(p[0])-m0, float64(p[1])-m1, float64(p[2])-m2, float64(p[3])-m3
						sq[0] += e0 * e0
						sq[1] += e1 * e1
						sq[2] += e2 * e2
						sq[3] += e3 * e3
						at += ld
					}
				} else {
					for range rows {
						for l, v := range xs[at:][:w] {
							sum[l] += float64(v)
						}
						at += ld
					}
					at = lo*ld + j
					for range rows {
						for l, v := range xs[at:][:w] {
							e := float64(v) - sum[l]/float64(rows)
							sq[l] += e * e
						}
						at += ld
					}
				}
				for l := range w {
					out[j+l], out[c+j+l] = sum[l]/float64(rows), sq[l]
				}
			}
		},
	}, phase{
		n: 1,
		run: func(int, int) {
			all := sharedOf[float64](d, 0, n*2*c)
			for j := range c {
				var count, mu, m2 float64
				for b := range n {
					k := float64(min(block, m-b*block))
					delta := all[b*2*c+j] - mu
					total := count + k
					mu += delta * k / total
					m2 += all[b*2*c+c+j] + delta*delta*count*k/total
					count = total
				}
				means[j], variances[j] = T(mu), T(m2/count)
			}
		},
	})
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
	block := normBlock(c)
	d.reserve(2 * c * sizeOf[T]())
	d.enqueue("BatchNormApply", []device.View{y}, present(x, mean, rstd, gamma, beta), 3*float64(m)*float64(c), phase{
		n: (m + block - 1) / block,
		run: func(part, worker int) {
			both := scratchOf[T](d, worker, 2*c)
			scale, shift := both[:c], both[c:2*c]
			copy(scale, scales[:c])
			for j, g := range gammas {
				scale[j] *= g
			}
			clear(shift)
			copy(shift, betas)
			mu := means[:c]
			for i := part * block; i < min(m, (part+1)*block); i++ {
				from := xs[i*ldx:][:len(mu)]
				to := ys[i*ldy:][:len(mu)]
				scale, shift := scale[:len(mu)], shift[:len(mu)]
				if act == device.Relu {
					for j, u := range mu {
						to[j] = max((from[j]-u)*scale[j]+shift[j], 0)
					}
					continue
				}
				for j, u := range mu {
					to[j] = (from[j]-u)*scale[j] + shift[j]
				}
				if act != device.Identity {
					activate(act, to)
				}
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
	xs, ys, means, scales := slice[T](x), slice[T](dy), slice[T](mean), slice[T](rstd)
	gammas, dgammas, dbetas := optional[T](gamma), optional[T](dgamma), optional[T](dbeta)
	block := normBlock(c)
	n := (m + block - 1) / block
	d.shared((n + 1) * 2 * c * 8)
	phases := []phase{{
		n: n,
		run: func(part, _ int) { // sums of dy and of dy (x-mean)
			out := sharedOf[float64](d, (part+1)*2*c*8, 2*c)
			lo := part * block
			rows := min(block, m-lo)
			for j := 0; j < c; j += 2 {
				if j+2 > c {
					var s, t float64
					mu := means[j]
					for i := range rows {
						g := float64(ys[(lo+i)*ldy+j])
						s += g
						t += g * float64(xs[(lo+i)*ldx+j]-mu)
					}
					out[j], out[c+j] = s, t
					continue
				}
				var s0, s1, t0, t1 float64
				m0, m1 := means[j], means[j+1]
				ax, ay := lo*ldx+j, lo*ldy+j
				for range rows {
					p, q := (*[2]T)(ys[ay:]), (*[2]T)(xs[ax:])
					g0, g1 := float64(p[0]), float64(p[1])
					s0 += g0
					s1 += g1
					t0 += g0 * float64(q[0]-m0)
					t1 += g1 * float64(q[1]-m1)
					ax += ldx
					ay += ldy
				}
				out[j], out[j+1], out[c+j], out[c+j+1] = s0, s1, t0, t1
			}
		},
	}, {
		n: 1,
		run: func(int, int) {
			total := sharedOf[float64](d, 0, 2*c)
			all := sharedOf[float64](d, 2*c*8, n*2*c)
			clear(total)
			for b := range n {
				for j, v := range all[b*2*c:][:2*c] {
					total[j] += v
				}
			}
			for j := range dbetas {
				dbetas[j] = T(total[j])
			}
			for j := range dgammas {
				dgammas[j] = T(total[c+j] * float64(scales[j]))
			}
		},
	}}
	writes := present(dx, dgamma, dbeta)
	if dx.Valid() {
		_, _, ldd, _ := normRows(dx)
		ds := slice[T](dx)
		d.reserve(3 * c * sizeOf[T]())
		phases = append(phases, phase{
			n: n,
			run: func(part, worker int) { // dx = k dy - a - b (x-mean)
				total := sharedOf[float64](d, 0, 2*c)
				kab := scratchOf[T](d, worker, 3*c)
				k, a, b := kab[:c], kab[c:2*c], kab[2*c:3*c]
				for j := range k {
					r := float64(scales[j])
					f := r
					if gammas != nil {
						f *= float64(gammas[j])
					}
					k[j], a[j], b[j] = T(f), T(f*total[j]/float64(m)), T(f*r*r*total[c+j]/float64(m))
				}
				mu := means[:c]
				for i := part * block; i < min(m, (part+1)*block); i++ {
					px, py, to := xs[i*ldx:][:len(mu)], ys[i*ldy:][:len(mu)], ds[i*ldd:][:len(mu)]
					k, a, b := k[:len(mu)], a[:len(mu)], b[:len(mu)]
					for j, u := range mu {
						to[j] = py[j]*k[j] - a[j] - (px[j]-u)*b[j]
					}
				}
			},
		})
	}
	d.enqueue("BatchNormGrad", writes, present(dy, x, mean, rstd, gamma), 8*float64(m)*float64(c), phases...)
}
