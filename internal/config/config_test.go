package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/internal/fault"
)

func load1(text string) (*Config, error) { return Load(&File{"x.yaml", []byte(text)}, nil) }

func TestMistakesNameTheirPlaceAndTheWayOut(t *testing.T) {
	for _, c := range []struct{ text, message, hint string }{
		{"trainer:\n  epoch: 3\n", "x.yaml:2: unknown key trainer.epoch", "the nearest key is trainer.epochs"},
		{"epochs: 3\n", "x.yaml:1: unknown key epochs", "the nearest key is trainer.epochs"},
		{"data: {dri: x}\n", "x.yaml:1: unknown key data.dri", "the nearest key is data.dir"},
		{"Seed: 3\n", "x.yaml:1: unknown key Seed", "the nearest key is seed"},
		{"trainer.epochs: 3\n", "x.yaml:1: unknown key trainer.epochs", "write it below its section: `trainer:`, on the next line `  epochs: ...`"},
		{"run: {quixotic: 3}\n", "x.yaml:1: unknown key run.quixotic", "the keys of run are root, name"},
		{"trainer:\n  epochs: many\n", `x.yaml:2: trainer.epochs: a whole number is expected, "many" is a string`, "write digits, such as 10"},
		{"trainer:\n  epochs: 1.5\n", "x.yaml:2: trainer.epochs: a whole number is expected, 1.5 is a number", "write digits, such as 10"},
		{"trainer:\n  epochs: [1]\n", "x.yaml:2: trainer.epochs: a whole number is expected, this is a list", "write digits, such as 10"},
		{"trainer: 5\n", "x.yaml:1: trainer: a mapping is expected, 5 is a number", "write keys and values: `trainer: {epochs: ...}`"},
		{"- 1\n", "x.yaml:1: the configuration: a mapping is expected, this is a list", "write keys and values, such as `trainer: {epochs: 5}`"},
		{"device: [cpu]\n", "x.yaml:1: device: a string is expected, this is a list", "write one word, in quotes if it looks like something else"},
		{"trainer: {drop_last: 1}\n", "x.yaml:1: trainer.drop_last: a boolean is expected, 1 is a number", "write true or false"},
		{"seed: 1\nseed: 2\n", "x.yaml:2: key seed is here a second time, after line 1", "keep one of them"},
		{"trainer: {batch: 0}\n", "x.yaml:1: trainer.batch: 0 is out of range", "allowed: from 1 on, or auto; the default is 64"},
		{"seed: -1\n", "x.yaml:1: seed: -1 is out of range", "allowed: from 0 to 18446744073709551615"},
		{"trainer: {optimizer: {lr: NaN}}\n", "x.yaml:1: trainer.optimizer.lr: NaN is out of range", "allowed: a finite number from 0 on"},
		{"trainer: {optimizer: {lr: .inf}}\n", "x.yaml:1: trainer.optimizer.lr: .inf is out of range", "allowed: a finite number from 0 on"},
		{"trainer: {optimizer: {name: adm}}\n", `x.yaml:1: trainer.optimizer.name: "adm" is not known`, "the nearest is adam; allowed: sgd, adam, adamw"},
		{"trainer: {optimizer: {name: adam, momentum: 0.9}}\n", "x.yaml:1: trainer.optimizer.momentum: adam has none", "remove it; it belongs to sgd"},
		{"trainer: {optimizer: {nesterov: true, momentum: 0}}\n", "x.yaml:1: trainer.optimizer.nesterov: Nesterov's form needs momentum", "set trainer.optimizer.momentum, such as 0.9"},
		{"trainer:\n  early_stop: 3\n", "x.yaml:2: trainer.early_stop: there is no validation set to watch", "set data.validation, such as 0.1: the test set must not decide"},
		{"trainer: {plateau: {factor: 0.5}}\n", "x.yaml:1: trainer.plateau.factor: there is no validation set to watch", "set data.validation, such as 0.1: the test set must not decide"},
		{"trainer: {micro_batches: 3}\n", "x.yaml:1: trainer.micro_batches: 3 parts do not divide a batch of 64", "choose a divisor of trainer.batch, or auto"},
		{"trainer: {micro_batches: 0}\n", "x.yaml:1: trainer.micro_batches: 0 is out of range", "allowed: from 1 on, or auto; the default is 1"},
		{"trainer: {micro_batches: some}\n", `x.yaml:1: trainer.micro_batches: a whole number is expected, "some" is a string`, "write digits, such as 10, or auto"},
		{"trainer:\n  micro_batches: 4\n  batch: auto\n", "x.yaml:3: trainer.batch: auto decides about trainer.micro_batches, which is given too, as 4", "remove one of the two"},
		{"trainer: {save_every: 10}\n", "x.yaml:1: trainer.save_every: a duration is expected, 10 is a number", "write a number with its unit, such as 90s, 10m or 1h30m"},
		{"trainer: {save_every: -5m}\n", "x.yaml:1: trainer.save_every: -5m is out of range", "allowed: from 0s on"},
		{"trainer: {loss: {name: mse, label_smoothing: 0.1}}\n", "x.yaml:1: trainer.loss.label_smoothing: mse has none", "remove it, or use cross_entropy"},
		{"data: {resident: lots}\n", `x.yaml:1: data.resident: an amount of memory is expected, "lots" is a string`, "write a whole number of bytes, or one with its unit, such as 512MiB or 2GiB"},
		{"data: {mean: [0.5, x]}\n", `x.yaml:1: data.mean[1]: a number is expected, "x" is a string`, "write a number, such as 0.1 or 5e-4"},
		{"data: {mean: [0.5]}\n", "x.yaml:1: data.mean: 1 numbers, and data.std has 0", "give both, with one number per channel"},
		{"data: {std: [0], mean: [0]}\n", "x.yaml:1: data.std[0]: 0 is out of range", "allowed: above 0"},
		{"data: {validation: 1.5}\n", "x.yaml:1: data.validation: 1.5 is neither", "a whole number of examples, or a fraction under 1"},
		{"data: {augment: flip}\n", `x.yaml:1: data.augment: a list is expected, "flip" is a string`, "write [flip, {crop: {pad: 4}}]"},
		{"data:\n  augment:\n  - flop\n", "x.yaml:3: data.augment[0].flop is not known", "the nearest is flip; the changes are flip, crop, cutout"},
		{"data: {augment: [crop]}\n", "x.yaml:1: data.augment[0].crop: crop needs pad", "write {crop: {pad: 4}}"},
		{"data: {augment: [{crop: {pda: 4}}]}\n", "x.yaml:1: unknown key data.augment[0].crop.pda", "the nearest key is pad"},
		{"data: {augment: [{crop: {pad: 4, pad: 4}}]}\n", "x.yaml:1: key data.augment[0].crop.pad is here a second time", "keep one of them"},
		{"data: {augment: [flip, flip]}\n", "x.yaml:1: data.augment[1]: flip is here a second time", "keep one of them"},
		{"data: {augment: [{flip: 3}]}\n", "x.yaml:1: data.augment[0].flip: flip has no parameters", "write flip alone"},
		{"trainer: {groups: [{pattern: a, lr: 3}]}\n", "x.yaml:1: unknown key trainer.groups[0].lr", "the keys are pattern, lr_scale, weight_decay, freeze"},
		{"trainer: {groups: [{freeze: true}]}\n", "x.yaml:1: trainer.groups: group 0 has no pattern", `write pattern: "*.bias"`},
		{"trainer: {schedule: {name: piecewise, at: [0, 1]}}\n", "x.yaml:1: trainer.schedule.name: piecewise needs points and a value for each", "write at: [0, 0.2, 1] and values: [0, 1, 0], as many of the one as of the other"},
		{"trainer: {optimizer: {momentum: 1}}\n", "x.yaml:1: trainer.optimizer.momentum: 1 is out of range", "allowed: from 0 to under 1"},
		{"model: {layers: flatten}\n", `x.yaml:1: model.layers: a list of layers is expected, "flatten" is a string`, "write [flatten, {linear: 30}, sigmoid, {linear: 10}]"},
		{"a: b: c\n", "x.yaml:1: mapping values are not allowed in this context", "YAML is `key: value`, indented with spaces; a value with special characters needs quotes"},
		{"seed: 1\n---\nseed: 2\n", "x.yaml:2: a second YAML document", "keep one document in a file"},
		{"? [a]\n: 1\n", "x.yaml:1: a key is expected, this is a list", "a key is one word"},
	} {
		_, err := load1(c.text)
		if assert.Error(t, err, c.text) {
			assert.Equal(t, c.message, err.Error(), c.text)
			assert.Equal(t, c.hint, fault.HintOf(err), c.text)
			assert.Equal(t, fault.Usage, fault.KindOf(err), c.text)
		}
	}
}

