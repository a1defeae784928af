package reconcile_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
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
		"address":  {func() { v.world.Set(v.record("A", "shop.agency.example"), "content", "198.51.100.9") }, `{type: A, name: "@", content: …} in dns.records`},
		"made":     {func() { v.world.Set(v.of(state.KindEnvironment), "env.PAYLOAD_SECRET", "somebody's own") }, "it is generated"},
		"secret":   {func() { v.world.Set(v.of(state.KindEnvironment), "env.COLOUR", "sk_"+"live_0123456789abcdef") }, "may be a secret"},
		"more":     {func() { v.world.Set(v.of(state.KindEnvironment), "env.MORE: x}", "x") }, "can't have a variable of this name"},
		"long":     {func() { v.world.Set(v.record("A", mailAt), "ttl", "90000") }, "clients/shop.yaml: line 11: it has to be changed by hand: dns.records[0].ttl must be from 0 to 86400"},
		"nothing":  {func() { v.world.Set(v.record("A", mailAt), "ttl", "0") }, "means the default of 300"},
		"words":    {func() { v.world.Set(v.record("A", mailAt), "ttl", "soon") }, "dns.records[0].ttl must be a whole number"},
		"address?": {func() { v.world.Set(v.record("A", mailAt), "content", "192.0.2.1\nname: evil") }, "dns.records[0].content must be an IPv4 address"},
		"outside":  {func() { v.world.Set(v.record("A", mailAt), "name", "mail.other.example") }, "names nothing outside shop.agency.example"},
		"site's":   {func() { v.world.Set(v.record("A", mailAt), "name", "shop.agency.example") }, "record A shop.agency.example is on record as another one"},
		"token":    {func() { v.world.Set(v.record("MX", "shop.agency.example"), "content", "sk_"+"live_0123456789abcdef") }, "dns.records[2].content looks like a secret"},
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

// applied is a file with a patch, as git applies it.
func applied(t *testing.T, path, text, patch string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{path: text, "drift.patch": patch} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), "git", "apply", "drift.patch")
	c.Dir, c.Env = dir, append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("git apply: %v\n%s\n%s", err, out, patch)
	}
	data, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// lines are those that a patch takes away and puts there.
func lines(patch string) []string {
	var out []string
	for _, line := range strings.Split(patch, "\n") {
		if (strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+")) && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "+++") {
			out = append(out, line)
		}
	}
	return out
}

const manyRecords = `# the shop
apiVersion: reconciler/v1
kind: Client
name: shop
domain: shop
template: shop
contact: {email: owner@shop.example} # Dana
dns:
  records:
    # mail
    - {type: MX, name: "@", content: mx1.example, priority: 10} # first
    - {type: MX, name: "@", content: mx2.example, priority: 20}
    - type: TXT
      name: note # by hand
      content: 'hello'
    - {type: TXT, name: note, content: there}
    - type: A
      name: mail
      # where it is
      content: 192.0.2.1
    - {type: SRV, name: _sip._tcp, content: 5 5060 sip.example, priority: 1}
    - {type: CNAME, name: docs, content: docs.example, proxied: true}

# the end
`

// at is the record that says something.
func (v *vendors) at(content string) string {
	for _, o := range v.world.Objects("cloudflare") {
		if get(o, "content") == content {
			return o.ID
		}
	}
	return ""
}

