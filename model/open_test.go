package model_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
)

func open(t *testing.T) device.Device {
	t.Helper()
	dev, err := device.Open("cpu")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	return dev
}
