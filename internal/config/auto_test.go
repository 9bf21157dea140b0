package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trainer.batch: auto leaves the batch to the layers below and decides about micro-batches in its own, wherever it stands.
func TestBatchAuto(t *testing.T) {
	const recipe = "trainer: {batch: 96, micro_batches: 4}\n"
	flag := func(key, value string) Setting { return Setting{Key: key, Value: value} }
	for _, c := range []struct {
		what, file string
		variables  map[string]string
		flags      []Setting
		batch      int
		micro      Parts
	}{
		{"nothing", "", nil, nil, 64, 1},
		{"a file alone", "trainer: {batch: auto}\n", nil, nil, 64, 0},
		{"both in one file", "trainer: {batch: auto, micro_batches: auto}\n", nil, nil, 64, 0},
		{"its own key", "trainer: {batch: 96, micro_batches: auto}\n", nil, nil, 96, 0},
		{"a flag over a recipe", recipe, nil, []Setting{flag("trainer.batch", "auto")}, 96, 0},
		{"a section over a recipe", recipe, nil, []Setting{flag("trainer", "{batch: auto}")}, 64, 0},
		{"a variable over a recipe", recipe, map[string]string{"ACUMEN_TRAINER_BATCH": "auto"}, nil, 96, 0},
		{"a variable over a file's auto", "trainer: {batch: auto}\n", map[string]string{"ACUMEN_TRAINER_MICRO_BATCHES": "2"}, nil, 64, 2},
		{"a flag over a variable", recipe, map[string]string{"ACUMEN_TRAINER_BATCH": "48"}, []Setting{flag("trainer.batch", "auto")}, 48, 0},
		{"a batch over a file's auto", "trainer: {batch: auto}\n", nil, []Setting{flag("trainer.batch", "100")}, 100, 0},
		{"parts over a file's auto", "trainer: {batch: auto}\n", nil, []Setting{flag("trainer.micro_batches", "8")}, 64, 8},
		{"null over a recipe", recipe, nil, []Setting{flag("trainer.micro_batches", "null")}, 96, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			for k, v := range c.variables {
				t.Setenv(k, v)
			}
			got, err := Load(&File{"x.yaml", []byte(c.file)}, c.flags)
			require.NoError(t, err)
			assert.Equal(t, c.batch, got.Trainer.Batch)
			assert.Equal(t, c.micro, got.Trainer.MicroBatches)
			again, err := Stored(&File{"y.yaml", []byte(got.YAML())})
			require.NoError(t, err, got.YAML())
			assert.Equal(t, got.Trainer, again.Trainer, "what prints is a configuration again")
		})
	}
	_, err := Load(nil, []Setting{flag("trainer.batch", "auto"), flag("trainer.micro_batches", "2")})
	assert.EqualError(t, err, "--set trainer.batch: trainer.batch: auto decides about trainer.micro_batches, which is given too, as 2")
	t.Setenv("ACUMEN_TRAINER_BATCH", "auto")
	t.Setenv("ACUMEN_TRAINER_MICRO_BATCHES", "2")
	_, err = Load(nil, nil)
	assert.EqualError(t, err, "ACUMEN_TRAINER_BATCH: trainer.batch: auto decides about trainer.micro_batches, which is given too, as 2")
}
