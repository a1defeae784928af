package plan

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// Calculate plans a group.
func Calculate(in Input) Plan {
	c := Begin(in)
	for i := range c.Len() {
		c.Client(i)
	}
	return c.Plan()
}

// Calculation is Calculate in three parts, for those who have several processors: what
// concerns several clients, each client by itself, and the order of all steps.
type Calculation struct {
	in      Input
	clients []ClientInput // by id
	moves   moves
	twice   map[string]rival
	parts   []part
}

// part is what is planned of one client.
type part struct {
	steps    []*Step // in order
	circle   bool    // some of them need themselves
	later    []Step
	problems []Problem
}

// Begin begins the plan of a group.
func Begin(in Input) *Calculation {
	c := &Calculation{in: in, clients: append([]ClientInput(nil), in.Clients...), parts: make([]part, len(in.Clients))}
	sort.Slice(c.clients, func(i, j int) bool { return c.clients[i].Client.ID < c.clients[j].Client.ID })
	c.moves, c.twice = findMoves(c.clients), adoptedTwice(c.clients)
	return c
}

// Len is how many clients there are.
func (c *Calculation) Len() int { return len(c.clients) }

// Client plans the i-th client. Several may be planned at the same time; each is once.
func (c *Calculation) Client(i int) {
	client := c.clients[i]
	if len(client.Problems) > 0 {
		c.parts[i].problems = client.Problems
		return
	}
	b := newBuilder(c.in, client, c.moves)
	b.twice = c.twice
	switch {
	case client.Removed:
		b.remove()
	case client.Wish != nil:
		b.converge()
	}
	if len(b.problems) > 0 {
		c.parts[i].problems = b.problems
		return
	}
	steps := b.finish()
	all := make([]*Step, len(steps))
	for j := range steps {
		all[j] = &steps[j]
	}
	c.parts[i].steps, c.parts[i].circle, c.parts[i].later = all, order(all) < len(all), b.later
}

// Plan puts the clients' plans together, once every one was planned.
func (c *Calculation) Plan() Plan {
	p := Plan{Commit: c.in.Commit, LookedAt: c.in.LookedAt, Warnings: renames(c.clients)}
	n, circle := 0, false
	for _, part := range c.parts {
		n += len(part.steps)
	}
	steps := make([]*Step, 0, n)
	for _, part := range c.parts {
		steps, circle = append(steps, part.steps...), circle || part.circle
		p.Problems, p.Later = append(p.Problems, part.problems...), append(p.Later, part.later...)
	}
	placed := len(steps)
	c.moves.join(steps, c.in.Traits)
	led := len(c.clients) > 1 && redirected(c.clients, steps)
	turns := len(c.clients) > 1 && c.moves.answered(c.clients, steps, c.in.Traits)
	if waits := len(c.clients) > 1 && throughFirst(c.clients, p.Problems, steps); led || turns || waits || c.moves.any() || circle {
		placed = order(steps) // else no step needs one of another client, and each client's are in order
	}
	for _, s := range steps[placed:] { // a circle: shown as it is, nothing of it can run
		s.Blocked, s.Reason = true, "it needs itself: "+s.Reason
	}
	p.Steps = values(steps)
	block(p.Steps)
	return p
}

// usualSteps is how many steps a client has beside those of its resources.
const usualSteps = 4

// builder plans one client.
type builder struct {
	in       Input
	c        ClientInput
	moves    moves
	recorded map[state.Ref]state.Resource
	wished   map[state.Ref]state.Resource
	proofs   map[string]bool // parts that a tombstone removes
	steps    []Step
	byRef    map[state.Ref]int // writing step of a Ref
	later    []Step
	problems []Problem
	// Refs of the wish.
	site, traffic, deployment state.Ref
	proved                    string           // key of the probe from outside
	twice                     map[string]rival // see adoptedTwice
	wishOrder, recordOrder    []state.Resource
	restated                  restated
}

func newBuilder(in Input, c ClientInput, m moves) *builder {
	b := &builder{in: in, c: c, moves: m, recorded: map[state.Ref]state.Resource{}, wished: map[state.Ref]state.Resource{}, proofs: map[string]bool{}, byRef: map[state.Ref]int{},
		steps: make([]Step, 0, len(c.Wish)+usualSteps)}
	for _, r := range c.Recorded {
		b.recorded[r.Ref] = r
	}
	for _, w := range c.Wish {
		b.wished[w.Ref] = w
		switch w.Ref.Kind {
		case state.KindSite:
			b.site = w.Ref
		case state.KindTraffic:
			b.traffic = w.Ref
		case state.KindDeployment:
			b.deployment = w.Ref
		}
	}
	for _, t := range c.Tombstones {
		b.proofs[t.Part] = true
	}
	return b
}

