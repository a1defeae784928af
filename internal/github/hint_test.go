package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/github/githubtest"
)

// payloads are deliveries with their event: GitHub's 57 published ones when they are
// beside the project, and a few of our own always.
func payloads(t testing.TB) (all []Delivery, published int) {
	t.Helper()
	files, err := filepath.Glob("testdata/hooks/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads of our own: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		event, _, _ := strings.Cut(filepath.Base(file), ".")
		all = append(all, Delivery{ID: file, Event: event, Payload: body})
	}
	dir := githubtest.Specs(t)
	if dir == "" {
		return all, 0 // its log says so
	}
	body, err := os.ReadFile(filepath.Join(dir, "webhooks.examples.json"))
	if err != nil {
		t.Fatal(err)
	}
	var events []struct {
		Name     string
		Examples []json.RawMessage
	}
	if err := json.Unmarshal(body, &events); err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		for i, x := range e.Examples {
			all = append(all, Delivery{ID: fmt.Sprintf("%s-%d", e.Name, i), Event: e.Name, Payload: x})
			published++
		}
	}
	return all, published
}

// expected is what a payload should be taken for, worked out another way: from the whole
// document, not from the fields that HintOf picks.
func expected(t testing.TB, d Delivery) Hint {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(d.Payload, &p); err != nil {
		t.Fatal(err)
	}
	h := Hint{Delivery: d.ID, Event: d.Event}
	if d.Event == "star" { // nothing of it is read
		return h
	}
	get := func(path ...string) any {
		var at any = p
		for _, key := range path {
			in, _ := at.(map[string]any)
			at = in[key]
		}
		return at
	}
	h.Repository, _ = get("repository", "full_name").(string)
	number := func(path ...string) { n, _ := get(path...).(float64); h.Pull, h.Known = int(n), true }
	switch d.Event {
	case "ping":
		h.Known = true
	case "push":
		if ref := get("ref").(string); strings.HasPrefix(ref, "refs/heads/") {
			h.Known, h.Branch = true, strings.TrimPrefix(ref, "refs/heads/")
		}
	case "pull_request":
		number("pull_request", "number")
	case "issue_comment":
		if get("issue", "pull_request") != nil {
			h.Comment = true
			number("issue", "number")
		}
	case "check_run", "check_suite":
		if get("action") != "rerequested" {
			break
		}
		h.Known, h.Rerun = true, true
		if all, _ := get(d.Event, "pull_requests").([]any); len(all) == 1 {
			n, _ := all[0].(map[string]any)["number"].(float64)
			h.Pull = int(n)
		}
	case "installation", "installation_repositories":
		h.Known, h.Installation, h.Repository = true, true, ""
	}
	return h
}

// Every payload is taken for what it is.
func TestPayloads(t *testing.T) {
	all, published := payloads(t)
	looks := map[string]int{}
	for _, d := range all {
		h, err := HintOf(d)
		if want := expected(t, d); err != nil || !reflect.DeepEqual(h, want) {
			t.Errorf("%s: %+v, %v; not %+v", d.ID, h, err, want)
		}
		if h.Look() {
			looks[d.Event]++
		}
	}
	t.Logf("%d payloads, %d of them published; to look at: %v", len(all), published, looks)
	for _, event := range []string{"push", "pull_request", "issue_comment", "check_run", "check_suite", "installation", "installation_repositories"} {
		if looks[event] == 0 {
			t.Errorf("no payload of %s says to look at anything", event)
		}
	}
}

