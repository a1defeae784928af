package drift

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

var (
	day  = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	ref  = state.Ref{Client: "shop-1", Kind: state.KindRecord, Name: "A shop.example"}
	made = state.Resource{Ref: ref, Provider: "dns", ID: "r1"}
)

func TestCompare(t *testing.T) {
	v := func(name, text string) Value { return Value{Name: name, Text: text, Print: "p" + text} }
	secret := func(name, text string) Value { return Value{Name: name, Text: name, Print: "p" + text, Secret: true} }
	for _, c := range []struct {
		name            string
		kind            state.Kind
		recorded, found []Value
		want            string
	}{
		{"the same", state.KindRecord, []Value{v("content", "a"), v("ttl", "300")}, []Value{v("content", "a"), v("ttl", "300")}, ""},
		{"another", state.KindRecord, []Value{v("content", "a")}, []Value{v("content", "b")}, "content: a → b"},
		{"not given back", state.KindRecord, []Value{v("content", "a"), v("proxied", "true")}, []Value{v("content", "a")}, ""},
		{"more than recorded", state.KindRecord, []Value{v("content", "a")}, []Value{v("content", "a"), v("zone", "z")}, ""},
		{"a variable more", state.KindEnvironment, []Value{v("env.A", "a")}, []Value{v("env.A", "a"), v("env.B", "b")}, "env.B:  → b"},
		{"a variable less", state.KindEnvironment, []Value{v("env.A", "a"), v("env.B", "b")}, []Value{v("env.A", "a")}, "env.B: b → "},
		{"a secret that is not given back", state.KindEnvironment, []Value{v("env.A", "a"), secret("env.S", "s")}, []Value{v("env.A", "a")}, ""},
		{"no variable is given back", state.KindEnvironment, []Value{v("env.A", "a")}, []Value{v("site", "s")}, ""},
		{"a secret that the provider takes for none", state.KindEnvironment, []Value{secret("env.S", "s")}, []Value{v("env.S", "canary")}, "env.S: env.S → fingerprint pcanary"},
	} {
		var got []string
		for _, f := range Compare(c.kind, c.recorded, c.found) {
			got = append(got, fmt.Sprintf("%s: %s → %s", f.Field, f.Before, f.After))
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

// The most exact rule counts; an ignore holds through its last day.
func TestPolicy(t *testing.T) {
	p := manifest.Drift{Default: "heal", Fields: []manifest.DriftRule{
		{Field: "record.*", Policy: "report"}, {Field: "record.content", Policy: "ignore", Reason: "x", Until: "2026-11-24"},
		{Field: "env.A", Policy: "report"}, {Field: "env.C", Policy: "ignore", Reason: "nobody says until when"}, {Field: "database.gone", Policy: "ignore", Reason: "x", Until: "2030-01-01"}}}
	for _, c := range []struct {
		kind   state.Kind
		field  string
		at     time.Time
		want   string
		lapsed bool
	}{
		{state.KindRecord, "content", day, "ignore", false},
		{state.KindRecord, "content", time.Date(2026, 11, 24, 23, 59, 59, 0, time.UTC), "ignore", false},
		{state.KindRecord, "content", time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), "report", true},
		{state.KindRecord, "ttl", day, "report", false},
		{state.KindEnvironment, "env.A", day, "report", false},
		{state.KindEnvironment, "env.B", day, "heal", false},
		{state.KindEnvironment, "env.C", day, "report", true},
		{state.KindSite, "label", day, "heal", false},
		{state.KindDatabase, state.FieldGone, day, "report", false},
	} {
		if got := Of(p, c.kind, c.field, c.at); got.Policy != c.want || got.Lapsed != c.lapsed {
			t.Errorf("%s.%s at %v: %+v, want %s", c.kind, c.field, c.at, got, c.want)
		}
	}
	if got := Of(manifest.Drift{}, state.KindRecord, "content", day); got.Policy != "report" {
		t.Errorf("nothing said: %+v", got)
	}
}

func TestNever(t *testing.T) {
	for _, c := range []struct {
		name   string
		field  string
		kind   state.Kind
		change func(*state.Resource, *state.Traits)
		never  bool
	}{
		{"a record", "content", state.KindRecord, nil, false},
		{"a record that is gone", state.FieldGone, state.KindRecord, nil, false},
		{"an environment", "env.A", state.KindEnvironment, nil, false},
		{"a site", "label", state.KindSite, nil, false},
		{"a site that is gone", state.FieldGone, state.KindSite, nil, true},
		{"a release", "ref", state.KindDeployment, nil, true},
		{"a user", "email", state.KindAdmin, nil, true},
		{"a database", "access", state.KindDatabase, nil, true},
		{"data", "content", state.KindRecord, func(_ *state.Resource, t *state.Traits) { t.Data = true }, true},
		{"what was found", "content", state.KindRecord, func(r *state.Resource, _ *state.Traits) { r.Found = true }, true},
		{"what a person makes", "content", state.KindRecord, func(_ *state.Resource, t *state.Traits) { t.Manual = true }, true},
		{"what can't be changed in place", "name", state.KindRecord, func(_ *state.Resource, t *state.Traits) { t.Replace = []string{"name"} }, true},
		{"what was adopted", "content", state.KindRecord, func(r *state.Resource, _ *state.Traits) { r.Adopted = true }, false},
		{"what was adopted and is gone", state.FieldGone, state.KindRecord, func(r *state.Resource, _ *state.Traits) { r.Adopted = true }, true},
		{"somebody else's", state.FieldForeign, state.KindRecord, nil, true},
	} {
		r, tr := state.Resource{Ref: state.Ref{Client: "shop-1", Kind: c.kind, Name: "x"}, ID: "1"}, state.Traits{}
		if c.change != nil {
			c.change(&r, &tr)
		}
		if got := Never(state.Drift{Ref: r.Ref, Field: c.field}, r, tr); (got != "") != c.never {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func found(print string) state.Drift {
	return state.Drift{Ref: ref, Provider: "dns", ID: "r1", Field: "content", Before: "a", After: print, Print: print}
}

func saw(at time.Time, rows ...state.Drift) Seen {
	return Seen{At: at, Looked: map[state.Ref]bool{ref: true}, Recorded: map[state.Ref]bool{ref: true}, Rows: rows}
}

func TestAfter(t *testing.T) {
	l := After(state.Looked{Client: "shop-1"}, saw(day, found("b")))
	if r := l.Rows[0]; r.Looks != 1 || !r.Since.Equal(day) || !l.At.Equal(day) {
		t.Fatalf("%+v", l)
	}
	if again := After(l, saw(day, found("b"))); again.Rows[0].Looks != 1 {
		t.Error("one time counts twice")
	}
	later := day.Add(time.Hour)
	if same := After(l, saw(later, found("b"))); same.Rows[0].Looks != 2 || !same.Rows[0].Since.Equal(day) {
		t.Errorf("%+v", same.Rows)
	}
	if back := After(l, saw(day.AddDate(-1, 0, 0), found("b"))); back.Rows[0].Looks != 2 {
		t.Error("a look after the clock was set back is no other look")
	}
	if other := After(l, saw(later, found("c"))); other.Rows[0].Looks != 1 || !other.Rows[0].Since.Equal(later) {
		t.Errorf("%+v", other.Rows)
	}
	written := found("b")
	written.Written = later
	if anew := After(l, saw(later, written)); anew.Rows[0].Looks != 1 {
		t.Error("a record that was written since is another one")
	}
	if ended := After(l, saw(later)); len(ended.Rows) > 0 {
		t.Errorf("%+v", ended.Rows)
	}
	blind := saw(later)
	blind.Failed, blind.Looked = "503", nil
	if kept := After(l, blind); len(kept.Rows) != 1 || kept.Rows[0].Looks != 1 || !kept.At.Equal(day) || !kept.Tried.Equal(later) || kept.Failed != "503" {
		t.Errorf("a look that failed: %+v", kept)
	}
	gone := saw(later)
	gone.Recorded = nil
	if off := After(l, gone); len(off.Rows) > 0 {
		t.Errorf("off the record: %+v", off.Rows)
	}
}

// Whatever looks and mends come: nothing is marked without its policy, two equal looks and
// a client at rest, and never more than three times in a day.
func TestJudgeProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, now := state.Looked{Client: "shop-1"}, day
		var mended []time.Time
		var last string
		equal := 0
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "minutes")) * time.Minute)
			print := rapid.SampledFrom([]string{"", "b", "b", "c"}).Draw(t, "found")
			s := saw(now)
			if print != "" {
				s = saw(now, found(print))
			}
			if print != "" && print == last {
				equal++
			} else {
				equal = 1
			}
			last = print
			c := Case{Now: now, Rests: rapid.SampledFrom([]string{"", "", "paused"}).Draw(t, "rests"), Resource: func(state.Ref) (state.Resource, state.Traits) { return made, state.Traits{} }}
			c.Policy.Default = rapid.SampledFrom([]string{"heal", "heal", "report", ""}).Draw(t, "policy")
			var begins bool
			l, begins = Judge(After(l, s), c)
			for _, r := range l.Rows {
				if r.Mend != begins {
					t.Fatal("what begins is not what is marked")
				}
				if !r.Mend {
					continue
				}
				recent := 0
				for _, m := range mended {
					if now.Sub(m) < FightWindow {
						recent++
					}
				}
				if c.Policy.Default != "heal" || c.Rests != "" || equal < LooksBeforeMend || recent >= MendsBeforeFight {
					t.Fatalf("marked: policy %q, rests %q, %d equal looks, %d mends", c.Policy.Default, c.Rests, equal, recent)
				}
			}
			if begins { // the pass puts it back at once
				mended, last = append(mended, now), ""
				l.Mends = append(l.Mends, state.Mend{Ref: ref, Field: "content", At: now})
				l.Rows = nil
			}
		}
	})
}

