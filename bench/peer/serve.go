package peer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Work is what a peer made of a case.
type Work struct {
	Call  func()
	Close func() // nil: nothing to give back
}

// Serve answers requests, line by line, until in ends. about is the peer's name and versions. prepare makes the work of
// a case for so many threads; a *LacksError says that there is none.
func Serve(in io.Reader, out io.Writer, about string, prepare func(c Case, threads int) (Work, error)) error {
	type key struct {
		c       Case
		threads int
	}
	ready := map[key]Work{}
	drop := func() {
		for k, w := range ready {
			if w.Close != nil {
				w.Close()
			}
			delete(ready, k)
		}
	}
	defer drop()
	do := func(line []byte) (a answer) {
		defer func() {
			if p := recover(); p != nil {
				a = answer{Error: fmt.Sprint(p)}
			}
		}()
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return answer{Error: err.Error()}
		}
		switch {
		case r.Do == "about":
			return answer{About: about}
		case r.Do == "drop":
			drop()
			return answer{}
		case r.Do != "time" || r.Case == nil || r.Calls < 1 || r.Threads < 1:
			return answer{Error: "not a request: " + string(line)}
		}
		k := key{*r.Case, r.Threads}
		w, ok := ready[k]
		if !ok {
			var err error
			if w, err = prepare(*r.Case, r.Threads); err != nil {
				var lacks *LacksError
				return answer{Error: err.Error(), Lacks: errors.As(err, &lacks)}
			}
			ready[k] = w
		}
		for range r.Skip {
			w.Call()
		}
		t := time.Now()
		for range r.Calls {
			w.Call()
		}
		return answer{Seconds: time.Since(t).Seconds()}
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := json.Marshal(do(line))
		if err != nil {
			return err
		}
		if _, err := out.Write(append(b, '\n')); err != nil {
			return err
		}
	}
}