func TestHints(t *testing.T) {
	repo := `"repository":{"full_name":"compassdigital/clients"}`
	for name, c := range map[string]struct {
		event, payload string
		bad            bool
		want           Hint
	}{
		"a push":                    {"push", `{"ref":"refs/heads/feature/x",` + repo + `}`, false, Hint{Known: true, Branch: "feature/x"}},
		"a deleted branch":          {"push", `{"ref":"refs/heads/main","deleted":true,"after":"0000000000000000000000000000000000000000",` + repo + `}`, false, Hint{Known: true, Branch: "main"}},
		"a tag":                     {"push", `{"ref":"refs/tags/v1",` + repo + `}`, false, Hint{}},
		"a push to nothing":         {"push", `{` + repo + `}`, true, Hint{}},
		"an odd branch":             {"push", `{"ref":"refs/heads/a\u0000b",` + repo + `}`, true, Hint{}},
		"a long branch":             {"push", `{"ref":"refs/heads/` + strings.Repeat("x", 256) + `",` + repo + `}`, true, Hint{}},
		"a push of no repository":   {"push", `{"ref":"refs/heads/main"}`, true, Hint{}},
		"an odd repository":         {"push", `{"ref":"refs/heads/main","repository":{"full_name":"../../x"}}`, true, Hint{}},
		"a list":                    {"push", `[]`, true, Hint{}},
		"null":                      {"push", `null`, true, Hint{}},
		"a pull request":            {"pull_request", `{"action":"anything","pull_request":{"number":3},` + repo + `}`, false, Hint{Known: true, Pull: 3}},
		"without a number":          {"pull_request", `{"pull_request":{},` + repo + `}`, true, Hint{}},
		"a negative number":         {"pull_request", `{"pull_request":{"number":-3},` + repo + `}`, true, Hint{}},
		"a large number":            {"pull_request", `{"pull_request":{"number":3000000000},` + repo + `}`, true, Hint{}},
		"a number as text":          {"pull_request", `{"pull_request":{"number":"3"},` + repo + `}`, true, Hint{}},
		"without a pull request":    {"pull_request", `{"number":3,` + repo + `}`, true, Hint{}},
		"a comment":                 {"issue_comment", `{"action":"created","issue":{"number":3,"pull_request":{"url":"x"}},"comment":{"body":"/reconciler approve 9f3a"},` + repo + `}`, false, Hint{Known: true, Pull: 3, Comment: true}},
		"a comment on an issue":     {"issue_comment", `{"action":"created","issue":{"number":3},` + repo + `}`, false, Hint{}},
		"a comment on null":         {"issue_comment", `{"action":"created","issue":{"number":3,"pull_request":null},` + repo + `}`, false, Hint{}},
		"a comment on nothing":      {"issue_comment", `{"action":"created",` + repo + `}`, true, Hint{}},
		"a check again":             {"check_run", `{"action":"rerequested","check_run":{"pull_requests":[{"number":3}]},` + repo + `}`, false, Hint{Known: true, Rerun: true, Pull: 3}},
		"a fork's check again":      {"check_run", `{"action":"rerequested","check_run":{"pull_requests":[]},` + repo + `}`, false, Hint{Known: true, Rerun: true}},
		"a check of two":            {"check_suite", `{"action":"rerequested","check_suite":{"pull_requests":[{"number":3},{"number":4}]},` + repo + `}`, false, Hint{Known: true, Rerun: true}},
		"our own check":             {"check_run", `{"action":"created","check_run":{"pull_requests":[{"number":3}]},` + repo + `}`, false, Hint{}},
		"a check without one":       {"check_run", `{"action":"rerequested",` + repo + `}`, true, Hint{}},
		"a ping":                    {"ping", `{"zen":"x","hook_id":1}`, false, Hint{Known: true}},
		"an installation":           {"installation", `{"action":"suspend","installation":{"id":1}}`, false, Hint{Known: true, Installation: true}},
		"an event that is not ours": {"star", `{"action":"created","repository":{"full_name":"../../x"}}`, false, Hint{}},
		"an event of tomorrow":      {"whatever", `[[[]]]`, false, Hint{}},
	} {
		got, err := HintOf(Delivery{ID: "1", Event: c.event, Payload: []byte(c.payload)})
		c.want.Delivery, c.want.Event = "1", c.event
		got.Repository = ""
		if errors.Is(err, ErrDelivery) != c.bad || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// FuzzHint: whatever a delivery holds, a hint is small and plain, and one that is no error
// and says to look names our kind of place.
func FuzzHint(f *testing.F) {
	all, _ := payloads(f)
	for _, d := range all {
		f.Add(d.Event, d.Payload)
	}
	f.Add("push", []byte(`{"ref":"refs/heads/`+strings.Repeat("[", 1000)))
	f.Add("push", []byte(strings.Repeat(`{"repository":`, 5000)))
	f.Add("check_run", []byte(`{"action":"rerequested","check_run":{"pull_requests":[null,1,{}]}}`))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		h, err := HintOf(Delivery{ID: "1", Event: event, Payload: body})
		again, err2 := HintOf(Delivery{ID: "1", Event: event, Payload: body})
		if h != again || (err == nil) != (err2 == nil) {
			t.Fatalf("%+v and %+v", h, again)
		}
		if err != nil && (!errors.Is(err, ErrDelivery) || h.Look()) {
			t.Fatalf("%+v, %v", h, err)
		}
		if h.Known && !used(event) || h.Look() && !h.Installation && !fullName(h.Repository) {
			t.Fatalf("%+v", h)
		}
		if len(h.Repository) > 201 || len(h.Branch) > maxBranch || strings.ContainsAny(h.Branch+h.Repository, "\x00\n\r\x1b") || h.Pull < 0 {
			t.Fatalf("%+v", h)
		}
	})
}
