package bundle

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/acumen-ml/acumen/cuda/vectors"
	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/atomicfile"
)

// instructionVectors compares what the GPU gives with the references, and writes it to a file that can be kept.
func instructionVectors(j *Job) error {
	g, err := j.gpu()
	if err != nil {
		return err
	}
	d, err := device.Open(j.Device)
	if err != nil {
		return err
	}
	who := device.Describe(d)
	if err := d.Close(); err != nil {
		return err
	}
	r, err := vectors.Open(int(g))
	if err != nil {
		return err
	}
	all, figures, wrong := vectors.Collect(r, who)
	exact, results := 0, 0
	j.Row("Instruction vectors", "Case", "Results", "Error, of the bound")
	for _, f := range figures {
		results += f.Count
		said := "none, to the bit"
		if !f.Exact {
			said = fmt.Sprintf("%.2f", f.Worst)
		} else {
			exact++
			if f.Worst > 0 {
				said = "differs"
			}
		}
		j.Row("Instruction vectors", f.Name, fmt.Sprint(f.Count), said)
	}
	j.Figure("%d cases (%d exact to the bit), %d results, %d wrong", len(figures), exact, results, len(wrong))
	path := filepath.Join(j.Out, "vectors-"+r.Arch()+".gz")
	if err := atomicfile.Write(atomicfile.OS{}, path, all.Write); err != nil {
		wrong = append(wrong, err)
	} else {
		j.Figure("kept as %s", filepath.Base(path))
	}
	return errors.Join(errors.Join(wrong...), r.Close())
}
