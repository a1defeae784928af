package main

import "testing"

// What the demo says is to be typed is what it was started by: `go run`, also of a program that Go has
// in its cache from an earlier time, or the program.
func TestMadeByGoRun(t *testing.T) {
	const digest = "b00604c8e42ad1324233e9b1aa912277f6c6a5e1b2cc529476571967140f472c"
	for exe, want := range map[string]bool{
		"/tmp/go-build123/b001/exe/reconciler": true, "/home/dana/.cache/go-build/b0/" + digest + "-d/reconciler": true, "/elsewhere/b0/" + digest + "-d/reconciler": true,
		"/usr/local/bin/reconciler": false, "/home/dana/exe/reconciler": false, "/home/dana/go-build/reconciler": false, "/x/" + digest + "/reconciler": false,
	} {
		if madeByGoRun(exe) != want {
			t.Errorf("%s: made by go run %v", exe, !want)
		}
	}
}
