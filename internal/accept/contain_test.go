package accept

import (
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// C20, P6: a manifest that this program runs into an error with is invalid, with a
// sentence; it keeps its last good version, and the others of the same head go on.
func TestC20ManifestThatPanicsIsInvalid(t *testing.T) {
	for _, c := range []struct {
		name   string
		change m
		broken string // client whose new wish panics
		others []string
	}{
		{"its own file", m{cpath("c001"): client("c001", "c001", "env: {A: poison}"), cpath("c002"): client("c002", "c002", "env: {A: b}")}, "c001", []string{"c002"}},
		{"its template", m{"templates/shop.yaml": template("poison")}, "c001", []string{"c000", "c002", "c003"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := fleet(t, numbered(4)...)
			was := w.named("c001")
			w.edit(c.change)
			in := w.input("next")
			in.Parts = func(k state.Client, e manifest.Effective) []string {
				if e.Name == c.broken && (e.Source.Ref == "poison" || e.Environment["A"].Literal == "poison") {
					panic("index out of range")
				}
				return w.parts(k, e)
			}
			r := w.play(in)
			equal(t, "touched", touched(r, w), c.others)
			now := w.named("c001")
			equal(t, "keeps its last good version", []any{now.Blob, now.WishHash, now.TemplateBlob}, []any{was.Blob, was.WishHash, was.TemplateBlob})
			contains(t, "why", now.Because, "an error in this program: index out of range")
			contains(t, "listed", w.problem(cpath("c001")), "an error in this program")
			equal(t, "fate", r.Verdict.Clients[now.ID], FateInvalid)
			equal(t, "nothing is removed", len(r.Tombstones), 0)
		})
	}
}

func TestC20ReadingThatPanics(t *testing.T) {
	got := reading("clients/a.yaml", func() manifest.Problems { panic("boom\nat a line that nobody needs") })
	equal(t, "problems", got.Failed(), true)
	equal(t, "problem", []string{got[0].Path, got[0].Rule, got[0].Text}, []string{"clients/a.yaml", "program", "reading it runs into an error in this program: boom"})
}
