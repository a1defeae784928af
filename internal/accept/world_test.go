package accept

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

var start = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// fataler is what a world needs of a test.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world keeps what a store would, and plays heads against it.
type world struct {
	t          fataler
	now        time.Time
	tree       map[string]string
	seen       map[string]string // the tree at the baseline
	broken     map[string]string // path → why it can't be read
	seenBroken map[string]string // likewise, at the baseline
	base       *state.Baseline
	clients    map[state.ClientID]state.Client
	claims     map[string]state.Claim
	tombs      map[string]state.Tombstone
	holds      map[string]state.Hold
	approvals  map[string]state.Approval
	verdicts   map[string]state.Verdict
	retained   map[state.ClientID]bool
	guard      Guard
	defaults   manifest.Defaults
	program    string
	repository string
	branch     string
	path       string
	listed     bool // the changes list the whole head
	root       string
	heads      int
	ids        int
	reviewed   bool
	rewritten  bool
	resolved   []string // paths that Parts was asked for
	last       Result
}

func newWorld(t fataler) *world {
	return &world{
		t: t, now: start, tree: map[string]string{}, seen: map[string]string{}, broken: map[string]string{},
		clients: map[state.ClientID]state.Client{}, claims: map[string]state.Claim{}, tombs: map[string]state.Tombstone{},
		holds: map[string]state.Hold{}, approvals: map[string]state.Approval{}, verdicts: map[string]state.Verdict{}, retained: map[state.ClientID]bool{},
		guard: Guard{MaxDeletes: 100, MaxDeletePercent: 100, MaxChanged: 25, MaxCreates: 1000}, program: "1.0.0",
		defaults:   manifest.Defaults{BaseDomain: "agency.example", Deployment: "local", Database: "sqlite", DNS: "local"},
		repository: "https://git.example/clients.git", root: "root1", branch: "main", path: "clients", reviewed: true,
	}
}

// client is a manifest; extra lines follow.
func client(name, domain string, extra ...string) string {
	return fmt.Sprintf("apiVersion: reconciler/v1\nkind: Client\nname: %s\ndomain: %s\ntemplate: shop\ncontact: {email: owner@%s.example}\n%s\n", name, domain, name, strings.Join(extra, "\n"))
}

func template(ref string) string {
	return "apiVersion: reconciler/v1\nkind: Template\nname: shop\nsource: {repository: agency/shop, ref: " + ref + "}\n"
}

func platform(extra ...string) string {
	return "apiVersion: reconciler/v1\nkind: Platform\nbaseDomain: agency.example\n" + strings.Join(extra, "\n") + "\n"
}

func blob(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])[:16]
}

// fleet is a world with the template and clients of these names.
func fleet(t fataler, names ...string) *world {
	w := newWorld(t)
	w.tree["templates/shop.yaml"] = template("v1")
	for _, n := range names {
		w.tree["clients/"+n+".yaml"] = client(n, n)
	}
	w.head()
	w.now = w.now.Add(25 * time.Hour)
	w.settle()
	return w
}

func numbered(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("c%03d", i))
	}
	return out
}

// settle plays that every pass succeeded.
func (w *world) settle() {
	for id, c := range w.clients {
		if !c.Removed {
			c.Settled, c.EverDeployed, c.Status = true, true, state.StatusActive
			w.clients[id] = c
		}
	}
	for k, v := range w.verdicts {
		for id, fate := range v.Clients {
			if fate == FatePending {
				v.Clients[id] = FateSucceeded
			}
		}
		Conclude(&v, w.now)
		w.verdicts[k] = v
	}
}

// push changes files ("" removes) and accepts the head.
func (w *world) push(files map[string]string) Result {
	w.t.Helper()
	w.edit(files)
	return w.head()
}

func (w *world) edit(files map[string]string) {
	for p, text := range files {
		if text == "" {
			delete(w.tree, p)
		} else {
			w.tree[p] = text
		}
	}
}

// head accepts the tree as a new head.
func (w *world) head() Result {
	w.t.Helper()
	w.heads++
	w.now = w.now.Add(time.Minute)
	return w.play(w.input(fmt.Sprintf("%040x", w.heads)))
}

// again calls Head for the baseline's head.
func (w *world) again() Result {
	w.t.Helper()
	return w.play(w.input(w.base.Head))
}

