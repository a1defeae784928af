package schema

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the schemas and the reference")

const root = "../.."

func TestWhatIsCommittedIsCurrent(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		current(t, filepath.Join(root, "schemas", name), want)
	}
	current(t, filepath.Join("testdata", "reference.md"), []byte(Reference()))

	entries, err := os.ReadDir(filepath.Join(root, "schemas"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()] == nil {
			t.Errorf("schemas/%s comes from nowhere", e.Name())
		}
	}
}

// README.md is written by hand around the reference.
func TestTheReferenceInTheReadmeIsCurrent(t *testing.T) {
	readme := filepath.Join(root, "README.md")
	have, err := os.ReadFile(readme)
	if os.IsNotExist(err) {
		have = []byte("# Nothing yet\n\n" + Begin + "\n" + End + "\n\nafter\n")
		out, found := Splice(string(have), Reference())
		if want := "# Nothing yet\n\n" + Reference() + "\nafter\n"; !found || out != want {
			t.Errorf("spliced: %s", cmp.Diff(want, out))
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	want, found := Splice(string(have), Reference())
	if !found {
		t.Fatalf("README.md has no %s … %s", Begin, End)
	}
	current(t, readme, []byte(want))
}

// current compares a committed file with what it should be, or writes it.
func current(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%v; run make generate", err)
		return
	}
	if diff := cmp.Diff(string(want), string(have)); diff != "" {
		t.Errorf("%s is not what the types say; run make generate:\n%s", file, diff)
	}
}
