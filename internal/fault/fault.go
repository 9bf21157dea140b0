// Package fault gives errors that a person can cause their exit status and the way out of them.
package fault

import (
	"errors"
	"fmt"
)

// Kind decides the exit status of the command.
type Kind int

// The kinds, and their exit statuses.
const (
	Failure  Kind = 1 // something broke: disk full, device lost
	Usage    Kind = 2 // a flag, configuration or data file is wrong
	Diverged Kind = 3 // the loss is NaN or infinite
)

// Error is an error with a hint. Its Error text names the place; Hint says what to do.
type Error struct {
	Kind Kind
	Err  error
	hint string
}

// Error is the message, without the hint.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap is the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Hint is the way out, one line.
func (e *Error) Hint() string { return e.hint }

// New makes an error of a kind; format and args as in fmt.Errorf, %w included.
func New(k Kind, hint, format string, args ...any) error {
	return &Error{k, fmt.Errorf(format, args...), hint}
}

// Usagef is New of a Usage error.
func Usagef(hint, format string, args ...any) error { return New(Usage, hint, format, args...) }

// Failuref is New of a Failure.
func Failuref(hint, format string, args ...any) error { return New(Failure, hint, format, args...) }

// HintOf is the outermost hint in err's chain, empty if there is none.
func HintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// KindOf is the outermost kind in err's chain. An error with a hint but no kind, as package device makes, is Usage; any
// other a Failure.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	if HintOf(err) != "" {
		return Usage
	}
	return Failure
}