func TestLayers(t *testing.T) {
	const file = "seed: 7\ntrainer: {epochs: 11, batch: 32, optimizer: {name: adam, lr: 0.5}}\n"
	t.Setenv("ACUMEN_TRAINER_EPOCHS", "12")
	t.Setenv("ACUMEN_DATA_DIR", "0777") // looks like a number
	t.Setenv("ACUMEN_DATA_MEAN", "[0.25]")
	t.Setenv("ACUMEN_DATA_STD", "[0.5]")
	t.Setenv("ACUMEN_SIMD", "off")
	t.Setenv("ACUMEN_BENCH_CACHE", "/somewhere")    // of make bench
	t.Setenv("ACUMEN_CUDA_CACHE", "/somewhere")     // of make cuda
	t.Setenv("ACUMEN_CONTAINER_WORK", "/somewhere") // of the container's test
	t.Setenv("ACUMEN_CUBLAS", "off")
	c, err := Load(&File{"x.yaml", []byte(file)}, []Setting{{Key: "trainer.batch", Value: "16"}, {Key: "trainer.batch", Value: "8"}, {Key: "threads", Value: "3", Label: "--threads"}})
	require.NoError(t, err)
	assert.Equal(t, uint64(7), c.Seed, "file over default")
	assert.Equal(t, 12, c.Trainer.Epochs, "environment over file")
	assert.Equal(t, 8, c.Trainer.Batch, "the last flag over the others")
	assert.Equal(t, 3, c.Threads)
	assert.Equal(t, "0777", c.Data.Dir)
	assert.Equal(t, []float64{0.25}, c.Data.Mean)
	assert.Equal(t, 0.5, *c.Trainer.Optimizer.LR)
	assert.Nil(t, c.Trainer.Optimizer.Momentum)
	assert.Equal(t, 0.9, *c.Trainer.Optimizer.Beta1)

	c, err = Load(&File{"x.yaml", []byte(file)}, []Setting{{Key: "trainer.optimizer", Value: "{name: sgd, momentum: 0}"}, {Key: "seed", Value: "null"}})
	require.NoError(t, err, "a section takes the place of what is below it")
	assert.Equal(t, "sgd", c.Trainer.Optimizer.Name)
	assert.Equal(t, 0.1, *c.Trainer.Optimizer.LR, "the file's 0.5 was adam's")
	assert.Equal(t, uint64(1), c.Seed, "null is the default")

	c, err = Stored(&File{"x.yaml", []byte(file)})
	require.NoError(t, err)
	assert.Equal(t, 11, c.Trainer.Epochs, "what was stored is read without the environment")
}

