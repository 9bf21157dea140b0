package main

// depthwiseAdd writes the kernel of DepthwiseAdd.
func depthwiseAdd(f *file, i isa) {
	get := f.kernel(i, "depthwiseAdd", "y", "x", "w", "rows", "c", "yStride", "xStride")
	get("c", "CX")
	get("yStride", "R8")
	get("xStride", "R9")
	f.op("SHLQ $2, R8")
	f.op("SHLQ $2, R9")
	f.eachColumns(i, get, func(c *columns) {
		w, y, x := 0, c.vecs, 2*c.vecs
		c.loads("w", w)
		c.row("y", "DI")
		c.row("x", "SI")
		c.eachRow(func() {
			for v := range c.vecs {
				c.load(c.vec(v, "DI"), c.v(y+v))
				c.op("VFMADD231PS %s, %s, %s", c.operand(c.vec(v, "SI"), c.v(x)), c.v(w+v), c.v(y+v))
				c.store(c.v(y+v), c.vec(v, "DI"))
			}
			c.op("ADDQ R8, DI")
			c.op("ADDQ R9, SI")
		})
	})
	f.end()
}

// depthwiseSum writes the kernel of DepthwiseSum.
func depthwiseSum(f *file, i isa) {
	get := f.kernel(i, "depthwiseSum", "w", "x", "y", "rows", "c", "xStride", "yStride")
	get("c", "CX")
	get("xStride", "R8")
	get("yStride", "R9")
	f.op("SHLQ $2, R8")
	f.op("SHLQ $2, R9")
	f.eachColumns(i, get, func(c *columns) {
		w, y, x := 0, c.vecs, 2*c.vecs
		c.loads("w", w)
		c.row("x", "SI")
		c.row("y", "DI")
		c.eachRow(func() {
			for v := range c.vecs {
				c.load(c.vec(v, "DI"), c.v(y+v))
				c.op("VFMADD231PS %s, %s, %s", c.operand(c.vec(v, "SI"), c.v(x)), c.v(y+v), c.v(w+v))
			}
			c.op("ADDQ R8, SI")
			c.op("ADDQ R9, DI")
		})
		c.row("w", "AX")
		for v := range c.vecs {
			c.store(c.v(w+v), c.vec(v, "AX"))
		}
	})
	f.end()
}

func depthwiseFile(i isa) *file {
	f := newFile("Depthwise convolution, see depthwise.go.")
	f.masks(i)
	depthwiseAdd(f, i)
	depthwiseSum(f, i)
	return f
}
