package main

import (
	"fmt"
	"strings"
)

// getter moves an argument to a register.
type getter func(arg, reg string)

// kernel begins the function of an instruction set that Go declares as name_isa, with arguments of 8 bytes each.
func (f *file) kernel(i isa, name string, args ...string) getter {
	place := map[string]int{}
	for n, a := range args {
		place[a] = 8 * n
	}
	f.text(fmt.Sprintf("·%s_%s", name, i.name), 8*len(args))
	return func(arg, reg string) {
		at, ok := place[arg]
		if !ok {
			panic(name + " has no argument " + arg)
		}
		f.op("MOVQ %s+%d(FP), %s", arg, at, reg)
	}
}

// end returns.
func (f *file) end() {
	f.op("VZEROUPPER")
	f.op("RET")
}

// fenceFile is simd.fence.
func fenceFile() *file {
	f := newFile("Order of stores, see Fence.")
	f.text("·fence", 0)
	f.op("SFENCE")
	f.op("RET")
	return f
}

// cpuidFile is simd.cpuid.
func cpuidFile() *file {
	f := newFile("What the processor says of itself, see cpuid.")
	f.text("·cpuid", 24)
	f.op("MOVL leaf+0(FP), AX")
	f.op("MOVL sub+4(FP), CX")
	f.op("CPUID")
	for n, reg := range []string{"AX", "BX", "CX", "DX"} {
		f.op("MOVL %s, %s+%d(FP)", reg, strings.ToLower(reg[:1]), 8+4*n)
	}
	f.op("RET")
	return f
}
