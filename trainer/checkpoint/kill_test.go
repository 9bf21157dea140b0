package checkpoint_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/internal/atomicfile"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
)

const childFolder = "ACUMEN_TEST_CHECKPOINT_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		fmt.Fprintln(os.Stderr, saveForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// saveForever saves one checkpoint after the other, and tells each once it is complete.
func saveForever(dir string) error {
	s, err := checkpoint.OpenStore(nil, dir, 1)
	if err != nil {
		return err
	}
	count := 0
	if c, err := s.LoadLast(); err != nil {
		return err
	} else if c != nil {
		count = int(c.Weights["fc.weight"].Data().([]float32)[0])
	}
	bulk := tensor.New(tensor.WithShape(1<<20), tensor.WithBacking(make([]uint8, 1<<20))) // 1 MB: much of the time is spent in writing
	for {
		count++
		c := small(count)
		c.Weights["bulk"] = bulk
		best := count%3 == 0
		if err := s.Save(c, best, count); err != nil {
			return err
		}
		fmt.Println(count, best)
	}
}

// A process that saves without pause is killed at random moments, until 50 of them have left a temporary file behind.
// Each time what is there loads, and is not older than what was last reported complete.
func TestKill(t *testing.T) {
	moments := 50
	if testing.Short() {
		moments = 6
	}
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(7, 8))
	last, best, kills := 0, 0, 0
	start := time.Now()
	for hits := 0; hits < moments; kills++ {
		require.Less(t, kills, 40*moments, "%d kills left %d temporary files", kills, hits)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childFolder+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		told := bufio.NewScanner(out)
		after := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }) // should it never tell anything
		var first time.Time
		for count := 1; told.Scan(); count++ {
			var n int
			var better bool
			_, err := fmt.Sscan(told.Text(), &n, &better)
			require.NoError(t, err, "%q", told.Text())
			last = n
			if better {
				best = n
			}
			switch count {
			case 1:
				first = time.Now()
			case 2: // the time of one checkpoint is known
				after.Stop()
				after = time.AfterFunc(time.Duration(rnd.Float64()*float64(time.Since(first))), func() { _ = cmd.Process.Kill() })
			}
		}
		after.Stop()
		_ = cmd.Wait() // it was killed
		require.False(t, cmd.ProcessState.Success())

		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			if atomicfile.IsTemp(e.Name()) {
				hits++
				break
			}
		}
		c, err := checkpoint.Load(filepath.Join(dir, checkpoint.Last))
		got := markOf(t, c, err)
		require.True(t, got >= last && got <= last+1, "last is %d, %d was completed", got, last)
		last = got
		if _, err := os.Stat(filepath.Join(dir, checkpoint.Best)); os.IsNotExist(err) {
			require.Zero(t, best, "best is gone")
			continue
		}
		c, err = checkpoint.Load(filepath.Join(dir, checkpoint.Best))
		got = markOf(t, c, err)
		require.True(t, got >= best && got <= last+1, "best is %d, %d was completed, last is %d", got, best, last)
	}
	s, err := checkpoint.OpenStore(nil, dir, 1)
	require.NoError(t, err)
	c, err := s.LoadLast()
	assert.Equal(t, last, markOf(t, c, err))
	t.Logf("%d kills, %d of which left a temporary file, %d checkpoints, %.1f s", kills, moments, last, time.Since(start).Seconds())
}
