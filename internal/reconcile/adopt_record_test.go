package reconcile_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Rule "Adoption": a name and its alias have records already. Each is told with what can be done about it, and one
// that is named where another is meant is not recorded as that one: its client would be held for ever.
func TestRuleAdoptionOfAnotherRecord(t *testing.T) {
	v, w := newVendors(t)
	seed := func(id, kind, name, content string) {
		v.world.Seed("cloudflare", provider.Object{ID: id, Kind: state.KindRecord, Name: "by hand",
			Attributes: []provider.Input{{Name: "type", Text: kind}, {Name: "name", Text: name}, {Name: "content", Text: content}, {Name: "ttl", Text: "300"}}})
	}
	seed("rec-own", "A", "bakery.example", "198.51.100.1")
	seed("rec-www", "A", "www.bakery.example", "198.51.100.1")
	seed("rec-six", "AAAA", "bakery.example", "2001:db8::1")
	file := func(more string) map[string]string {
		return map[string]string{"clients/bakery.yaml": strings.Replace(client("bakery", "aliases: [www.bakery.example]", more), "domain: bakery", "domain: bakery.example", 1)}
	}
	held := func(words ...string) {
		t.Helper()
		r := w.want("bakery", state.StatusHeld)
		said := r.Because + "; " + w.detail("bakery").Next
		for _, word := range words {
			if !strings.Contains(said, word) {
				t.Errorf("it says %q, and not %q", said, word)
			}
		}
	}
	w.apply(file(""))
	held("rec-own", "name it in `adopt:` if it is that of the client's own name")
	for id, is := range map[string]string{"rec-www": "A www.bakery.example", "rec-six": "AAAA bakery.example"} {
		w.apply(file("adopt: {record: {id: " + id + "}}"))
		held("adopt.record names "+id+", which is "+is, "and not A bakery.example")
	}
	w.apply(file("adopt: {record: {id: rec-own}}"))
	held("rec-www", "else remove it")
	v.world.Remove("rec-www")
	id, err := w.engine.Retry("bakery", "dana")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(id)
	w.want("bakery", state.StatusActive)
	if o, ok := v.world.Object("rec-own"); !ok || v.servedBy("bakery.example") != w.id("bakery") {
		t.Errorf("rec-own is %v, and the name is served by %q", o, v.servedBy("bakery.example"))
	}
}
