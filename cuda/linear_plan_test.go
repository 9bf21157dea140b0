package cuda

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/device"
)

// cublasLt is asked for what tensor cores read 16 bytes at a time, and for nothing that it computes otherwise than the op
// says.
func TestPlanLinear(t *testing.T) {
	all := abilities{blas: true, fuse: true, tensor: true, tf32: true}
	f16, f32, bf16 := device.F16, device.F32, device.BF16
	v := func(typ device.DType, dims ...int) device.View { return device.Make(&memory{}, typ, 0, dims...) }
	type call struct {
		what       string
		y, x, w, b device.View
		act        device.UnOp
		can        abilities
		want       bool
	}
	plain := func(what string, typ device.DType, m, n, k int, act device.UnOp, can abilities, want bool) call {
		return call{what, v(typ, m, n), v(typ, m, k), v(typ, n, k), v(typ, n), act, can, want}
	}
	shifted := v(f16, 33)
	shifted.Off, shifted.Dim[0] = 1, 32
	for _, c := range []call{
		plain("f16", f16, 64, 32, 16, device.Identity, all, true),
		plain("relu", f16, 64, 32, 16, device.Relu, all, true),
		plain("bf16", bf16, 3, 8, 8, device.Relu, all, true),
		plain("one row", f16, 1, 8, 8, device.Relu, all, true),
		plain("tf32", f32, 64, 4, 12, device.Relu, all, true),
		plain("f32 proper", f32, 64, 32, 16, device.Relu, abilities{blas: true, fuse: true, tensor: true}, false),
		plain("Turing", f16, 64, 32, 16, device.Relu, abilities{blas: true, fuse: true}, false),
		plain("no cublasLt", f16, 64, 32, 16, device.Relu, abilities{blas: true, tensor: true}, false),
		plain("exact GELU", f16, 64, 32, 16, device.Gelu, all, false),
		plain("GELU by tanh", f16, 64, 32, 16, device.GeluTanh, all, false),
		plain("f64", device.F64, 64, 32, 16, device.Relu, all, false),
		plain("10 classes", f16, 64, 10, 16, device.Identity, all, false),
		plain("odd depth", f16, 64, 32, 15, device.Identity, all, false),
		plain("no rows", f16, 0, 32, 16, device.Identity, all, false),
		{"no bias", v(f16, 4, 8), v(f16, 4, 8), v(f16, 8, 8), device.View{}, device.Relu, all, false},
		{"f32 bias", v(f16, 4, 8), v(f16, 4, 8), v(f16, 8, 8), v(f32, 8), device.Relu, all, false},
		{"f32 output", v(f32, 4, 8), v(f16, 4, 8), v(f16, 8, 8), v(f16, 8), device.Relu, all, false},
		{"rows apart", v(f16, 4, 8), v(f16, 4, 24).Slice(1, 0, 8, 1), v(f16, 8, 8), v(f16, 8), device.Relu, all, true},
		{"rows oddly apart", v(f16, 4, 8), v(f16, 4, 12).Slice(1, 0, 8, 1), v(f16, 8, 8), v(f16, 8), device.Relu, all, false},
		{"backwards", v(f16, 4, 8), v(f16, 4, 8).Flip(0), v(f16, 8, 8), v(f16, 8), device.Relu, all, false},
		{"repeated rows", v(f16, 4, 8), v(f16, 1, 8).Broadcast(4, 8), v(f16, 8, 8), v(f16, 8), device.Relu, all, false},
		{"transposed", v(f16, 8, 8), v(f16, 8, 8).T(), v(f16, 8, 8), v(f16, 8), device.Relu, all, false},
		{"bias not aligned", v(f16, 4, 32), v(f16, 4, 8), v(f16, 32, 8), shifted, device.Relu, all, false},
	} {
		p, ok := planLinear(c.y, c.x, c.w, c.b, c.act, c.can)
		assert.Equal(t, c.want, ok, c.what)
		if ok {
			assert.Equal(t, [3]int{c.y.D(0), c.y.D(1), c.x.D(1)}, [3]int{p.M, p.N, p.K}, c.what)
			assert.Equal(t, c.act == device.Relu, p.Epilogue == driver.AddBiasRelu, c.what)
			assert.GreaterOrEqual(t, linearPrimer(&p), (max(p.M*p.K, p.N*p.K)+p.M*p.N)*c.y.Type.Size(), c.what)
		}
	}
}