func (w *world) input(head string) Input {
	in := Input{
		Now: w.now, Head: head, Root: w.root, Repository: w.repository, Branch: w.branch, Path: w.path, Whole: w.listed, Program: w.program,
		Baseline: w.base, Descends: !w.rewritten, HeadEmpty: !w.manifests(), Guard: w.guard, Defaults: w.defaults, Files: map[string]File{}, Shown: map[string]bool{},
		EmptyState: len(w.clients) == 0,
		Retained:   func(id state.ClientID) bool { return w.retained[id] },
		Parts:      w.parts,
		NewID: func(name string) state.ClientID {
			w.ids++
			return state.ClientID(fmt.Sprintf("%s-%06x", name, w.ids))
		},
	}
	if w.base == nil || w.base.Head != head {
		in.Commits = []Commit{{ID: head, Author: "dana", Subject: "change", Reviewed: w.reviewed}}
	}
	paths := map[string]bool{}
	for p := range w.tree {
		paths[p] = true
	}
	for p := range w.seen {
		paths[p] = true
	}
	for p := range paths {
		old, now := w.seen[p], w.tree[p]
		if old == now && w.broken[p] == w.seenBroken[p] {
			continue
		}
		if w.reviewed {
			in.Shown[p] = true
		}
		ch := Change{Path: p}
		if old != "" {
			ch.Old = blob(old)
		}
		if now != "" {
			ch.New = blob(now)
			in.Files[p] = w.file(p)
		}
		in.Changes = append(in.Changes, ch)
	}
	for p, why := range w.broken {
		in.Files[p] = File{Path: p, Err: why}
	}
	for _, p := range Retry(w.base) {
		if w.tree[p] != "" {
			in.Files[p] = w.file(p)
		}
	}
	for _, c := range w.clients {
		in.Clients = append(in.Clients, c)
	}
	for _, c := range w.claims {
		in.Claims = append(in.Claims, c)
	}
	for _, t := range w.tombs {
		in.Tombstones = append(in.Tombstones, t)
	}
	for _, h := range w.holds {
		in.Holds = append(in.Holds, h)
	}
	for _, a := range w.approvals {
		in.Approvals = append(in.Approvals, a)
	}
	for _, v := range w.verdicts {
		if Open(v) || v.Commit == head {
			in.Verdicts = append(in.Verdicts, v)
		}
	}
	return in
}

func (w *world) file(p string) File {
	if why := w.broken[p]; why != "" {
		return File{Path: p, Err: why}
	}
	return File{Path: p, Blob: blob(w.tree[p]), Data: []byte(w.tree[p])}
}

func (w *world) manifests() bool {
	for p := range w.tree {
		if strings.HasPrefix(p, w.path+"/") {
			return true
		}
	}
	return false
}

func (w *world) parts(c state.Client, e manifest.Effective) []string {
	w.resolved = append(w.resolved, c.Name)
	site := e.Deployment.Provider
	if site == "" {
		site = "local"
	}
	out := []string{"site/" + site, "environment/" + site, "deployment/" + e.Hash()}
	if e.Database.Provider != "none" {
		out = append(out, "database/main")
	}
	for _, h := range e.Hosts {
		out = append(out, "domain/"+h+"@"+site)
	}
	for _, r := range e.DNS.Records {
		out = append(out, "record/"+r.Type+" "+r.Name)
	}
	return out
}

func (w *world) play(in Input) Result {
	w.t.Helper()
	r := Head(in)
	w.last = r
	w.apply(r)
	if !r.Held {
		w.listed = false
		w.seen = map[string]string{}
		for p, text := range w.tree {
			w.seen[p] = text
		}
		w.seenBroken = maps.Clone(w.broken)
	}
	w.sound(in, r)
	return r
}

func (w *world) apply(r Result) {
	for _, fp := range r.LiftHolds {
		delete(w.holds, fp)
	}
	for _, h := range r.Holds {
		w.holds[h.Fingerprint] = h
	}
	for _, t := range r.VoidTombstones {
		delete(w.tombs, stoneKey(t))
	}
	for _, t := range r.Tombstones {
		w.tombs[stoneKey(t)] = t
	}
	for _, c := range r.Clients {
		w.clients[c.ID] = c
	}
	for _, key := range r.FreeClaims {
		delete(w.claims, key)
	}
	for _, c := range r.Claims {
		w.claims[c.Key] = c
	}
	for _, a := range r.UsedApprovals {
		w.approvals[a.Fingerprint] = a
	}
	for _, v := range r.Verdicts {
		w.verdicts[v.Commit] = v
	}
	if r.Verdict != nil {
		w.verdicts[r.Verdict.Commit] = *r.Verdict
	}
	if r.Baseline != nil {
		w.base = r.Baseline
	}
}