// S41: of a record everything that dns.records says is taken over: the same object goes
// on, nothing is made or deleted, nobody is asked, and nothing has drifted afterwards.
func TestS41AdoptDriftOfRecords(t *testing.T) {
	type set [3]string // what the record says, a field, its value
	for name, c := range map[string]struct {
		by   []set
		want []string
	}{
		"a mail host": {[]set{{"mx1.example", "content", "mx9.example"}},
			[]string{`-    - {type: MX, name: "@", content: mx1.example, priority: 10} # first`, `+    - {type: MX, name: "@", content: mx9.example, priority: 10} # first`}},
		"a priority": {[]set{{"mx2.example", "priority", "5"}},
			[]string{`-    - {type: MX, name: "@", content: mx2.example, priority: 20}`, `+    - {type: MX, name: "@", content: mx2.example, priority: 5}`}},
		"a time to live that is a default": {[]set{{"hello", "ttl", "60"}}, []string{`+      ttl: 60`}},
		"the same on one line": {[]set{{"there", "ttl", "60"}},
			[]string{`-    - {type: TXT, name: note, content: there}`, `+    - {type: TXT, name: note, content: there, ttl: 60}`}},
		"all of it at once": {[]set{{"mx1.example", "priority", "30"}, {"mx1.example", "ttl", "0120"}, {"mx1.example", "content", "mx9.example"}},
			[]string{`-    - {type: MX, name: "@", content: mx1.example, priority: 10} # first`, `+    - {type: MX, name: "@", content: mx9.example, priority: 30, ttl: 120} # first`}},
		"two records of a name": {[]set{{"hello", "content", "it's #1: \"yes\""}, {"there", "content", "v=spf1 -all"}},
			[]string{`-      content: 'hello'`, `-    - {type: TXT, name: note, content: there}`, `+      content: 'it''s #1: "yes"'`, `+    - {type: TXT, name: note, content: v=spf1 -all}`}},
		"two hosts that changed places": {[]set{{"mx1.example", "content", "mx0.example"}, {"mx2.example", "content", "mx1.example"}, {"mx0.example", "content", "mx2.example"}},
			[]string{`-    - {type: MX, name: "@", content: mx1.example, priority: 10} # first`, `-    - {type: MX, name: "@", content: mx2.example, priority: 20}`,
				`+    - {type: MX, name: "@", content: mx2.example, priority: 10} # first`, `+    - {type: MX, name: "@", content: mx1.example, priority: 20}`}},
		"a name": {[]set{{"192.0.2.1", "name", "smtp.shop.agency.example"}}, []string{`-      name: mail`, `+      name: smtp`}},
		"a type": {[]set{{"192.0.2.1", "type", "AAAA"}, {"192.0.2.1", "content", "2001:db8::1"}},
			[]string{`-    - type: A`, `-      content: 192.0.2.1`, `+    - type: AAAA`, `+      content: 2001:db8::1`}},
		"a service": {[]set{{"5 5060 sip.example", "content", "5 5061 sip2.example"}},
			[]string{`-    - {type: SRV, name: _sip._tcp, content: 5 5060 sip.example, priority: 1}`, `+    - {type: SRV, name: _sip._tcp, content: 5 5061 sip2.example, priority: 1}`}},
		"a proxy": {[]set{{"docs.example", "proxied", "false"}},
			[]string{`-    - {type: CNAME, name: docs, content: docs.example, proxied: true}`, `+    - {type: CNAME, name: docs, content: docs.example, proxied: false}`}},
		"a text that looks random": {[]set{{"hello", "content", "google-site-verification=Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9"}},
			[]string{`-      content: 'hello'`, `+      content: 'google-site-verification=Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9'`}},
		"a number as a text": {[]set{{"there", "content", "12345"}},
			[]string{`-    - {type: TXT, name: note, content: there}`, `+    - {type: TXT, name: note, content: "12345"}`}},
		"no mail at all": {[]set{{"mx1.example", "priority", "0"}, {"mx1.example", "content", "."}},
			[]string{`-    - {type: MX, name: "@", content: mx1.example, priority: 10} # first`, `+    - {type: MX, name: "@", content: ., priority: 0} # first`}},
	} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": manyRecords})
			w.want("shop", state.StatusActive)
			before := atDNS(v)
			for _, s := range c.by {
				if !v.world.Set(v.at(s[0]), s[1], s[2]) {
					t.Fatalf("there is no record that says %s", s[0])
				}
			}
			found := said(v)
			a, err := w.engine.AdoptDrift(t.Context(), "shop")
			if err != nil || len(a.Left) > 0 {
				t.Fatalf("%+v, %v", a, err)
			}
			if got := lines(a.Patch); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(c.want))) {
				t.Fatalf("%s", a.Patch)
			}
			v.world.ForgetCalls()
			w.apply(map[string]string{"clients/shop.yaml": applied(t, a.Path, manyRecords, a.Patch)})
			w.want("shop", state.StatusActive)
			if rows, err := w.engine.Drift(t.Context(), nil); err != nil || len(rows) > 0 {
				t.Errorf("after the merge: %+v, %v", rows, err)
			}
			if after := atDNS(v); !slices.Equal(before, after) {
				t.Errorf("there were %v, there are %v", before, after)
			}
			if after := said(v); !slices.Equal(found, after) {
				t.Errorf("it said %v, it says %v", found, after)
			}
			for _, call := range v.writes() {
				if strings.HasPrefix(call, "create") || strings.HasPrefix(call, "delete") {
					t.Errorf("written: %s", call)
				}
			}
			if again, err := w.engine.AdoptDrift(t.Context(), "shop"); err != nil || len(again.Taken)+len(again.Left) > 0 {
				t.Errorf("once more: %+v, %v", again, err)
			}
		})
	}
}

