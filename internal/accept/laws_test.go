package accept

import (
	"fmt"
	"maps"
	"math/rand"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
	"pgregory.net/rapid"
)

// story is a random history, played against a world; the laws are checked after
// every head.
type story struct {
	*world
	t         *rapid.T
	minted    map[state.ClientID]bool
	forgotten map[state.ClientID]bool
	log       []string
	// The tree of the head that is held as a whole.
	heldTree, heldBroken map[string]string
}

func TestLawsOverRandomHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := begin(rt)
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			s.step()
		}
		s.drain()
	})
}

func begin(rt *rapid.T) *story {
	s := &story{world: newWorld(rt), t: rt, minted: map[state.ClientID]bool{}, forgotten: map[state.ClientID]bool{}}
	few := func(most int, what string) int { return rapid.IntRange(0, most).Draw(rt, what) }
	s.guard = Guard{MaxDeletes: few(4, "maxDeletes"), MaxDeletePercent: 100, MaxChanged: few(3, "maxChanged"), MaxCreates: few(7, "maxCreates"),
		ReviewedOnly: few(1, "reviewedOnly") == 1, RemoveAfter: time.Duration(few(1, "removeAfter")) * time.Hour}
	s.tree["templates/shop.yaml"] = template("v1")
	for _, n := range []string{"a", "b", "c"}[:few(3, "first")] {
		s.tree[cpath(n)] = client(n, n)
	}
	s.judge()
	return s
}

var (
	storyNames   = []string{"a", "b", "c", "d", "e"}
	storyDomains = []string{"a", "b", "c", "x.example", "login.b.agency.example"}
	storyExtras  = []string{"", "env: {A: b}", "aliases: [www.x.example]", "aliases: [b.agency.example]", "database: {provider: none}", "database: {reuse: fresh}",
		"database: {reuse: retained}", "enabledFeatures: [blog]", "dns: {provider: local, records: [{type: TXT, name: x, content: y}]}", "adopt: {site: {id: q1}}"}
	storyTemplates = []string{template("v1"), template("v2"), template("v1") + "features: {allowed: [forms]}\n", template("v1") + "defaults: {database: {provider: none}}\n", "kind: [", ""}
	storyPlatforms = []string{"", platform(), platform("guard: {maxDeletes: 1}"), platform("limits: {minRetain: 60d}"), platform("reserved: [b]"), platform("defaults: {health: {path: /up}}"), "nonsense: ["}
)

func (s *story) pick(of []string, what string) string { return rapid.SampledFrom(of).Draw(s.t, what) }

func (s *story) say(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) }

// step is one thing that happens.
func (s *story) step() {
	for range rapid.IntRange(0, 3).Draw(s.t, "edits") {
		s.change()
	}
	switch what := s.pick([]string{"head", "head", "head", "again", "rewritten", "approve", "pass", "pass", "wait", "program"}, "happens"); what {
	case "head":
		s.reviewed = rapid.Bool().Draw(s.t, "reviewed")
		s.judge()
	case "again":
		s.say("again")
		s.putBack()
		s.check(s.input(s.base.Head))
	case "rewritten":
		s.rewritten = true
		s.judge()
		s.rewritten = false
	case "approve":
		s.approveAny()
	case "pass":
		s.passAny(rapid.IntRange(0, 4).Draw(s.t, "outcome"))
	case "wait":
		s.now = s.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(s.t, "hours")) * time.Hour)
	case "program":
		s.defaults.DNS = s.pick([]string{"local", "cloudflare"}, "dns")
		s.program = s.pick([]string{"1.0.0", "2.0.0"}, "version")
	}
}

