//go:build unix

package sources

import (
	"os/exec"
	"syscall"
)

// endWhole lets the end of a program be the end of all that it started.
func endWhole(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