func TestMistakesOutsideOfFiles(t *testing.T) {
	check := func(message, hint string, sets ...Setting) {
		t.Helper()
		_, err := Load(nil, sets)
		require.Error(t, err)
		assert.Equal(t, message, err.Error())
		assert.Equal(t, hint, fault.HintOf(err))
	}
	check("--set trainer.epoch: unknown key trainer.epoch", "the nearest key is trainer.epochs", Setting{Key: "trainer.epoch", Value: "3"})
	check("--set trainer.optimizer: unknown key trainer.optimizer.lrr", "the nearest key is trainer.optimizer.lr", Setting{Key: "trainer.optimizer", Value: "{lrr: 3}"})
	check("--set epochs: unknown key epochs", "the nearest key is trainer.epochs", Setting{Key: "epochs", Value: "3"})
	check(`--seed: seed: a whole number is expected, "x" is a string`, "write digits, such as 10", Setting{Key: "seed", Value: "x", Label: "--seed"})
	check("--set trainer.batch: trainer.batch: 0 is out of range", "allowed: from 1 on, or auto; the default is 64", Setting{Key: "trainer.batch", Value: "0"})
	check("--set data.mean: the value cannot be read: [1", "values are YAML: 3, 0.1, true, [a, b], {name: adam}", Setting{Key: "data.mean", Value: "[1"})
	_, err := ParseSet("trainer.epochs")
	assert.EqualError(t, err, "--set trainer.epochs: KEY=VALUE is expected")

	t.Setenv("ACUMEN_TRAINER_BATCH", "x")
	check(`ACUMEN_TRAINER_BATCH: trainer.batch: a whole number is expected, "x" is a string`, "write digits, such as 10, or auto")
	t.Setenv("ACUMEN_TRAINER_BATCH", "")
	t.Setenv("ACUMEN_TRAINER_EPOCH", "3")
	check("environment: unknown variable ACUMEN_TRAINER_EPOCH", "the nearest is ACUMEN_TRAINER_EPOCHS; unset it if it is not for acumen")
}

