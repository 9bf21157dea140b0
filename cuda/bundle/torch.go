package bundle

import (
	"bufio"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed scripts/*.py
var scripts embed.FS

// torch runs one of the scripts with arguments, and gives each line of JSON that it prints to take. The error is a
// *skipped where there is no PyTorch, or none that sees the GPU.
func torch(j *Job, script string, take func(line []byte) error, args ...string) error {
	check := "import torch; assert torch.cuda.is_available(), 'this PyTorch sees no GPU'"
	if j.Dry {
		check = "import torch"
	}
	if _, err := output(j.python("-c", check)); err != nil {
		return skip("%s: %s", j.Python, notThere(j.Python, err))
	}
	dir, err := os.MkdirTemp("", "acumen-scripts-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, err := fs.Sub(scripts, "scripts")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}
	if j.Dry {
		args = append(args, "--dry")
	}
	cmd := j.python(append([]string{filepath.Join(dir, script)}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var wrong error
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Println(lines.Text())
		if err := take(lines.Bytes()); err != nil && wrong == nil {
			wrong = err
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", script, err)
	}
	return wrong
}

// torchSpeed gives PyTorch's microseconds for each case, 0 where it has none.
func torchSpeed(j *Job, cases []speedCase) (us []float64, version string, err error) {
	type withBytes struct {
		speedCase
		Bytes float64 `json:"bytes"`
	}
	var all []withBytes
	for _, c := range cases {
		all = append(all, withBytes{c, c.bytes()})
	}
	b, err := json.Marshal(all)
	if err != nil {
		return nil, "", err
	}
	f, err := os.CreateTemp("", "acumen-cases-*.json")
	if err != nil {
		return nil, "", err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(b); err != nil {
		return nil, "", err
	}
	if err := f.Close(); err != nil {
		return nil, "", err
	}
	us = make([]float64, len(cases))
	err = torch(j, "speed.py", func(line []byte) error {
		var r struct {
			Version string
			Case    int
			US      float64
			Skip    string
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("speed.py said %q: %w", line, err)
		}
		switch {
		case r.Version != "":
			version = r.Version
		case r.Case < 0 || r.Case >= len(us):
			return fmt.Errorf("speed.py said %q: there is no such case", line)
		default:
			us[r.Case] = r.US
		}
		return nil
	}, f.Name())
	return us, version, err
}
