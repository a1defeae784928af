package canary

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// What commands print on either output is handed over, whether they fail, run in the background
// or are in a part of the script that is long over; what only the script or its environment says
// is not.
func TestScriptsHear(t *testing.T) {
	dir := t.TempDir()
	script := `# one
exec sh -c 'echo $A-1'
! exec sh -c 'echo $A-2 >&2; exit 1'
# two
exec sh -c 'echo "> $A-3"' &
wait
# only-the-script
exec true only-the-script
! stdout $A
`
	if err := os.WriteFile(filepath.Join(dir, "some.txtar"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	var heard []string
	var whose, is testscript.T
	t.Run("scripts", func(t *testing.T) {
		Scripts(t, testscript.Params{Dir: dir, Setup: func(e *testscript.Env) error {
			e.Setenv("A", "leak")
			whose = e.T()
			return nil
		}}, func(t testscript.T, text string) { is, heard = t, append(heard, text) })
	})
	if len(heard) != 1 || whose == nil || is != whose {
		t.Fatalf("heard %q", heard)
	}
	for _, words := range []string{"leak-1", "leak-2", "> leak-3"} {
		if !strings.Contains(heard[0], words) {
			t.Errorf("%q is not heard: %s", words, heard[0])
		}
	}
	for _, words := range []string{"A=leak", "exec true only-the-script"} {
		if strings.Contains(heard[0], words) {
			t.Errorf("%q is heard: %s", words, heard[0])
		}
	}
}
