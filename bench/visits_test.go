package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/bench/peer"
)

// fake says what a call takes, and writes down who was asked.
type fake struct {
	name  string
	takes []time.Duration // one after the other; the last stays
	fails int             // the number of the call that fails, from 1 on
	log   *[]string
	calls int
}

func (f *fake) Time(c peer.Case, threads, skip, calls int) (time.Duration, error) {
	f.calls++
	*f.log = append(*f.log, fmt.Sprintf("%s %d+%d", f.name, skip, calls))
	if f.calls == f.fails {
		return 0, errors.New("paper jam")
	}
	return f.takes[min(f.calls, len(f.takes))-1], nil
}

func (f *fake) Drop() error { return nil }

func TestVisitsAlternate(t *testing.T) {
	var log []string
	const ms = time.Millisecond
	a := &fake{name: "A", takes: []time.Duration{40 * ms, 10 * ms, 20 * ms, 30 * ms}, log: &log}
	b := &fake{name: "B", takes: []time.Duration{400 * ms, 200 * ms}, log: &log}
	p := pace{rounds: 3, visit: 100 * ms, budget: time.Minute}
	got := p.compare(peer.Case{}, 1, []side{{"A", a}, {"B", b}})
	assert.Equal(t, "A 0+1, B 0+1, A 1+2, B 0+1, A 1+10, B 0+1, A 1+5, B 0+1", strings.Join(log, ", "),
		"one call tells how long it takes; then as many as fill a visit, after one that is not timed if it is short")
	assert.Equal(t, []float64{0.01, 0.02, 0.03}, got[0].seconds)
	assert.Equal(t, []float64{0.2, 0.2, 0.2}, got[1].seconds)
}

func TestVisitsEnd(t *testing.T) {
	var log []string
	slow := &fake{name: "A", takes: []time.Duration{time.Hour}, log: &log}
	bad := &fake{name: "B", takes: []time.Duration{time.Second}, fails: 2, log: &log}
	p := pace{rounds: 5, visit: time.Second, budget: time.Minute}
	got := p.compare(peer.Case{}, 1, []side{{"A", slow}, {"B", bad}})
	assert.Equal(t, "A 0+1, B 0+1, B 1+1", strings.Join(log, ", "))
	assert.Equal(t, []float64{3600}, got[0].seconds, "one call beyond the budget is all that is measured")
	require.ErrorContains(t, got[1].err, "paper jam")
	assert.Empty(t, got[1].seconds)

	skip, timed := p.calls(2 * time.Second)
	assert.Equal(t, [2]int{0, 1}, [2]int{skip, timed}, "so long a call warms up by itself")
	skip, timed = p.calls(0)
	assert.Equal(t, [2]int{1, mostCalls}, [2]int{skip, timed})
	skip, timed = p.calls(time.Nanosecond)
	assert.Equal(t, [2]int{1, mostCalls}, [2]int{skip, timed})
}

// A call is as many operations as were asked for: a kernel that ran none would seem faster than any processor.
func TestKernelAlone(t *testing.T) {
	const operations = 2e8
	for _, threads := range []int{1, 2} {
		d, err := kernelAlone{operations}.Time(peer.Case{}, threads, 1, 2)
		require.NoError(t, err)
		assert.Positive(t, d)
		assert.Less(t, operations/d.Seconds(), 1e12*float64(threads), "more than processors do")
	}
}