// change is one edit of the tree.
func (s *story) change() {
	n := s.pick(storyNames, "name")
	file := s.pick([]string{cpath(n), cpath(n), cpath(n), "clients/sub/" + n + ".yaml", "clients/" + n + ".yml"}, "file")
	switch what := s.pick([]string{"put", "put", "put", "remove", "remove", "rename", "break", "unreadable", "move", "template", "platform"}, "edit"); what {
	case "put":
		s.tree[file] = client(n, s.pick(storyDomains, "domain"), s.pick(storyExtras, "extra"))
	case "remove":
		delete(s.tree, file)
		delete(s.broken, file)
	case "rename":
		to := s.pick(storyNames, "to")
		delete(s.tree, file)
		delete(s.broken, file)
		s.tree[cpath(to)] = client(to, s.pick(storyDomains, "domain"), "previously: ["+n+"]")
	case "break":
		s.tree[file] = s.pick([]string{"name: [\n", client(n, "b") + "nonsense: 1\n", client("other", "b")}, "nonsense")
	case "unreadable":
		if s.tree[file] != "" {
			s.broken[file] = "is not a regular file"
		}
	case "move":
		if text, ok := s.tree[cpath(n)]; ok {
			delete(s.tree, cpath(n))
			delete(s.broken, cpath(n))
			s.tree["clients/sub/"+n+".yaml"] = text
		}
	case "template":
		s.set("templates/shop.yaml", s.pick(storyTemplates, "template"))
	case "platform":
		s.set("platform.yaml", s.pick(storyPlatforms, "platform"))
	}
}

func (s *story) set(file, text string) {
	if text == "" {
		delete(s.tree, file)
		return
	}
	s.tree[file] = text
}

// judge accepts the tree as a new head.
func (s *story) judge() Result {
	s.heads++
	s.now = s.now.Add(time.Minute)
	return s.check(s.input(fmt.Sprintf("%040x", s.heads)))
}

// check plays a head and checks the laws.
func (s *story) check(in Input) Result {
	s.say("%s head %s rewritten=%v", s.now.Format(time.DateTime), in.Head[36:], s.rewritten)
	for _, c := range in.Changes {
		text := strings.TrimPrefix(s.tree[c.Path], "apiVersion: reconciler/v1\n")
		s.say("    %s %s%q", c.Path, s.broken[c.Path], strings.ReplaceAll(text, "\ntemplate: shop\ncontact: {email: owner@", ""))
	}
	ids, before := s.ids, map[string]state.Tombstone{}
	for k, t := range s.tombs {
		before[k] = t
	}
	first := Head(in)
	s.ids = ids
	r := s.play(in)
	same(s, "the same input", r, first)
	s.ids, ids = ids, s.ids
	same(s, "a shuffled input", Head(shuffled(in, int64(s.heads))), first)
	s.ids = ids
	for id := range s.clients {
		s.minted[id] = true
	}
	if r.Held {
		s.heldTree, s.heldBroken = maps.Clone(s.tree), maps.Clone(s.broken)
	}
	for _, q := range s.base.Problems {
		s.say("    ! %s: %s", q.Path, q.Text)
	}
	for _, t := range s.tombs {
		s.say("    † %s %q waits %q held %q until %s done %v", t.Client, t.Part, t.Waits, t.Held, t.NotUntil.Format(time.DateTime), t.Done)
	}
	s.noneLost()
	s.proven(r, before)
	s.oneOwner()
	s.reasons()
	s.quiet(in)
	return r
}

func (s *story) Fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\n%s", strings.Join(s.log, "\n"), fmt.Sprintf(format, args...))
}

func (s *story) Helper() { s.t.Helper() }

// putBack makes the tree what it was at the baseline.
func (s *story) putBack() {
	s.tree, s.broken = maps.Clone(s.seen), maps.Clone(s.seenBroken)
	if s.broken == nil {
		s.broken = map[string]string{}
	}
}

