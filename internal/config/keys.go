package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/internal/nearest"
)

// What is said of a key that is none.

// unknownHint leads from a key that does not exist to the nearest that does.
func unknownHint(prefix, key string) string {
	if section, word, ok := strings.Cut(key, "."); ok && prefix == "" && byPath[key].path != "" {
		return fmt.Sprintf("write it below its section: `%s:`, on the next line `  %s: ...`", section, word)
	}
	if s := nearestKey(prefix, key); s != "" {
		return "the nearest key is " + s
	}
	where := "the configuration"
	if prefix != "" {
		where = prefix
	}
	return fmt.Sprintf("the keys of %s are %s", where, strings.Join(sections[prefix], ", "))
}

// nearestKey looks in the section, then for the same word in other sections, then for a near one anywhere.
func nearestKey(prefix, key string) string {
	if s := nearest.Name(key, sections[prefix]); s != "" {
		return strings.TrimPrefix(prefix+"."+s, ".")
	}
	var all, words []string
	for _, f := range fields {
		all, words = append(all, f.path), append(words, last(f.path))
	}
	for path := range sections {
		if path != "" {
			all, words = append(all, path), append(words, last(path))
		}
	}
	if i := slices.Index(words, key); i >= 0 {
		return all[i]
	}
	if s := nearest.Name(key, words); s != "" {
		return all[slices.Index(words, s)]
	}
	return ""
}

// KeyNamed is the path of the only key of the configuration that has the path word, or word as its last one; empty if none or
// several have.
func KeyNamed(word string) string {
	found := ""
	for _, f := range fields {
		switch {
		case f.path == word:
			return word
		case last(f.path) != word:
		case found != "":
			return ""
		default:
			found = f.path
		}
	}
	return found
}

func last(path string) string { return path[strings.LastIndex(path, ".")+1:] }
