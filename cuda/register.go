package cuda

import "github.com/acumen-ml/acumen/device"

func init() {
	device.Register(device.Backend{
		Name:     "cuda",
		Priority: 10,
		Open: func(index int, o device.Options) (device.Device, error) {
			d, err := Open(max(index, 0))
			if err != nil {
				return nil, err // not a nil *Device in an interface
			}
			return d, nil
		},
		List:   list,
		Models: models,
		Plan: func(model string) (device.Planned, error) {
			d, err := newPlanned(model)
			if err != nil {
				return nil, err
			}
			return d, nil
		},
	})
}
