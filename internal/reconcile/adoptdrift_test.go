package reconcile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

const handWritten = `# the shop
apiVersion: reconciler/v1
kind: Client
name: shop   # as ever
domain: shop
template: shop
contact: {email: owner@shop.example}
env: {COLOUR: 'red', NUMBER: 021} # two
dns:
  records:
    - {type: A, name: mail, content: 192.0.2.1} # mail
    - type: CNAME
      name: www2
      content: "old.example"
      ttl: 600
    - {type: MX, name: "@", content: mx.example, priority: 10}
`

// S41: what was found is taken over by a patch that edits only that value; after it is
// merged nothing has drifted and nothing was written but what is there already.
func TestS41AdoptDrift(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": handWritten})
	w.want("shop", state.StatusActive)
	v.world.Set(v.record("A", mailAt), "content", "198.51.100.9")
	v.world.Set(v.record("CNAME", "www2.shop.agency.example"), "ttl", "900")
	v.world.Set(v.of(state.KindEnvironment), "env.COLOUR", "it's blue")
	a, err := w.engine.AdoptDrift(t.Context(), "shop")
	if err != nil || len(a.Left) > 0 || len(a.Taken) != 3 || a.Path != "clients/shop.yaml" {
		t.Fatalf("%+v, %v", a, err)
	}
	var changed []string
	for _, line := range strings.Split(a.Patch, "\n") {
		if (strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+")) && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "+++") {
			changed = append(changed, line)
		}
	}
	want := []string{
		"-env: {COLOUR: 'red', NUMBER: 021} # two", "+env: {COLOUR: 'it''s blue', NUMBER: 021} # two",
		"-    - {type: A, name: mail, content: 192.0.2.1} # mail", "+    - {type: A, name: mail, content: 198.51.100.9} # mail",
		"-      ttl: 600", "+      ttl: 900"}
	if strings.Join(changed, "\n") != strings.Join(want, "\n") {
		t.Fatalf("%s", a.Patch)
	}
	merged := handWritten
	for i := 0; i < len(want); i += 2 {
		merged = strings.Replace(merged, want[i][1:], want[i+1][1:], 1)
	}
	w.apply(map[string]string{"clients/shop.yaml": merged})
	w.want("shop", state.StatusActive)
	if rows, err := w.engine.Drift(t.Context(), nil); err != nil || len(rows) > 0 {
		t.Errorf("after the merge: %+v, %v", rows, err)
	}
	if got := v.content(v.record("A", mailAt)); got != "198.51.100.9" {
		t.Errorf("it says %s", got)
	}
}

// What the client's own file does not say is told with its place, and nothing is edited.
func TestS41AdoptDriftSaysWhereElse(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{
		"templates/shop.yaml": template + "defaults:\n  env: {MODE: fast}\n  database: {access: public}\n",
		"clients/shop.yaml":   handWritten,
	})
	w.want("shop", state.StatusActive)
	for name, c := range map[string]struct {
		change func()
		want   string
	}{
		"template": {func() { v.world.Set(v.of(state.KindEnvironment), "env.MODE", "slow") }, "templates/shop.yaml:8, defaults.env.MODE"},
		"database": {func() { v.world.Set(v.of(state.KindDatabase), "access", "private") }, "templates/shop.yaml:9, defaults.database.access"},
		"default":  {func() { v.world.Set(v.record("A", mailAt), "ttl", "60") }, "clients/shop.yaml does not say dns.records[0].ttl"},
		"address":  {func() { v.world.Set(v.record("A", "shop.agency.example"), "content", "198.51.100.9") }, `{type: A, name: "@", content: …} in dns.records`},
		"mail":     {func() { v.world.Set(v.record("MX", "shop.agency.example"), "content", "mx2.example") }, "dns.records[2] with another content is another record"},
		"made":     {func() { v.world.Set(v.of(state.KindEnvironment), "env.PAYLOAD_SECRET", "somebody's own") }, "it is generated"},
		"secret":   {func() { v.world.Set(v.of(state.KindEnvironment), "env.COLOUR", "sk_"+"live_0123456789abcdef") }, "may be a secret"},
		"more":     {func() { v.world.Set(v.of(state.KindEnvironment), "env.MORE", "x") }, "add MORE to env"},
		"label":    {func() { v.world.Set(v.of(state.KindSite), "label", "x") }, "the client's name"},
		"gone":     {func() { v.world.Remove(v.record("A", mailAt)) }, "makes it again"},
	} {
		undo := map[string]provider.Object{}
		for _, o := range v.world.Objects("") {
			undo[o.ID] = o
		}
		record := v.record("A", mailAt)
		c.change()
		a, err := w.engine.AdoptDrift(t.Context(), "shop")
		if err != nil || a.Patch != "" || len(a.Left) != 1 || !strings.Contains(a.Left[0].Why, c.want) {
			t.Errorf("%s: %+v, %v, want %s", name, a, err, c.want)
		}
		for _, l := range a.Left {
			if strings.Contains(l.Text+l.Why, "0123456789abcdef") || strings.Contains(l.Text+l.Why, "somebody's own") {
				t.Errorf("%s: it shows a secret", name)
			}
		}
		for id, was := range undo {
			if !v.world.Edit(id, func(o *provider.Object) { *o = was }) && id == record {
				v.world.Seed("cloudflare", was)
			}
		}
	}
	w.apply(map[string]string{"clients/other.yaml": client("other")})
	w.apply(map[string]string{"clients/shop.yaml": ""})
	if _, err := w.engine.AdoptDrift(t.Context(), "shop"); !errors.Is(err, reconcile.ErrRefused) {
		t.Errorf("a client that went: %v", err)
	}
}
