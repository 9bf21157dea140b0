package main

// channelSums writes the kernel of ChannelSums: sums of a few rows, added to f64.
func channelSums(f *file, i isa) {
	get := f.kernel(i, "channelSums", "sum", "sq", "x", "shift", "rows", "c", "stride")
	get("c", "CX")
	get("stride", "R8")
	f.op("SHLQ $2, R8")
	f.eachColumns(i, get, func(c *columns) {
		shift, sum, sq, x := 0, c.vecs, 2*c.vecs, 3*c.vecs
		c.loads("shift", shift)
		c.zero(sum)
		c.zero(sq)
		c.row("x", "SI")
		c.eachRow(func() {
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

// gradSums writes the kernel of NormaliseGradSums, as channelSums.
func gradSums(f *file, i isa) {
	get := f.kernel(i, "gradSums", "sum", "dot", "dy", "x", "mean", "rows", "c", "dyStride", "xStride")
	get("c", "CX")
	get("dyStride", "R8")
	get("xStride", "R9")
	f.op("SHLQ $2, R8")
	f.op("SHLQ $2, R9")
	f.eachColumns(i, get, func(c *columns) {
		mean, sum, dot, spare := 0, c.vecs, 2*c.vecs, 3*c.vecs
		c.loads("mean", mean)
		c.zero(sum)
		c.zero(dot)
		c.row("dy", "DI")
		c.row("x", "SI")
		c.eachRow(func() {
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
	get("c", "CX")
	get("yStride", "R8")
	get("xStride", "R9")
	f.op("SHLQ $2, R8")
	f.op("SHLQ $2, R9")
	f.eachColumns(i, get, func(c *columns) {
		mean, scale, shift := 0, c.vecs, 2*c.vecs
		x := func(v int) string { return c.v(3*c.vecs + v%3) }
		spare := 3*c.vecs + min(c.vecs, 3)
		c.loads("mean", mean)
		c.loads("scale", scale)
		c.loads("shift", shift)
		act.prepare(c, spare)
		c.row("y", "DI")
		c.row("x", "SI")
		c.streamed(func(store func(src, at string)) {
			c.eachRow(func() {
				for v := range c.vecs {
					c.load(c.vec(v, "SI"), x(v))
					c.op("VSUBPS %s, %s, %s", c.v(mean+v), x(v), x(v))
					c.op("VFMADD213PS %s, %s, %s", c.v(shift+v), c.v(scale+v), x(v))
					act.apply(c, x(v), spare)
					store(x(v), c.vec(v, "DI"))
				}
				c.op("ADDQ R8, DI")
				c.op("ADDQ R9, SI")
			})
		})
	})
	f.fence(get)
	f.end()
}

// normaliseGrad writes the kernel of NormaliseGrad. The parameters of four vectors fit the registers of AVX-512 only; in
// AVX2 two of them stay in memory.
func normaliseGrad(f *file, i isa) {
	get := f.kernel(i, "normaliseGrad", "dx", "dy", "x", "mean", "k", "a", "b", "rows", "c", "dxStride", "dyStride", "xStride", "stream")
	get("c", "CX")
	for n, stride := range []string{"dxStride", "dyStride", "xStride"} {
		reg := []string{"R8", "R9", "R12"}[n]
		get(stride, reg)
		f.op("SHLQ $2, %s", reg)
	}
	f.eachColumns(i, get, func(c *columns) {
		k, b, x, spare := 0, c.vecs, 2*c.vecs, c.v(3*c.vecs)
		mean := func(v int) string { return c.vec(v, "R10") }
		a := func(v int) string { return c.vec(v, "R11") }
		c.loads("k", k)
		c.loads("b", b)
		if c.isa == avx512 || c.part {
			c.loads("mean", 3*c.vecs+1)
			c.loads("a", 4*c.vecs+1)
			mean = func(v int) string { return c.v(3*c.vecs + 1 + v) }
			a = func(v int) string { return c.v(4*c.vecs + 1 + v) }
		} else {
			c.row("mean", "R10")
			c.row("a", "R11")
		}
		c.row("dx", "DI")
		c.row("dy", "DX")
		c.row("x", "SI")
		c.streamed(func(store func(src, at string)) {
			c.eachRow(func() {
				for v := range c.vecs {
					x := c.v(x + v)
					c.load(c.vec(v, "SI"), x)
					c.op("VSUBPS %s, %s, %s", mean(v), x, x)
					c.op("VFMADD213PS %s, %s, %s", a(v), c.v(b+v), x)
					c.op("VFMADD231PS %s, %s, %s", c.operand(c.vec(v, "DX"), spare), c.v(k+v), x)
					store(x, c.vec(v, "DI"))
				}
				c.op("ADDQ R8, DI")
				c.op("ADDQ R9, DX")
				c.op("ADDQ R12, SI")
			})
		})
	})
	f.fence(get)
	f.end()
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