// sound checks what holds after every head.
func (w *world) sound(in Input, r Result) {
	w.t.Helper()
	if r.Held && (r.Baseline != nil || len(r.Clients)+len(r.Tombstones)+len(r.Claims)+len(r.FreeClaims)+len(r.Touched) > 0) {
		w.t.Fatalf("a held head changed something: %+v", r)
	}
	names := map[string]state.ClientID{}
	for id, c := range w.clients {
		if c.Removed {
			continue
		}
		if other, ok := names[c.Name]; ok {
			w.t.Fatalf("%s and %s are both called %s", id, other, c.Name)
		}
		names[c.Name] = id
		if len(c.Manifest) == 0 || c.WishHash == "" || c.Path == "" {
			w.t.Fatalf("%s has no wish: %+v", id, c)
		}
	}
	if !sort.SliceIsSorted(r.Touched, func(i, j int) bool { return r.Touched[i] < r.Touched[j] }) {
		w.t.Fatalf("Touched is not sorted: %v", r.Touched)
	}
	for _, rep := range r.Reports {
		if len([]rune(rep.Text)) > maxReportText {
			w.t.Fatalf("report too long: %q", rep.Text)
		}
	}
}

// approve gives an approval, and releases what it may.
func (w *world) approve(print string) Result {
	w.t.Helper()
	a := state.Approval{Fingerprint: print, By: "ops", At: w.now}
	w.approvals[print] = a
	h, ok := w.holds[print]
	if !ok {
		return Result{}
	}
	in := ReleaseInput{Now: w.now, Hold: h, Approval: a}
	for _, c := range w.clients {
		in.Clients = append(in.Clients, c)
	}
	for _, t := range w.tombs {
		in.Tombstones = append(in.Tombstones, t)
	}
	for _, v := range w.verdicts {
		in.Verdicts = append(in.Verdicts, v)
	}
	r := Release(in)
	w.apply(r)
	return r
}

// finish plays that every due removal was carried out.
func (w *world) finish() {
	for _, t := range w.due() {
		t.Done = true
		w.tombs[stoneKey(t)] = t
		if t.Part == "" {
			w.retained[t.Client] = true
		}
	}
}

func (w *world) due() []state.Tombstone {
	var all []state.Tombstone
	for _, t := range w.tombs {
		all = append(all, t)
	}
	return Due(all, w.now)
}

// named is the living client of that name.
func (w *world) named(name string) state.Client {
	w.t.Helper()
	for _, c := range w.clients {
		if c.Name == name && !c.Removed {
			return c
		}
	}
	w.t.Fatalf("no client is called %s", name)
	return state.Client{}
}

func (w *world) has(name string) bool {
	for _, c := range w.clients {
		if c.Name == name && !c.Removed {
			return true
		}
	}
	return false
}

func (w *world) owner(host string) string { return w.clients[w.claims["host:"+host].Client].Name }

// dueParts lists the due removals as "name part".
func (w *world) dueParts() []string {
	var out []string
	for _, t := range w.due() {
		out = append(out, strings.TrimSpace(t.Name+" "+t.Part))
	}
	return out
}

// problem is what the baseline says of a file.
func (w *world) problem(p string) string {
	for _, q := range w.base.Problems {
		if q.Path == p {
			return q.Text
		}
	}
	return ""
}

func (w *world) hold(kind state.HoldKind) state.Hold {
	w.t.Helper()
	var found []state.Hold
	for _, h := range w.holds {
		if h.Kind == kind {
			found = append(found, h)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%d holds of kind %s: %+v", len(found), kind, found)
	}
	return found[0]
}

func touched(r Result, w *world) []string {
	var out []string
	for _, id := range r.Touched {
		out = append(out, w.clients[id].Name)
	}
	sort.Strings(out)
	return out
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Fatalf("%s: got %s, want %s", what, g, w)
	}
}

func same(t fataler, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: got %+v, want %+v", what, got, want)
	}
}

func contains(t *testing.T, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Fatalf("%s: %q doesn't say %q", what, text, part)
	}
}

func cpath(name string) string { return path.Join("clients", name+".yaml") }
