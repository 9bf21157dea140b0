package main

// Kernels of optim.go of package simd. Arrays: weights, then what else is written, then gradients. Numbers: those of
// simd.SGD and simd.Adam in the order of their fields.

// step is what SGD and Adam do first: the weight after decoupled decay, and the gradient with what else is in it. g is the
// array of gradients.
func (b *body) step(g int) (x, v val) {
	shrink, scale, decay := b.param(0), b.param(1), b.param(2)
	x = b.mul(b.load(0), shrink)
	return x, b.fma(b.load(g), scale, b.mul(x, decay))
}

// sgd is a kernel with or without a buffer of momentum, which first fills.
func sgd(name string, buffer, first, nesterov bool) kernel {
	return kernel{name, func(b *body) []val {
		lr, momentum, damp := b.param(3), b.param(4), b.param(5)
		if !buffer {
			x, v := b.step(1)
			return []val{b.fnma(v, lr, x)}
		}
		x, v := b.step(2)
		m := v
		if !first {
			m = b.fma(b.load(1), momentum, b.mul(v, damp))
		}
		by := m
		if nesterov {
			by = b.fma(m, momentum, v)
		}
		return []val{b.fnma(by, lr, x), m}
	}}
}

// adam is a kernel with moments, and with the largest second ones where amsgrad is set.
func adam(name string, amsgrad bool) kernel {
	return kernel{name, func(b *body) []val {
		rate, root, eps, c1, b2, c2 := b.param(3), b.param(4), b.param(5), b.param(6), b.param(7), b.param(8)
		g := 3
		if amsgrad {
			g = 4
		}
		x, q := b.step(g)
		m := b.fma(b.sub(q, b.load(1)), c1, b.load(1))
		v := b.fma(b.load(2), b2, b.mul(b.mul(q, c2), q))
		outs, top := []val{0, m, v}, v
		if amsgrad {
			top = b.max(v, b.load(3))
			outs = append(outs, top)
		}
		outs[0] = b.fnma(b.div(m, b.add(b.div(b.sqrt(top), root), eps)), rate, x)
		return outs
	}}
}

var optimisers = []kernel{
	sgd("sgd", false, false, false),
	sgd("sgdFirst", true, true, false), sgd("sgdFirstNesterov", true, true, true),
	sgd("sgdMomentum", true, false, false), sgd("sgdNesterov", true, false, true),
	adam("adam", false), adam("adamMax", true),
}
