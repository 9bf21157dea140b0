package device

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withBackends runs f with no back-ends but these.
func withBackends(t *testing.T, f func(), all ...Backend) {
	old := registry
	t.Cleanup(func() { registry = old })
	registry = nil
	for _, b := range all {
		Register(b)
	}
	f()
}

func TestOpenWithNothingRegistered(t *testing.T) {
	withBackends(t, func() {
		for _, spec := range []string{"auto", "cpu", "cuda:0"} {
			_, err := Open(spec)
			var e *OpenError
			require.ErrorAs(t, err, &e)
			assert.Contains(t, e.Error(), "no back-end is registered")
			assert.Contains(t, e.Hint(), "acumen/device/all")
		}
		assert.Empty(t, List())
	})
}

// named is a device that knows its name only.
type named struct {
	Device
	name string
}

func (n named) Name() string { return n.name }

func backend(name string, priority int, err error) Backend {
	return Backend{
		Name: name, Priority: priority,
		Open: func(int, Options) (Device, error) {
			if err != nil {
				return nil, &OpenError{name, err.Error(), "buy one"}
			}
			return named{name: name}, nil
		},
		List: func() []Info { return []Info{{Name: name}} },
	}
}

// auto takes the first that works, by priority; a name never falls back to another device; a back-end of negative
// priority is opened by its name alone.
func TestOpenOrder(t *testing.T) {
	broken := errors.New("no driver")
	for _, c := range []struct {
		spec, want, say string
		all             []Backend
	}{
		{"auto", "fast", "", []Backend{backend("slow", 0, nil), backend("fast", 5, nil)}},
		{"", "slow", "", []Backend{backend("slow", 0, nil), backend("fast", 5, broken)}},
		{"fast", "", "no driver", []Backend{backend("slow", 0, nil), backend("fast", 5, broken)}},
		{"slow", "slow", "", []Backend{backend("slow", 0, nil), backend("fast", 5, nil)}},
		{"auto", "", "no driver", []Backend{backend("slow", 0, broken), backend("test", -1, nil)}},
		{"test", "test", "", []Backend{backend("slow", 0, nil), backend("test", -1, nil)}},
		{"tpu", "", "no such device", []Backend{backend("slow", 0, nil)}},
	} {
		withBackends(t, func() {
			d, err := Open(c.spec)
			if c.say != "" {
				require.ErrorContains(t, err, c.say)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, d.Name())
			for _, info := range List() {
				assert.NotEqual(t, "test", info.Name)
			}
		}, c.all...)
	}
	withBackends(t, func() {
		assert.PanicsWithValue(t, "device.Register: slow twice", func() { Register(backend("slow", 1, nil)) })
	}, backend("slow", 0, nil))
}

// Find says what Open would do, from the lists alone.
func TestFind(t *testing.T) {
	list := func(name string, priority int, infos ...Info) Backend {
		return Backend{Name: name, Priority: priority, List: func() []Info { return infos }, Open: func(int, Options) (Device, error) { panic("opened") }}
	}
	cpu := list("cpu", 0, Info{Name: "cpu", Description: "slow"})
	two := list("cuda", 10, Info{Name: "cuda:0", Reason: "lost"}, Info{Name: "cuda:1", Description: "fast"})
	none := list("cuda", 10, Info{Name: "cuda:0", Reason: "no driver"})
	one := list("cuda", 10, Info{Name: "cuda:0", Description: "fast"})
	for _, c := range []struct {
		spec, want, say string
		all             []Backend
	}{
		{"auto", "cpu", "", []Backend{cpu, none}},
		{"", "cuda:0", "", []Backend{cpu, one}},
		{"auto", "", "no device can be used", []Backend{none}},
		{"cpu", "cpu", "", []Backend{cpu, none}},
		{"cuda", "cuda:0", "", []Backend{cpu, one}},
		{"cuda", "", `device "cuda": lost`, []Backend{cpu, two}},
		{"cuda:1", "cuda:1", "", []Backend{cpu, two}},
		{"cuda:2", "", "there are cuda:0 to cuda:1", []Backend{cpu, two}},
		{"cuda:1", "", "there is only cuda:0", []Backend{cpu, one}},
		{"cuda:3", "", "no driver", []Backend{cpu, none}},
		{"cuda", "", "built without the CUDA back-end", []Backend{cpu}},
		{"tpu", "", "no such device", []Backend{cpu, one}},
	} {
		withBackends(t, func() {
			got, err := Find(c.spec)
			if c.say == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.say)
				assert.NotEmpty(t, err.(*OpenError).Hint())
			}
			assert.Equal(t, c.want, got.Name)
		}, c.all...)
	}
}
