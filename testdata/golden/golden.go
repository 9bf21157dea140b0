// Package golden embeds the golden cases, for tests in a program that travels without the repository.
package golden

import "embed"

// Files are the JSON files of this folder.
//
//go:embed *.json
var Files embed.FS
