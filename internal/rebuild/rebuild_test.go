package rebuild

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

func mark(id string, generation int) provider.Mark {
	return provider.Mark{Installation: "00c0ffee", Client: state.ClientID(id), Generation: generation}
}

// found is an object; pairs are its attributes.
func found(at string, k state.Kind, m provider.Mark, id, name string, pairs ...string) Found {
	f := Found{Provider: at, Object: provider.Object{ID: id, Kind: k, Name: name, Mark: m, Phase: provider.Ready}}
	for i := 0; i < len(pairs); i += 2 {
		f.Attributes = append(f.Attributes, provider.Input{Name: pairs[i], Text: pairs[i+1]})
	}
	return f
}

func site(id, label string, generation int) Found {
	return found("ploi", state.KindSite, mark(id, generation), "site of "+id, id+"-00c0ffee", "label", label, "server", "")
}

func data(id string, generation int) Found {
	return found("railway", state.KindDatabase, mark(id, generation), "data of "+id, id+"-00c0ffee")
}

// S43: ids come back by what the objects say, then by the name that they were minted from.
func TestS43Identify(t *testing.T) {
	shop := func(name string, former ...string) Wisher {
		return Wisher{Name: name, Hosts: []string{name + ".example"}, Former: former, Site: true}
	}
	for _, c := range []struct {
		name    string
		wishers []Wisher
		found   []Found
		want    map[string]string // name → id
		doubts  []string          // names
		rest    []string
	}{
		{"by its name", []Wisher{shop("a")}, []Found{site("a-00000a", "a", 1), data("a-00000a", 1)}, map[string]string{"a": "a-00000a"}, nil, nil},
		{"renamed, and the name taken afresh", []Wisher{shop("a"), shop("b", "a")}, []Found{site("a-00000a", "b", 1), site("a-00000b", "a", 2)},
			map[string]string{"a": "a-00000b", "b": "a-00000a"}, nil, nil},
		{"renamed, and nothing but the manifest says so", []Wisher{shop("b", "a")}, []Found{found("dns", state.KindRecord, mark("a-00000a", 1), "r", "A x", "type", "A", "name", "x.example")},
			map[string]string{"b": "a-00000a"}, nil, nil},
		{"by its host", []Wisher{shop("b")}, []Found{found("ploi", state.KindDomain, mark("a-00000a", 1), "d", "b.example", "host", "b.example")}, map[string]string{"b": "a-00000a"}, nil, nil},
		{"nothing there", []Wisher{shop("a")}, []Found{site("c-00000c", "c", 1)}, map[string]string{}, nil, []string{"c-00000c"}},
		{"an earlier client's data", []Wisher{shop("a")}, []Found{data("a-00000a", 1), site("a-00000b", "a", 2), data("a-00000b", 2)}, map[string]string{"a": "a-00000b"}, nil, []string{"a-00000a"}},
		{"only data, and only the name", []Wisher{shop("a")}, []Found{data("a-00000a", 1)}, map[string]string{"a": "a-00000a"}, []string{"a"}, nil},
		{"renamed long ago", []Wisher{{Name: "b", Once: []string{"a"}, Data: true}}, []Found{data("a-00000a", 1)}, map[string]string{"b": "a-00000a"}, []string{"b"}, nil},
		{"renamed long ago, and the name taken afresh", []Wisher{{Name: "b", Once: []string{"a"}, Data: true}, shop("a")}, []Found{data("a-00000a", 1), site("a-00000b", "a", 2), data("a-00000b", 2)},
			map[string]string{"a": "a-00000b", "b": "a-00000a"}, []string{"b"}, nil},
		{"renamed long ago, and only one has data", []Wisher{{Name: "b", Once: []string{"a"}, Data: true}, {Name: "a", Data: true}}, []Found{data("a-00000a", 1)},
			map[string]string{"a": "a-00000a", "b": ""}, []string{"a", "b"}, nil},
		{"renamed, and only one has data", []Wisher{{Name: "b", Former: []string{"a"}, Data: true}, {Name: "a", Data: true}}, []Found{data("a-00000a", 1)},
			map[string]string{"a": "a-00000a", "b": ""}, []string{"a", "b"}, nil},
		{"renamed, and a note in DNS stands by the data", []Wisher{{Name: "a", Former: []string{"b"}}, {Name: "b", Data: true, Hosts: []string{"b.example"}}},
			[]Found{data("b-00000b", 1), found("dns", state.KindRecord, mark("b-00000b", 1), "r1", "TXT note.b.example", "type", "TXT", "name", "note.b.example")},
			map[string]string{"a": "b-00000b", "b": ""}, []string{"a", "b"}, nil},
		{"renamed long ago, and without data", []Wisher{{Name: "b", Once: []string{"a"}}}, []Found{data("a-00000a", 1)}, map[string]string{}, nil, []string{"a-00000a"}},
		{"renamed long ago, and known by more", []Wisher{shop("b")}, []Found{site("a-00000a", "b", 1), data("a-00000a", 1)}, map[string]string{"b": "a-00000a"}, nil, nil},
		{"only data is wished", []Wisher{{Name: "a"}}, []Found{data("a-00000a", 1)}, map[string]string{"a": "a-00000a"}, nil, nil},
		{"it said that it is another one", []Wisher{{Name: "a", Fresh: true}}, []Found{data("a-00000a", 1)}, map[string]string{"a": "a-00000a"}, []string{"a"}, nil},
		{"two fit as much", []Wisher{shop("a")}, []Found{site("a-00000a", "a", 1), site("a-00000b", "a", 1)}, map[string]string{"a": "a-00000a"}, []string{"a"}, []string{"a-00000b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 {
				got, rest := Identify(c.wishers, c.found)
				if len(got) != len(c.want) {
					t.Errorf("got %+v", got)
				}
				for name, id := range got {
					if string(id.ID) != c.want[name] || (id.Doubt != "") != slices.Contains(c.doubts, name) {
						t.Errorf("%s: %+v, want %s", name, id, c.want[name])
					}
				}
				var left []string
				for _, id := range rest {
					left = append(left, string(id))
				}
				if !slices.Equal(left, c.rest) {
					t.Errorf("left: %v, want %v", left, c.rest)
				}
				slices.Reverse(c.found) // the order of lists decides nothing
				slices.Reverse(c.wishers)
			}
		})
	}
}

