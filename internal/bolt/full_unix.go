//go:build unix

package bolt

import (
	"errors"
	"syscall"
)

// full: no room on the disk, in the quota or under the limit of a file's size.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
