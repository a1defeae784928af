package accept

import (
	"maps"
	"slices"
	"sort"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// Head decides what accepting in.Head means. It may be called again for the head
// that is the baseline already: what was invalid is then tried once more (after
// a Release, when a tombstone fell due, when the defaults changed).
func Head(in Input) Result {
	for broken := (map[string]string{}); ; {
		known := len(broken)
		if res := head(in, broken); len(broken) == known {
			return res
		}
	}
}

// head is Head but for wishes that can't be worked out: their files are added to broken,
// and then it is to be called again.
func head(in Input, broken map[string]string) Result {
	p := newPass(in)
	p.unreadable = broken
	if h, held := p.history(); held {
		return p.wait(h)
	}
	p.tree()
	p.collect()
	p.identify()
	s, held := p.settle(nil), map[state.ClientID]string{}
	losses := p.losses(s)
	// Who must keep what was taken away keeps its names too: settle again. A file that can't
	// have one of them may be what somebody else was to become: that one is taken away by now,
	// and judged like the others. It ends: every round but the last holds another client.
	for more := p.judge(s, losses, held); len(more) > 0; more = p.judge(s, losses, held) {
		maps.Copy(held, more)
		s = p.settle(held)
		losses = p.losses(s)
	}
	p.bind(losses, held)
	w := &writer{pass: p, s: s, losses: losses, put: map[state.ClientID]state.Client{}, touched: map[state.ClientID]bool{}, fate: map[state.ClientID]string{}, refused: map[state.ClientID]string{}}
	return w.write()
}

// Retry lists the paths that Input.Files must hold beside the changed ones: what
// was invalid at the baseline. Sorted.
func Retry(b *state.Baseline) []string {
	if b == nil {
		return nil
	}
	var out []string
	for _, q := range b.Problems {
		if len(out) == 0 || out[len(out)-1] != q.Path {
			out = append(out, q.Path)
		}
	}
	sort.Strings(out)
	return out
}

// pass is one call of Head: its input by key, and what was found so far.
type pass struct {
	in    Input
	res   Result
	known bool // the history hold was there already
	// unreadable files run into an error in this program, by path; Head begins anew when there
	// are more of them.
	unreadable map[string]string

	layout    manifest.Layout
	clients   known
	byName    map[string]state.ClientID   // living
	removed   map[string][]state.ClientID // by name, removed ones
	former    map[string][]state.ClientID // by former name, all
	claims    ledger
	unbegun   map[state.ClientID]bool // waits in a creates hold
	tombs     map[state.ClientID][]state.Tombstone
	deleted   map[string]bool     // paths that the range took away
	present   map[string][]string // client name → paths at the head, of changed and tried files
	changed   map[string]bool     // paths of Changes
	evaluated map[string]bool     // paths that were looked at
	namesakes map[string]bool     // names that several files had at the baseline, and no client's own

	base     *state.Baseline // the new one
	old, now *Resolver
	stale    map[string]bool // template blobs that the range replaced
	all      bool            // everybody inherits something new
	inherits []string        // paths of changed templates and platform file
	problems map[string][]state.FileProblem

	files     []*candidate // by path
	fallbacks map[state.ClientID]*candidate
	newHolds  []state.Hold
	heldBy    map[state.ClientID]string // removals of this range: client → hold
	waits     string
}

// candidate is a file, or a client's last good version under what it newly
// inherits, that wants to be accepted.
type candidate struct {
	path, name, blob string
	data             []byte
	inherited        bool
	same             bool // the last good version itself: not resolved
	eff              manifest.Effective
	hash             string
	wants            []string // claims
	problems         []state.FileProblem

	who    identity
	client state.Client // as known before; zero for a new one
	from   string       // renamed: the name until now
	reuse  state.ClientID
}

// identity is what a file is to what we know.
type identity int

const (
	newcomer identity = iota
	existing
	renamed
	returned
)

func (k *candidate) valid() bool { return len(k.problems) == 0 && k.reuse == "" }

// follows says that what the client wishes otherwise it inherits: its file says what its last good version says. That
// is a file, too, which was not valid for a while as its template, say, was not what it needs, or which was only moved.
func (p *pass) follows(k *candidate) bool {
	return k.inherited || len(p.inherits) > 0 && k.who == existing && k.blob == k.client.Blob
}

// known are all clients by id, and ledger all claims by key: sorted lists, because there
// are many and one head looks up few of them. Neither is changed.
type (
	known  []state.Client
	ledger []state.Claim
)

func (k known) find(id state.ClientID) (state.Client, bool) {
	i := sort.Search(len(k), func(i int) bool { return k[i].ID >= id })
	if i < len(k) && k[i].ID == id {
		return k[i], true
	}
	return state.Client{}, false
}

// get is the client of an id; the zero one for none.
func (k known) get(id state.ClientID) state.Client { c, _ := k.find(id); return c }

func (l ledger) find(key string) (state.Claim, bool) {
	i := sort.Search(len(l), func(i int) bool { return l[i].Key >= key })
	if i < len(l) && l[i].Key == key {
		return l[i], true
	}
	return state.Claim{}, false
}

func newPass(in Input) *pass {
	p := &pass{
		in: in, layout: manifest.LayoutOf(in.Path),
		clients: known(in.Clients), byName: make(map[string]state.ClientID, len(in.Clients)),
		removed: map[string][]state.ClientID{}, former: map[string][]state.ClientID{},
		claims: ledger(in.Claims), unbegun: map[state.ClientID]bool{}, tombs: map[state.ClientID][]state.Tombstone{},
		deleted: map[string]bool{}, present: map[string][]string{}, changed: map[string]bool{}, evaluated: map[string]bool{},
		namesakes: map[string]bool{}, stale: map[string]bool{}, problems: map[string][]state.FileProblem{},
		fallbacks: map[state.ClientID]*candidate{}, heldBy: map[state.ClientID]string{},
	}
	// A store hands them over in this order.
	if !sort.SliceIsSorted(in.Clients, func(i, j int) bool { return in.Clients[i].ID < in.Clients[j].ID }) {
		p.clients = slices.Clone(in.Clients)
		sort.SliceStable(p.clients, func(i, j int) bool { return p.clients[i].ID < p.clients[j].ID })
	}
	if !sort.SliceIsSorted(in.Claims, func(i, j int) bool { return in.Claims[i].Key < in.Claims[j].Key }) {
		p.claims = slices.Clone(in.Claims)
		sort.SliceStable(p.claims, func(i, j int) bool { return p.claims[i].Key < p.claims[j].Key })
	}
	for i := range p.clients {
		c := &p.clients[i]
		for _, f := range c.Former {
			p.former[f] = append(p.former[f], c.ID)
		}
		if c.Removed {
			p.removed[c.Name] = append(p.removed[c.Name], c.ID)
		} else {
			p.byName[c.Name] = c.ID
		}
	}
	for _, t := range in.Tombstones {
		p.tombs[t.Client] = append(p.tombs[t.Client], t)
	}
	for _, ts := range p.tombs {
		sort.Slice(ts, func(i, j int) bool { return ts[i].Part < ts[j].Part })
	}
	for _, h := range in.Holds {
		if h.Kind == state.HoldCreates {
			for _, id := range h.Clients {
				p.unbegun[id] = true
			}
		}
	}
	p.normalise()
	return p
}

// normalise sorts the files into what is there and what was taken away.
func (p *pass) normalise() {
	there := map[string]bool{}
	for _, c := range p.in.Changes {
		p.changed[c.Path] = true
		if c.New == "" && p.in.Files[c.Path].Err == "" {
			p.deleted[c.Path] = true
			continue
		}
		there[c.Path] = true
	}
	for path, f := range p.in.Files {
		if !p.deleted[path] && (f.Blob != "" || f.Err != "") {
			there[path] = true
		}
	}
	for path := range there {
		if p.layout.Classify(path) == manifest.ClassClient {
			n := nameOf(path)
			p.present[n] = append(p.present[n], path)
		}
	}
	for _, paths := range p.present {
		sort.Strings(paths)
	}
	// Only what a baseline had can have been taken away by a listing.
	if b := p.in.Baseline; p.in.Whole && b != nil {
		p.missing(b, there)
	}
	p.evaluate(there)
}

// missing marks what the baseline had and a listing of the whole tree has not.
func (p *pass) missing(b *state.Baseline, there map[string]bool) {
	gone := func(path string) {
		if !there[path] {
			p.deleted[path], p.changed[path] = true, true
		}
	}
	for i := range p.clients {
		if c := &p.clients[i]; !c.Removed {
			gone(c.Path)
		}
	}
	for _, t := range b.Templates {
		gone(t.Path)
	}
	if b.Platform != nil {
		gone(b.Platform.Path)
	}
	for _, q := range b.Problems {
		gone(q.Path)
	}
}

func (p *pass) evaluate(there map[string]bool) {
	for path := range there {
		p.evaluated[path] = true
	}
	for path := range p.deleted {
		p.evaluated[path] = true
	}
	if p.in.Baseline == nil {
		return
	}
	for _, q := range p.in.Baseline.Problems {
		if q.Rule == ruleNamesake {
			p.namesakes[nameOf(q.Path)] = true
		}
		if !p.evaluated[q.Path] {
			p.problems[q.Path] = append(p.problems[q.Path], q)
			if p.layout.Classify(q.Path) == manifest.ClassClient {
				n := nameOf(q.Path)
				p.present[n] = append(p.present[n], q.Path)
			}
		}
	}
}

// paths returns what is at the head of a class, sorted.
func (p *pass) paths(classes ...manifest.Class) []string {
	var out []string
	for path := range p.evaluated {
		class := p.layout.Classify(path)
		for _, want := range classes {
			if class == want {
				out = append(out, path)
			}
		}
	}
	sort.Strings(out)
	return out
}

// file is a path's content; what is missing or can't be read is an error.
func (p *pass) file(path string) File {
	f, ok := p.in.Files[path]
	if !ok {
		f.Err = "its content could not be read"
	}
	f.Path = path
	return f
}

// use notes that an approval was used.
func (p *pass) use(a state.Approval) {
	a.Used = p.in.Now
	p.res.UsedApprovals = append(p.res.UsedApprovals, a)
}

// note appends to the history; the zero client is the repository.
func (p *pass) note(c state.Client, what, text string) {
	p.res.History = append(p.res.History, state.Entry{At: p.in.Now, Client: c.ID, Name: c.Name, Commit: p.in.Head, What: what, Text: text})
}

// wait is the result of a head that is held as a whole.
func (p *pass) wait(h state.Hold) Result {
	p.res.Held = true
	p.res.Holds = []state.Hold{h}
	if !p.known {
		p.note(state.Client{}, "held", h.Reason+" "+h.Act)
		p.res.Reports = append(p.res.Reports, state.Report{Subject: "commit/" + p.in.Head, State: "failure", Text: clip(h.Reason + " " + h.Act), Detail: h.Reason + " " + h.Act, At: p.in.Now})
	}
	sort.Strings(p.res.LiftHolds)
	return p.res
}
