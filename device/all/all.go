// Package all registers every back-end that this program was built with: import it for its side effect.
//
//	import _ "github.com/acumen-ml/acumen/device/all"
package all

import _ "github.com/acumen-ml/acumen/device/cpu" // the Go back-end