func shuffled(in Input, seed int64) Input {
	r := rand.New(rand.NewSource(seed))
	mix := func(n int, swap func(i, j int)) { r.Shuffle(n, swap) }
	in.Changes, in.Clients, in.Claims, in.Tombstones = slices.Clone(in.Changes), slices.Clone(in.Clients), slices.Clone(in.Claims), slices.Clone(in.Tombstones)
	in.Holds, in.Approvals, in.Verdicts = slices.Clone(in.Holds), slices.Clone(in.Approvals), slices.Clone(in.Verdicts)
	mix(len(in.Changes), func(i, j int) { in.Changes[i], in.Changes[j] = in.Changes[j], in.Changes[i] })
	mix(len(in.Clients), func(i, j int) { in.Clients[i], in.Clients[j] = in.Clients[j], in.Clients[i] })
	mix(len(in.Claims), func(i, j int) { in.Claims[i], in.Claims[j] = in.Claims[j], in.Claims[i] })
	mix(len(in.Tombstones), func(i, j int) { in.Tombstones[i], in.Tombstones[j] = in.Tombstones[j], in.Tombstones[i] })
	mix(len(in.Holds), func(i, j int) { in.Holds[i], in.Holds[j] = in.Holds[j], in.Holds[i] })
	mix(len(in.Approvals), func(i, j int) { in.Approvals[i], in.Approvals[j] = in.Approvals[j], in.Approvals[i] })
	mix(len(in.Verdicts), func(i, j int) { in.Verdicts[i], in.Verdicts[j] = in.Verdicts[j], in.Verdicts[i] })
	return in
}

// noneLost: every client that was ever minted lives, or a tombstone says why not,
// or it was forgotten after that was carried out.
func (s *story) noneLost() {
	for id := range s.minted {
		c, ok := s.clients[id]
		_, whole := s.tombs[stoneKey(state.Tombstone{Client: id})]
		switch {
		case !ok && !s.forgotten[id]:
			s.Fatalf("%s is lost", id)
		case ok && c.Removed != whole:
			s.Fatalf("%s: removed %v, tombstone %v", id, c.Removed, whole)
		}
	}
}

// proven: no tombstone without a removal that was read.
func (s *story) proven(r Result, before map[string]state.Tombstone) {
	for _, t := range r.Tombstones {
		if _, old := before[stoneKey(t)]; old {
			continue
		}
		c := s.clients[t.Client]
		if t.Part == "" {
			for file := range s.tree {
				if s.seen[file] != "" && nameOf(file) == c.Name && strings.HasPrefix(file, "clients/") && strings.HasSuffix(file, ".yaml") {
					s.Fatalf("%s was removed and %s is there", c.Name, file)
				}
			}
			continue
		}
		e, problems := NewResolver(s.base, s.program).Client(c)
		if c.Removed || problems.Failed() || c.InvalidBlob != "" && c.Accepted != s.base.Head {
			s.Fatalf("%s lost %s without a valid file: %+v", c.Name, t.Part, c)
		}
		if host, ok := strings.CutPrefix(t.Part, HostPart+"/"); ok && slices.Contains(e.Hosts, host) || !ok && slices.Contains(s.parts(c, e), t.Part) {
			s.Fatalf("%s lost %s and asks for it", c.Name, t.Part)
		}
	}
}

// oneOwner: a living client owns what its wish claims, and nothing is owned in vain.
func (s *story) oneOwner() {
	if s.base == nil {
		return
	}
	resolver := NewResolver(s.base, s.program)
	wanted := map[string]state.ClientID{}
	for id, c := range s.clients {
		if c.Removed {
			continue
		}
		e, problems := resolver.Client(c)
		if problems.Failed() {
			s.Fatalf("%s does not resolve: %v", c.Name, problems)
		}
		for _, key := range e.Claims() {
			if other, ok := wanted[key]; ok {
				s.Fatalf("%s is %s's and %s's", key, other, id)
			}
			if wanted[key] = id; s.claims[key].Client != id {
				s.Fatalf("%s wants %s, which is %q's", id, key, s.claims[key].Client)
			}
		}
	}
	for key, id := range wanted {
		for _, above := range manifest.Above(strings.TrimPrefix(key, "host:"), s.defaults.BaseDomain) {
			if other, ok := wanted["host:"+above]; ok && other != id {
				s.Fatalf("%s has %s, and %s what lies below it: %s", other, above, id, key)
			}
		}
	}
	for key, c := range s.claims {
		if c.Client == "" && c.Joins() {
			continue // nobody's any more: those who had it one after the other pass as one group
		}
		_, let := s.tombs[stoneKey(state.Tombstone{Client: c.Client, Part: HostPart + "/" + strings.TrimPrefix(key, "host:")})]
		if owner, ok := s.clients[c.Client]; !ok || !owner.Removed && wanted[key] != c.Client && !let {
			s.Fatalf("%s is owned by %s in vain", key, c.Client)
		}
	}
}

