package source

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMergeLines(t *testing.T) {
	long := strings.Repeat("a\n", maxMergedLines+1)
	var many, other strings.Builder
	for i := range maxEdits {
		fmt.Fprintf(&many, "line %d\n", i)
		fmt.Fprintf(&other, "line %d, changed\n", i)
	}
	for name, c := range map[string]struct {
		base, ours, theirs, want string
		conflict                 bool
	}{
		"nothing":                      {base: "a\n", ours: "a\n", theirs: "a\n", want: "a\n"},
		"one side":                     {base: "a\n", ours: "a\n", theirs: "b\n", want: "b\n"},
		"both alike":                   {base: "a\n", ours: "b\n", theirs: "b\n", want: "b\n"},
		"far apart":                    {base: "a\nb\nc\nd\ne\n", ours: "A\nb\nc\nd\ne\n", theirs: "a\nb\nc\nd\nE\n", want: "A\nb\nc\nd\nE\n"},
		"one line between":             {base: "a\nb\nc\n", ours: "A\nb\nc\n", theirs: "a\nb\nC\n", want: "A\nb\nC\n"},
		"they touch":                   {base: "a\nb\n", ours: "A\nb\n", theirs: "a\nB\n", conflict: true},
		"the same line":                {base: "a\nb\nc\n", ours: "a\nB\nc\n", theirs: "a\nX\nc\n", conflict: true},
		"the same, and another":        {base: "a\nb\nc\nd\n", ours: "A\nb\nc\nd\n", theirs: "A\nb\nc\nD\n", want: "A\nb\nc\nD\n"},
		"added at one place":           {base: "a\nb\n", ours: "a\nx\nb\n", theirs: "a\ny\nb\n", conflict: true},
		"added and removed":            {base: "a\nb\nc\nd\n", ours: "z\na\nb\nc\nd\n", theirs: "a\nb\n", want: "z\na\nb\n"},
		"removed and changed":          {base: "a\nb\nc\n", ours: "a\nc\n", theirs: "a\nB\nc\n", conflict: true},
		"no end of line":               {base: "a\nb\nc", ours: "A\nb\nc", theirs: "a\nb\nc\n", want: "A\nb\nc\n"},
		"other ends of lines":          {base: "a\nb\n", ours: "a\r\nb\r\n", theirs: "a\nb\nc\n", conflict: true},
		"both new":                     {base: "", ours: "a\n", theirs: "b\n", conflict: true},
		"emptied and changed":          {base: "a\n", ours: "", theirs: "b\n", conflict: true},
		"no text":                      {base: "a\x00\nb\nc\n", ours: "A\x00\nb\nc\n", theirs: "a\x00\nb\nC\n", conflict: true},
		"long":                         {base: long, ours: "A\n" + long, theirs: long + "Z\n", conflict: true},
		"very different":               {base: many.String(), ours: other.String(), theirs: many.String() + "end\n", conflict: true},
		"very different, far from all": {base: "x\ny\n" + many.String(), ours: "x\ny\n" + other.String(), theirs: "X\ny\n" + many.String(), want: "X\ny\n" + other.String()},
	} {
		for _, swap := range []bool{false, true} {
			ours, theirs := c.ours, c.theirs
			if swap {
				ours, theirs = theirs, ours
			}
			got, ok := mergeLines([]byte(c.base), []byte(ours), []byte(theirs))
			if ok == c.conflict || ok && string(got) != c.want {
				t.Errorf("%s: %t %.60q, want %.60q", name, ok, got, c.want)
			}
		}
	}
}

// texts draws a text of few different lines and two edited ones.
func texts(t *rapid.T) (base, ours, theirs []byte) {
	line := rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "  d: 1\n", "  d: 2\n", "\n", "e"})
	all := rapid.SliceOfN(line, 0, 30).Draw(t, "base")
	side := func(label string) []byte {
		lines := append([]string{}, all...)
		for range rapid.IntRange(0, 4).Draw(t, label) {
			at := rapid.IntRange(0, len(lines)).Draw(t, "at")
			to := rapid.IntRange(at, min(len(lines), at+3)).Draw(t, "to")
			fresh := rapid.SliceOfN(line, 0, 3).Draw(t, "lines")
			lines = append(append(append([]string{}, lines[:at]...), fresh...), lines[to:]...)
		}
		return []byte(strings.Join(lines, ""))
	}
	return []byte(strings.Join(all, "")), side("ours"), side("theirs")
}

// What one side alone did is what comes out, and neither side is preferred.
func TestMergeLinesLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, ours, theirs := texts(t)
		lawful(t, base, ours, theirs)
	})
}

type failer interface {
	Fatalf(format string, args ...any)
}

