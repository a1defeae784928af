package external

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// maxMessage is what a sentence here can come to, in runes: its own words and at most six
// that are not ours.
const maxMessage = 6*maxWord + 500

// FuzzObject: of whatever id is on record and whatever DNS answers, an object is read that
// is the one which was asked for, or none. What is read makes the same id again; a record
// is there only when an answer means what it says; the order of the answers is no news; and
// what people are told is a line without anything in it that a terminal obeys.
func FuzzObject(f *testing.F) {
	for _, w := range []provider.Wish{
		{Ref: state.Ref{Kind: state.KindSite}, Name: "shop", Inputs: []provider.Input{{Name: "label", Text: "shop"}}},
		{Ref: state.Ref{Kind: state.KindDomain}, Name: "shop.example", Inputs: []provider.Input{{Name: "host", Text: "shop.example"}, {Name: "redirect", Text: "www.shop.example"}}},
		{Ref: state.Ref{Kind: state.KindRecord}, Name: "A shop.example", Inputs: []provider.Input{{Name: "type", Text: "A"}, {Name: "name", Text: "Shop.Example."}, {Name: "content", Text: "203.0.113.7"}}},
		{Ref: state.Ref{Kind: state.KindRecord}, Name: "A any.example", Inputs: []provider.Input{{Name: "type", Text: "A"}, {Name: "name", Text: "any.example"}}},
		{Ref: state.Ref{Kind: state.KindRecord}, Name: "MX shop.example", Inputs: []provider.Input{{Name: "type", Text: "MX"}, {Name: "name", Text: "shop.example"}, {Name: "content", Text: "mx.example"}, {Name: "priority", Text: "10"}}},
		{Ref: state.Ref{Kind: state.KindRecord}, Name: "TXT shop.example", Inputs: []provider.Input{{Name: "type", Text: "TXT"}, {Name: "name", Text: "shop.example"}, {Name: "content", Text: `"v=spf1 -all"`}}},
		{Ref: state.Ref{Kind: state.KindRecord}, Name: "CNAME www.shop.example", Inputs: []provider.Input{{Name: "type", Text: "CNAME"}, {Name: "name", Text: "www.shop.example"}, {Name: "content", Text: "shop.example."}, {Name: "proxied", Text: "true"}}},
	} {
		id, err := identify(w)
		if err != nil {
			f.Fatal(err)
		}
		for _, answers := range []string{"", "203.0.113.7", "::ffff:203.0.113.7\n203.0.113.8", "10 MX.example.", "v=spf1 -all", "shop.example", "\x1b[2J\u202e\r"} {
			f.Add(string(w.Ref.Kind), id, answers)
		}
	}
	f.Add("record", "record?object=x&object=y", "x")
	f.Add("record", "record?content=%zz&object=x", "x")
	f.Add("record", "record?content=&object=x", "x")
	f.Fuzz(func(t *testing.T, kind, id, answers string) {
		var all []string
		if answers != "" {
			all = strings.Split(answers, "\n")
		}
		look := func(all []string) (provider.Object, bool) {
			lookup := func(_ context.Context, recordType, _ string) ([]string, error) {
				if recordType == "CAA" {
					return nil, errors.ErrUnsupported
				}
				return all, nil
			}
			p := Providers(Options{Lookup: lookup})[0]
			if _, is := p.Traits()[state.Kind(kind)]; !is {
				return provider.Object{}, false
			}
			found, err := p.Observe(context.Background(), provider.Query{Kind: state.Kind(kind), ID: id})
			if err != nil || len(found) > 1 {
				t.Fatalf("%d objects, %v", len(found), err)
			}
			if len(found) == 0 {
				return provider.Object{}, false
			}
			return found[0], true
		}
		o, ok := look(slices.Clone(all))
		if !ok {
			return
		}
		if o.ID != id || o.Kind != state.Kind(kind) || o.Name == "" {
			t.Fatalf("asked for %s %q, and read %s %q, %q", kind, id, o.Kind, o.ID, o.Name)
		}
		v, _ := recognise(o.Kind, id)
		w := provider.Wish{Ref: state.Ref{Kind: o.Kind}, Name: o.Name}
		for key := range v {
			if key != vendorName {
				w.Inputs = append(w.Inputs, provider.Input{Name: key, Text: v.Get(key)})
			}
		}
		if again, err := identify(w); err != nil || again != id {
			t.Fatalf("%q makes %q, %v", id, again, err)
		}
		for _, line := range append(slices.Clone(o.Log), o.Message) {
			if provider.Line(line, maxMessage) != line || utf8.RuneCountInString(line) > maxMessage {
				t.Fatalf("not fit for people: %q", line)
			}
		}
		if o.Kind != state.KindRecord {
			if o.Phase != provider.Ready {
				t.Fatalf("%s is %s: nothing of it can be looked at", kind, o.Phase)
			}
			return
		}
		recordLaws(t, o, recordOf(v), all)
		slices.Reverse(all)
		if turned, _ := look(all); turned.Phase != o.Phase || turned.Message != o.Message || len(turned.Attributes) != len(o.Attributes) {
			t.Fatalf("turned around, the answers say %+v, and said %+v", turned, o)
		}
	})
}

func recordLaws(t *testing.T, o provider.Object, r record, answers []string) {
	t.Helper()
	told := slices.ContainsFunc(o.Attributes, func(a provider.Input) bool { return a.Name == "content" })
	switch {
	case o.Phase != provider.Ready && o.Phase != provider.Manual:
		t.Fatalf("a record is %s", o.Phase)
	case (o.Phase == provider.Ready) != (o.Message == ""):
		t.Fatalf("%s, and to do: %q", o.Phase, o.Message)
	case o.Phase == provider.Manual && told:
		t.Fatalf("it is not there, and its content is read")
	case len(answers) == 0 && o.Phase == provider.Ready && r.kind != "CAA":
		t.Fatal("it is there, and DNS answers with nothing")
	case r.content != "" && slices.Contains(answers, r.content) && o.Phase != provider.Ready && r.kind != "A" && r.kind != "AAAA":
		t.Fatalf("DNS answers with %q, and it is not there", r.content)
	}
}
