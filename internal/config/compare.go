package config

import (
	"reflect"
	"slices"
	"strings"
)

// free are the keys, and sections, that may change when a run goes on: the same numbers come out.
var free = []string{"device", "threads", "progress", "data.dir", "data.mirrors", "data.resident", "run", "trainer.max_steps", "trainer.save_every", "trainer.keep", "trainer.capture", "trainer.capture_steps", "trainer.log_every"}

// Difference is the first key in which two configurations would give different runs, and its values in both.
func Difference(a, b *Config) (key, inA, inB string, ok bool) {
	va, vb := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for _, f := range fields {
		section, _, _ := strings.Cut(f.path, ".")
		if slices.Contains(free, f.path) || slices.Contains(free, section) {
			continue
		}
		x, y := text(va.FieldByIndex(f.index)), text(vb.FieldByIndex(f.index))
		if x != y {
			return f.path, x, y, true
		}
	}
	return "", "", "", false
}

func text(v reflect.Value) string {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return "not set"
	}
	return oneLine(v)
}

// Stored reads a resolved configuration again, without looking at the environment.
func Stored(file *File) (*Config, error) { return load(file, nil, false) }
