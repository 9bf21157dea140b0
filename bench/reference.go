package main

import "fmt"

// leastOfReference is the share of its reference that tuned PyTorch must reach, or the run is void: something else took
// part of the machine, or PyTorch is not set up as it should be.
const leastOfReference = 0.9

// reference is the speeds of tuned PyTorch 2.15 on a quiet machine of a kind, by table and row, with one and two threads
// (0: not measured), in the tables' units. docs/benchmarks.md says when they were measured.
type reference struct {
	kind          string
	family, index int // of the processor; index -1: any
	speeds        map[string][2]float64
}

var references = []reference{
	{"AMD EPYC, Zen 5", 26, -1, map[string][2]float64{
		"matmul/256x256x256":                          {235, 444},
		"matmul/512x512x512":                          {245, 474},
		"matmul/1024x1024x1024":                       {243, 458},
		"matmul/2048x2048x2048":                       {249, 484},
		"matmul/1024x2304x256":                        {227, 445},
		"conv2d/24->64 at 31x31, forward":             {242},
		"conv2d/24->64 at 31x31, forward + backward":  {178},
		"conv2d/64->64 at 15x15, forward":             {252},
		"conv2d/64->64 at 15x15, forward + backward":  {225},
		"conv2d/64->256 at 15x15, forward":            {246},
		"conv2d/64->256 at 15x15, forward + backward": {240},
		"conv2d/256->256 at 7x7, forward":             {281},
		"conv2d/256->256 at 7x7, forward + backward":  {269},
		"conv2d/256->256 at 3x3, forward":             {198},
		"conv2d/256->256 at 3x3, forward + backward":  {189},
		"passes/batch norm, forward":                  {2.17}, // 63 million elements in 29 ms, and so on
		"passes/batch norm, forward + backward":       {0.969},
		"passes/GELU, forward":                        {2.62},
		"passes/GELU, backward":                       {1.61},
		"passes/max pool 2, forward":                  {2.42},
		"passes/max pool 2, forward + backward":       {1.02},
		"passes/ReLU, forward":                        {4.84},
		"steps/cifar94, 256":                          {302, 571},
		"steps/cifar94, 1024":                         {305, 596},
		"steps/resnet18, 128":                         {64, 120},
		"steps/resnet20, 128":                         {591, 1078},
		"steps/lenet5-wide, 64":                       {7076, 11948},
		"steps/mlp, 128":                              {57000, 96700},
		"bf16/cifar94, 256":                           {500, 938},
		"bf16/cifar94, 1024":                          {513, 980},
		"bf16/resnet18, 128":                          {107, 200},
		"infer/resnet18, 128":                         {203, 378},
		"infer/cifar94, 256":                          {959, 1812},
	}},
	{"AMD EPYC, Zen 4", 25, 17, map[string][2]float64{
		"matmul/256x256x256":    {105},
		"matmul/512x512x512":    {105},
		"matmul/1024x1024x1024": {105},
		"matmul/2048x2048x2048": {105},
		"matmul/1024x2304x256":  {105},
		"steps/cifar94, 256":    {154, 294},
		"steps/cifar94, 1024":   {155, 302},
		"steps/resnet18, 128":   {32.7, 62.4},
		"steps/resnet20, 128":   {333, 609},
		"steps/lenet5-wide, 64": {3845, 5861},
		"bf16/cifar94, 256":     {274, 525},
		"bf16/cifar94, 1024":    {282, 545},
		"bf16/resnet18, 128":    {61.6, 113},
		"infer/resnet18, 128":   {106, 203},
		"infer/cifar94, 256":    {489, 935},
	}},
	{"Intel Xeon, family 6, model 207", 6, 207, map[string][2]float64{ // of PyTorch 1.13
		"steps/cifar94, 256":  {165, 310},
		"steps/resnet18, 128": {34, 60},
		"steps/resnet20, 128": {346, 446},
	}},
}

// referenceFor is what is known of the kind of machine m is, nil if nothing is.
func referenceFor(m machine) *reference {
	for i, r := range references {
		if r.family == m.family && (r.index == m.index || r.index < 0) {
			return &references[i]
		}
	}
	return nil
}

// slow tells of the results in which tuned PyTorch was slower than it may be, and how many it compared.
func (ref *reference) slow(t *table, results []result) (all []string, compared int) {
	if ref == nil {
		return nil, 0
	}
	for _, r := range results {
		if r.threads > 2 {
			continue
		}
		want, got := ref.speeds[t.name+"/"+r.label][r.threads-1], t.speed(r, tuned)
		if want > 0 && got > 0 {
			compared++
		}
		if want > 0 && got > 0 && got < leastOfReference*want {
			all = append(all, fmt.Sprintf("%s, %s, %s: %s of %s %s (%.0f %%)", t.title, r.label, plural(r.threads, "thread"), number(got), number(want), t.unit, 100*got/want))
		}
	}
	return all, compared
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
