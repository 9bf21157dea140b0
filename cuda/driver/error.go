//go:build cuda

package driver

// #include "driver.h"
import "C"
import (
	"fmt"
	"reflect"
)

func failure(call string, code int) error {
	if e := noLibrary(); e != nil {
		return fmt.Errorf("%s: %w", call, e)
	}
	return &Error{call, code, C.GoString(C.acu_error_name(C.int(code))), C.GoString(C.acu_error_text(C.int(code)))}
}

// check makes an error of what a function of driver.c returned.
func check(call string, r C.int) error {
	if r == 0 {
		return nil
	}
	if r < 0 {
		return failure("cuCtxSetCurrent", int(-r))
	}
	return failure(call, int(r))
}

// wrap makes an error of ours of one of gorgonia.org/cu, whose type is an unexported integer.
func wrap(call string, err error) error {
	if err == nil {
		return nil
	}
	if c := code(err); c != 0 {
		return failure(call, c)
	}
	return fmt.Errorf("%s: %w", call, err)
}

// code is the CUresult of an error of gorgonia.org/cu, 0 if it has none.
func code(err error) int {
	if v := reflect.ValueOf(err); v.CanInt() {
		return int(v.Int())
	}
	return 0
}