// atDNS are the objects of the DNS host, sorted.
func atDNS(v *vendors) []string {
	var out []string
	for _, o := range v.world.Objects("cloudflare") {
		out = append(out, o.ID)
	}
	slices.Sort(out)
	return out
}

// said is what the DNS host answers, sorted.
func said(v *vendors) []string {
	var out []string
	for _, o := range v.world.Objects("cloudflare") {
		out = append(out, get(o, "type")+" "+get(o, "name")+" "+get(o, "content")+" "+strings.TrimLeft(get(o, "priority"), "0")+" "+strings.TrimLeft(get(o, "ttl"), "0"))
	}
	slices.Sort(out)
	return out
}

// What can't be taken over of records is said with its reason, and what can be of the
// same look is taken over all the same.
func TestS41AdoptDriftOfRecordsRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*vendors)
		why    []string // in the order of the rows
		taken  int
	}{
		"two texts that changed places": {func(v *vendors) {
			hello, there := v.at("hello"), v.at("there")
			v.world.Set(hello, "content", "there")
			v.world.Set(there, "content", "hello")
		}, []string{"is in the list already", "is in the list already"}, 0},
		"one that says what another one said": {func(v *vendors) {
			hello, there := v.at("hello"), v.at("there")
			v.world.Set(hello, "content", "there")
			v.world.Set(there, "content", "new")
		}, []string{"is on record as another one"}, 1},
		"two that say the same": {func(v *vendors) {
			hello, there := v.at("hello"), v.at("there")
			v.world.Set(hello, "content", "same")
			v.world.Set(there, "content", "same")
		}, []string{"is in the list already"}, 1},
		"a host that is none beside a time that is": {func(v *vendors) {
			v.world.Set(v.at("mx1.example"), "ttl", "60")
			v.world.Set(v.at("mx1.example"), "content", "mx1.example evil")
		}, []string{"must be a host name"}, 1},
		"a priority that is none beside a content that is": {func(v *vendors) {
			v.world.Set(v.at("mx1.example"), "priority", "many")
			v.world.Set(v.at("mx1.example"), "content", "mx9.example")
		}, []string{"its priority can't be taken over with the rest", "must be a whole number"}, 0},
		"a type whose key has to go": {func(v *vendors) {
			v.world.Set(v.at("mx1.example"), "type", "TXT")
		}, []string{"only MX and SRV have a priority"}, 0},
		"a type that has more": {func(v *vendors) {
			v.world.Set(v.at("there"), "type", "MX")
			v.world.Set(v.at("there"), "priority", "7")
		}, []string{"dns.records[3].content must be a whole host name"}, 0},
		"lines and control characters": {func(v *vendors) {
			v.world.Set(v.at("hello"), "content", "a\r\nname: evil\x1b[31m")
			v.world.Set(v.at("there"), "content", "a\nb")
		}, []string{"the file can't say it", "must be one line"}, 0},
		"too long": {func(v *vendors) { v.world.Set(v.at("hello"), "content", strings.Repeat("x y", 1000)) }, []string{"longer than 2048 characters"}, 0},
		"nothing":  {func(v *vendors) { v.world.Set(v.at("hello"), "content", "") }, []string{"must not be empty"}, 0},
		"hidden":   {func(v *vendors) { v.world.Set(v.at("hello"), "content", "a\u202eb") }, []string{"the file can't say it"}, 0},
		"a record of the same name and type": {func(v *vendors) {
			v.world.Set(v.at("docs.example"), "name", "mail.shop.agency.example")
		}, []string{"a name with a CNAME has no other records"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": manyRecords})
			w.want("shop", state.StatusActive)
			c.change(v)
			a, err := w.engine.AdoptDrift(t.Context(), "shop")
			if err != nil || len(a.Left) != len(c.why) || len(a.Taken) != c.taken {
				t.Fatalf("%+v, %v", a, err)
			}
			for i, l := range a.Left {
				if !strings.Contains(l.Why, c.why[i]) || strings.ContainsAny(l.Why, "\n\x1b") {
					t.Errorf("%s: %q, want %s", l.Text, l.Why, c.why[i])
				}
			}
			if c.taken == 0 {
				if a.Patch != "" {
					t.Errorf("nothing is taken over:\n%s", a.Patch)
				}
				return
			}
			merged := applied(t, a.Path, manyRecords, a.Patch)
			if _, problems := manifest.DecodeClient(a.Path, []byte(merged)); len(problems) > 0 {
				t.Errorf("%v\n%s", problems, merged)
			}
		})
	}
}

