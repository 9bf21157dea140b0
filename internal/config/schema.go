package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Key is one key of the schema.
type Key struct {
	Path    string // trainer.optimizer.lr
	Type    string // "whole number", "list of numbers" ...
	Default string // as YAML; of a key that depends on a name, one per name
	Allowed string // bounds or words, empty if any
	For     string // the names that have the key; empty if all
	Doc     string
}

// Env is the environment variable that sets the key.
func (k Key) Env() string { return envName(k.Path) }

func envName(path string) string {
	return "ACUMEN_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// field is a key with its place in Config.
type field struct {
	path  string
	index []int
	f     reflect.StructField
}

var (
	sections = map[string][]string{} // path ("" is the root) -> names of its keys
	fields   []field                 // keys that hold a value, in order
	byPath   = map[string]field{}
)

func init() { walk("", nil, reflect.TypeFor[Config]()) }

func walk(prefix string, index []int, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		path := strings.TrimPrefix(prefix+"."+name, ".")
		sections[prefix] = append(sections[prefix], name)
		at := append(append([]int(nil), index...), i)
		if isSection(f.Type) {
			walk(path, at, f.Type)
			continue
		}
		byPath[path] = field{path, at, f}
		fields = append(fields, byPath[path])
	}
}

// isSection reports whether a type is a mapping of keys of its own.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[Layers]() && t != reflect.TypeFor[Augment]()
}

// Schema lists all keys in the order in which they print.
func Schema() []Key {
	def := Default()
	keys := make([]Key, len(fields))
	for i, f := range fields {
		v := reflect.ValueOf(def).Elem().FieldByIndex(f.index)
		k := Key{Path: f.path, Type: typeName(f.f.Type), Allowed: allowed(f.f.Tag), For: strings.ReplaceAll(f.f.Tag.Get("for"), ",", ", "), Doc: f.f.Tag.Get("doc")}
		switch {
		case f.f.Tag.Get("def") != "":
			k.Default = strings.NewReplacer(",", ", ", "=", ": ").Replace(f.f.Tag.Get("def"))
		case f.f.Type.Kind() != reflect.Pointer:
			k.Default = oneLine(v)
		}
		keys[i] = k
	}
	return keys
}

// defaultFor is the default of a key under the name that its section has.
func defaultFor(f reflect.StructField, name string) (text string, ok bool) {
	for _, d := range strings.Split(f.Tag.Get("def"), ",") {
		if n, v, _ := strings.Cut(d, "="); n == name {
			return v, true
		}
	}
	return "", false
}

// allowed tells the bounds of a value in words.
func allowed(tag reflect.StructTag) string {
	if one, ok := tag.Lookup("one"); ok {
		return strings.ReplaceAll(strings.TrimPrefix(one, ","), ",", ", ")
	}
	lo, hi, above, below := tag.Get("min"), tag.Get("max"), tag.Get("above"), tag.Get("below")
	switch {
	case lo != "" && below != "":
		return "from " + lo + " to under " + below
	case above != "" && below != "":
		return "between " + above + " and " + below
	case lo != "" && hi != "":
		return "from " + lo + " to " + hi
	case above != "":
		return "above " + above
	case lo != "" && tag.Get("also") != "":
		return "from " + lo + " on, or " + tag.Get("also")
	case lo != "":
		return "from " + lo + " on"
	}
	return ""
}

// typeName is a type in a person's words.
func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return "duration"
	case reflect.TypeFor[Bytes]():
		return "amount of memory"
	case reflect.TypeFor[LossScale]():
		return "string or number"
	case reflect.TypeFor[Augment](), reflect.TypeFor[Layers](), reflect.TypeFor[[]Group]():
		return "list"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Slice:
		return "list of " + typeName(t.Elem()) + "s"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Uint64:
		return "whole number"
	case reflect.Float64:
		return "number"
	}
	return "string"
}

// duration and memory as they are written.

// String is the duration as configurations write it.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var units = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// String is the size as configurations write it.
func (b Bytes) String() string {
	for _, u := range units {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

func parseBytes(s string) (Bytes, bool) {
	size := int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			s, size = strings.TrimSpace(n), u.size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/size {
		return 0, false
	}
	return Bytes(n * size), true
}