func lawful(t failer, base, ours, theirs []byte) {
	must := func(what string, o, a, b, want []byte) {
		got, ok := mergeLines(o, a, b)
		if !ok || !bytes.Equal(got, want) {
			t.Fatalf("%s: %t %q, want %q", what, ok, got, want)
		}
	}
	must("only ours", base, ours, base, ours)
	must("only theirs", base, base, theirs, theirs)
	must("both alike", base, ours, ours, ours)
	one, ok := mergeLines(base, ours, theirs)
	two, is := mergeLines(base, theirs, ours)
	if ok != is || !bytes.Equal(one, two) {
		t.Fatalf("the sides are not equal: %t %q, %t %q", ok, one, is, two)
	}
	// The edits do what they say, whoever joins them.
	ids := lineIDs{}
	a, b := ids.of(base), ids.of(ours)
	if a == nil || b == nil {
		return
	}
	var out []byte
	at := 0
	for i, e := range edits(a.ids, b.ids) {
		if e.lo > e.hi || e.from > e.to || e.lo == e.hi && e.from == e.to || i > 0 && e.lo <= at {
			t.Fatalf("edit %d is none: %+v", i, e)
		}
		out = append(append(out, a.text(at, e.lo)...), b.text(e.from, e.to)...)
		at = e.hi
	}
	if out = append(out, a.text(at, len(a.ids))...); !bytes.Equal(out, ours) {
		t.Fatalf("the edits make %q, not %q", out, ours)
	}
}

// Two edits with a line between them that neither touches are both made.
func TestDisjointEditsAreBothMade(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 40).Draw(t, "lines")
		cut := rapid.IntRange(1, n-2).Draw(t, "between")
		var base, ours, theirs, want strings.Builder
		for i := range n {
			line := fmt.Sprintf("line %d\n", i)
			edited := line
			switch rapid.IntRange(0, 4).Draw(t, "edit") {
			case 0:
				edited = ""
			case 1:
				edited = fmt.Sprintf("line %d, changed\n", i)
			case 2:
				edited = fmt.Sprintf("before line %d\n%s", i, line)
			}
			base.WriteString(line)
			switch {
			case i < cut:
				ours.WriteString(edited)
				theirs.WriteString(line)
			case i > cut:
				ours.WriteString(line)
				theirs.WriteString(edited)
			default:
				edited = line
				ours.WriteString(line)
				theirs.WriteString(line)
			}
			want.WriteString(edited)
		}
		got, ok := mergeLines([]byte(base.String()), []byte(ours.String()), []byte(theirs.String()))
		// A line put before the one after cut touches nothing of ours: cut is between.
		if !ok || string(got) != want.String() {
			t.Fatalf("%t %q, want %q", ok, got, want.String())
		}
	})
}

// git merge-file is the judge: what has an outcome here has the same one there. The other
// way round it may be a conflict here, where lines repeat, so that the edits themselves
// can be told in several ways; seldom. The texts are always the same ones: what git makes
// of repeated lines is no law.
func TestMergeLinesAsGitDoes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(20260102, 2))
	dir := t.TempDir()
	const runs = 200
	clean, stricter := 0, 0
	for range runs {
		lines := make([]string, 10+rnd.IntN(30))
		for i := range lines {
			if lines[i] = fmt.Sprintf("key%d: %d\n", i, rnd.IntN(10)); rnd.IntN(5) == 0 {
				lines[i] = "  enabled: true\n"
			}
		}
		side := func(mark string) string {
			out := append([]string{}, lines...)
			for range rnd.IntN(4) {
				at := rnd.IntN(len(out))
				switch rnd.IntN(4) {
				case 0:
					out = append(out[:at:at], out[min(len(out), at+1+rnd.IntN(3)):]...)
				case 1:
					out[at] = "changed: " + mark + "\n"
				case 2:
					out = append(append(out[:at:at], "added: "+mark+"\n", "  enabled: true\n"), out[at:]...)
				case 3:
					out = append(append(out[:at:at], "both: added\n"), out[at:]...)
				}
				if len(out) == 0 {
					break
				}
			}
			return strings.Join(out, "")
		}
		base, ours, theirs := strings.Join(lines, ""), side("by us"), side("by them")
		want, agrees := gitMergeFile(t, dir, base, ours, theirs)
		got, ok := mergeLines([]byte(base), []byte(ours), []byte(theirs))
		switch {
		case ok && agrees && string(got) != want:
			t.Errorf("base %q\nours %q\ntheirs %q\ngot %q\ngit %q", base, ours, theirs, got, want)
		case ok && !agrees:
			t.Errorf("git finds a conflict:\nbase %q\nours %q\ntheirs %q\ngot %q", base, ours, theirs, got)
		case ok:
			clean++
		case agrees:
			stricter++
		}
	}
	t.Logf("%d of %d are without a conflict; %d more would be for git", clean, runs, stricter)
	if clean < runs/10 || stricter > runs/20 {
		t.Errorf("%d of %d without a conflict, %d only for git", clean, runs, stricter)
	}
}

func gitMergeFile(t *testing.T, dir, base, ours, theirs string) (string, bool) {
	t.Helper()
	for name, text := range map[string]string{"base": base, "ours": ours, "theirs": theirs} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("git", "merge-file", "-p", "-q", "ours", "base", "theirs")
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 127) {
		t.Fatal(err)
	}
	return string(out), err == nil
}

func FuzzMergeLines(f *testing.F) {
	f.Add([]byte("a\nb\nc\n"), []byte("a\nB\nc\n"), []byte("a\nb\nc\nd\n"))
	f.Add([]byte("a\na\na\n"), []byte("a\na\n"), []byte("a\na\na\na\n"))
	f.Add([]byte(""), []byte("a"), []byte("a\n"))
	f.Add([]byte("a\r\nb"), []byte("b\r\na"), []byte("\x00"))
	f.Fuzz(func(t *testing.T, base, ours, theirs []byte) { lawful(t, base, ours, theirs) })
}
