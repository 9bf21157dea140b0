package bundle

import (
	"slices"
	"time"
)

const (
	loadStage  = "load"
	oneMinute  = time.Minute
	gpuMinutes = 4 * time.Minute
)

// Stages are all, in the order of a run: first what this machine is, then whether the back-end is right here, from single
// instructions up to training, then how fast it is.
func Stages() []Stage {
	needs := []string{loadStage}
	all := []Stage{
		{Name: environmentStage, About: "the machine, its GPU, driver and tools", Limit: 2 * oneMinute, Run: environment},
		{Name: loadStage, About: "every image of machine code that this GPU takes", Limit: 2 * oneMinute, Run: func(j *Job) error { return loadImages(j, false) }},
		{Name: "vectors", About: "single instructions and functions beside references", Limit: oneMinute, Needs: needs, Run: instructionVectors},
	}
	all = append(all, suite()...)
	for _, s := range sanitizers {
		all = append(all, Stage{Name: s.tool, About: "compute-sanitizer: " + s.about, Limit: 2 * oneMinute, Needs: needs, Run: sanitized(s.tool)})
	}
	all = append(all, Stage{Name: "captured", About: "captured steps are plain steps, to the bit", Limit: 2 * oneMinute, Needs: needs, Run: capturedIsPlain})
	for _, p := range precisions {
		all = append(all, Stage{Name: "lenet5-" + p, About: "LeNet-5 learns MNIST in " + p, Limit: 2 * oneMinute, Needs: needs, Run: lenet5(p)})
	}
	add := func(name, about string, limit time.Duration, run func(*Job) error) {
		all = append(all, Stage{Name: name, About: about, Limit: limit, Needs: needs, Run: run})
	}
	add("ceilings", "speed of copies and of large products", 2*oneMinute, speed(ceilings))
	for _, c := range []struct{ name, kind, about string }{
		{"forward", "conv", "forward"}, {"dx", "conv_dx", "gradients of inputs"}, {"dw", "conv_dw", "gradients of weights"},
	} {
		add("conv2d-"+c.name, "speed of convolutions, "+c.about, 2*oneMinute, speed(func() []speedCase { return convolutions(c.kind) }))
	}
	add("kernels", "speed of what stands between convolutions", 2*oneMinute, speed(others))
	add("steps-lenet5", "speed of whole steps", gpuMinutes, wholeSteps("lenet5", [3]int{28, 28, 1}, 64, 1024))
	add("steps-resnet18", "speed of whole steps", gpuMinutes, wholeSteps("resnet18", [3]int{32, 32, 3}, 512))
	add("steps-cifar94", "speed of whole steps", gpuMinutes, wholeSteps("cifar94", [3]int{32, 32, 3}, 2000))
	for _, p := range []string{"f32", "f16"} {
		add("cnn-small-"+p, "accuracy on CIFAR-10 in "+p, 2*oneMinute, accuracy(cnnSmall, p))
	}
	add("resnet20-f16", "accuracy on CIFAR-10 in f16", gpuMinutes, accuracy(resnet20of, "f16"))
	add("resnet18-f16", "accuracy on CIFAR-10 in f16", gpuMinutes, accuracy(resnet18of, "f16"))
	add("ptx", "the images that the driver has to translate", gpuMinutes, func(j *Job) error { return loadImages(j, true) })
	return all
}

// hidden are what stages start in processes of their own.
func hidden() []Stage { return slices.Concat(Stages(), []Stage{{Name: exerciseStage, Run: exercise}}) }
