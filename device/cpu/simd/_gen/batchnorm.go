package main

// channelSums writes the kernel of ChannelSums: sums of a few rows, added to f64.
func channelSums(f *file, i isa) {
	get := f.kernel(i, "channelSums", "sum", "sq", "x", "shift", "rows", "c", "stride")
	get("c", "CX")
	get("stride", "R8")
	f.op("SHLQ $2, R8")
	next := f.behind(get, [3]string{"x", "R8", "R11"})
	f.eachColumns(i, get, func(c *columns) {
		shift, sum, sq, x := 0, c.vecs, 2*c.vecs, 3*c.vecs
		c.loads("shift", shift)
		c.zero(sum)
		c.zero(sq)
		c.row("x", "SI")
		c.eachRowAhead(next, func() {
			for v := range c.vecs {
				c.load(c.vec(v, "SI"), c.v(x+v))
			}
			for v := range c.vecs {
				c.op("VSUBPS %s, %s, %s", c.v(shift+v), c.v(x+v), c.v(x+v))
			}
			for v := range c.vecs {
				c.op("VADDPS %s, %s, %s", c.v(x+v), c.v(sum+v), c.v(sum+v))
				c.op("VFMADD231PS %[1]s, %[1]s, %[2]s", c.v(x+v), c.v(sq+v))
			}
			c.op("ADDQ R8, SI")
		})
		c.addWide("sum", sum, shift, x)
		c.addWide("sq", sq, shift, x)
	})
	f.end()
}

// gradSums writes the kernel of GradSums, as channelSums.
func gradSums(f *file, i isa) {
	get := f.kernel(i, "gradSums", "sum", "dot", "dy", "x", "mean", "rows", "c", "dyStride", "xStride")
	get("c", "CX")
	get("dyStride", "R8")
	get("xStride", "R9")
	f.op("SHLQ $2, R8")
	f.op("SHLQ $2, R9")
	next := f.behind(get, [3]string{"dy", "R8", "R11"}, [3]string{"x", "R9", "R12"})
	f.eachColumns(i, get, func(c *columns) {
		mean, sum, dot, spare := 0, c.vecs, 2*c.vecs, 3*c.vecs
		c.loads("mean", mean)
		c.zero(sum)
		c.zero(dot)
		c.row("dy", "DI")
		c.row("x", "SI")
		c.eachRowAhead(next, func() {
			for v := range c.vecs {
				dy, x := c.v(spare+v%2*2), c.v(spare+v%2*2+1)
				c.load(c.vec(v, "DI"), dy)
				c.load(c.vec(v, "SI"), x)
				c.op("VSUBPS %s, %s, %s", c.v(mean+v), x, x)
				c.op("VADDPS %s, %s, %s", dy, c.v(sum+v), c.v(sum+v))
				c.op("VFMADD231PS %s, %s, %s", dy, x, c.v(dot+v))
			}
			c.op("ADDQ R8, DI")
			c.op("ADDQ R9, SI")
		})
		c.addWide("sum", sum, mean, spare)
		c.addWide("dot", dot, mean, spare)
	})
	f.end()
}

// activation is what a kernel does to a register before it stores it: prepare sets registers from spare on, apply uses
// them.
type activation struct {
	name    string
	prepare func(c *columns, spare int)
	apply   func(c *columns, reg string, spare int)
}

var activations = []activation{
	{"", func(*columns, int) {}, func(*columns, string, int) {}},
	{"Relu",
		func(c *columns, spare int) { c.op("VXORPS %[1]s, %[1]s, %[1]s", c.v(spare)) },
		func(c *columns, reg string, spare int) {
			c.op("VMAXPS %[1]s, %[2]s, %[1]s", reg, c.v(spare)) // of two, the second where one is NaN: NaN stays
		}},
}

// normalise writes the kernel of Normalise with an activation.
func normalise(f *file, i isa, act activation) {
	get := f.kernel(i, "normalise"+act.name, "y", "x", "mean", "scale", "shift", "rows", "c", "yStride", "xStride", "stream")
	get("y", "DI")
	get("x", "SI")
	get("mean", "R10")
	get("scale", "R11")
	get("shift", "R12")
	f.rowByRow(i, get, []string{"DI", "yStride", "SI", "xStride"}, func(c *columns, store func(src, at string)) {
		x, scale, spare := 0, c.vecs, 2*c.vecs
		act.prepare(c, spare+1)
		for v := range c.vecs {
			c.load(c.vec(v, "SI"), c.v(x+v))
			c.load(c.vec(v, "R11"), c.v(scale+v))
			c.op("VSUBPS %s, %s, %s", c.operand(c.vec(v, "R10"), c.v(spare)), c.v(x+v), c.v(x+v))
			c.op("VFMADD213PS %s, %s, %s", c.operand(c.vec(v, "R12"), c.v(spare)), c.v(scale+v), c.v(x+v))
			act.apply(c, c.v(x+v), spare+1)
			store(c.v(x+v), c.vec(v, "DI"))
		}
	})
}

// normaliseGrad writes the kernel of NormaliseGrad.
func normaliseGrad(f *file, i isa) {
	get := f.kernel(i, "normaliseGrad", "dx", "dy", "x", "mean", "k", "a", "b", "rows", "c", "dxStride", "dyStride", "xStride", "stream")
	for n, arg := range []string{"dx", "dy", "x", "mean", "k", "a", "b"} {
		get(arg, []string{"DI", "DX", "SI", "R10", "R11", "R12", "BX"}[n])
	}
	f.rowByRow(i, get, []string{"DI", "dxStride", "DX", "dyStride", "SI", "xStride"}, func(c *columns, store func(src, at string)) {
		x, g, spare := 0, c.vecs, c.v(2*c.vecs)
		for v := range c.vecs {
			x, g := c.v(x+v), c.v(g+v)
			c.load(c.vec(v, "SI"), x)
			c.op("VSUBPS %s, %s, %s", c.operand(c.vec(v, "R10"), spare), x, x)
			c.load(c.vec(v, "BX"), g)
			c.op("VFMADD213PS %s, %s, %s", c.operand(c.vec(v, "R12"), spare), g, x)
			c.load(c.vec(v, "DX"), g)
			c.op("VFMADD231PS %s, %s, %s", c.operand(c.vec(v, "R11"), spare), g, x)
			store(x, c.vec(v, "DI"))
		}
	})
}

func batchNormFile(i isa) *file {
	f := newFile("Batch norm, see batchnorm.go.")
	f.masks(i)
	channelSums(f, i)
	gradSums(f, i)
	for _, act := range activations {
		normalise(f, i, act)
	}
	normaliseGrad(f, i)
	return f
}
