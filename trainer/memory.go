package trainer

// MemoryUse is the device memory that one kind of numbers takes.
type MemoryUse struct {
	What  string
	Bytes int
}

// Memory tells what the engine has allocated, by kind; kinds that take none are left out. What the device takes for itself
// comes on top.
func (e *Engine) Memory() []MemoryUse {
	var all []MemoryUse
	add := func(what string, bytes int) {
		if bytes > 0 {
			all = append(all, MemoryUse{what, bytes})
		}
	}
	s := e.store
	add("weights", s.W.Bytes())
	if s.Half.Valid() {
		add("weights in "+s.Half.Type.String(), s.Half.Bytes())
	}
	add("gradients", s.G.Bytes())
	states := 0
	for _, f := range e.flats {
		states += f.Bytes()
	}
	add("optimiser state", states)
	stats := 0
	if s.Run.Valid() {
		stats = s.Run.Bytes()
	}
	if s.Next.Valid() {
		stats += s.Next.Bytes()
	}
	add("running statistics", stats)
	add("activations and other temporaries of a step", e.ArenaBytes())
	named := 0
	for _, m := range all {
		named += m.Bytes
	}
	add("data, its order, counters and the schedule", e.StateBytes()+e.ArenaBytes()-named)
	return all
}
