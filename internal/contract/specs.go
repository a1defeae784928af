package contract

import (
	"os"
	"path/filepath"
	"testing"
)

// maxUp is how many folders above the test's own are looked at.
const maxUp = 8

// Specs is the folder of the vendors' published descriptions; "" where it is not there, which
// the test's log then says.
func Specs(tb testing.TB) string {
	tb.Helper()
	at, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for range maxUp {
		dir := filepath.Join(at, "shared", "specs")
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
		at = filepath.Dir(at)
	}
	tb.Log("the vendors' published descriptions are not beside the project: nothing is checked against them")
	return ""
}
