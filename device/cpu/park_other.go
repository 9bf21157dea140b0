//go:build !linux

package cpu

import "sync"

// parker is where one thread sleeps until another wakes it.
type parker struct {
	once sync.Once
	wake chan struct{}
}

func (p *parker) channel() chan struct{} {
	p.once.Do(func() { p.wake = make(chan struct{}, 1) })
	return p.wake
}

// park returns once unpark has been called since the last park.
func (p *parker) park() { <-p.channel() }

// unpark ends the present park, or the next.
func (p *parker) unpark() {
	select {
	case p.channel() <- struct{}{}:
	default:
	}
}
