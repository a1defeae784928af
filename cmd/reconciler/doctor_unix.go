//go:build linux || darwin

package main

import (
	"os"
	"syscall"
)

// writeAccess is W_OK and X_OK of access(2).
const writeAccess = 0x2 | 0x1

// writable says that we may make files in a folder.
func writable(dir string) bool { return syscall.Access(dir, writeAccess) == nil }

// room, of which each system has another type of Bsize, is how many bytes a user may still write below a folder.
func room(dir string) (uint64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}

// ownerOf is whose a file is.
func ownerOf(path string) (uid int, known bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}
