package model

import "github.com/acumen-ml/acumen/device"

// lender is the ability of a device that computes in the host's memory: bytes of that are a Memory of its, without a copy.
// They must be there, and stay as they are, until Free.
type lender interface {
	Borrow(host []byte) device.Memory
}

// borrow makes the host's bytes of all parameters the weights.
func (s *Storage) borrow(params [][]byte) {
	s.giveBack()
	for _, b := range params {
		s.borrowed = append(s.borrowed, s.lender.Borrow(b))
	}
}

func (s *Storage) giveBack() {
	for _, m := range s.borrowed {
		m.Free()
	}
	s.borrowed = nil
}
