package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// The demo's screen says everything once: what is wrong with a file, and which fingerprint
// waits.
func TestTheScreenSaysItOnce(t *testing.T) {
	var out strings.Builder
	v := reconcile.Overview{
		Problems: []state.FileProblem{
			{Path: "clients/demoshop.yaml", Client: "demoshop", Line: 7, Column: 7, Text: `plan can't be "startre"`, Hint: "did you mean starter?"},
			{Path: "clients/newshop.yaml", Client: "newshop", Line: 9, Column: 1, Text: "this is not valid YAML", Hint: "a bracket is missing"},
			{Path: "clients/other.yaml", Client: "other", Text: "demoshop.example is still demoshop's: its removal is held", Hint: "approve 9f3a"},
		},
		Holds: []state.Hold{{Fingerprint: "9f3a", Reason: "Removals wait.", Act: "Approve 9f3a, or revert."}, {Fingerprint: "77bb", Reason: "Mail may stop.", Act: "A revert takes it back."}},
		Clients: []reconcile.Row{
			{ID: "d", Name: "demoshop", Status: "active", URL: "http://demoshop.localhost", Because: `clients/demoshop.yaml:7:7: plan can't be "startre". Its last good version stays.`},
			{Name: "newshop", Status: "invalid", Because: "this is not valid YAML", Next: "a bracket is missing"},
			{ID: "s", Name: "sick", Status: "failed", Because: "the build failed", Next: "mend it"},
		},
	}
	s := &screen{out: &progress{out: &out}, view: func() (reconcile.Overview, error) { return v, nil }, now: time.Now,
		runs: map[state.ClientID]theRun{}, rows: map[rowKey]theRow{}, problems: map[string]bool{}, holds: map[string]bool{}}
	s.look()
	s.look() // nothing is new
	want := []string{
		`✗ clients/demoshop.yaml:7:7: plan can't be "startre"`, "    did you mean starter?",
		"✗ clients/newshop.yaml:9:1: this is not valid YAML", "    a bracket is missing",
		"✗ clients/other.yaml: demoshop.example is still demoshop's: its removal is held", "    approve 9f3a",
		"‖ held: Removals wait.", "    Approve 9f3a, or revert.", "‖ held: Mail may stop.", "    A revert takes it back. 77bb",
		"✓ demoshop       active   http://demoshop.localhost  its file is invalid (see above). Its last good version stays.",
		"✗ newshop        invalid  its file is invalid (see above)",
		"✗ sick           failed   the build failed", "    mend it",
	}
	if got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"); !slices.Equal(got, want) {
		t.Errorf("it says\n%s", out.String())
	}
}

// Who is called otherwise by now is not gone.
func TestTheScreenSaysWhatARenamedClientIsCalled(t *testing.T) {
	var out strings.Builder
	v := reconcile.Overview{Clients: []reconcile.Row{{ID: "b", Name: "bakery", Status: "active", URL: "http://bakery.localhost"}, {ID: "s", Name: "sick", Status: "failed"}}}
	s := &screen{out: &progress{out: &out}, view: func() (reconcile.Overview, error) { return v, nil }, now: time.Now,
		runs: map[state.ClientID]theRun{}, rows: map[rowKey]theRow{}, problems: map[string]bool{}, holds: map[string]bool{}}
	s.look()
	out.Reset()
	v.Clients = []reconcile.Row{{ID: "b", Name: "bakehouse", Status: "deploying"}}
	s.look()
	if got := out.String(); got != "– bakery         is bakehouse now\n– sick           is gone\n" {
		t.Errorf("it says\n%s", got)
	}
}
