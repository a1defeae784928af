package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// preview is the plan of the branch with these files.
func (w *world) preview(files map[string]string, only ...string) reconcile.Preview {
	w.t.Helper()
	base, _, err := w.repo.Tree(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	head := base
	if len(files) > 0 {
		head = w.repo.branch(files, base)
	}
	_, tree, err := w.repo.Tree(w.t.Context(), head)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.previewOf(head, tree, only...)
}

// judged is what merging these files would do.
func (w *world) judged(files map[string]string) reconcile.Judgement {
	w.t.Helper()
	base, at, err := w.repo.Tree(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	head := w.repo.branch(files, base)
	_, merged, err := w.repo.Tree(w.t.Context(), head)
	if err != nil {
		w.t.Fatal(err)
	}
	j, err := w.engine.Judge(w.t.Context(), reconcile.Proposal{Commit: head, Base: base, Branch: "main", At: at, Merged: merged})
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

func (w *world) previewOf(commit string, files []accept.File, only ...string) reconcile.Preview {
	w.t.Helper()
	p, err := w.engine.PreviewOf(w.t.Context(), commit, files, only)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// planned are the clients that a plan changes.
func planned(p reconcile.Preview) []string {
	out := []string{}
	for _, c := range p.Changes {
		out = append(out, c.Client)
	}
	return out
}

// led is a client at another domain than that of its name.
func led(name, to string, more ...string) string {
	return strings.Replace(client(name, more...), "domain: "+name, "domain: "+to, 1)
}

// A plan of other files says what only the state refuses of them, in the words that accept has for it,
// and plans nothing of it: data that is kept under its name, a former name that nobody had, a name that
// is still another client's. Others go on, and a plan that is not about it does not say it.
func TestPreviewIsToldWhatTheStateRefuses(t *testing.T) {
	v, w := newVendors(t)
	w.engine.Guard.MaxDeletes = 1
	files := map[string]string{}
	for _, name := range []string{"bakery", "cakes", "demo", "eggs", "figs", "gifts"} {
		files["clients/"+name+".yaml"] = client(name)
	}
	w.apply(files)
	w.apply(map[string]string{"clients/bakery.yaml": ""})
	w.apply(map[string]string{"clients/cakes.yaml": "", "clients/demo.yaml": ""}) // too many: they wait
	if p := w.preview(nil); len(p.Problems) > 0 {
		t.Fatalf("nothing is wrong at the head: %+v", p.Problems)
	}
	o, err := w.engine.Overview()
	if err != nil || len(o.Holds) != 1 {
		t.Fatalf("holds: %+v, %v", o.Holds, err)
	}
	records := w.records()
	v.world.ForgetCalls()
	other := client("eggs", "env: {COLOUR: red}")
	for _, c := range []struct {
		name  string
		files map[string]string
		want  report.Problem
	}{
		{"data is kept", map[string]string{"clients/bakery.yaml": led("bakery", "bread")}, report.Problem{Client: "bakery",
			Text: "bakery was removed and its database is still here; clients/bakery.yaml doesn't say whether it is the same client.",
			Hint: "Say database.reuse: retained (that database) or fresh (a new one) in clients/bakery.yaml."}},
		{"a former name that nobody had", map[string]string{"clients/new.yaml": client("new", "previously: [never]")}, report.Problem{Client: "new",
			Text: "nobody here is called never", Hint: "check its spelling"}},
		{"a name whose removal is held", map[string]string{"clients/figs.yaml": led("figs", "demo")}, report.Problem{Client: "figs",
			Text: "demo.agency.example is still demo's: its removal is held", Hint: "`reconciler approve " + o.Holds[0].Fingerprint + "` lets it go"}},
		{"a rename to it", map[string]string{"clients/figs.yaml": "", "clients/new.yaml": led("new", "demo", "previously: [figs]")}, report.Problem{Client: "new",
			Text: "demo.agency.example is still demo's: its removal is held", Hint: "`reconciler approve " + o.Holds[0].Fingerprint + "` lets it go"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.want.Path = "clients/" + c.want.Client + ".yaml"
			c.files["clients/eggs.yaml"] = other
			p := w.preview(c.files)
			if !slices.Equal(p.Problems, []report.Problem{c.want}) || !p.Failed() {
				t.Errorf("it says %+v, want %+v", p.Problems, c.want)
			}
			if got := planned(p); !slices.Equal(got, []string{"eggs"}) {
				t.Errorf("it plans %v", got)
			}
			if p := w.preview(c.files, "eggs"); len(p.Problems) > 0 || len(p.Changes) != 1 {
				t.Errorf("a plan of somebody else: %+v, %v", p.Problems, planned(p))
			}
			if p := w.preview(c.files, c.want.Client); !slices.Equal(p.Problems, []report.Problem{c.want}) || len(p.Changes) > 0 {
				t.Errorf("a plan of it: %+v, %v", p.Problems, planned(p))
			}
			_, tree, err := w.repo.Tree(t.Context(), w.repo.branch(c.files, w.engine.Head()))
			if err != nil {
				t.Fatal(err)
			}
			for i := range tree { // as a folder's files are
				tree[i].Blob = ""
			}
			if p := w.previewOf("", tree); !slices.Equal(p.Problems, []report.Problem{c.want}) || len(p.Changes) != 1 {
				t.Errorf("a folder's plan: %+v, %v", p.Problems, planned(p))
			}
		})
	}
	if w.records() != records || len(v.writes()) > 0 {
		t.Errorf("planning wrote: %v", v.writes())
	}
}

// The plan of the accepted head says of a file that is refused there what status says, until it isn't any
// more; what the files say by themselves is said once.
func TestPreviewAtTheHeadSaysWhatStatusSays(t *testing.T) {
	_, w := newVendors(t)
	w.engine.Guard.MaxDeletes = 1
	w.apply(map[string]string{"clients/cakes.yaml": client("cakes"), "clients/demo.yaml": client("demo"), "clients/figs.yaml": client("figs")})
	w.apply(map[string]string{"clients/cakes.yaml": "", "clients/demo.yaml": ""})
	w.apply(map[string]string{"clients/figs.yaml": led("figs", "demo"), "clients/Other.yml": client("other")})
	o, err := w.engine.Overview()
	if err != nil || len(o.Holds) != 1 {
		t.Fatalf("holds: %+v, %v", o.Holds, err)
	}
	told := func() (out []string) {
		p := w.preview(nil)
		for _, q := range p.Problems {
			out = append(out, q.Path)
			if q.Path == "clients/figs.yaml" && !slices.ContainsFunc(o.Problems, func(s state.FileProblem) bool { return s.Path == q.Path && s.Text == q.Text && s.Hint == q.Hint }) {
				t.Errorf("status does not say %+v", q)
			}
		}
		slices.Sort(out)
		if got := planned(p); slices.Contains(got, "figs") != !slices.Contains(out, "clients/figs.yaml") {
			t.Errorf("it plans %v and says %v", got, out)
		}
		return out
	}
	if got := told(); !slices.Equal(got, []string{"clients/Other.yml", "clients/figs.yaml"}) {
		t.Errorf("it tells of %v", got)
	}
	if p := w.preview(map[string]string{"clients/figs.yaml": client("figs")}); slices.ContainsFunc(p.Problems, func(q report.Problem) bool { return q.Client == "figs" }) {
		t.Errorf("nothing is wrong with it as it was: %+v", p.Problems)
	}
	odd := []accept.File{{Path: "templates/blog.yaml", Err: "templates/blog.yaml is not a regular file"}}
	if p := w.previewOf("", odd); len(p.Problems) != 1 || p.Problems[0].Text != odd[0].Err {
		t.Errorf("what can't be read is told so: %+v", p.Problems)
	}
	ids, err := w.engine.Approve(t.Context(), o.Holds[0].Fingerprint, "dana")
	if err != nil {
		t.Fatal(err)
	}
	if got := told(); !slices.Equal(got, []string{"clients/Other.yml"}) {
		t.Errorf("the name is free, and it tells of %v", got)
	}
	w.pass(ids...)
	w.want("figs", state.StatusActive)
}

// A client went, its data is kept, and another one comes under its name, which says that it begins afresh. Its plan
// makes a database of its own, and what was planned is what is done; the plan at the head has nothing of the former one.
func TestPreviewOfWhoBeginsAfresh(t *testing.T) {
	_, w := newVendors(t)
	w.apply(map[string]string{"clients/bakery.yaml": client("bakery"), "clients/cakes.yaml": client("cakes")})
	w.apply(map[string]string{"clients/bakery.yaml": ""})
	files := map[string]string{"clients/bakery.yaml": led("bakery", "bread", "database: {reuse: fresh}")}
	for name, p := range map[string]reconcile.Preview{"pull request": w.judged(files).Preview, "command": w.preview(files)} {
		if len(p.Changes) != 1 || len(p.Problems) > 0 {
			t.Fatalf("%s: %+v, %+v", name, p.Changes, p.Problems)
		}
		made := false
		for _, s := range p.Changes[0].Steps {
			if s.Action == string(plan.Return) {
				t.Errorf("%s: %s %s: %s", name, s.Action, s.Ref, s.Reason)
			}
			made = made || s.Action == string(plan.Create) && strings.HasPrefix(s.Ref, "database/")
		}
		if !made {
			t.Errorf("%s: no database is made: %+v", name, p.Changes[0].Steps)
		}
	}
	w.apply(files)
	w.want("bakery", state.StatusActive)
	if p := w.preview(nil); len(p.Changes)+len(p.Problems) > 0 {
		t.Errorf("at the head: %v, %+v", planned(p), p.Problems)
	}
}
