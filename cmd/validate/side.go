package main

import (
	"runtime"
	"sync"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// checkTree is manifest.CheckTreeOver for this program, with every processor at the files.
func checkTree(l manifest.Layout, files, rules []manifest.File, d manifest.Defaults, rank func(path string) int) ([]manifest.Effective, manifest.Problems) {
	c := manifest.NewCheck(version, l, files, rules, d, rank)
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for first := range workers {
		wg.Go(func() {
			for i := first; i < c.Len(); i += workers {
				c.Read(i)
			}
		})
	}
	wg.Wait()
	return c.End()
}
