package devicetest

import "github.com/acumen-ml/acumen/device"

// Accelerators names the devices beside the CPU that this program has and that can be used here: tests that run on every
// device add them. They are there in programs built with the tag cuda, on a GPU or on its stand-in.
func Accelerators() []string {
	var names []string
	for _, i := range device.List() {
		if i.Reason == "" && i.Name != "cpu" {
			names = append(names, i.Name)
		}
	}
	return names
}
