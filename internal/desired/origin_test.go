package desired

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// Every attribute of every wish has an origin: a field of the manifest, or words that say
// what else.
func TestOriginOfEverything(t *testing.T) {
	in := shop(func(e *manifest.Effective) {
		e.DNS.Records = []manifest.Record{{Type: "A", Name: "mail", Content: "192.0.2.1"}, {Type: "MX", Name: "@", Content: "mx.example", Priority: 10}, {Type: "TXT", Name: "@", Content: "x"}}
	})
	n := 0
	for _, r := range resources(t, in) {
		for _, a := range r.Attributes {
			n++
			if o := OriginOf(in, r.Ref, a.Name); (o.At == "") == (o.Why == "") {
				t.Errorf("%s %s: %+v", r.Ref, a.Name, o)
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d attributes", n)
	}
	for _, c := range []struct{ kind, name, field, want string }{
		{"record", "A mail." + in.Effective.Host, "content", "dns.records[0].content"},
		{"record", "A mail." + in.Effective.Host, "ttl", "dns.records[0].ttl"},
		{"record", "A " + in.Effective.Host, "content", ""},
		{"environment", "x", "env.MORE", "env.MORE"},
		{"environment", "x", "env.A: B", ""},
		{"database", "main", "access", "database.access"},
		{"traffic", "x", "deployment", ""},
	} {
		if o := OriginOf(in, state.Ref{Client: in.Client.ID, Kind: state.Kind(c.kind), Name: c.name}, c.field); o.At != c.want {
			t.Errorf("%s %s %s: %+v", c.kind, c.name, c.field, o)
		}
	}
	for name, want := range map[string]string{"A " + in.Effective.Host: `name: "@"`, "A www." + in.Effective.Host: `name: "www"`, "A other.example": "names nothing outside"} {
		if o := OriginOf(in, state.Ref{Kind: state.KindRecord, Name: name}, "content"); !strings.Contains(o.Why, want) {
			t.Errorf("%s: %+v", name, o)
		}
	}
	for _, r := range resources(t, in) {
		if strings.HasPrefix(r.Ref.Name, "MX ") || strings.HasPrefix(r.Ref.Name, "TXT ") {
			for _, field := range []string{"type", "name", "content", "ttl"} {
				if o := OriginOf(in, r.Ref, field); !strings.HasPrefix(o.At, "dns.records[") {
					t.Errorf("%s %s: %+v", r.Ref, field, o)
				}
			}
		}
	}
}

// What a vendor shows of a record is written as dns.records writes it, or it is said why
// it can't be.
func TestWritten(t *testing.T) {
	in := shop()
	for _, c := range []struct{ field, found, want, why string }{
		{"name", "Mail." + in.Effective.Host + ".", "mail", ""},
		{"name", in.Effective.Host, "@", ""},
		{"name", "other.example", "", "names nothing outside"},
		{"name", "x" + in.Effective.Host, "", "names nothing outside"},
		{"type", "aaaa", "AAAA", ""},
		{"ttl", "0", "", "means the default"},
		{"ttl", "60", "60", ""},
		{"ttl", "060", "60", ""},
		{"priority", "0", "0", ""},
		{"priority", "many", "many", ""},
		{"content", "a: b", "a: b", ""},
	} {
		got, why := Written(in, state.Ref{Kind: state.KindRecord}, c.field, c.found)
		if got != c.want || (why == "") != (c.why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%s %q: %q, %q", c.field, c.found, got, why)
		}
	}
}
