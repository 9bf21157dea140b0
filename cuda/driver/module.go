//go:build cuda

package driver

// #include "driver.h"
import "C"
import (
	"unsafe"

	"gorgonia.org/cu"
)

// Module is machine code that was loaded into a context.
type Module struct {
	ctx *Context
	m   cu.Module
}

// LoadModule loads a cubin, a fat binary or PTX.
func (c *Context) LoadModule(image []byte) (*Module, error) {
	m := &Module{ctx: c}
	err := c.do("cuModuleLoadData", func() (err error) {
		m.m, err = cu.LoadData(string(image))
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Unload removes the module; its functions must not be used after.
func (m *Module) Unload() error { return m.ctx.do("cuModuleUnload", m.m.Unload) }

// Function is a kernel in a module.
type Function struct {
	ctx  *Context
	name string
	f    cu.Function
	h    C.CUfunction
}

// Function finds a kernel by name; the error says which was looked for.
func (m *Module) Function(name string) (*Function, error) {
	f := &Function{ctx: m.ctx, name: name}
	err := m.ctx.do("cuModuleGetFunction("+name+")", func() (err error) {
		f.f, err = m.m.Function(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	f.h = *(*C.CUfunction)(unsafe.Pointer(&f.f))
	return f, nil
}

// Name is the kernel's name.
func (f *Function) Name() string { return f.name }

// Attribute asks for a number of CUfunction_attribute.
func (f *Function) Attribute(a int) (v int, err error) {
	err = f.ctx.do("cuFuncGetAttribute("+f.name+")", func() (err error) {
		v, err = f.f.Attribute(cu.FunctionAttribute(a))
		return err
	})
	return v, err
}

// SetMaxShared lets launches ask for so many bytes of dynamic shared memory; without it 48 KiB is the limit.
func (f *Function) SetMaxShared(bytes int) error {
	return check("cuFuncSetAttribute("+f.name+")", C.acu_function_set(f.ctx.c, f.h, FuncMaxDynamicShared, C.int(bytes)))
}

// Occupancy is how many blocks of so many threads and bytes of dynamic shared memory run on a multiprocessor at once.
func (f *Function) Occupancy(threads, shared int) (blocks int, err error) {
	err = f.ctx.do("cuOccupancyMaxActiveBlocksPerMultiprocessor("+f.name+")", func() (err error) {
		blocks, err = f.f.MaxActiveBlocksPerMultiProcessor(threads, int64(shared))
		return err
	})
	return blocks, err
}