func (b *builder) traits(provider string, k state.Kind) state.Traits { return b.in.Traits[provider][k] }

func (b *builder) problem(hold state.HoldKind, act, format string, a ...any) {
	b.problems = append(b.problems, Problem{Client: b.c.Client.ID, Name: b.c.Client.Name, Text: fmt.Sprintf(format, a...), Act: act, Hold: hold})
}

// add appends a step. The first writing step of a Ref is what others wait for.
func (b *builder) add(s Step) *Step {
	b.steps = append(b.steps, s)
	n := len(b.steps) - 1
	if _, have := b.byRef[s.Ref]; !have && s.Action != Secure && (s.Action.Writes() || s.Action == Adopt || s.Action == Return) {
		b.byRef[s.Ref] = n
	}
	return &b.steps[n]
}

// key is the step that makes a Ref ready: its await, where it has one.
func (b *builder) key(r state.Ref) (string, bool) {
	for i := range b.steps {
		if b.steps[i].Action == Await && b.steps[i].Ref == r {
			return b.steps[i].Key(), true
		}
	}
	if n, ok := b.byRef[r]; ok {
		return b.steps[n].Key(), true
	}
	return "", false
}

// sortedWish is the wish in the order of the protocol. Callers don't change it.
func (b *builder) sortedWish() []state.Resource {
	if b.wishOrder == nil {
		b.wishOrder = inOrder(b.wished)
	}
	return b.wishOrder
}

// sortedRecord is the record in the same order. Callers don't change it.
func (b *builder) sortedRecord() []state.Resource {
	if b.recordOrder == nil {
		b.recordOrder = inOrder(b.recorded)
	}
	return b.recordOrder
}

func inOrder(all map[state.Ref]state.Resource) []state.Resource {
	out := make([]state.Resource, 0, len(all))
	for _, r := range all {
		out = append(out, r)
	}
	sort.Slice(out, func(i, j int) bool {
		if a, c := rank(out[i].Ref.Kind), rank(out[j].Ref.Kind); a != c {
			return a < c
		}
		return out[i].Ref.Less(out[j].Ref)
	})
	return out
}

// rank is a kind's place in a first provisioning.
func rank(k state.Kind) int {
	switch k {
	case state.KindDatabase:
		return 0
	case state.KindSite:
		return 1
	case state.KindPayments:
		return 2
	case state.KindEnvironment:
		return 3
	case state.KindDeployment:
		return 4
	case state.KindAdmin:
		return 5
	case state.KindTraffic:
		return 6
	case state.KindDomain:
		return 7
	case state.KindRecord:
		return 8
	case state.KindMail:
		return 9
	}
	return 99
}

// Number is the step under which a kind is shown.
func Number(k state.Kind) int {
	switch k {
	case state.KindDatabase:
		return StepDatabase
	case state.KindSite, state.KindPayments:
		return StepProject
	case state.KindDomain, state.KindRecord:
		return StepDNS
	case state.KindEnvironment:
		return StepEnvironment
	case state.KindMail:
		return StepRecord
	}
	return StepDeploy
}

// needs adds keys to a step, each once.
func (s *Step) needs(keys ...string) {
	own := s.Key()
	for _, k := range keys {
		if k == "" || k == own {
			continue
		}
		i := sort.SearchStrings(s.Needs, k)
		if i < len(s.Needs) && s.Needs[i] == k {
			continue
		}
		s.Needs = append(s.Needs, "")
		copy(s.Needs[i+1:], s.Needs[i:])
		s.Needs[i] = k
	}
}

// finish closes the client's steps with the record of what was done.
func (b *builder) finish() []Step {
	if len(b.steps) == 0 {
		return nil
	}
	record := Step{Number: StepRecord, Action: Record, Ref: state.Ref{Client: b.c.Client.ID}, Reason: "the audit record and the status", Undo: "nothing: it only records"}
	release := ""
	if w, ok := b.wished[b.deployment]; ok {
		release = releasePrint(w)
	}
	steps := append(b.steps, record)
	for i := range steps {
		s := &steps[i]
		s.Client = b.c.Client.Name
		if s.Ref == b.deployment || (s.Ref == b.traffic && !b.traffic.IsZero()) || b.leadsOver(s) {
			s.Release = release
		}
		if i < len(steps)-1 {
			steps[len(steps)-1].needs(s.Key())
		}
	}
	return steps
}