func TestResolvedIsAConfiguration(t *testing.T) {
	for _, text := range []string{
		"",
		"trainer: {optimizer: {name: adamw}, groups: [{pattern: '*.bias', weight_decay: 0}, {pattern: conv*, freeze: true, lr_scale: 0.5}], save_every: 90s, loss: {name: mse}, schedule: {name: piecewise, at: [0, 1], values: [1, 0]}}",
		"data: {name: folder, augment: [flip, {crop: {pad: 4, reflect: true}}, {cutout: {size: 8}}], mirrors: ['https://example.org/a'], size: [32, 24], resident: 100, mean: [1e-3, 0.5, 0.25], std: [1, 2, 3], validation: 0.1}",
		"model:\n  layers:\n  - &c {conv2d: {out: 8, pad: same}}\n  - *c\n  - {residual: [relu, {conv2d: 8}]} # a comment\n  - flatten\n  - linear: {out: 10, name: 'yes'}\n",
		"seed: 18446744073709551615\ndevice: '3'\nrun: {name: 'null', root: '1e3'}",
		"precision: f16\ntrainer: {loss_scale: dynamic}",
		"precision: tf32\ntrainer: {loss_scale: '1024'}",
	} {
		c, err := load1(text)
		require.NoError(t, err, text)
		again, err := Load(&File{"again.yaml", []byte(c.YAML())}, nil)
		require.NoError(t, err, c.YAML())
		assert.Equal(t, c.YAML(), again.YAML())
		c.Model.Layers, again.Model.Layers = Layers{}, Layers{}
		assert.Equal(t, c, again)
		_, _, _, different := Difference(c, again)
		assert.False(t, different)
	}
}

func TestNamesInLayersStayAsWritten(t *testing.T) {
	c, err := load1("model:\n  layers:\n  - Linear.One: {Out.Put: 3}\n  - FLATTEN\n")
	require.NoError(t, err)
	assert.Contains(t, c.YAML(), "Linear.One: {Out.Put: 3}")
	assert.Contains(t, c.YAML(), "- FLATTEN")
	n := c.Model.Layers.Node()
	assert.Equal(t, "x.yaml:4", c.Model.Layers.Place(n.Content[1]))
	assert.Equal(t, "layers", c.Model.Name)
}

func TestAliasesDoNotBlowUp(t *testing.T) {
	var b strings.Builder
	b.WriteString("data: {mirrors: [a]}\nmodel:\n  layers:\n  - &a0 [relu, relu, relu, relu, relu, relu, relu, relu, relu]\n")
	for i := 1; i < 9; i++ {
		b.WriteString("  - &a" + string(rune('0'+i)) + " [" + strings.Repeat("*a"+string(rune('0'+i-1))+", ", 8) + "relu]\n")
	}
	_, err := load1(b.String())
	assert.EqualError(t, err, "x.yaml:4: model.layers: too many layers and aliases")
}

