package simulated

import (
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

// What GitHub shows of a diff.
const (
	maxPatch     = 20_000 // lines of a file's; beyond that there is none
	maxDiffFiles = 3_000
)

// fileDiff is one file of a diff.
type fileDiff struct {
	gitserver.Change
	Adds, Deletes int
	Patch         string // unified, without its head; "" of what is no text or too large
	Hunks         []hunk
}

// hunk is a part of a diff, for the pages and for comments on its lines.
type hunk struct {
	Head  string
	Lines []diffLine
}

// diffLine is one line; Old and New are its numbers, 0 where it doesn't stand.
type diffLine struct {
	Sign     string // "+", "-" or " "
	Old, New int
	Text     string
}

// Status is what GitHub calls what became of a file.
func (d fileDiff) Status() string {
	switch {
	case d.Before.ID == "":
		return "added"
	case d.After.ID == "":
		return "removed"
	}
	return "modified"
}

// diff is what differs between two trees.
func diff(r *gitserver.Repository, a, b string) ([]fileDiff, error) {
	changes, err := r.Changes(a, b)
	if err != nil {
		return nil, err
	}
	out := []fileDiff{}
	for _, c := range changes[:min(len(changes), maxDiffFiles)] {
		d := fileDiff{Change: c}
		if err := d.fill(r); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

func (d *fileDiff) fill(r *gitserver.Repository) error {
	if d.Before.Module || d.After.Module {
		return nil
	}
	before, err := r.Text(d.Before.ID)
	if err != nil {
		return err
	}
	after, err := r.Text(d.After.ID)
	if err != nil {
		return err
	}
	if strings.ContainsRune(before, 0) || strings.ContainsRune(after, 0) {
		return nil
	}
	u, err := udiff.ToUnifiedDiff("a", "b", before, udiff.Lines(before, after), udiff.DefaultContextLines)
	if err != nil {
		return fmt.Errorf("diff %s: %w", d.Path, err)
	}
	var b strings.Builder
	lines := 0
	for _, h := range u.Hunks {
		at := hunk{}
		old, now := h.FromLine, h.ToLine
		var olds, news int
		for _, l := range h.Lines {
			text := strings.TrimSuffix(l.Content, "\n")
			line := diffLine{Text: text, Sign: " ", Old: old, New: now}
			switch l.Kind {
			case udiff.Delete:
				line.Sign, line.New = "-", 0
				d.Deletes++
				old++
				olds++
			case udiff.Insert:
				line.Sign, line.Old = "+", 0
				d.Adds++
				now++
				news++
			default:
				old++
				now++
				olds++
				news++
			}
			at.Lines = append(at.Lines, line)
			if !strings.HasSuffix(l.Content, "\n") {
				at.Lines = append(at.Lines, diffLine{Sign: "\\", Text: " No newline at end of file"})
			}
		}
		at.Head = "@@ -" + span(h.FromLine, olds) + " +" + span(h.ToLine, news) + " @@"
		d.Hunks = append(d.Hunks, at)
		b.WriteString(at.Head + "\n")
		for _, l := range at.Lines {
			b.WriteString(l.Sign + l.Text + "\n")
			lines++
		}
	}
	if lines <= maxPatch {
		d.Patch = strings.TrimSuffix(b.String(), "\n")
	}
	return nil
}

func span(from, n int) string {
	if n == 0 {
		return fmt.Sprintf("%d,0", max(from-1, 0))
	}
	if n == 1 {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d,%d", from, n)
}

// shows says that a line of the new side (or, with LEFT, the old one) is in the diff, and
// returns the hunk up to it, as GitHub keeps it with a comment.
func (d fileDiff) shows(line int, side string) (string, bool) {
	for _, h := range d.Hunks {
		text := h.Head
		for _, l := range h.Lines {
			text += "\n" + l.Sign + l.Text
			if side == "LEFT" && l.Old == line && l.Sign != "\\" || side != "LEFT" && l.New == line && l.Sign != "\\" {
				return text, line > 0
			}
		}
	}
	return "", false
}

// diffOf is what a pull request changes: from where it left its base to its head.
func diffOf(r *gitserver.Repository, p *Pull, head string) ([]fileDiff, error) {
	common, err := r.MergeBase(p.Base, head)
	if err != nil {
		return nil, err
	}
	tree := ""
	if common != "" {
		c, err := r.Commit(common)
		if err != nil {
			return nil, err
		}
		tree = c.Tree
	}
	c, err := r.Commit(head)
	if err != nil {
		return nil, err
	}
	return diff(r, tree, c.Tree)
}

// measure counts what a pull request brings.
func (f *Forge) measure(r *gitserver.Repository, p *Pull) error {
	commits, err := r.Between(p.Base, p.Head)
	if err != nil {
		return err
	}
	files, err := diffOf(r, p, p.Head)
	if err != nil {
		return err
	}
	p.NumCommits, p.Files, p.Adds, p.Deletes = len(commits), len(files), 0, 0
	for _, d := range files {
		p.Adds += d.Adds
		p.Deletes += d.Deletes
	}
	return nil
}
