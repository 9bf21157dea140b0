//go:build cuda

package driver

// #cgo noescape acu_graph_launch
// #cgo nocallback acu_graph_launch
// #include "driver.h"
import "C"

// Graph is captured work, ready to be launched any number of times.
type Graph struct {
	ctx   *Context
	exec  C.CUgraphExec
	nodes int
}

// BeginCapture makes the stream record what is queued instead of running it, until EndCapture, which must be called by
// the same goroutine: it is tied to its thread between the two. Other goroutines may go on with other streams.
func (s *Stream) BeginCapture() error {
	if err := s.ctx.Enter(); err != nil {
		return err
	}
	if err := check("cuStreamBeginCapture", C.acu_begin_capture(s.ctx.c, s.h)); err != nil {
		s.ctx.Leave()
		return err
	}
	return nil
}

// EndCapture ends the recording. After an error the stream can be used again; nothing of what was recorded is left.
func (s *Stream) EndCapture() (*Graph, error) {
	defer s.ctx.Leave()
	var g C.acu_graph
	r := C.acu_end_capture(s.ctx.c, s.h, &g)
	if r != 0 {
		return nil, check(C.GoString(g.call), r)
	}
	return &Graph{s.ctx, g.exec, int(g.nodes)}, nil
}

// Nodes is the number of kernels, copies and settings that were recorded.
func (g *Graph) Nodes() int { return g.nodes }

// Launch queues all that was recorded, as one.
func (g *Graph) Launch(s *Stream) error {
	return check("cuGraphLaunch", C.acu_graph_launch(g.ctx.c, g.exec, s.h))
}

// Close destroys the graph; a launch that is queued still completes.
func (g *Graph) Close() error {
	return check("cuGraphExecDestroy", C.acu_graph_destroy(g.ctx.c, g.exec))
}
