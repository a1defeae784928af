package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// What provisioning costs, vendor by vendor, with vendors that are done at once: a new client,
// one variable, another domain, a removal, a new client that takes payments and has a user at its
// site, at each host. Beside it stands what the plan said
// (Traits). The files in testdata/calls are the lists; `go test -run CallsOfAll -update` writes
// them.
//
// Where more is made than the plan says, these are: the looks before a change, one for each
// object on record (two at Railway), which are no steps; at Ploi the log of a deployment that
// ended; at Vercel, when a client goes, a call for each variable and each release that was
// kept, of which Traits know one. Zones are asked for again after ten minutes.
func TestCallsOfAllVendorsTogether(t *testing.T) {
	t.Parallel()
	for hosting, at := range map[string]func(string, ...string) string{"ploi": atPloi, "vercel": atVercel} {
		t.Run(hosting, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, kindness{haste: 500}, map[string]string{"clients/keeper.yaml": at("keeper")})
			f.configure("guard: {maxDeletePercent: 100}\n")
			f.start()
			f.settle("keeper") // what a start asks for is not a client's
			shop := func(more ...string) map[string]string {
				return map[string]string{"clients/demoshop.yaml": at("demoshop", more...)}
			}
			for _, phase := range []struct {
				name   string
				commit map[string]string
				end    state.Status
			}{
				{"create", shop("env: {STORE_CURRENCY: EUR}"), state.StatusActive},
				{"env", shop("env: {STORE_CURRENCY: USD}"), state.StatusActive},
				{"domain", map[string]string{"clients/demoshop.yaml": strings.Replace(at("demoshop", "env: {STORE_CURRENCY: USD}"), "domain: demoshop", "domain: other", 1)}, state.StatusActive},
				{"remove", map[string]string{"clients/demoshop.yaml": ""}, state.StatusRetained},
				{"create-payments", map[string]string{"clients/till.yaml": paying(at)("till", "env: {STORE_CURRENCY: EUR}")}, state.StatusRetained},
			} {
				f.write(phase.commit)
				planned := map[string]int{}
				for _, c := range f.plan("--dir", f.work).Changes {
					for _, s := range c.Steps {
						planned[s.Provider] += s.Calls
					}
				}
				n := f.sent.len()
				f.commit(nil)
				for range 4 { // what has to wait for DNS to be forgotten goes later
					f.apply()
					f.clock.add(2 * time.Hour)
				}
				if r := f.why("demoshop"); r.Status != string(phase.end) {
					t.Fatalf("%s: it is %s: %s", phase.name, r.Status, r.Because)
				}
				if r := rowOf(f.status(), "till"); phase.name == "create-payments" && r.Status != string(state.StatusActive) {
					t.Errorf("till is %s: %s", r.Status, r.Because)
				}
				wantCalls(t, phase.name+"-"+hosting, planned, f.sent.since(n))
			}
		})
	}
}

// wantCalls compares calls with a file: those of a vendor together, the same ones counted,
// since steps of a client run side by side.
func wantCalls(t *testing.T, name string, planned map[string]int, made []exchange) {
	t.Helper()
	by, total := map[string]map[string]int{}, map[string]int{}
	for _, x := range made {
		if by[x.Vendor] == nil {
			by[x.Vendor] = map[string]int{}
		}
		by[x.Vendor][x.Call]++
		total[x.Vendor]++
	}
	var b strings.Builder
	for _, vendor := range sortedKeys(by) {
		fmt.Fprintf(&b, "%s: %d calls, the plan says %d\n", vendor, total[vendor], planned[vendor])
		for _, call := range sortedKeys(by[vendor]) {
			fmt.Fprintf(&b, "  %d × %s\n", by[vendor][call], call)
		}
	}
	path := filepath.Join("testdata", "calls", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want := readAll(t, path)
	if got := b.String(); got != want {
		t.Errorf("%s: the calls are\n%s\nwant\n%s", name, got, want)
	}
	for _, vendor := range sortedKeys(planned) {
		if vendor != "" && total[vendor] == 0 && planned[vendor] > 0 && !slices.Contains(sortedKeys(by), vendor) {
			t.Errorf("%s: the plan says %d calls of %s, and none was made", name, planned[vendor], vendor)
		}
	}
}