func TestJudgeWaitsForWhatItHangsOn(t *testing.T) {
	site := state.Ref{Client: "shop-1", Kind: state.KindSite, Name: "host"}
	domain := state.Ref{Client: "shop-1", Kind: state.KindDomain, Name: "shop.example@host"}
	rows := []state.Drift{{Ref: domain, Field: state.FieldGone, Looks: 2}, {Ref: site, Field: state.FieldGone, Looks: 2}}
	l, begins := Judge(state.Looked{Rows: rows}, Case{Now: day, Policy: manifest.Drift{Default: "heal"}, Resource: func(r state.Ref) (state.Resource, state.Traits) {
		return state.Resource{Ref: r, ID: "1", Attributes: state.NewAttributes(map[string]state.Value{"site": state.OutputOf(site, "id")})}, state.Traits{}
	}})
	if begins || !strings.Contains(l.Rows[0].Waits, "site host is gone") {
		t.Errorf("%+v", l.Rows)
	}
}

// Each row, however it stands, says what it is and what becomes of it.
func TestWords(t *testing.T) {
	for want, row := range map[string]state.Drift{
		"`reconciler retry shop` puts it back": {Policy: "report"},
		"the ignore ended on 2026-11-24":       {Policy: "report", Lapsed: true, Until: "2026-11-24"},
		"ignored until 2026-12-31: because":    {Policy: "ignore", Until: "2026-12-31", Reason: "because"},
		"waits: it is paused":                  {Policy: "heal", Waits: "it is paused"},
		"it is being put back":                 {Policy: "heal", Mend: true},
		"3 times within a day":                 {Policy: "heal", Fight: true, Waits: "x"},
		"makes it again":                       {Policy: "report", Field: state.FieldGone},
	} {
		row.Ref = ref
		if row.Field == "" {
			row.Field = "content"
		}
		if got := Next(row, "shop"); !strings.Contains(got, want) {
			t.Errorf("%+v: %q, want %q", row, got, want)
		}
	}
	env := state.Ref{Client: "shop-1", Kind: state.KindEnvironment, Name: "host"}
	for _, c := range []struct {
		row   state.Drift
		adopt string // "": not offered
	}{
		{state.Drift{Ref: ref, Field: "content"}, "takes it over or says why it can't"},
		{state.Drift{Ref: ref, Field: "content", Secret: true}, "takes it over or says why it can't"},
		{state.Drift{Ref: env, Field: "env.COLOUR"}, "takes it over or says why it can't"},
		{state.Drift{Ref: env, Field: "env.KEY", Secret: true}, ""},
		{state.Drift{Ref: ref, Field: state.FieldGone}, ""},
		{state.Drift{Ref: ref, Field: state.FieldForeign}, ""},
	} {
		if got := Next(c.row, "shop"); strings.Contains(got, "--adopt") != (c.adopt != "") || !strings.Contains(got, c.adopt) {
			t.Errorf("%+v: %q, want %q", c.row, got, c.adopt)
		}
	}
	if word, text, detail := Report([]state.Drift{{Ref: ref, Field: "content", Policy: "ignore"}}, "shop"); word != "success" || detail != "" || !strings.Contains(text, "as recorded") {
		t.Errorf("what is ignored is told: %s %s %s", word, text, detail)
	}
	// P5: an empty database never takes the place of one that is gone, and nobody is told so at the first look either.
	lost := state.Drift{Ref: state.Ref{Client: ref.Client, Kind: state.KindDatabase, Name: "main"}, Provider: "railway", Field: state.FieldGone, Policy: "report"}
	if got := Next(lost, "shop"); got != "restore it at railway, then `reconciler retry shop`" {
		t.Errorf("of a database that is gone: %q", got)
	}
}

func TestPatch(t *testing.T) {
	got := Patch("clients/shop.yaml", []byte("a: 1\nb: 2\nc: 3"), []byte("a: 1\nb: 20\nc: 3"))
	want := "--- a/clients/shop.yaml\n+++ b/clients/shop.yaml\n@@ -1,3 +1,3 @@\n a: 1\n-b: 2\n+b: 20\n c: 3\n\\ No newline at end of file\n"
	if got != want {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	if got := Patch("x", []byte("a\n"), []byte("a\n")); got != "" {
		t.Errorf("nothing changed: %q", got)
	}
}
