package nearest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestName(t *testing.T) {
	names := []string{"kernel", "stride", "pad", "dilation", "groups", "relu", "gelu"}
	for word, want := range map[string]string{
		"kernl": "kernel", "Stride": "stride", "padd": "pad", "dliation": "dilation", "group": "groups", "rleu": "relu",
		"batch": "", "xy": "", "": "", "leru": "relu",
	} {
		assert.Equal(t, want, Name(word, names), word)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"straße", "strasse", 2}} {
		assert.Equal(t, c.want, distance(c.a, c.b), "%s %s", c.a, c.b)
		assert.Equal(t, c.want, distance(c.b, c.a), "%s %s", c.b, c.a)
	}
}
