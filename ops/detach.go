package ops

// Detach is x, through which no gradient goes. The result shows x's memory.
func Detach(t *Tape, x *Tensor) *Tensor { return t.alias(x, x.v) }
