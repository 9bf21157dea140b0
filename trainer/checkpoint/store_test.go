package checkpoint_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/internal/atomicfile/faultfs"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
)

// markOf is the number that small was given; 0 for no checkpoint.
func markOf(t *testing.T, c *checkpoint.Checkpoint, err error) int {
	t.Helper()
	require.NoError(t, err)
	if c == nil {
		return 0
	}
	return int(c.Weights["fc.weight"].Data().([]float32)[0])
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "a")
	s, err := checkpoint.OpenStore(nil, dir, 2)
	require.NoError(t, err)
	assert.Empty(t, s.LastPath())
	assert.Empty(t, s.BestPath())
	c, err := s.LoadLast()
	assert.Equal(t, 0, markOf(t, c, err))
	c, err = s.LoadBest()
	assert.Equal(t, 0, markOf(t, c, err))

	names := func() (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	require.NoError(t, s.Save(small(1), true, 1))
	require.NoError(t, s.Save(small(2), false, 0)) // between epochs
	require.NoError(t, s.Save(small(3), false, 2))
	require.NoError(t, s.Save(small(4), true, 3))
	require.NoError(t, s.Save(small(5), false, 4))
	want := []string{checkpoint.Best, "epoch-0003.safetensors", "epoch-0004.safetensors", checkpoint.Last}
	assert.Equal(t, want, names())

	require.NoError(t, os.WriteFile(filepath.Join(dir, ".last.safetensors.tmp-99"), []byte("half"), 0o600))
	s, err = checkpoint.OpenStore(nil, dir, 1) // another process, that keeps fewer
	require.NoError(t, err)
	assert.Equal(t, want, names(), "the half-written file is gone")
	assert.Equal(t, filepath.Join(dir, checkpoint.Last), s.LastPath())
	assert.Equal(t, filepath.Join(dir, checkpoint.Best), s.BestPath())
	c, err = s.LoadLast()
	assert.Equal(t, 5, markOf(t, c, err))
	c, err = s.LoadBest()
	assert.Equal(t, 4, markOf(t, c, err))
	require.NoError(t, s.Save(small(6), false, 5))
	assert.Equal(t, []string{checkpoint.Best, "epoch-0005.safetensors", checkpoint.Last}, names())

	file := filepath.Join(dir, checkpoint.Last, "sub")
	_, err = checkpoint.OpenStore(nil, file, 0)
	assert.Equal(t, fault.Failure, fault.KindOf(err), "a folder inside a file")
	assert.Contains(t, fault.HintOf(err), "run.root")
}

// A run of saves is cut before every one of its operations. What then is on the disk loads, and is not older than what
// was completed.
func TestCrashAtEveryOperation(t *testing.T) {
	for _, loss := range []faultfs.Loss{faultfs.LoseNothing, faultfs.LoseData, faultfs.LoseDataAndNames} {
		cuts := 0
		for n := 1; ; n++ {
			d := faultfs.New()
			d.CutAt(n)
			last, best, epoch := 0, 0, 0 // completed
			s, err := checkpoint.OpenStore(d, "/run", 2)
			for i := 1; err == nil && i <= 6; i++ {
				better, e := i%2 == 1, 0
				if i%3 != 0 {
					e = i
				}
				if err = s.Save(small(i), better, e); err == nil {
					last, epoch = i, max(epoch, e)
					if better {
						best = i
					}
				}
			}
			after := d.Restart(loss)
			s, rerr := checkpoint.OpenStore(after, "/run", 2)
			require.NoError(t, rerr)
			c, rerr := s.LoadLast()
			got := markOf(t, c, rerr)
			assert.True(t, got >= last && got <= last+1, "cut at %d: last is %d, %d was completed", n, got, last)
			c, rerr = s.LoadBest()
			if got = markOf(t, c, rerr); got != best {
				assert.Equal(t, last+1, got, "cut at %d: best is neither the one that was completed, %d, nor the one being written", n, best)
			}
			if epoch > 0 {
				assert.Contains(t, after.Names(), "/run/epoch-000"+string(rune('0'+epoch))+".safetensors", "cut at %d", n)
			}
			require.NoError(t, s.Save(small(9), true, 9), "the run goes on")
			c, rerr = s.LoadLast()
			assert.Equal(t, 9, markOf(t, c, rerr))
			if err == nil {
				assert.Equal(t, 6, last)
				break
			}
			require.ErrorIs(t, err, faultfs.ErrCut)
			cuts++
		}
		assert.Greater(t, cuts, 90, "operations of 13 files, 7 each, and more")
	}
}
