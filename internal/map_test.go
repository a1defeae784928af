package internal_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// CONTRIBUTING.md shows a newcomer every room.
func TestTheMapNamesEveryRoom(t *testing.T) {
	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "## The map")
	if !ok {
		t.Fatal("CONTRIBUTING.md has no map")
	}
	chart, _, _ := strings.Cut(rest, "\n## ")
	rooms := 0
	err = filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "doc.go" {
			return err
		}
		rooms++
		room := path.Dir(filepath.ToSlash(file))
		if !strings.Contains(chart, "`"+room+"`") && !strings.Contains(chart, "`"+path.Base(room)+"`") {
			t.Errorf("%s is not on the map of CONTRIBUTING.md", room)
		}
		return nil
	})
	if err != nil || rooms == 0 {
		t.Fatalf("%d rooms, %v", rooms, err)
	}
}
