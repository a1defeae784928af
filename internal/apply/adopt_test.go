package apply_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// adopting names the site and the database that adoptable puts there.
func adopting(e *manifest.Effective) {
	e.Adopt = manifest.Adopt{"site": {ID: "site-1"}, "database": {ID: "data-1"}}
	e.Environment = manifest.Env{"CURRENCY": {Literal: "EUR"}}
}

// adoptable puts a site there that lived before we knew it: as the manifest says, and
// with a variable more.
func (w *world) adoptable(change ...func(attributes map[string]string)) {
	env := map[string]string{"site": "site-1", "env.CURRENCY": "EUR", "env.LEGACY": "kept-as-it-is"}
	for _, f := range change {
		f(env)
	}
	var pairs []string
	for k, v := range env {
		pairs = append(pairs, k, v)
	}
	s := state.NewSecret("postgres://old")
	w.vendor.Seed("db", provider.Object{ID: "data-1", Kind: state.KindDatabase, Name: "old", Attributes: texts("access", "", "schema", "shop", "disabled", ""),
		Outputs: []provider.Output{{Name: "url", Secret: &s}}})
	w.vendor.Seed("host", provider.Object{ID: "site-1", Kind: state.KindSite, Name: "old-shop", Attributes: texts("label", "bakery", "server", "", "repository", "agency/shop", "runtime", ""),
		Outputs: []provider.Output{{Name: "url", Text: "https://old.host.example"}, {Name: "address", Text: "203.0.113.7"}}})
	name := provider.ObjectName(provider.Mark{Installation: installation, Client: idOf("bakery"), Generation: 1}, state.Ref{Kind: state.KindEnvironment})
	w.vendor.Seed("host", provider.Object{ID: "env-1", Kind: state.KindEnvironment, Name: name, Attributes: texts(pairs...)})
	w.vendor.Seed("host", provider.Object{ID: "rel-1", Kind: state.KindDeployment, Name: "old-release", Attributes: texts("site", "site-1", "ref", "v0")})
	w.vendor.Seed("host", provider.Object{ID: "tra-1", Kind: state.KindTraffic, Name: name, Attributes: texts("site", "site-1", "deployment", "rel-1")})
	w.vendor.Seed("host", provider.Object{ID: "dom-1", Kind: state.KindDomain, Name: "bakery.example", Attributes: texts("site", "site-1", "host", "bakery.example", "redirect", "")})
	w.vendor.Seed("dns", provider.Object{ID: "rec-1", Kind: state.KindRecord, Name: "A bakery.example",
		Attributes: texts("type", "A", "name", "bakery.example", "content", "203.0.113.7", "ttl", "300")})
}

// Rule "Adoption": the first pass records and writes nothing; existing values are sealed
// and kept; what differs shows in the next plan, and nothing else does.
func TestRuleAdoptionRecordsAndKeeps(t *testing.T) {
	w := start(t)
	w.adoptable()
	w.wants(shop("bakery", adopting))
	before := w.vendor.Snapshot(nil)
	out, err := w.pass(t.Context())
	if err != nil || out.state != apply.StepDone {
		t.Fatalf("%v %v %v", out.state, out.err, err)
	}
	if after := w.vendor.Snapshot(nil); after != before || w.vendor.Counts("").Writes != 0 {
		t.Fatalf("adoption changed the world:\n%s", after)
	}
	for _, r := range w.recorded(idOf("bakery")) {
		if !r.Adopted {
			t.Errorf("%s is on record, not adopted", r.Ref)
		}
	}
	if d := w.on("bakery", state.KindDeployment); d.ID != "rel-1" || d.Ref.Name != plan.AdoptedName {
		t.Errorf("the release that serves is on record as %s %s", d.Ref, d.ID)
	}
	env := w.on("bakery", state.KindEnvironment)
	kept, ok := env.Attributes.Get("env.LEGACY")
	if !ok || kept.Secret == nil || kept.Secret.Name != "adopted/LEGACY" || kept.Secret.Scope != string(idOf("bakery")) {
		t.Fatalf("LEGACY is kept as %+v", kept)
	}
	w.view(func(tx store.Tx) error {
		s, _, err := store.Secret(tx, kept.Secret.Scope, kept.Secret.Name, 0)
		if string(s.Text) != "kept-as-it-is" {
			t.Error("LEGACY was not sealed as it is")
		}
		return err
	})
	for _, s := range w.plan(nil).Steps {
		switch s.Ref.Kind {
		case state.KindEnvironment, state.KindDomain, state.KindRecord, state.KindSite, state.KindDatabase, state.KindAdmin, state.KindMail:
			t.Errorf("the plan after adoption wants to %s", s.Key())
		}
	}
	w.converged()
	d, _ := w.vendor.Serves("bakery.example")
	if with := w.vendor.BuiltWith(d); with["LEGACY"] != "kept-as-it-is" {
		t.Errorf("the next release lost LEGACY: %v", with)
	}
	w.goes("bakery")
	w.converged()
	for _, id := range []string{"site-1", "data-1"} {
		if _, there := w.vendor.Object(id); !there {
			t.Errorf("%s was adopted, and is gone with the client", id)
		}
	}
}

