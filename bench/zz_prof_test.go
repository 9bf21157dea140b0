package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/acumen-ml/acumen/bench/subject"
)

func TestZZ(t *testing.T) {
	prec, net := os.Getenv("PREC"), os.Getenv("NET")
	batch := 256
	fmt.Sscan(os.Getenv("BATCH"), &batch)
	threads := 1
	fmt.Sscan(os.Getenv("THREADS"), &threads)
	s := subject.New("cpu")
	e := netEntry("step", net, batch, prec)
	var all []float64
	for t0 := time.Now(); time.Since(t0) < 8*time.Second; {
		d, err := s.Time(e.c, threads, 1, 2)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, float64(batch)/d.Seconds())
	}
	fmt.Printf("%s %s %d: median %.0f best %.0f\n", net, prec, batch, median(all), quantile1(all))
}
func quantile1(x []float64) float64 { m := 0.0; for _, v := range x { m = max(m, v) }; return m }
