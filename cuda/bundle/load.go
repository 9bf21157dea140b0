package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/cuda/kernels"
)

// gpu is the GPU of --device, cuda:N.
func (j *Job) gpu() (driver.GPU, error) {
	var n int
	if _, err := fmt.Sscanf(j.Device, "cuda:%d", &n); err != nil {
		return 0, fmt.Errorf("--device %s: write cuda:0 or cuda:N", j.Device)
	}
	return driver.GPU(n), driver.Load()
}

// loadImages loads every image that the GPU takes, whichever of them acumen would choose, and asks for every kernel. ptx
// chooses those that the driver has to translate, which takes it long.
func loadImages(j *Job, ptx bool) error {
	g, err := j.gpu()
	if err != nil {
		return err
	}
	major, minor, err := g.Capability()
	if err != nil {
		return err
	}
	set, err := kernels.Embedded()
	if err != nil {
		return err
	}
	ctx, err := g.Open()
	if err != nil {
		return err
	}
	var wrong []error
	images, functions, local := map[string]int{}, 0, []string{}
	begin := time.Now()
	for _, file := range set.Files() {
		for _, arch := range set.Index().Files[file].Archs {
			if _, ok := kernels.Choose([]string{arch}, major, minor); !ok || strings.HasPrefix(arch, "compute_") != ptx {
				continue
			}
			n, spills, err := loadImage(ctx, set, file, arch)
			if err != nil {
				wrong = append(wrong, err)
			}
			images[arch]++
			functions += n
			local = append(local, spills...)
		}
	}
	var said []string
	for arch, n := range images {
		said = append(said, fmt.Sprintf("%s %d", arch, n))
	}
	slices.Sort(said)
	j.Figure("%d.%d takes images: %s; %d kernels, in %s", major, minor, strings.Join(said, ", "), functions, since(begin))
	if len(local) > 0 {
		j.Figure("local memory (spills or arrays): %s", strings.Join(local, ", "))
	}
	if len(images) == 0 {
		if ptx {
			return errors.Join(skip("no PTX is in this program"), ctx.Close())
		}
		wrong = append(wrong, fmt.Errorf("no image is for compute capability %d.%d", major, minor))
	}
	return errors.Join(errors.Join(wrong...), ctx.Close())
}

// loadImage loads one image. It gives the number of its kernels, and those that use local memory.
func loadImage(ctx *driver.Context, set *kernels.Set, file, arch string) (n int, local []string, err error) {
	image, err := set.ImageFor(file, arch)
	if err != nil {
		return 0, nil, err
	}
	m, err := ctx.LoadModule(image)
	if err != nil {
		return 0, nil, fmt.Errorf("%s for %s: %w", file, arch, err)
	}
	for _, name := range set.Kernels(file) {
		f, err := m.Function(name)
		if err != nil {
			return n, local, fmt.Errorf("%s for %s: %w", file, arch, errors.Join(err, m.Unload()))
		}
		bytes, err := f.Attribute(driver.FuncLocalBytes)
		if err != nil {
			return n, local, fmt.Errorf("%s for %s: %w", file, arch, errors.Join(err, m.Unload()))
		}
		if bytes > 0 {
			local = append(local, fmt.Sprintf("%s %s %d", name, arch, bytes))
		}
		n++
	}
	return n, local, m.Unload()
}
