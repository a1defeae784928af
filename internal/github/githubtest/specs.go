package githubtest

import (
	"path/filepath"
	"testing"

	"github.com/compassdigital/reconciler/internal/contract"
)

// Specs is the folder of GitHub's published descriptions; "" where it is not there, which
// the test's log then says.
func Specs(tb testing.TB) string {
	tb.Helper()
	dir := contract.Specs(tb)
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "github")
}
