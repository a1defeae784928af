//go:build unix

package daemon

import (
	"io/fs"
	"os"
	"syscall"
)

// ours says whether a file belongs to this user.
func ours(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}