// leadsOver says that a step leads people who were at another site to the client's: what they
// see there is the wished release, and nothing else of the plan that bears a risk says which,
// as nobody is served by a site that is new. A record that is gone led them there, too: caches
// have it, and a wildcard of the zone may say the same. One of another type is another resource.
func (b *builder) leadsOver(s *Step) bool {
	if s.Wish == nil || b.site.IsZero() || leadsToSite(*s.Wish) != b.site {
		return false
	}
	elsewhere := func(r state.Resource) bool { to := leadsToSite(r); return !to.IsZero() && to != b.site }
	if s.Prior != nil {
		return elsewhere(*s.Prior)
	}
	if s.Ref.Kind != state.KindRecord {
		return false
	}
	for _, r := range b.sortedRecord() {
		if r.Ref.Kind == state.KindRecord && r.Real() && elsewhere(r) && r.Attributes.Literal("name") == s.Wish.Attributes.Literal("name") {
			return true
		}
	}
	return false
}

// leadsToSite is the site that a name leads to; zero: none, or it is no name.
func leadsToSite(r state.Resource) state.Ref {
	attribute := ""
	switch r.Ref.Kind {
	case state.KindDomain:
		attribute = "site"
	case state.KindRecord:
		attribute = "content"
	}
	if v, _ := r.Attributes.Get(attribute); v.Ref != nil && v.Ref.Kind == state.KindSite {
		return *v.Ref
	}
	return state.Ref{}
}

func values(steps []*Step) []Step {
	out := make([]Step, len(steps))
	for i, s := range steps {
		out[i] = *s
	}
	return out
}

// order sorts steps so that each comes after what it needs; among those that may come
// next, by client, number, kind and key. It says how many can be placed so: what is behind
// them needs itself, over however many others.
func order(steps []*Step) (placed int) {
	type keyed struct {
		*Step
		key string
	}
	sorted := make([]keyed, len(steps))
	for i, s := range steps {
		sorted[i] = keyed{s, s.Key()}
	}
	slices.SortStableFunc(sorted, func(a, b keyed) int { return cmp.Or(compare(a.Step, b.Step), cmp.Compare(a.key, b.key)) })
	index := make(map[string]int, len(sorted))
	for i, s := range sorted {
		index[s.key] = i
	}
	missing := make([]int, len(sorted)) // needs that are not placed yet
	waiting := make([][]int, len(sorted))
	var next places
	for i, s := range sorted {
		for _, n := range s.Needs {
			if j, ok := index[n]; ok && j != i {
				missing[i]++
				waiting[j] = append(waiting[j], i)
			}
		}
		if missing[i] == 0 {
			next = append(next, i)
		}
	}
	heap.Init(&next)
	out := steps[:0]
	for len(next) > 0 {
		i := heap.Pop(&next).(int)
		out = append(out, sorted[i].Step)
		for _, j := range waiting[i] {
			if missing[j]--; missing[j] == 0 {
				heap.Push(&next, j)
			}
		}
	}
	placed = len(out)
	for i, s := range sorted {
		if missing[i] > 0 {
			out = append(out, s.Step)
		}
	}
	return placed
}

// places is a heap of positions, the least first.
type places []int

func (p places) Len() int           { return len(p) }
func (p places) Less(i, j int) bool { return p[i] < p[j] }
func (p places) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *places) Push(x any)        { *p = append(*p, x.(int)) }
func (p *places) Pop() any {
	old := *p
	x := old[len(old)-1]
	*p = old[:len(old)-1]
	return x
}

// compare orders steps by client, number and kind.
func compare(a, b *Step) int {
	return cmp.Or(cmp.Compare(a.Ref.Client, b.Ref.Client), cmp.Compare(a.Number, b.Number), cmp.Compare(rank(a.Ref.Kind), rank(b.Ref.Kind)))
}

// block lets what needs a blocked step wait with it.
func block(steps []Step) {
	blocked := map[string]bool{}
	for i := range steps {
		for _, n := range steps[i].Needs {
			if blocked[n] {
				steps[i].Blocked = true
			}
		}
		if steps[i].Held != "" || steps[i].Blocked {
			blocked[steps[i].Key()] = true
		}
	}
}

// partOf names a Ref as tombstones do.
func partOf(r state.Ref) string { return string(r.Kind) + "/" + r.Name }

// listWords joins words for a sentence.
func listWords(words []string) string {
	if len(words) > 4 {
		return strings.Join(words[:4], ", ") + fmt.Sprintf(" and %d more", len(words)-4)
	}
	return strings.Join(words, ", ")
}