// input is a client "a" with a site, its environment and a record, as they were made.
func input() Input {
	id := state.ClientID("a-00000a")
	ref := func(k state.Kind, name string) state.Ref { return state.Ref{Client: id, Kind: k, Name: name} }
	siteRef := ref(state.KindSite, "ploi")
	made := state.SecretRef{Scope: string(id), Name: "generated/KEY", Version: 1}
	m := mark(string(id), 1)
	return Input{Client: state.Client{ID: id, Generation: 1, Name: "a"}, Mark: m, Now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
		Wish: []state.Resource{
			{Ref: ref(state.KindEnvironment, "ploi"), Provider: "ploi", Attributes: state.NewAttributes(map[string]state.Value{"site": state.OutputOf(siteRef, "id"), "env.COLOUR": state.Lit("red"), "env.KEY": state.SecretValue(made)})},
			{Ref: ref(state.KindRecord, "A a.example"), Provider: "dns", Attributes: state.NewAttributes(map[string]state.Value{"type": state.Lit("A"), "name": state.Lit("a.example"), "content": state.OutputOf(siteRef, "address"), "ttl": state.Lit("300")})},
			{Ref: siteRef, Provider: "ploi", Attributes: state.NewAttributes(map[string]state.Value{"label": state.Lit("a"), "server": state.Lit("")})},
		},
		Found: []Found{
			{Provider: "ploi", Object: provider.Object{ID: "s1", Kind: state.KindSite, Name: "a-00000a-00c0ffee", Mark: m, Phase: provider.Ready, Attributes: []provider.Input{{Name: "label", Text: "a"}, {Name: "server"}},
				Outputs: []provider.Output{{Name: "id", Text: "s1"}, {Name: "address", Text: "192.0.2.1"}}}},
			found("ploi", state.KindEnvironment, m, "e1", "a-00000a-00c0ffee", "site", "s1", "env.COLOUR", "red", "env.KEY", "made once"),
			found("dns", state.KindRecord, m, "r1", "A a.example", "type", "A", "name", "a.example", "content", "192.0.2.1", "ttl", "0300"),
		},
		Secret: func(string, string, int) (state.SecretRef, state.Secret, bool) {
			return state.SecretRef{}, state.Secret{}, false
		},
		Fingerprint: func(s state.Secret) string {
			sum := sha256.Sum256([]byte(s.Reveal()))
			return hex.EncodeToString(sum[:6])
		}}
}

