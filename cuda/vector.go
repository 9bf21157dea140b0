package cuda

import "github.com/acumen-ml/acumen/device"

// The element types that the kernels of contiguous memory are made for, in the order of their kernels.
var flatTypes = [...]device.DType{device.F32, device.F16, device.BF16}

// flatKernel is the kernel for the first k operands if they lie side by side, begin at multiples of 16 bytes, and have
// one of flatTypes.
func (n *nest) flatKernel(k int, kernels *[len(flatTypes)]kernelID) (kernelID, bool) {
	for _, o := range n.op[:k] {
		if o.data%16 != 0 {
			return 0, false
		}
	}
	for i, t := range flatTypes {
		if n.flat(k, t) {
			return kernels[i], true
		}
	}
	return 0, false
}

// perPack is how many elements a thread of a flat kernel takes at a time.
func (n *nest) perPack() int { return 16 / device.DType(n.op[0].typ).Size() }

// fours reports whether the first k operands, none of them f64, can be read and written four neighbours at a time, as
// get4 and put4 of vector.cuh do: along the innermost axis the elements lie side by side, or are all the same one.
func (n *nest) fours(k int) bool {
	r := n.rank - 1
	if n.n < 4 || r > 0 && n.dim[r]%4 != 0 {
		return false
	}
	for i, o := range n.op[:k] {
		if i > 0 && o.str[r] == 0 {
			continue
		}
		if o.str[r] != 1 || o.data%uintptr(4*device.DType(o.typ).Size()) != 0 {
			return false
		}
		for _, s := range o.str[:r] {
			if s%4 != 0 {
				return false
			}
		}
	}
	return true
}

// paths are the kernels of an elementwise function that calculates in f32.
type paths struct {
	flat       [len(flatTypes)]kernelID
	four, each kernelID
}

// f32Paths names the kernels of a file that begin with this.
func f32Paths(file, name string) paths {
	p := paths{four: kernel(file, name+"_four"), each: kernel(file, name+"_each")}
	for i, t := range flatTypes {
		p.flat[i] = kernel(file, name+"_flat_"+t.String())
	}
	return p
}

// choose is the fastest kernel for the first k operands, and the number of threads that it has work for.
func (p *paths) choose(n *nest, k int) (id kernelID, threads int) {
	if id, ok := n.flatKernel(k, &p.flat); ok {
		per := n.perPack()
		return id, (int(n.n) + per - 1) / per
	}
	if n.fours(k) {
		return p.four, (int(n.n) + 3) / 4
	}
	return p.each, int(n.n)
}
