package bundle

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/acumen-ml/acumen/device"
)

// bench measures calls on a device.
type bench struct {
	d      device.Device
	dry    bool
	mems   []device.Memory
	stream uint32
	state  device.View
}

// cache is more than any GPU's second-level cache: what a call works on is taken from so many bytes in turn, so that it
// comes from memory.
const cache = 256 << 20

func newBench(j *Job) (*bench, error) {
	d, err := device.Open(j.Device)
	if err != nil {
		return nil, err
	}
	b := &bench{d: d, dry: j.Dry}
	if b.state, err = b.view(device.I32, 4); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.Fill(b.state, 5)
	return b, nil
}

func (b *bench) close() error {
	b.free(0)
	return b.d.Close()
}

// free gives back all memory but the first keep pieces.
func (b *bench) free(keep int) {
	for _, m := range b.mems[keep:] {
		m.Free()
	}
	b.mems = b.mems[:keep]
}

func (b *bench) view(typ device.DType, dims ...int) (device.View, error) {
	v := device.Make(nil, typ, 0, dims...)
	m, err := b.d.Alloc(max(v.Len()*typ.Size(), 4))
	if err != nil {
		return v, err
	}
	b.mems = append(b.mems, m)
	v.Mem = m
	return v, nil
}

// random is a view of random numbers: normal ones, or bytes. Other integers are all 1.
func (b *bench) random(typ device.DType, dims ...int) (device.View, error) {
	v, err := b.view(typ, dims...)
	if err != nil {
		return v, err
	}
	b.stream++
	switch typ {
	case device.U8:
		b.d.Random(device.Make(v.Mem, device.I32, 0, v.Mem.Bytes()/4), device.Bits, b.state, b.stream)
	case device.I32:
		b.d.Fill(v, 1)
	default:
		b.d.Random(v, device.Normal, b.state, b.stream)
	}
	return v, nil
}

const (
	replays = 7
	// leastGraph is what a replay must take, so that what the host does round it is nothing beside it.
	leastGraph = 4 * time.Millisecond
)

// time gives the median time of a call over replays of a graph. The calls work on different memory in turn.
func (b *bench) time(calls []func() error) (time.Duration, error) {
	run := func(n int) error {
		for i := range n {
			if err := calls[i%len(calls)](); err != nil {
				return err
			}
		}
		return nil
	}
	if err := run(len(calls)); err != nil {
		return 0, err
	}
	if err := b.d.Sync(); err != nil {
		return 0, err
	}
	n := len(calls)
	for {
		t, err := b.replay(n, run, 2)
		if err != nil {
			return 0, err
		}
		if b.dry || t >= leastGraph || n >= 4096 {
			break
		}
		n = min(4096, max(2*n, int(1.3*float64(n)*float64(leastGraph)/float64(max(t, time.Microsecond)))))
	}
	t, err := b.replay(n, run, pick(&Job{Settings: Settings{Dry: b.dry}}, replays, 1))
	return t / time.Duration(n), err
}

// replay captures n calls and gives the median time of so many launches, after one that is not counted.
func (b *bench) replay(n int, run func(n int) error, times int) (time.Duration, error) {
	var failed error
	g, err := b.d.Capture(func() { failed = run(n) })
	if err = errors.Join(failed, err); err != nil {
		return 0, err
	}
	defer g.Close()
	var all []time.Duration
	for i := range times + 1 {
		begin := time.Now()
		g.Launch()
		if err := b.d.Sync(); err != nil {
			return 0, err
		}
		if i > 0 {
			all = append(all, time.Since(begin))
		}
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// measure gives the time of a case. Memory is taken for it and given back.
func (b *bench) measure(c speedCase) (t time.Duration, err error) {
	keep := len(b.mems)
	defer func() {
		b.free(keep)
		err = errors.Join(err, b.d.Sync())
	}()
	prepare, ok := kernelCalls[c.Kind]
	if !ok {
		return 0, fmt.Errorf("no call is known as %s", c.Kind)
	}
	if k, ok := device.As[interface{ TF32(on bool) bool }](b.d); ok {
		k.TF32(c.Type == "tf32")
	}
	sets := 1
	if !b.dry {
		sets = min(16, int(cache/c.bytes())+1)
	}
	var calls []func() error
	for range sets {
		call, err := prepare(b, c)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", c, err)
		}
		calls = append(calls, call)
	}
	if t, err = b.time(calls); err != nil {
		err = fmt.Errorf("%s: %w", c, err)
	}
	return t, err
}
