package internal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The tests of the program run in parts, by name: each in one of `make test`'s, and in one of `make race`'s.
func TestPartsMissNoTest(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../cmd/reconciler/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no tests of the program: %v", err)
	}
	names := map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]*)\(t \*testing\.T\)`).FindAllSubmatch(data, -1) {
			names[string(m[1])] = true
		}
	}
	if len(names) < 100 {
		t.Fatalf("there are %d tests of the program", len(names))
	}
	for _, target := range []string{"program-", "race-"} {
		parts := regexp.MustCompile(`(?m)^`+target+`[a-z0-9]+:\n\t.* \./cmd/reconciler (-run|-skip) '(.+)'$`).FindAllSubmatch(makefile, -1)
		if len(parts) != 3 {
			t.Fatalf("%s: %d parts", target, len(parts))
		}
		for name := range names {
			in := 0
			for _, p := range parts {
				pattern := regexp.MustCompile(strings.ReplaceAll(string(p[2]), "$$", "$"))
				if pattern.MatchString(name) == (string(p[1]) == "-run") {
					in++
				}
			}
			if in != 1 {
				t.Errorf("%s runs in %d of the parts %s", name, in, target)
			}
		}
	}
}

// Runs that `make test` plays without the race detector are there by name, each in one package of
// those that are asked for them: a test of that name in another one would be left out.
func TestWhatIsPlayedIsThere(t *testing.T) {
	packages := named(t, "PLAYED_IN", "|")
	for _, name := range named(t, "PLAYED", "|") {
		var in []string
		err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			if strings.Contains(string(data), "\nfunc "+name+"(t *testing.T)") {
				in = append(in, filepath.ToSlash(filepath.Dir(path)))
			}
			return err
		})
		if err != nil || len(in) != 1 || !slices.Contains(packages, strings.TrimPrefix(in[0], "../internal/")) {
			t.Errorf("%s is in %v, not in one of %v alone: %v", name, in, packages, err)
		}
	}
}

// named are the words of a list in the Makefile.
func named(t *testing.T, list, separator string) []string {
	t.Helper()
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`(?m)^` + list + ` = (.+)$`).FindSubmatch(makefile)
	if words == nil {
		t.Fatalf("the Makefile has no %s", list)
	}
	return strings.Split(string(words[1]), separator)
}
