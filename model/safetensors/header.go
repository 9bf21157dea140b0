package safetensors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/acumen-ml/acumen/internal/fault"
)

// maxRank bounds shapes, so that a header cannot ask for absurd ones.
const maxRank = 64

// parseHeader reads the JSON header member by member, since package json takes the last of two equal keys silently.
func parseHeader(head []byte) (map[string]entry, map[string]string, error) {
	bad := func(format string, args ...any) error {
		return fault.Usagef(damaged, "safetensors: header: %s", fmt.Sprintf(format, args...))
	}
	if head[0] != '{' || !utf8.Valid(head) {
		return nil, nil, bad("it is no JSON object in UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(head))
	entries, metadata := map[string]entry{}, map[string]string(nil)
	err := object(d, func(name string) error {
		if name == metadataKey {
			if metadata != nil {
				return fmt.Errorf("%s is given twice", name)
			}
			metadata = map[string]string{}
			return object(d, func(key string) error {
				if _, ok := metadata[key]; ok {
					return fmt.Errorf("metadata %q is given twice", key)
				}
				var v *string
				if err := d.Decode(&v); err != nil || v == nil {
					return fmt.Errorf("metadata %q is no text", key)
				}
				metadata[key] = *v
				return nil
			})
		}
		if _, ok := entries[name]; ok {
			return fmt.Errorf("tensor %q is given twice", name)
		}
		e, err := parseEntry(d)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		entries[name] = e
		return nil
	})
	if err != nil {
		return nil, nil, bad("%v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, bad("something follows the JSON object")
	}
	return entries, metadata, nil
}

// object reads a JSON object; member reads the value of each key.
func object(d *json.Decoder, member func(key string) error) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("want an object, got %v", t)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		if err := member(t.(string)); err != nil { // keys are strings, or Token fails
			return err
		}
	}
	_, err = d.Token()
	return err
}

func parseEntry(d *json.Decoder) (entry, error) {
	var e entry
	var offsets []int64
	seen := map[string]bool{}
	err := object(d, func(key string) error {
		if seen[key] {
			return fmt.Errorf("%q is given twice", key)
		}
		seen[key] = true
		switch key {
		case "dtype":
			return d.Decode(&e.DType)
		case "shape":
			return d.Decode(&e.Shape)
		case "data_offsets":
			return d.Decode(&offsets)
		}
		return fmt.Errorf("%q is no member of a tensor", key)
	})
	if err != nil {
		return e, err
	}
	if e.Shape == nil || len(e.Shape) > maxRank || len(offsets) != 2 {
		return e, fmt.Errorf("want dtype, shape and two data_offsets")
	}
	e.Offsets = [2]int64(offsets)
	return e, nil
}
