package contract

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every description that tests judge by is there, or none is. `make specs` prints what this logs.
func TestSpecs(t *testing.T) {
	dir := Specs(t)
	if dir == "" {
		t.Logf("They are no part of the repository: their licences are their vendors'. Tests run without them, and judge less. They are looked for in shared/specs beside the project, and above; %s names another folder, which has to be an absolute path.", SpecsVariable)
	} else {
		t.Logf("descriptions are in %s", dir)
	}
	for _, file := range slices.Sorted(maps.Keys(sources())) {
		there := "missing"
		if dir != "" {
			if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(file))); err != nil {
				t.Errorf("%s is not among the descriptions: %v", file, err)
			} else {
				there = "there"
			}
		}
		t.Logf("%-36s %-8s from %s", file, there, sources()[file])
	}
	t.Log("payload.yaml                         there    in internal/contract, written by hand: Payload publishes none")
}

// refusing collects what ends a test.
type refusing struct {
	testing.TB
	said string
}

func (r *refusing) Fatalf(format string, a ...any) { r.said = fmt.Sprintf(format, a...) }

// The variable comes first, and what it names has to be there.
func TestSpecsAreNamed(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(SpecsVariable, dir)
	if got := Specs(t); got != dir {
		t.Errorf("they are looked for in %q", got)
	}
	t.Setenv(SpecsVariable, filepath.Join(dir, "none"))
	r := &refusing{TB: t}
	if Specs(r); !strings.Contains(r.said, "is no folder") {
		t.Errorf("said %q", r.said)
	}
}
