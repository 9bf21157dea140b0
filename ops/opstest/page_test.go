package opstest_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/device/devicetest"
	"github.com/acumen-ml/acumen/ops/opstest"
	"github.com/acumen-ml/acumen/testdata/golden"
)

var to = flag.String("page", "", "a file to which docs/ops-errors.md is written, with what a run of the table shows")

const page, begin, end = "../../docs/ops-errors.md", "<!-- figures: made by make ops-errors -->\n", "<!-- end of figures -->"

// TestPage holds the page to the table's ops and their cases. Figures differ a little from one processor to another: with
// -page it runs the table and writes them. It runs where make test-cuda runs it: who has no C++ compiler cannot write the
// page, and can add an op all the same.
func TestPage(t *testing.T) {
	if len(devicetest.Accelerators()) == 0 {
		t.Skip("the page is made with the stand-in's GPU: make test-cuda holds it to the table")
	}
	b, err := os.ReadFile(page)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(b), begin)
	require.True(t, ok)
	old, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	byOp, _ := opstest.GoldenFiles(t, golden.Files)
	if *to == "" {
		for _, line := range strings.Split(strings.TrimSpace(opstest.Figures{}.Page(nil, byOp)), "\n")[2:] {
			assert.Contains(t, old, "\n"+line, "make ops-errors writes it")
		}
		return
	}
	devs := devices(t)
	seen := opstest.RunTable(t, devs)
	seen.Add(opstest.RunTableInHalfPrecision(t, devs))
	names, said := []string{"cpu"}, ""
	names = append(names, devicetest.Accelerators()...)
	for _, name := range names {
		d, err := device.Open(name)
		require.NoError(t, err)
		said += "* " + name + ": " + device.Describe(d) + "\n"
		require.NoError(t, d.Close())
	}
	text := head + begin + said + "\n" + seen.Page(names, byOp) + end + tail
	require.NoError(t, os.WriteFile(*to, []byte(text), 0o666))
}
