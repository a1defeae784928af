package drift

import "github.com/aymanbagabas/go-udiff"

// Patch is the change of one file as `git apply` takes it, "" for none.
func Patch(path string, before, after []byte) string {
	return udiff.Unified("a/"+path, "b/"+path, string(before), string(after))
}