// reasons: what is pending or held says why.
func (s *story) reasons() {
	for _, v := range s.verdicts {
		for id, fate := range v.Clients {
			c := s.clients[id]
			switch {
			case fate == FatePending && c.Settled:
				s.Fatalf("%s: %s is pending and nothing is due: %+v", v.Commit, id, c)
			case fate == FateHeld && c.Because == "" && !s.isBound(id):
				s.Fatalf("%s: %s is held without a reason", v.Commit, id)
			}
		}
	}
	for _, h := range s.holds {
		if h.Reason == "" || h.Act == "" || h.Fingerprint == "" || h.At.IsZero() {
			s.Fatalf("a hold without reason: %+v", h)
		}
	}
}

func (s *story) allHolds() []state.Hold {
	var all []state.Hold
	for _, h := range s.holds {
		all = append(all, h)
	}
	return all
}

func (s *story) isBound(id state.ClientID) bool {
	_, bound := Bound(s.allHolds(), id)
	return bound
}

// quiet: a head that is judged once more changes nothing but, the first time, the
// words for what is wrong with a file, now that this head is the baseline. Where files
// ask in vain for names, or removals are held, what this head set free may be given
// out at the next judgement; a few judgements later nothing changes there either.
func (s *story) quiet(in Input) {
	const most = 4
	for n := 1; ; n++ {
		again := s.input(in.Head)
		again.Descends, again.Commits = in.Descends || s.base != nil && s.base.Head == in.Head, nil
		r := Head(again)
		change := r
		for _, h := range r.Holds {
			if reflect.DeepEqual(h, s.holds[h.Fingerprint]) {
				change.Holds = slices.DeleteFunc(slices.Clone(change.Holds), func(o state.Hold) bool { return o.Fingerprint == h.Fingerprint })
			}
		}
		change.Held = false
		if fmt.Sprint(change) == fmt.Sprint(Result{}) {
			return
		}
		words := change
		if b := change.Baseline; b != nil && reworded(*b, *s.base) {
			words.Baseline = nil
		}
		names := slices.ContainsFunc(s.allHolds(), func(h state.Hold) bool { return h.Kind == state.HoldGuard }) || s.base != nil &&
			slices.ContainsFunc(s.base.Problems, func(q state.FileProblem) bool {
				return q.Rule == "host" || q.Rule == rulePreviously || q.Rule == "reuse"
			})
		if n == most || !names && (n > 1 || fmt.Sprint(words) != fmt.Sprint(Result{})) {
			s.Fatalf("judged again (%d): %+v\nholds %+v\nproblems %+v", n, change, s.holds, s.base.Problems)
		}
		s.apply(r)
	}
}

// reworded says that two baselines differ in the texts of problems alone.
func reworded(a, b state.Baseline) bool {
	files := func(b *state.Baseline) (out []string) {
		for _, q := range b.Problems {
			if !slices.Contains(out, q.Path) {
				out = append(out, q.Path)
			}
		}
		b.Problems = nil
		return out
	}
	return slices.Equal(files(&a), files(&b)) && reflect.DeepEqual(a, b)
}