// A value that differs is kept, sealed, and its change is a step of the next plan.
func TestRuleAdoptionKeepsWhatDiffers(t *testing.T) {
	w := start(t)
	w.adoptable(func(a map[string]string) {
		a["env.CURRENCY"], a["env.DATABASE_URL"], a["env.SESSION"] = "SEK", "postgres://elsewhere", "old-session"
	})
	w.wants(shop("bakery", func(e *manifest.Effective) { adopting(e); e.Environment = shop("bakery").Environment }))
	out, err := w.pass(t.Context())
	if err != nil || out.state != apply.StepDone {
		t.Fatalf("%v %v %v", out.state, out.err, err)
	}
	var fields []string
	for _, s := range w.plan(nil).Steps {
		if s.Ref.Kind == state.KindEnvironment {
			for _, f := range s.Fields {
				fields = append(fields, f.Name)
			}
			if s.Risk != plan.RiskData {
				t.Errorf("a changed DATABASE_URL has the risk %q", s.Risk)
			}
		}
	}
	// SESSION is to be generated and exists: it was made already, and is the one.
	if got := strings.Join(fields, " "); got != "env.CURRENCY env.DATABASE_URL" {
		t.Errorf("the plan shows %q", got)
	}
	for _, o := range w.vendor.Objects("host") {
		if o.ID == "env-1" && !strings.Contains(w.vendor.Snapshot(func(x provider.Object) bool { return x.ID == "env-1" }), "SEK") {
			t.Error("the value was changed")
		}
	}
}

// What is adopted is never created, never taken from others, and adopted once.
func TestRuleAdoptionRefuses(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"gone": func(w *world) { w.vendor.Remove("site-1") },
		"another's": func(w *world) {
			w.vendor.Edit("site-1", func(o *provider.Object) { o.Mark = provider.Mark{Installation: "ffff0000", Client: "x", Generation: 1} })
		},
		"another client's": func(w *world) {
			w.vendor.Edit("site-1", func(o *provider.Object) {
				o.Mark = provider.Mark{Installation: installation, Client: "x", Generation: 1}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.adoptable()
			w.wants(shop("bakery", adopting))
			change(w)
			before := w.vendor.Snapshot(nil)
			out := w.settle(0)
			if out.state != apply.StepParked || !strings.Contains(out.err.Error(), "site") {
				t.Fatalf("%s: %v", out.state, out.err)
			}
			if w.vendor.Snapshot(nil) != before {
				t.Error("the world was changed")
			}
		})
	}
}

// What was found equal is used as it is, and left when the client goes; what is not
// equal any more when the step runs is planned anew.
func TestRuleOwnershipFoundIsUsedAndLeft(t *testing.T) {
	w := start(t)
	id := w.vendor.Seed("dns", provider.Object{Kind: state.KindRecord, Name: "A bakery.example", Attributes: texts("type", "A", "name", "bakery.example", "content", "203.0.113.7", "ttl", "300")})
	w.wants(shop("bakery"))
	w.converged()
	if r := w.on("bakery", state.KindRecord); !r.Found || r.ID != id {
		t.Fatalf("on record: %+v", r)
	}
	before := w.vendor.Snapshot(func(o provider.Object) bool { return o.ID == id })
	w.goes("bakery")
	w.converged()
	if after := w.vendor.Snapshot(func(o provider.Object) bool { return o.ID == id }); after != before {
		t.Errorf("what was found was changed:\n%s", after)
	}
}
