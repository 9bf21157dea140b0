package bundle

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/ops/opstest"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/augment"
)

// sanitizers are the tools of compute-sanitizer, with what each looks for.
var sanitizers = []struct{ tool, about string }{
	{"memcheck", "accesses outside of memory, misaligned ones, leaks"},
	{"racecheck", "races in shared memory"},
	{"initcheck", "reads of memory that nothing wrote"},
	{"synccheck", "barriers that not all threads reach"},
}

// sanitized runs the stage exercise under one of the tools.
func sanitized(tool string) func(*Job) error {
	return func(j *Job) error {
		path, err := exec.LookPath("compute-sanitizer")
		if err != nil {
			return skip("compute-sanitizer was not found")
		}
		self, err := os.Executable()
		if err != nil {
			return err
		}
		args := append([]string{"--tool", tool, "--error-exitcode", "99", "--print-limit", "20", self, stageCommand, exerciseStage}, j.Settings.arguments()...)
		cmd := exec.Command(path, args...)
		var out strings.Builder
		both := io.MultiWriter(os.Stdout, &out)
		cmd.Stdout, cmd.Stderr = both, both
		err = cmd.Run()
		found, ok := sanitizerErrors(out.String())
		switch {
		case !ok && err != nil:
			return fmt.Errorf("compute-sanitizer: %w: %s", err, firstLine(out.String()))
		case !ok:
			return fmt.Errorf("compute-sanitizer told no number of errors: %s", firstLine(out.String()))
		case found > 0:
			return fmt.Errorf("%d errors, the first: %s", found, firstFinding(out.String()))
		case err != nil:
			return fmt.Errorf("no error was found, but: %w", err)
		}
		j.Figure("%s: no errors", tool)
		return nil
	}
}

var (
	errorSummary = regexp.MustCompile(`(?m)^=+ (?:ERROR|RACECHECK) SUMMARY: (\d+) (?:error|hazard)`)
	finding      = regexp.MustCompile(`(?m)^=+ (Invalid .*|Uninitialized .*|Error: .*|Warning: Race .*|Barrier error .*|Program hit .*|Leaked .*)$`)
)

func sanitizerErrors(out string) (n int, ok bool) {
	m := errorSummary.FindStringSubmatch(out)
	if m == nil {
		return 0, false
	}
	_, err := fmt.Sscan(m[1], &n)
	return n, err == nil
}

func firstFinding(out string) string {
	if m := finding.FindStringSubmatch(out); m != nil {
		return m[1]
	}
	return "see the log"
}

// exerciseStage is no stage of a run: only the sanitizer calls it.
const exerciseStage = "exercise"

// exercise runs every op once on a small case, and steps of the small networks.
func exercise(j *Job) error {
	return opened(j.Device, func(d device.Device) error {
		n := 0
		for _, r := range opstest.Table() {
			for _, c := range r.Cases {
				if len(c.Shapes[0]) == 0 || slices.Contains(c.Shapes[0], 0) || c.Name == "one" {
					continue
				}
				if _, err := opstest.Check(d, r, c); err != nil {
					return err
				}
				if _, _, err := opstest.CheckHalf(d, device.F16, r, c, 1, 4); err != nil {
					return err
				}
				n++
				break
			}
		}
		steps := 0
		for _, name := range slices.Sorted(maps.Keys(small)) {
			for _, precision := range precisions {
				net, err := model.FromSpec(small[name])
				if err != nil {
					return err
				}
				set, err := pictures(16, net.Input)
				if err != nil {
					return err
				}
				o := withPrecision(trainer.Options{Epochs: 2, Batch: 8, Seed: 3, Optimizer: sgd, Augment: augment.Spec{Flip: true, Pad: 2, Cutout: 4}}, precision)
				if o.TF32 && !trainer.HasTF32(d) {
					continue
				}
				t, err := train(d, net, set, set, 3, o)
				if err != nil {
					return fmt.Errorf("%s in %s: %w", name, precision, err)
				}
				steps += len(t.losses)
			}
		}
		fmt.Printf("%d ops, %d steps\n", n, steps)
		return nil
	})
}
