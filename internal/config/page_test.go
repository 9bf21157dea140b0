package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the tables of docs/configuration.md")

const page = "../../docs/configuration.md"

// tables is the schema as the page shows it, a table for each section.
func tables() string {
	var b strings.Builder
	last := "none"
	for _, k := range Schema() {
		section, name := "", k.Path
		if i := strings.LastIndex(k.Path, "."); i >= 0 {
			section, name = k.Path[:i], k.Path[i+1:]
		}
		if section != last {
			title := section
			if title == "" {
				title = "top level"
			}
			fmt.Fprintf(&b, "\n### %s\n\n| Key | Type | Default | Allowed | Meaning |\n|---|---|---|---|---|\n", title)
			last = section
		}
		doc := k.Doc
		if k.For != "" && !strings.Contains(doc, "of "+k.For) {
			doc = strings.TrimSuffix(doc, ".") + " (" + k.For + ")."
		}
		cell := func(s string) string {
			if s == "" {
				return ""
			}
			return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", cell(name), k.Type, cell(k.Default), strings.ReplaceAll(k.Allowed, "|", `\|`), strings.ReplaceAll(doc, "|", `\|`))
	}
	return b.String() + "\n"
}

// TestPage keeps docs/configuration.md equal to the schema: go test ./internal/config -run Page -update writes it.
func TestPage(t *testing.T) {
	b, err := os.ReadFile(page)
	require.NoError(t, err)
	const begin, end = "<!-- keys: made by go test ./internal/config -run Page -update -->\n", "<!-- end of keys -->"
	head, rest, ok := strings.Cut(string(b), begin)
	require.True(t, ok)
	old, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(head+begin+tables()+end+tail), 0o666))
		return
	}
	assert.Equal(t, tables(), old, "run: go test ./internal/config -run Page -update")
}
