//go:build !unix

package sources

import "os/exec"

// endWhole: here only the program itself is ended.
func endWhole(*exec.Cmd) {}