// What was found and not made is never changed: it is taken over as it is, under the name
// that it has by what it says now.
func TestS41AdoptDriftOfFoundRecords(t *testing.T) {
	v, w := newVendors(t)
	seed := func(pairs ...string) string {
		o := provider.Object{Kind: state.KindRecord, Name: "by hand"}
		for i := 0; i < len(pairs); i += 2 {
			o.Attributes = append(o.Attributes, provider.Input{Name: pairs[i], Text: pairs[i+1]})
		}
		return v.world.Seed("cloudflare", o)
	}
	mx := seed("type", "MX", "name", "shop.agency.example", "content", "mx1.example", "priority", "10", "ttl", "300")
	a := seed("type", "A", "name", mailAt, "content", "192.0.2.1", "ttl", "300")
	w.apply(map[string]string{"clients/shop.yaml": manyRecords})
	w.want("shop", state.StatusActive)
	v.world.Set(mx, "content", "mx9.example")
	v.world.Set(a, "content", "198.51.100.9")
	v.world.Set(a, "ttl", "600")
	d, err := w.engine.AdoptDrift(t.Context(), "shop")
	if err != nil || len(d.Taken) != 3 || len(d.Left) > 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	before, found := atDNS(v), said(v)
	v.world.ForgetCalls()
	w.apply(map[string]string{"clients/shop.yaml": applied(t, d.Path, manyRecords, d.Patch)})
	w.want("shop", state.StatusActive)
	if rows, err := w.engine.Drift(t.Context(), nil); err != nil || len(rows) > 0 {
		t.Errorf("after the merge: %+v, %v", rows, err)
	}
	if after := atDNS(v); !slices.Equal(before, after) || !slices.Equal(found, said(v)) || len(v.writes()) > 0 {
		t.Errorf("there were %v, there are %v; written: %v", before, after, v.writes())
	}
	for _, id := range []string{mx, a} {
		if o, ok := v.world.Object(id); !ok || !o.Mark.IsZero() {
			t.Errorf("%s bears a mark: %+v", id, o)
		}
	}
	n := 0
	for _, r := range w.detail("shop").Resources {
		if r.ID == mx || r.ID == a {
			n++
		}
	}
	if n != 2 {
		t.Errorf("they are on record %d times", n)
	}
	v.world.Set(mx, "content", "mx8.example")
	v.world.Set(mx, "ttl", "0")
	if d, err := w.engine.AdoptDrift(t.Context(), "shop"); err != nil || d.Patch != "" || len(d.Left) != 2 || !strings.Contains(d.Left[0].Why, "found at cloudflare, not made") {
		t.Errorf("only a part of what was found: %+v, %v", d, err)
	}
}

