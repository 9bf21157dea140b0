package model_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/device/devicetest"
)

// devices are what the tests of numbers and storage run on: deferred runs calls late and hides its memory.
var devices = append([]string{"cpu", "deferred"}, devicetest.Accelerators()...)

func open(t *testing.T) device.Device { return openOn(t, "cpu") }

func openOn(t *testing.T, name string) device.Device {
	t.Helper()
	dev, err := device.Open(name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	return dev
}
