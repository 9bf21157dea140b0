package cpu

import (
	"fmt"
	"testing"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/devicetest"
)

func TestConformance(t *testing.T) {
	for _, threads := range []int{1, 3} {
		t.Run(fmt.Sprintf("threads=%d", threads), func(t *testing.T) {
			devicetest.Run(t, func() device.Device { return Open(device.Options{Threads: threads}) })
		})
	}
}