func of(out Output, k state.Kind) state.Resource {
	for _, r := range out.Resources {
		if r.Ref.Kind == k {
			return r
		}
	}
	return state.Resource{}
}

// S43: where nothing was changed, what is on record is what is wished, and a generated
// secret is the one that is in use.
func TestS43RecordIsTheWish(t *testing.T) {
	in := input()
	out := Record(in)
	for _, w := range in.Wish {
		if got := of(out, w.Ref.Kind); got.Attributes.Canonical() != w.Attributes.Canonical() || got.ID == "" || got.Found || got.Adopted {
			t.Errorf("%s: %+v", w.Ref, got)
		}
	}
	if len(out.Secrets) != 1 || out.Secrets[0].Text.Reveal() != "made once" || out.Secrets[0].Ref.Name != "generated/KEY" || len(out.Lost)+len(out.Doubts)+len(out.Unwished) > 0 {
		t.Errorf("%+v", out)
	}
}

// S43: what an object says otherwise is on record as it is said, and no secret's text with
// it.
func TestS43RecordIsWhatIsThere(t *testing.T) {
	in := input()
	in.Found[1] = found("ploi", state.KindEnvironment, in.Mark, "e1", "a-00000a-00c0ffee", "site", "s1", "env.COLOUR", "blue", "env.EXTRA", "perhaps-a-secret")
	in.Found[2] = found("dns", state.KindRecord, in.Mark, "r1", "", "type", "A", "name", "a.example", "content", "192.0.2.9", "ttl", "300")
	out := Record(in)
	env, rec := of(out, state.KindEnvironment), of(out, state.KindRecord)
	if got := env.Attributes.Literal("env.COLOUR"); got != "blue" {
		t.Errorf("colour %q", got)
	}
	if v, ok := env.Attributes.Get("env.EXTRA"); !ok || v.Secret == nil || strings.Contains(env.Attributes.Canonical(), "perhaps") {
		t.Errorf("extra: %s", env.Attributes.Canonical())
	}
	if rec.Ref.Name != "A a.example" || rec.Attributes.Literal("content") != "192.0.2.9" {
		t.Errorf("record: %+v", rec)
	}
	// The generated one is not given back: it is in use, and lost.
	if len(out.Lost) != 1 || out.Lost[0].Name != "generated/KEY" {
		t.Errorf("lost: %+v", out.Lost)
	}
}

// S43: two objects for one resource, and data that is missing, are doubts; what was ever
// adopted stays out of every deletion's reach; what nobody asks for is told.
func TestS43RecordDoubts(t *testing.T) {
	in := input()
	in.Traits = map[string]map[state.Kind]state.Traits{"railway": {state.KindDatabase: {Data: true}}}
	in.Wish = append(in.Wish, state.Resource{Ref: state.Ref{Client: in.Client.ID, Kind: state.KindDatabase, Name: "main"}, Provider: "railway"})
	twin := in.Found[2]
	twin.ID = "r2"
	in.Found = append(in.Found, twin, found("dns", state.KindRecord, in.Mark, "r3", "TXT note.a.example #abcdef", "type", "TXT", "name", "note.a.example", "content", "x"))
	in.Adopted = map[string]bool{"s1": true}
	out := Record(in)
	all := strings.Join(out.Doubts, "\n")
	if len(out.Doubts) != 2 || !strings.Contains(all, "two objects") || !strings.Contains(all, "empty one") {
		t.Errorf("doubts: %v", out.Doubts)
	}
	if !of(out, state.KindSite).Adopted || !of(out, state.KindEnvironment).Adopted || of(out, state.KindRecord).Adopted {
		t.Error("what was adopted is not known as such")
	}
	if len(out.Unwished) != 1 || out.Unwished[0].Name != "TXT note.a.example #abcdef" {
		t.Errorf("unwished: %v", out.Unwished)
	}
}

