package trainer

// MemoryUse is the device memory that one kind of numbers takes.
type MemoryUse struct {
	What  string `json:"what"`
	Bytes int    `json:"bytes"`
}

// Kinds of numbers, as messages name them.
const (
	ofWeights   = "weights"
	ofGradients = "gradients"
	ofStates    = "optimiser state"
	ofStats     = "running statistics"
	ofSteps     = "activations and other temporaries of a step"
	ofPasses    = "activations and other temporaries"
	ofData      = "data"
	ofCounters  = "order of the data, counters and the schedule"
	ofDevice    = "the device's own: scratch, workspaces of libraries"
)

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
	add(ofWeights, s.W.Bytes())
	if s.Half.Valid() {
		add(ofWeights+" in "+s.Half.Type.String(), s.Half.Bytes())
	}
	add(ofGradients, s.G.Bytes())
	states := 0
	for _, f := range e.flats {
		states += f.Bytes()
	}
	add(ofStates, states)
	stats := 0
	if s.Run.Valid() {
		stats = s.Run.Bytes()
	}
	if s.Next.Valid() {
		stats += s.Next.Bytes()
	}
	add(ofStats, stats)
	add(ofSteps, e.ArenaBytes())
	sets := e.train.bytes()
	for _, f := range e.evals {
		sets += f.bytes()
	}
	add(ofData, sets)
	named := 0
	for _, m := range all {
		named += m.Bytes
	}
	add(ofCounters, e.StateBytes()+e.ArenaBytes()-named)
	return all
}

// bytes is the device memory of the set.
func (f *feed) bytes() int {
	n := f.labels.Bytes()
	if f.resident() {
		return n + f.images.Bytes()
	}
	for _, s := range f.staging {
		n += s.Bytes()
	}
	return n
}
