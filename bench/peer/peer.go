// Package peer lets another program time work side by side with this one. The other program lives as long as the run and
// takes requests over a pipe, one line of JSON each, so that visits to it and to us alternate: whatever slows the machine
// for a while slows both.
package peer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Case is a piece of work that every program does in its own way. Fields that a kind does not need are zero.
type Case struct {
	Kind string `json:"kind"` // matmul, linear, conv2d, pass, step or infer

	M int `json:"m,omitempty"` // matmul: (M,K) times (K,N)
	K int `json:"k,omitempty"`
	N int `json:"n,omitempty"`

	Op       string `json:"op,omitempty"`       // pass: batchnorm, gelu, relu, maxpool or crossentropy
	Forward  bool   `json:"forward,omitempty"`  // linear, conv2d, pass
	Backward bool   `json:"backward,omitempty"` // linear, conv2d, pass: gradients of all inputs

	Batch  int `json:"batch,omitempty"`  // pictures, or rows
	Size   int `json:"size,omitempty"`   // conv2d, pass: height and width
	In     int `json:"in,omitempty"`     // channels, features, or classes of a cross entropy
	Out    int `json:"out,omitempty"`    // linear, conv2d: features, channels
	Kernel int `json:"kernel,omitempty"` // conv2d: height and width, padded so that the size stays; maxpool

	Net       string `json:"net,omitempty"`       // step, infer: a model's name in package model
	Precision string `json:"precision,omitempty"` // step, infer: f32 or bf16
}

// request is one line to a peer.
type request struct {
	Do      string `json:"do"` // about, time or drop
	Case    *Case  `json:"case,omitempty"`
	Threads int    `json:"threads,omitempty"`
	Skip    int    `json:"skip,omitempty"`  // calls before the clock starts
	Calls   int    `json:"calls,omitempty"` // calls that are timed
}

// answer is one line from a peer.
type answer struct {
	Seconds float64 `json:"seconds,omitempty"` // of all timed calls together
	About   string  `json:"about,omitempty"`   // name and versions, for people
	Error   string  `json:"error,omitempty"`
	Lacks   bool    `json:"lacks,omitempty"` // the error is that the peer cannot do such a case
}

// LacksError says that a peer has no way to do a case.
type LacksError struct{ Peer, Reason string }

// Error names the peer and its reason.
func (e *LacksError) Error() string { return e.Peer + ": " + e.Reason }

// EndedError says that a peer's program came to its end.
type EndedError struct{ Peer, Asked, Said string }

// Error names the peer and gives the last that it said.
func (e *EndedError) Error() string {
	return fmt.Sprintf("%s ended while it was asked to %s%s", e.Peer, e.Asked, e.Said)
}

// patience is how long an answer may take.
const patience = 20 * time.Minute

// Peer is a running program that times cases.
type Peer struct {
	Name, About string
	cmd         *exec.Cmd
	in          io.WriteCloser
	out         *bufio.Reader
	problems    *tail
	end         func() error // closes its input, waits for its end and for all that it said
}

// Start runs cmd, which must speak the protocol on its standard input and output, and asks what it is.
func Start(name string, cmd *exec.Cmd) (*Peer, error) {
	p := &Peer{Name: name, cmd: cmd, problems: &tail{}}
	cmd.Stderr = p.problems
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	p.end = sync.OnceValue(func() error {
		in.Close()
		late := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer late.Stop()
		return cmd.Wait()
	})
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	a, err := p.ask(request{Do: "about"})
	if err != nil {
		p.Close()
		return nil, err
	}
	p.About = a.About
	return p, nil
}

// Time makes skip calls of c, then calls of them on the clock, and gives the mean time of one.
func (p *Peer) Time(c Case, threads, skip, calls int) (time.Duration, error) {
	a, err := p.ask(request{Do: "time", Case: &c, Threads: threads, Skip: skip, Calls: calls})
	if err != nil {
		return 0, err
	}
	if a.Seconds <= 0 {
		return 0, fmt.Errorf("%s: %+v took %v s", p.Name, c, a.Seconds)
	}
	return time.Duration(a.Seconds / float64(calls) * float64(time.Second)), nil
}

// Drop has the peer forget its cases and their memory.
func (p *Peer) Drop() error {
	_, err := p.ask(request{Do: "drop"})
	return err
}

// Close ends the program.
func (p *Peer) Close() error {
	if err := p.end(); err != nil {
		return fmt.Errorf("%s: %w%s", p.Name, err, p.problems)
	}
	return nil
}

func (p *Peer) ask(r request) (answer, error) {
	var a answer
	b, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	late := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	if _, err = p.in.Write(append(b, '\n')); err == nil {
		var line []byte
		if line, err = p.out.ReadBytes('\n'); err == nil {
			err = json.Unmarshal(line, &a)
		}
	}
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE):
		_ = p.end() // Close tells
		return a, &EndedError{p.Name, r.Do, p.problems.String()}
	case err != nil:
		return a, fmt.Errorf("%s, asked to %s: %w%s", p.Name, r.Do, err, p.problems)
	case a.Lacks:
		return a, &LacksError{p.Name, a.Error}
	case a.Error != "":
		return a, fmt.Errorf("%s, asked to %s: %s", p.Name, r.Do, a.Error)
	}
	return a, nil
}

// tail keeps the last of what a program says on its standard error.
type tail struct {
	mu sync.Mutex
	b  []byte
}

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	const most = 4000
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-most):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := strings.TrimSpace(string(t.b)); s != "" {
		return "; it said:\n" + s
	}
	return ""
}