// S34: a site that was adopted, or found, when the copy was made is gone since, and one that the
// program made is in its place. A removal takes that one away.
func TestS34WhatTookThePlaceOfTheAdopted(t *testing.T) {
	for _, id := range []string{"s0", "s1"} {
		in := input()
		in.Adopted = map[string]bool{"s0": true}
		in.Recorded = []state.Resource{{Ref: state.Ref{Client: in.Client.ID, Kind: state.KindSite, Name: "ploi"}, Provider: "ploi", ID: id, Adopted: true, Found: true}}
		if site := of(Record(in), state.KindSite); site.ID != "s1" || site.Adopted != (id == "s1") || site.Found != (id == "s1") {
			t.Errorf("%s was adopted, and on record is %q, adopted: %v, found: %v", id, site.ID, site.Adopted, site.Found)
		}
	}
}

// Where a host serves what was built last, the site's traffic tells which release another one
// overtook, but where nothing was built since an older state: that knows it. What was built again has
// not been overtaken by what it was before.
func TestS43WhichReleaseServes(t *testing.T) {
	for name, c := range map[string]struct {
		promotable bool
		traffic    string   // the release that it leads to; "": there is none
		recorded   []string // release, its id, and whether it is overtaken
		want       []string // who is overtaken
	}{
		"lost":                               {false, "green", nil, []string{"red"}},
		"lost, and led back":                 {false, "red", nil, []string{"green"}},
		"built since":                        {false, "green", []string{"red r1"}, []string{"red"}},
		"built since, and led back":          {false, "red", []string{"red r1 overtaken"}, []string{"green"}},
		"nothing since, and it is not noted": {false, "red", []string{"red r1 overtaken", "green g1"}, []string{"red"}},
		"built again":                        {false, "", []string{"red r0 overtaken"}, nil},
		"led where nobody knows":             {false, "blue", []string{"red r1 overtaken"}, []string{"red"}},
		"the one that it leads to failed":    {false, "failed", nil, nil},
		"a host that leads to any":           {true, "green", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := input()
			in.Traits = map[string]map[state.Kind]state.Traits{"ploi": {state.KindDeployment: {Promotable: c.promotable}}}
			prefix := "a-00000a-00c0ffee-"
			in.Found = append(in.Found, found("ploi", state.KindDeployment, in.Mark, "r1", prefix+"red", "site", "s1"), found("ploi", state.KindDeployment, in.Mark, "g1", prefix+"green", "site", "s1"))
			if c.traffic != "" {
				to := map[string]string{"red": "r1", "green": "g1", "failed": "g1", "blue": "b1"}[c.traffic]
				if c.traffic == "failed" {
					in.Found[len(in.Found)-1].Phase = provider.Failed
				}
				in.Found = append(in.Found, found("ploi", state.KindTraffic, in.Mark, "t1", "a-00000a-00c0ffee", "site", "s1", "deployment", to))
			}
			for _, r := range c.recorded {
				f := strings.Fields(r)
				in.Recorded = append(in.Recorded, state.Resource{Ref: state.Ref{Client: in.Client.ID, Kind: state.KindDeployment, Name: f[0]}, Provider: "ploi", ID: f[1], Overtaken: len(f) > 2})
			}
			var got []string
			releases := 0
			for _, r := range Record(in).Resources {
				if r.Ref.Kind == state.KindDeployment {
					releases++
					if r.Overtaken {
						got = append(got, r.Ref.Name)
					}
				}
			}
			if releases != 2 || !slices.Equal(got, c.want) {
				t.Errorf("of %d releases %v are overtaken, want %v", releases, got, c.want)
			}
		})
	}
}
