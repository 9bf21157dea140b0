package checkpoint

import (
	"bytes"

	"github.com/acumen-ml/acumen/model/safetensors"
)

// Sealed is the safetensors file b with digests that fit, nil if it is none.
func Sealed(b []byte) []byte {
	f, err := safetensors.Read(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	if f.Metadata == nil {
		f.Metadata = map[string]string{}
	}
	out, err := sealed(f)
	if err != nil {
		return nil
	}
	return out
}

// Finite is what decides whether weights are refused.
var Finite = finite