// A look that fails says nothing: what may be the same record is neither made nor deleted
// until it can be seen.
func TestS41AdoptDriftWaitsForALook(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": manyRecords})
	w.want("shop", state.StatusActive)
	id := v.at("hello")
	v.world.Set(id, "content", "there again")
	a, err := w.engine.AdoptDrift(t.Context(), "shop")
	if err != nil || len(a.Taken) != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	before := atDNS(v)
	failing := true
	v.faults.Do(memory.Before, func(c memory.Call) bool { return failing && c.Verb == memory.Observe && c.ID == id }, 0, func(context.Context, memory.Call) error {
		return memory.Fail(provider.Transient, "503 service unavailable")
	})
	due := w.push(map[string]string{"clients/shop.yaml": applied(t, a.Path, manyRecords, a.Patch)})
	w.pass(due...)
	if after := atDNS(v); !slices.Equal(before, after) {
		t.Fatalf("there were %v, there are %v", before, after)
	}
	if r := w.row("shop"); !strings.Contains(r.Because, "503") {
		t.Errorf("it does not say what it waits for: %+v", r)
	}
	failing = false
	w.pass(due...)
	w.want("shop", state.StatusActive)
	if after := atDNS(v); !slices.Equal(before, after) || v.content(id) != "there again" {
		t.Errorf("there were %v, there are %v", before, after)
	}
}

// P8: a take-over whose answer is lost, and one that is cut off, are gone on from; one whose
// pass fails is taken back, and DNS says all the time what it said.
func TestP8AdoptedDriftGoesOn(t *testing.T) {
	for name, run := range map[string]func(*vendors, *world, string){
		"the answer is lost": func(v *vendors, w *world, merged string) {
			v.faults.Do(memory.After, memory.Is(memory.Update, state.KindRecord), 1, func(context.Context, memory.Call) error { return memory.Lost() })
			w.apply(map[string]string{"clients/shop.yaml": merged})
		},
		"it is cut off": func(v *vendors, w *world, merged string) {
			ctx, cut := context.WithCancel(w.t.Context())
			v.faults.Do(memory.Before, memory.Is(memory.Update, state.KindRecord), 1, func(context.Context, memory.Call) error { cut(); return memory.Lost() })
			who := w.push(map[string]string{"clients/shop.yaml": merged})
			if _, err := w.engine.Pass(ctx, who[0], reconcile.CauseCommit); err == nil {
				w.t.Fatal("it was not cut off")
			}
			w.pass(w.due()...)
		},
		"the pass fails": func(v *vendors, w *world, merged string) {
			w.unfit = func(string) error { return errors.New("it answers 500") }
			w.apply(map[string]string{"clients/shop.yaml": strings.Replace(merged, "# the end", "env: {COLOUR: red}", 1)})
			w.want("shop", state.StatusFailed)
			w.unfit = nil
			who, err := w.engine.Retry("shop", "dana")
			if err != nil {
				w.t.Fatal(err)
			}
			w.pass(who)
		},
	} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/shop.yaml": manyRecords})
			w.want("shop", state.StatusActive)
			v.world.Set(v.at("mx1.example"), "content", "mx9.example")
			a, err := w.engine.AdoptDrift(t.Context(), "shop")
			if err != nil || len(a.Taken) != 1 {
				t.Fatalf("%+v, %v", a, err)
			}
			before, found := atDNS(v), said(v)
			var other atomic.Bool // calls come side by side
			v.faults.Do(memory.After, func(c memory.Call) bool { return c.Verb.Writes() }, 0, func(context.Context, memory.Call) error {
				if !slices.Equal(found, said(v)) {
					other.Store(true)
				}
				return nil
			})
			run(v, w, applied(t, a.Path, manyRecords, a.Patch))
			w.want("shop", state.StatusActive)
			if rows, err := w.engine.Drift(t.Context(), nil); err != nil || len(rows) > 0 {
				t.Errorf("afterwards: %+v, %v", rows, err)
			}
			if after := atDNS(v); !slices.Equal(before, after) || !slices.Equal(found, said(v)) || other.Load() {
				t.Errorf("there were %v, there are %v; it said something else in between: %v", before, after, other.Load())
			}
		})
	}
}

