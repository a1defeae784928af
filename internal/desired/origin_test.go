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
		{"database", "main", "access", "database.access"},
		{"traffic", "x", "deployment", ""},
	} {
		if o := OriginOf(in, state.Ref{Client: in.Client.ID, Kind: state.Kind(c.kind), Name: c.name}, c.field); o.At != c.want {
			t.Errorf("%s %s %s: %+v", c.kind, c.name, c.field, o)
		}
	}
	if o := OriginOf(in, state.Ref{Kind: state.KindRecord, Name: "A other.example"}, "content"); !strings.Contains(o.Why, `"other.example."`) {
		t.Errorf("%+v", o)
	}
}
