//go:build cuda

package cuda

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/devicetest"
)

// TestConformance runs the suite that every device passes, on the first GPU or on its stand-in.
func TestConformance(t *testing.T) {
	devicetest.Run(t, func() device.Device {
		d, err := Open(0)
		require.NoError(t, err)
		return d
	})
}
