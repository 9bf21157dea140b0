// Package version tells which version of a module a peer was built with.
package version

import "runtime/debug"

// Of is the version of a module by its path.
func Of(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "of unknown version"
}
