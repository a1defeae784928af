package ploi

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Law: whatever a deploy script is, its header written again reads the same, and the body
// stays; a header that says something is found in front of any body.
func FuzzScript(f *testing.F) {
	h := header{mark: provider.Mark{Installation: "0badcafe", Client: "c00001", Generation: 1}, release: "c00001-0badcafe-8be01c22aa10", try: "2026", since: "never", serves: "x",
		wish: []provider.Input{{Name: "settings", Text: "{\"a\":\"'ü😀\n\"}"}}}
	f.Add(h.text() + "echo 1\n")
	f.Add("# reconciler:a/b/1\n# release\n# serves x\n#\n# wish {\"a\":1}\n")
	f.Add("cd /home/ploi/shop.example\ngit pull\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, rest := readScript(text)
		if !strings.HasSuffix(text, rest) {
			t.Fatalf("the body of %q is %q", text, rest)
		}
		if h.mark.IsZero() && rest != text {
			t.Errorf("a script that is not ours has the body %q of %q", rest, text)
		}
		written := h.text()
		if written == "" {
			return
		}
		const body = "set -eu\n# release another\necho 1\n"
		again, after := readScript(written + body)
		if after != body {
			t.Errorf("behind %q the body is %q", written, after)
		}
		if second := again.text(); second != written {
			t.Errorf("read again it is %q, was %q", second, written)
		}
		if again.release != h.release || again.serves != h.serves || again.mark != h.mark {
			t.Errorf("read again it says %+v, said %+v", again, h)
		}
	})
}

// Law: no answer makes a decoder fail by the kind of a value that nothing depends on, and a
// text reads back as itself.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"data":{"id":1,"status":"active","deploy_script":false,"php_version":7.2,"last_deploy_at":null}}`))
	f.Add([]byte(`{"content":"A=1"}`))
	f.Add([]byte(`{"data":"A=1"}`))
	f.Add([]byte(`{"message":"no","errors":{"root_domain":["taken"]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var any1 one[json.RawMessage]
		var w word
		if json.Unmarshal(raw, &any1) == nil && len(any1.Data) > 0 {
			if err := json.Unmarshal(any1.Data, &w); err != nil {
				t.Errorf("%s is no word: %v", any1.Data, err)
			}
			var text string
			if any1.Data[0] == '"' && json.Unmarshal(any1.Data, &text) == nil && string(w) != text {
				t.Errorf("%s reads as %q", any1.Data, w)
			}
		}
		var e envFile
		if json.Unmarshal(raw, &e) == nil {
			if text, ok := e.text(); !ok && text != "" {
				t.Errorf("no file holds %q", text)
			}
		}
		var fail failure
		if json.Unmarshal(raw, &fail) == nil {
			if names, _ := fail.fields(); !slices.IsSorted(names) {
				t.Errorf("fields %q are not sorted", names)
			}
		}
		var s one[site]
		if json.Unmarshal(raw, &s) == nil && s.Data.settled() && s.Data.Status == "" {
			t.Error("a site without a status is settled")
		}
	})
}

// A root domain says whose a site is; a customer's never does.
func TestRootDomains(t *testing.T) {
	for _, m := range []provider.Mark{{Installation: "0badcafe", Client: "c00001", Generation: 1}, {Installation: "0badcafe", Client: "a-b-g", Generation: 12}} {
		name := provider.ObjectName(m, state.Ref{Kind: state.KindSite})
		root, ok := rootOf(name)
		got, mark := readRoot(root)
		if !ok || got != name || mark != m {
			t.Errorf("%v: root %q reads as %q of %v", m, root, got, mark)
		}
	}
	for _, domain := range []string{"shop.example", "c00001.reconciler.internal", "-x.reconciler.internal", "a-b.c-d.reconciler.internal", ".reconciler.internal"} {
		if name, m := readRoot(domain); name != "" || !m.IsZero() {
			t.Errorf("%s says %q of %v", domain, name, m)
		}
	}
	if _, ok := rootOf(strings.Repeat("a", 64)); ok {
		t.Error("a label of 64 characters is taken")
	}
}

// What a wish says is handed to the shell as words, whatever is in it.
func TestScriptQuotesWords(t *testing.T) {
	w := provider.Wish{Inputs: []provider.Input{{Name: "ref", Text: "v1'; rm -rf /; '"}, {Name: "displayName", Text: "Dana's $(id) `id`"}, {Name: "directory", Text: "../../etc"}, {Name: "command", Text: "pnpm build"}}}
	got := body(site{Domain: "x.reconciler.internal"}, header{release: "r", try: "t"}, w)
	for _, line := range []string{`export RECONCILER_DISPLAY_NAME='Dana'\''s $(id) ` + "`id`'", "cd '/home/ploi/x.reconciler.internal/etc'", "pnpm build",
		`wanted=$(git rev-parse --verify --quiet 'refs/remotes/origin/v1'\''; rm -rf /; '\''^{commit}' || git rev-parse --verify 'v1'\''; rm -rf /; '\''^{commit}')`} {
		if !slices.Contains(strings.Split(got, "\n"), line) {
			t.Errorf("there is no line %s in\n%s", line, got)
		}
	}
}

func TestIDs(t *testing.T) {
	for kind, text := range map[state.Kind]string{state.KindSite: "1/48211", state.KindEnvironment: "1/48211/env", state.KindTraffic: "1/48211/traffic",
		state.KindDeployment: "1/48211/release/c1-a-8be0", state.KindDomain: "1/48211/domain/shop.example"} {
		for other := range map[state.Kind]bool{state.KindSite: true, state.KindEnvironment: true, state.KindTraffic: true, state.KindDeployment: true, state.KindDomain: true} {
			at, ok := parse(other, text)
			if ok != (other == kind) {
				t.Errorf("%s as %s: %v", text, other, ok)
			}
			if d := cmp.Diff(siteID{"1", "48211"}, at.siteID, cmp.AllowUnexported(siteID{})); ok && d != "" {
				t.Error(d)
			}
		}
	}
	for _, text := range []string{"", "1", "1/", "0/1", "1/2/3", "01/2", "1/2/domain/a/b", "1/2/domain/x", "1/2/release/", "1/2/release/A", strings.Repeat("1", 1000) + "/2"} {
		for _, kind := range []state.Kind{state.KindSite, state.KindDomain, state.KindDeployment} {
			if _, ok := parse(kind, text); ok {
				t.Errorf("%q is taken for a %s", text, kind)
			}
		}
	}
}
