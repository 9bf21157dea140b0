// Package acumen is the root of a module that trains neural networks from Go. It has no code of its own; the floors are,
// from the bottom up:
//
//   - device: the seam between what is computed and what computes it; device/cpu computes in Go, device/all registers
//     every back-end of the build, device/devicetest tests them.
//   - ops: tensor operations with their gradients, composed from the device's small kernel set or fused.
//   - model: layers, networks, initial values; model/safetensors reads and writes the file format.
//   - trainer: the loop over batches and epochs; beside it optim, schedule, data, augment, metric, checkpoint, report.
//   - cmd/acumen: the command.
//
// A package imports only floors below its own. Nothing above package device names a back-end.
//
// Four lines train a network:
//
//	dev, err := device.Open("auto") // with import _ "github.com/acumen-ml/acumen/device/all"
//	train, test, err := data.EmbeddedMNIST()
//	net, err := model.New("lenet5", [3]int{28, 28, 1}, 10)
//	res, err := trainer.Fit(ctx, dev, net, train, test, trainer.Options{Epochs: 5, Batch: 64, Optimizer: optim.SGD{LR: 0.05, Momentum: 0.9}})
package acumen