// A file with other line ends, and none at its end, is patched as it is.
func TestS41AdoptDriftKeepsLineEnds(t *testing.T) {
	v, w := newVendors(t)
	text := strings.ReplaceAll(strings.TrimSuffix(manyRecords, "\n\n# the end\n"), "\n", "\r\n")
	w.apply(map[string]string{"clients/shop.yaml": text})
	w.want("shop", state.StatusActive)
	v.world.Set(v.at("hello"), "ttl", "60")
	v.world.Set(v.at("hello"), "content", "bye")
	v.world.Set(v.at("docs.example"), "ttl", "60")
	a, err := w.engine.AdoptDrift(t.Context(), "shop")
	if err != nil || len(a.Left) > 0 || len(a.Taken) != 3 {
		t.Fatalf("%+v, %v", a, err)
	}
	want := strings.NewReplacer("'hello'\r\n", "'bye'\r\n      ttl: 60\r\n", "proxied: true}", "proxied: true, ttl: 60}").Replace(text)
	if got := applied(t, a.Path, text, a.Patch); got != want {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}

// Records that come from the template are every client's: it is said where they stand.
func TestS41AdoptDriftOfInheritedRecords(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{
		"templates/shop.yaml": template + "defaults:\n  dns:\n    records:\n      - {type: TXT, name: note, content: hello}\n",
		"clients/shop.yaml":   client("shop"),
	})
	w.want("shop", state.StatusActive)
	v.world.Set(v.at("hello"), "ttl", "60")
	v.world.Set(v.at("hello"), "content", "there")
	a, err := w.engine.AdoptDrift(t.Context(), "shop")
	if err != nil || a.Patch != "" || len(a.Left) != 2 {
		t.Fatalf("%+v, %v", a, err)
	}
	for _, l := range a.Left {
		if !strings.Contains(l.Why, "templates/shop.yaml:10, defaults.dns.records[0]") || !strings.Contains(l.Why, "copy dns.records to clients/shop.yaml") {
			t.Errorf("%+v", l)
		}
	}
}

// Variables that somebody put there or took away by hand, and what is a default.
func TestS41AdoptDriftAddsWhatIsNotSaid(t *testing.T) {
	v, w := newVendors(t)
	w.apply(map[string]string{"clients/shop.yaml": client("shop", "env:", "  # the colour", "  COLOUR: red", "  OLD: x # gone soon"), "clients/bare.yaml": client("bare")})
	w.want("shop", state.StatusActive)
	env := map[string]string{}
	for _, o := range v.world.Objects("vercel") {
		if o.Kind == state.KindEnvironment {
			env[string(o.Mark.Client)[:4]] = o.ID
		}
	}
	v.world.Set(env["shop"], "env.MORE", "a: b # c")
	v.world.Edit(env["shop"], func(o *provider.Object) {
		o.Attributes = slices.DeleteFunc(o.Attributes, func(a provider.Input) bool { return a.Name == "env.OLD" })
	})
	v.world.Set(env["bare"], "env.MORE", "x")
	for _, o := range v.world.Objects("railway") {
		if o.Kind == state.KindDatabase && strings.HasPrefix(string(o.Mark.Client), "bare") {
			v.world.Set(o.ID, "access", "private")
		}
	}
	for name, want := range map[string][]string{
		"shop": {"-  OLD: x # gone soon", "+  OLD: {none: true} # gone soon", `+  MORE: "a: b # c"`},
		"bare": {"+database: {access: private}", "+env: {MORE: x}"},
	} {
		a, err := w.engine.AdoptDrift(t.Context(), name)
		if err != nil || len(a.Left) > 0 {
			t.Fatalf("%+v, %v", a, err)
		}
		if got := lines(a.Patch); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%s", a.Patch)
		}
		_, files, err := w.repo.Tree(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(files, func(f accept.File) bool { return f.Path == a.Path })
		w.apply(map[string]string{a.Path: applied(t, a.Path, string(files[i].Data), a.Patch)})
		w.approveMoves() // another access is another address
		w.pass(w.id(name))
		w.want(name, state.StatusActive)
		if rows, err := w.engine.Drift(t.Context(), []string{name}); err != nil || len(rows) > 0 {
			t.Errorf("after the merge: %+v, %v", rows, err)
		}
	}
}