// approveAny approves a hold, or gives an approval that serves nothing.
func (s *story) approveAny() {
	prints := []string{"nothing"}
	for _, h := range s.holds {
		if h.Approvable {
			prints = append(prints, h.Fingerprint)
		}
	}
	sort.Strings(prints)
	s.approveOne(s.pick(prints, "fingerprint"))
}

func (s *story) approveOne(print string) {
	s.say("approve %s %s", print, s.holds[print].Kind)
	r := s.approve(print)
	if s.holds[print].Kind == state.HoldHistory {
		s.rewritten = true
		tree, broken := s.tree, s.broken
		s.tree, s.broken = s.heldTree, s.heldBroken
		s.check(s.input(s.holds[print].NewHead))
		s.tree, s.broken = tree, broken
		s.rewritten = false
	} else if print != "nothing" && (r.Again || len(Retry(s.base)) > 0) {
		tree, broken := s.tree, s.broken
		s.putBack()
		s.check(s.input(s.base.Head))
		s.tree, s.broken = tree, broken
	}
}

// passAny plays the pass of a client that is due.
func (s *story) passAny(outcome int) {
	var ids []string
	for id, c := range s.clients {
		if !c.Settled && !s.isBound(id) {
			ids = append(ids, string(id))
		}
	}
	if sort.Strings(ids); len(ids) > 0 {
		s.passOne(state.ClientID(s.pick(ids, "client")), outcome)
	}
}

func (s *story) passOne(id state.ClientID, outcome int) {
	s.say("pass %s %d", id, outcome)
	c, commit := s.clients[id], s.clients[id].Commit
	ok, removed := outcome > 0, false
	for _, t := range s.due() {
		if t.Client != id {
			continue
		}
		if t.Part == "" {
			removed, commit = true, t.Commit
		}
		if ok {
			t.Done = true
			s.tombs[stoneKey(t)] = t
		}
	}
	switch {
	case c.Removed && !removed:
		return // it waits
	case !ok:
		c.Status = state.StatusFailed
	case removed:
		c.Status, c.EverDeployed = state.StatusRetained, false
		s.retained[id] = outcome > 1
		for key, claim := range s.claims {
			if claim.Client == id {
				delete(s.claims, key)
			}
		}
	default:
		c.Status, c.EverDeployed, c.Converged = state.StatusActive, true, c.WishHash
	}
	c.Settled = true
	s.clients[id] = c
	if v, known := s.verdicts[commit]; known && v.Clients[id] != "" {
		v.Clients = copyFates(v.Clients)
		v.Clients[id] = map[bool]string{true: FateSucceeded, false: FateFailed}[ok]
		Conclude(&v, s.now)
		s.verdicts[commit] = v
	}
	s.next(id)
	if removed && ok && !s.retained[id] {
		s.forgotten[id] = true
		delete(s.clients, id)
		for k, t := range s.tombs {
			if t.Client == id {
				delete(s.tombs, k)
			}
		}
	}
}

// drain mends what is invalid, approves what is held and lets everybody pass: then
// every verdict has ended.
func (s *story) drain() {
	s.say("drain")
	s.broken = map[string]string{}
	s.tree = map[string]string{"templates/shop.yaml": template("v9")}
	for _, n := range storyNames {
		s.tree[cpath(n)] = client(n, n, "database: {reuse: fresh}")
	}
	s.judge()
	for range 10 {
		for _, h := range s.allHolds() {
			if _, still := s.holds[h.Fingerprint]; still && h.Approvable {
				s.approveOne(h.Fingerprint)
			}
		}
		for id, c := range s.clients {
			if !c.Settled && !s.isBound(id) {
				s.passOne(id, 2)
			}
		}
		s.now = s.now.Add(2 * time.Hour)
		s.check(s.input(s.base.Head))
	}
	if len(s.holds) > 0 {
		s.Fatalf("still held: %+v", s.holds)
	}
	for _, v := range s.verdicts {
		if v.State == "pending" {
			s.Fatalf("still pending: %+v", v)
		}
	}
}
