package main

import "testing"

func readOnly(t *testing.T, _ string, _ []string) outcome {
	t.Skip("rights are other ones here")
	return outcome{}
}

func diskFull(t *testing.T, _ string, _ []string) outcome {
	t.Skip("there is no small disk here")
	return outcome{}
}
