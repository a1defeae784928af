package ploi

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
)

// The script does what it says, in a real shell and a real repository: one commit is checked
// out and built; where building fails what was there is built again, and the script fails;
// words of a manifest stay words.
func TestTheScriptBuildsAndGoesBack(t *testing.T) {
	dir := t.TempDir()
	origin, there := filepath.Join(dir, "origin"), filepath.Join(dir, "home", "ploi", "shop.example")
	git := func(in string, args ...string) string {
		t.Helper()
		c := exec.Command("git", args...)
		c.Dir = in
		c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Dana", "GIT_AUTHOR_EMAIL=dana@shop.example", "GIT_COMMITTER_NAME=Dana", "GIT_COMMITTER_EMAIL=dana@shop.example")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.MkdirAll(origin, 0o755); err != nil {
		t.Fatal(err)
	}
	git(origin, "init", "-q", "-b", "main")
	commit := func(page string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(origin, "page"), []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		git(origin, "add", "-A")
		git(origin, "commit", "-q", "-m", page)
		return git(origin, "rev-parse", "HEAD")
	}
	commit("one")
	git(dir, "clone", "-q", origin, there)
	run := func(in ...provider.Input) (string, error) {
		t.Helper()
		in = append(in, provider.Input{Name: "command", Text: "grep -v broken page > built\ncp built served"}, provider.Input{Name: "displayName", Text: "Dana's $(touch stolen)"})
		s := site{Domain: "shop.example"}
		h := header{mark: provider.Mark{Installation: "0badcafe", Client: "c00001", Generation: 1}, release: "r", try: "t"}
		text := strings.ReplaceAll(h.text()+body(s, h, provider.Wish{Inputs: in}), "/home/ploi/shop.example", there)
		c := exec.Command("sh")
		c.Dir, c.Stdin = dir, strings.NewReader(text)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	served := func(want string) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(there, "served"))
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("it serves %q, %v; want %q", got, err, want)
		}
	}
	second := commit("two")
	out, err := run(provider.Input{Name: "commit", Text: second}, provider.Input{Name: "ref", Text: "main"})
	if err != nil || !strings.HasPrefix(out, "reconciler: release r t\n") || !strings.HasSuffix(out, "reconciler: built r\n") {
		t.Errorf("it ended with %v:\n%s", err, out)
	}
	served("two")
	commit("broken") // grep -v finds nothing and fails
	out, err = run(provider.Input{Name: "ref", Text: "main"})
	if err == nil || !strings.Contains(out, "is built again") || strings.Contains(out, "built r\n") {
		t.Errorf("what is broken ended with %v:\n%s", err, out)
	}
	served("two")
	if now := git(there, "rev-parse", "HEAD"); now != second {
		t.Errorf("checked out is %s, want %s", now, second)
	}
	if out, err = run(provider.Input{Name: "ref", Text: "v9"}); err == nil {
		t.Errorf("a ref that is not there ended well:\n%s", out)
	}
	served("two")
	third := commit("three")
	git(origin, "tag", "v3")
	commit("four")
	if out, err = run(provider.Input{Name: "ref", Text: "v3"}); err != nil || git(there, "rev-parse", "HEAD") != third {
		t.Errorf("a tag ended with %v:\n%s", err, out)
	}
	served("three")
	for _, name := range []string{filepath.Join(there, "stolen"), filepath.Join(dir, "stolen")} {
		if _, err := os.Stat(name); err == nil {
			t.Error("a word of the manifest was run")
		}
	}
}