func TestDifference(t *testing.T) {
	a, err := load1("trainer: {optimizer: {name: adam}}")
	require.NoError(t, err)
	b, err := load1("trainer: {optimizer: {name: sgd}}\nthreads: 3\ndata: {dir: elsewhere}\nrun: {name: y}")
	require.NoError(t, err)
	key, x, y, ok := Difference(a, b)
	assert.True(t, ok)
	assert.Equal(t, []string{"trainer.optimizer.name", "adam", "sgd"}, []string{key, x, y})
}

func TestSchema(t *testing.T) {
	env := map[string]string{}
	for _, k := range Schema() {
		assert.NotEmpty(t, k.Doc, k.Path)
		assert.True(t, strings.HasSuffix(k.Doc, "."), "%s: a sentence", k.Path)
		assert.Empty(t, env[k.Env()], "%s and %s have one variable", k.Path, env[k.Env()])
		env[k.Env()] = k.Path
	}
	assert.Equal(t, "data.dir", env["ACUMEN_DATA_DIR"])
	for _, f := range fields { // every default under a name is a value of the key
		if f.f.Tag.Get("for") == "" {
			continue
		}
		for _, name := range strings.Split(f.f.Tag.Get("for"), ",") {
			if text, ok := defaultFor(f.f, name); ok {
				n, err := parse("default", []byte(text))
				require.NoError(t, err)
				v := reflect.New(f.f.Type).Elem()
				assert.NoError(t, (reader{place{label: "default"}}).value(n, v, f.f.Tag, f.path), f.path)
			}
		}
	}
	_, err := load1(Default().YAML())
	assert.NoError(t, err, "defaults are allowed")
}

func TestLossScale(t *testing.T) {
	for text, want := range map[string]float64{"auto": 0, "dynamic": 0, "1": 1, "1024": 1024, "1e3": 1000, "'2.50'": 2.5, "1099511627776": 1 << 40} {
		c, err := load1("trainer: {loss_scale: " + text + "}")
		require.NoError(t, err, text)
		assert.Equal(t, want, c.Trainer.LossScale.Number(), text)
	}
	c, err := load1("trainer: {loss_scale: 1e3}")
	require.NoError(t, err)
	assert.Contains(t, c.YAML(), "loss_scale: 1000\n")
	for _, text := range []string{"0.5", "-1", "nan", ".inf", "1e13", "fixed", "''"} {
		_, err := load1("trainer: {loss_scale: " + text + "}")
		assert.ErrorContains(t, err, "x.yaml:1: trainer.loss_scale: ", text)
		assert.Contains(t, fault.HintOf(err), "dynamic", text)
	}
	_, err = load1("trainer: {loss_scale: [1]}")
	assert.EqualError(t, err, "x.yaml:1: trainer.loss_scale: auto, dynamic or a number is expected, this is a list")
	_, err = load1("precision: fp16")
	assert.ErrorContains(t, err, `precision: "fp16" is not known`)
}

func TestUnits(t *testing.T) {
	assert.Equal(t, "1h", Duration(time.Hour).String())
	assert.Equal(t, "10m", Duration(10*time.Minute).String())
	assert.Equal(t, "1m30s", Duration(90*time.Second).String())
	assert.Equal(t, "0s", Duration(0).String())
	for s, want := range map[string]Bytes{"0": 0, "2GiB": 2 << 30, "3 MiB": 3 << 20, "12": 12} {
		b, ok := parseBytes(s)
		assert.True(t, ok, s)
		assert.Equal(t, want, b, s)
	}
	for _, s := range []string{"-1", "GiB", "9999999999GiB", "2GB", "x"} {
		_, ok := parseBytes(s)
		assert.False(t, ok, s)
	}
	assert.Equal(t, "2GiB", Bytes(2<<30).String())
	assert.Equal(t, "100", Bytes(100).String())
}

func FuzzLoad(f *testing.F) {
	f.Add("trainer: {epochs: 3}")
	f.Add("data: {augment: [{crop: {pad: 4}}]}\nmodel: {layers: [&a [b], *a]}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := load1(text)
		if err != nil {
			if fault.HintOf(err) == "" {
				t.Errorf("%q: no hint: %v", text, err)
			}
			return
		}
		again, err := load1(c.YAML())
		if err != nil || again.YAML() != c.YAML() {
			t.Errorf("%q: what it prints is another configuration: %v", text, err)
		}
	})
}
