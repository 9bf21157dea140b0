// Package configs holds the configurations that travel in the program, one file per published recipe.
package configs

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed mnist cifar10
var files embed.FS

// Read gives the text of the configuration called name, such as mnist/lenet5, with or without .yaml or configs/.
func Read(name string) (text []byte, ok bool) {
	name = strings.TrimSuffix(strings.TrimPrefix(strings.ReplaceAll(name, `\`, "/"), "configs/"), ".yaml") + ".yaml"
	text, err := files.ReadFile(name)
	return text, err == nil
}

// Names lists the configurations, as Read takes them.
func Names() []string {
	var names []string
	fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && path.Ext(p) == ".yaml" {
			names = append(names, strings.TrimSuffix(p, ".yaml"))
		}
		return nil
	})
	return names
}
