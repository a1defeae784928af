package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// says lets looks find what records say: the one that says it on record, a field, its
// value by now.
func says(c plan.ClientInput, by ...[3]string) plan.ClientInput {
	c.Looks = map[state.Ref]plan.Look{}
	for _, r := range c.Recorded {
		if r.Ref.Kind != state.KindRecord {
			continue
		}
		l := plan.Look{Ref: r.Ref, Says: map[string]string{}}
		for _, a := range r.Attributes {
			l.Says[a.Name] = a.Value.Literal
		}
		for _, b := range by {
			if r.Attributes.Literal("content") == b[0] && b[1] != "" {
				l.Differs = append(l.Differs, plan.Field{Name: b[1], Before: b[2], After: l.Says[b[1]]})
				l.Says[b[1]] = b[2]
			}
			if r.Attributes.Literal("content") == b[0] && b[1] == "" {
				l = plan.Look{Ref: r.Ref, Failed: b[2]}
			}
		}
		c.Looks[r.Ref] = l
	}
	return c
}

// What is changed by hand and wished by now is the same record under another name.
func TestRestated(t *testing.T) {
	with := func(records ...manifest.Record) manifest.Effective {
		return shop("shop", func(e *manifest.Effective) { e.DNS.Records = records })
	}
	txt := func(content string) manifest.Record { return manifest.Record{Type: "TXT", Name: "@", Content: content} }
	mx := func(content string, priority int) manifest.Record {
		return manifest.Record{Type: "MX", Name: "@", Content: content, Priority: priority}
	}
	found := func(c plan.ClientInput) plan.ClientInput {
		return alter(c, state.KindRecord, func(r *state.Resource) { r.Found = r.Attributes.Literal("type") == "TXT" })
	}
	proxied := true
	for _, c := range []struct {
		name string
		in   plan.ClientInput
		want []string // kind of step and type of record
		hold state.HoldKind
	}{
		{"nobody looked", becomes(t, settled(t, with(txt("a"))), with(txt("b"))), []string{"create TXT", "delete TXT !mail"}, ""},
		{"it says what is wished", says(becomes(t, settled(t, with(txt("a"))), with(txt("b"))), [3]string{"a", "content", "b"}), []string{"move TXT"}, ""},
		{"it says something else", says(becomes(t, settled(t, with(txt("a"))), with(txt("b"))), [3]string{"a", "content", "c"}), []string{"create TXT", "delete TXT !mail"}, ""},
		{"it says the content, and another priority", says(becomes(t, settled(t, with(mx("a.example", 10))), with(mx("b.example", 10))), [3]string{"a.example", "content", "b.example"}, [3]string{"a.example", "priority", "20"}), []string{"create MX", "delete MX !mail"}, ""},
		{"and is wished with another time to live", says(becomes(t, settled(t, with(txt("a"))), with(manifest.Record{Type: "TXT", Name: "@", Content: "b", TTL: 60})), [3]string{"a", "content", "b"}), []string{"move TXT"}, ""},
		{"an address under another name, and behind a proxy", says(becomes(t, settled(t, with(manifest.Record{Type: "A", Name: "m", Content: "192.0.2.1"})), with(manifest.Record{Type: "A", Name: "n", Content: "192.0.2.1", Proxied: &proxied})), [3]string{"192.0.2.1", "name", "n.shop.example"}), []string{"move A !traffic"}, ""},
		{"two say it", says(becomes(t, settled(t, with(txt("a"), txt("b"))), with(txt("c"))), [3]string{"a", "content", "c"}, [3]string{"b", "content", "c"}), []string{"create TXT", "delete TXT !mail", "delete TXT !mail"}, ""},
		{"two of two", says(becomes(t, settled(t, with(mx("a.example", 10), mx("b.example", 20))), with(mx("b.example", 10), mx("a.example", 20))), [3]string{"a.example", "content", "b.example"}, [3]string{"b.example", "content", "a.example"}), []string{"move MX", "move MX"}, ""},
		{"the look fails", says(becomes(t, settled(t, with(txt("a"))), with(txt("b"))), [3]string{"a", "", "503"}), []string{"create TXT blocked"}, ""},
		{"found, and wished as it is", says(becomes(t, found(settled(t, with(txt("a")))), with(txt("b"))), [3]string{"a", "content", "b"}), []string{"adopt TXT", "forget TXT"}, ""},
		{"found, and wished otherwise", says(becomes(t, found(settled(t, with(txt("a")))), with(manifest.Record{Type: "TXT", Name: "@", Content: "b", TTL: 60})), [3]string{"a", "content", "b"}), nil, state.HoldParked},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := plan.Calculate(input(c.in))
			if c.hold != "" {
				if len(p.Problems) != 1 || p.Problems[0].Hold != c.hold || len(p.Steps) > 0 {
					t.Fatalf("problems %+v, steps %v", p.Problems, lines(p))
				}
				return
			}
			var got []string
			for _, line := range changes(p) {
				action, rest, _ := strings.Cut(line, " record/")
				words := strings.Fields(rest)
				text := action + " " + words[0]
				for _, w := range words[1:] {
					if strings.HasPrefix(w, "!") || w == "blocked" {
						text += " " + w
					}
				}
				got = append(got, text)
			}
			if d := cmp.Diff(c.want, got); d != "" || len(p.Problems) > 0 {
				t.Errorf("problems %v; (-want +got):\n%s", p.Problems, d)
			}
			after := c.in
			after.Recorded, after.Looks = plan.Model(c.in.Recorded, p, now), nil
			for _, s := range p.Steps {
				if s.Blocked {
					return
				}
			}
			if again := plan.Calculate(input(after)); !again.Empty() {
				t.Errorf("once more: %v", lines(again))
			}
		})
	}
}
