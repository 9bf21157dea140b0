//go:build cuda

package cuda

import "github.com/acumen-ml/acumen/device"

func init() {
	device.Register(device.Backend{
		Name:     "cuda",
		Priority: 10,
		Open:     func(index int, o device.Options) (device.Device, error) { return Open(max(index, 0)) },
		List:     list,
	})
}
