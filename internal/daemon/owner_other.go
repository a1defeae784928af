//go:build !unix

package daemon

import "io/fs"

// ours can't be told here: the temporary folder is the user's own.
func ours(fs.FileInfo) bool { return true }
