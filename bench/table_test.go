package main

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/bench/peak"
	"github.com/acumen-ml/acumen/bench/peer"
)

func visited(s ...float64) timing { return timing{seconds: s} }

func results() (*table, []result, peak.Rates) {
	t := &table{name: "matmul", title: "Products", unit: "GFLOP/s", scale: 1e9, kernel: true, peers: []string{tuned, openBLAS}, better: []string{tuned, openBLAS}}
	rates := peak.Rates{{Kind: peak.FMA256, Threads: 1, Best: 50}, {Kind: peak.FMA512, Threads: 1, Best: 100}}
	row := func(label string, work float64, ours, theirs, others timing) result {
		return result{entry{label: label, work: work, flops: work / 2}, 1, map[string]timing{acumen: ours, tuned: theirs, openBLAS: others, alone: visited(work/2e10, work/1.8e10, work/1e10), thePeak: visited(.01, .02, .01)}}
	}
	return t, []result{
		row("small", 1e9, visited(1, .1, .1), visited(2, .05, .2), timing{err: &peer.LacksError{Peer: openBLAS, Reason: "too small"}}),
		row("large", 2e12, visited(20, 20, 20), visited(10), visited(40, 40, 40)),
		row("broken", 1e9, visited(.1, .1, .1), timing{err: errors.New("paper jam")}, visited(.1, .1, .1)),
	}, rates
}

func TestTable(t *testing.T) {
	t.Setenv("ACUMEN_SIMD", "")
	table, rows, rates := results()
	var b strings.Builder
	require.NoError(t, table.write(&b, rows, rates, 3))
	assert.Equal(t, `
## Products

|                           | threads | acumen, GFLOP/s | kernel alone | PyTorch tuned |       ratio |    OpenBLAS |       ratio | ratio to the better of PyTorch tuned and OpenBLAS |
|---------------------------|--------:|----------------:|-------------:|--------------:|------------:|------------:|------------:|--------------------------------------------------:|
| small                     |       1 |     10.0 (0.05) |  18.0 (0.10) |   5.00 (0.02) |        2.00 |           - |           - |                                              2.00 |
| large                     |       1 |      100 (0.50) |  18.0 (0.10) |   200* (1.00) |        0.50 | 50.0 (0.25) |        2.00 |                                              0.50 |
| broken                    |       1 |     10.0 (0.05) |  18.0 (0.10) |             - |           - | 10.0 (0.05) |        1.00 |                                              1.00 |
| geometric mean (smallest) |       1 |                 |              |               | 1.00 (0.50) |             | 1.41 (1.00) |                                       1.00 (0.50) |

OpenBLAS: too small

broken: paper jam
`, b.String())

	table.peers, table.better = nil, nil
	b.Reset()
	require.NoError(t, table.write(&b, rows[:1], rates, 3))
	assert.Contains(t, b.String(), "| acumen, GFLOP/s | fastest visit | kernel alone |")
	assert.Contains(t, b.String(), "| small |       1 |     10.0 (0.05) |   10.0 (0.05) |  18.0 (0.10) |")
	assert.NotContains(t, b.String(), "geometric")
}

func TestNumbers(t *testing.T) {
	for x, want := range map[float64]string{0: "-", math.NaN(): "-", 1.234: "1.23", 9.996: "10.0", 99.94: "99.9", 99.96: "100", 999.6: "1,000", 12345: "12,345", 1234567: "1,234,567"} {
		assert.Equal(t, want, number(x), x)
	}
}

// A run counts only if tuned PyTorch reaches nine tenths of what it is known to do.
func TestVoid(t *testing.T) {
	table, rows, _ := results()
	ref := &reference{speeds: map[string][2]float64{"matmul/small": {5.5}, "matmul/large": {223}, "matmul/broken": {1}, "matmul/none": {1}}}
	slow, compared := ref.slow(table, rows)
	assert.Equal(t, []string{"Products, large, 1 thread: 200 of 223 GFLOP/s (90 %)"}, slow, "5 of 5.5 are 91 %, 200 of 223 are 89.7 %")
	assert.Equal(t, 2, compared)
	rows[1].threads = 3
	slow, compared = ref.slow(table, rows)
	assert.Empty(t, slow, "nothing is known of 3 threads")
	assert.Equal(t, 1, compared)
	slow, compared = (*reference)(nil).slow(table, rows)
	assert.Empty(t, slow, "nothing is known of this machine")
	assert.Zero(t, compared)
}

func TestReferencesNameRows(t *testing.T) {
	known := map[string]bool{}
	for _, table := range tables(options{}) {
		for _, e := range table.entries {
			known[table.name+"/"+e.label] = true
		}
	}
	for _, r := range references {
		for name := range r.speeds {
			assert.True(t, known[name], "%s: there is no row %q", r.kind, name)
		}
	}
}

func TestMachines(t *testing.T) {
	var m machine
	m.read("processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\ncpu family\t: 6\n")
	assert.Equal(t, machine{model: "AMD EPYC", family: 25, index: 17}, m)
	assert.Equal(t, "AMD EPYC, Zen 4", referenceFor(m).kind)
	assert.Equal(t, "AMD EPYC, Zen 5", referenceFor(machine{family: 26, index: 2}).kind)
	assert.Nil(t, referenceFor(machine{family: 6, index: 1}))
	assert.Positive(t, thisMachine().cpus)
}

func TestBF16IsWorthHaving(t *testing.T) {
	b := &bench{o: options{threads: []int{2}}}
	assert.False(t, b.fastBF16(), "nothing is known")
	b.rates = peak.Rates{{Kind: peak.FMA512, Threads: 2, Best: 100}}
	assert.False(t, b.fastBF16())
	b.rates = append(b.rates, peak.Rate{Kind: peak.BF16, Threads: 2, Best: 105})
	assert.False(t, b.fastBF16())
	b.rates[1].Best = 190
	assert.True(t, b.fastBF16())
	b.rates[1] = peak.Rate{Kind: peak.Tiles, Threads: 2, Best: 1000}
	assert.True(t, b.fastBF16())
	assert.Equal(t, peak.Tiles, (&table{peak: peak.BF16}).kind(2, b.rates))
}
