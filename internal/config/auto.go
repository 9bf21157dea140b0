package config

import (
	"os"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/acumen-ml/acumen/internal/fault"
)

const (
	auto      = "auto"
	batchKey  = "trainer.batch"
	microsKey = "trainer.micro_batches"
)

// Parts is how many parts a batch is cut into; 0 is auto.
type Parts int

// String is the number, or auto.
func (p Parts) String() string {
	if p == 0 {
		return auto
	}
	return strconv.Itoa(int(p))
}

func isAuto(n *yaml.Node) bool {
	n = follow(n)
	return n.Kind == yaml.ScalarNode && n.Value == auto
}

// spread puts what trainer.batch: auto means into a layer of values, a file or the flags: trainer.micro_batches is auto
// there, and the batch is that of the layers below.
func spread(layer map[string]written) error {
	w, ok := layer[batchKey]
	if !ok || !isAuto(w.node) {
		return nil
	}
	if m, ok := layer[microsKey]; ok && !isAuto(m.node) {
		return fault.Usagef("remove one of the two", "%s: %s: auto decides about %s, which is given too, as %s", w.at.of(w.node), batchKey, microsKey, follow(m.node).Value)
	}
	delete(layer, batchKey)
	layer[microsKey] = w
	return nil
}

// fromVariables is the layer of the environment for the two keys that spread looks at.
func fromVariables() (map[string]written, error) {
	layer := map[string]written{}
	for _, key := range []string{batchKey, microsKey} {
		if text := os.Getenv(envName(key)); text != "" {
			w, err := layered(byPath[key], text)
			if err != nil {
				return nil, err
			}
			layer[key] = *w
		}
	}
	return layer, spread(layer)
}
