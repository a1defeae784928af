package memory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// World is what really exists. Make it with NewWorld.
type World struct {
	now func() time.Time

	mu      sync.Mutex
	seq     int
	objects map[string]*object            // by id
	index   map[string]map[string]*object // by key, then by id
	ghosts  []ghost
	coming  []arrival
	taken   map[string]int // how often a name was taken, for ids
	rows    map[string][]string
	frozen  map[string]bool // databases
	// settings are those of databases.
	settings map[string][]provider.Part
	down     map[string]error
	windows  map[string]window
	limits   map[string]Limit
	told     map[string]time.Time // before which a provider wants no call
	early    []Call
	calls    []Call
	counts   map[string]Counts
}

// object is an object with what only its vendor knows of it.
type object struct {
	provider.Object
	owner    string // the provider's name
	seq      int    // the order in which they were made
	visible  time.Time
	build    Build
	begun    time.Time
	looks    int
	promotes bool // a deployment serves only when traffic names it
	built    []provider.Input
	bare     bool // it has no place for a mark: Mark says whose wish made it, which its vendor tells nobody
}

// ghost is a deleted object that late lists still show.
type ghost struct {
	object
	until time.Time
}

// arrival is a write of which nobody waits for the answer any more.
type arrival struct {
	at, sent time.Time
	p        *Provider
	call     Call
	effect   func(*Call) error
}

// lock locks the World, and lets what is due by now arrive first.
func (w *World) lock() {
	w.mu.Lock()
	if len(w.coming) == 0 {
		return
	}
	var left []arrival
	for _, a := range w.coming {
		if w.now().Before(a.at) {
			left = append(left, a)
			continue
		}
		if a.effect(&a.call) != nil || a.call.Verb != Create {
			continue // refused, and nobody hears of it; or done
		}
		o := w.objects[a.call.ID]
		// Lists are late by a time that counts from when it was sent.
		o.begun, o.visible = a.at, a.sent.Add(a.p.kinds[o.Kind].ListLag)
	}
	w.coming = left
}

// NewWorld is an empty world. now nil: time.Now.
func NewWorld(now func() time.Time) *World {
	if now == nil {
		now = time.Now
	}
	return &World{now: now, objects: map[string]*object{}, index: map[string]map[string]*object{}, taken: map[string]int{},
		rows: map[string][]string{}, frozen: map[string]bool{}, settings: map[string][]provider.Part{}, down: map[string]error{}, windows: map[string]window{}, limits: map[string]Limit{}, told: map[string]time.Time{}, counts: map[string]Counts{}}
}

// get returns an attribute's text, secret or not.
func get(attributes []provider.Input, name string) string {
	for _, a := range attributes {
		if a.Name == name {
			return a.Reveal()
		}
	}
	return ""
}

// nameKey is what a look-up by name asks for: records are found by type and name,
// domains by host, all others by the name that they were given.
func nameKey(owner string, kind state.Kind, name string, attributes []provider.Input) string {
	switch kind {
	case state.KindRecord:
		if t := get(attributes, "type"); t != "" {
			name = t + " " + get(attributes, "name")
		} else {
			name, _, _ = strings.Cut(name, " #")
		}
		name = strings.ToLower(name)
	case state.KindDomain:
		if h := get(attributes, "host"); h != "" {
			name = h
		}
		name = strings.ToLower(name)
	}
	return "name " + owner + " " + string(kind) + " " + name
}

func (o *object) keys() []string {
	keys := []string{nameKey(o.owner, o.Kind, o.Name, o.Attributes), "all " + o.owner, "mark " + o.owner + " " + o.Mark.Installation}
	if o.Kind != state.KindSite && o.Kind != state.KindAdmin {
		keys = append(keys, "site "+get(o.Attributes, "site"))
	}
	if everybodys(o.Kind) {
		keys = append(keys, "kind "+o.owner+" "+string(o.Kind))
	}
	switch o.Kind {
	case state.KindAdmin:
		keys = append(keys, "database "+get(o.Attributes, "database"))
	case state.KindDomain:
		keys = append(keys, "host "+strings.ToLower(get(o.Attributes, "host")))
	case state.KindRecord:
		keys = append(keys, "dns "+strings.ToLower(get(o.Attributes, "name")))
	}
	return keys
}

func (w *World) add(o *object) {
	w.objects[o.ID] = o
	for _, k := range o.keys() {
		if w.index[k] == nil {
			w.index[k] = map[string]*object{}
		}
		w.index[k][o.ID] = o
	}
}

func (w *World) drop(o *object) {
	delete(w.objects, o.ID)
	for _, k := range o.keys() {
		delete(w.index[k], o.ID)
		if len(w.index[k]) == 0 {
			delete(w.index, k)
		}
	}
}

// of lists the objects under a key, the oldest first.
func (w *World) of(key string) []*object {
	out := make([]*object, 0, len(w.index[key]))
	for _, o := range w.index[key] {
		out = append(out, o)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].seq < out[j].seq })
	return out
}

// mint makes an id that can be a label of a host name.
func (w *World) mint(owner string, kind state.Kind, name string) string {
	sum := sha256.Sum256([]byte(name))
	base := short(kind) + "-" + owner + "-" + hex.EncodeToString(sum[:4])
	for {
		w.taken[base]++
		id := fmt.Sprintf("%s-%d", base, w.taken[base])
		if _, there := w.objects[id]; !there {
			return id
		}
	}
}

func short(k state.Kind) string { return string(k)[:min(3, len(k))] }

// goes removes an object and what is inside it.
func (w *World) goes(o *object, lag time.Duration) {
	var inner []*object
	switch o.Kind {
	case state.KindSite:
		inner = w.of("site " + o.ID)
	case state.KindDatabase:
		inner = w.of("database " + o.ID)
		delete(w.rows, o.ID)
		delete(w.frozen, o.ID)
		delete(w.settings, o.ID)
	}
	for _, x := range append(inner, o) {
		if x.owner != o.owner {
			continue // another vendor's: it knows nothing of this
		}
		w.drop(x)
		if lag > 0 {
			w.ghosts = append(w.ghosts, ghost{*x, w.now().Add(lag)})
		}
	}
}

// Seed puts an object there that no provider made: somebody else's, or ours from
// before. It is visible at once. An empty ID is minted; an empty Phase is Ready. It
// returns the id.
func (w *World) Seed(owner string, o provider.Object) string { return w.Settle(owner, o, 0) }

// Settle is Seed of an object that lists show only after lag.
func (w *World) Settle(owner string, o provider.Object, lag time.Duration) string {
	w.lock()
	defer w.mu.Unlock()
	if o.ID == "" {
		o.ID = w.mint(owner, o.Kind, o.Name)
	}
	if o.Phase == "" {
		o.Phase = provider.Ready
	}
	if old, ok := w.objects[o.ID]; ok {
		w.drop(old)
	}
	w.seq++
	x := &object{Object: copyOf(o), owner: owner, seq: w.seq, promotes: true, visible: w.now().Add(lag)}
	x.Attributes = sorted(x.Attributes)
	w.add(x)
	return o.ID
}

// Edit lets a person change an object by hand. It says whether it is there.
func (w *World) Edit(id string, change func(*provider.Object)) bool {
	w.lock()
	defer w.mu.Unlock()
	x, ok := w.objects[id]
	if !ok {
		return false
	}
	w.drop(x)
	o := copyOf(x.Object)
	change(&o)
	o.ID, o.Kind = x.ID, x.Kind
	x.Object = copyOf(o)
	x.Attributes = sorted(x.Attributes)
	w.add(x)
	return true
}

// Set is Edit of one attribute: changed, or put there.
func (w *World) Set(id, name, text string) bool {
	return w.Edit(id, func(o *provider.Object) {
		o.Attributes = slices.DeleteFunc(o.Attributes, func(a provider.Input) bool { return a.Name == name })
		o.Attributes = append(o.Attributes, provider.Input{Name: name, Text: text})
	})
}

// Remove lets a person delete an object by hand, with what is inside it. It says
// whether it was there.
func (w *World) Remove(id string) bool {
	w.lock()
	defer w.mu.Unlock()
	o, ok := w.objects[id]
	if ok {
		w.goes(o, 0)
	}
	return ok
}

// Done lets the person whom a Manual object waits for do it.
func (w *World) Done(id string) bool {
	return w.Edit(id, func(o *provider.Object) { o.Phase, o.Message = provider.Ready, "" })
}

// Write adds a row to a database; it says whether there is one, and it is not frozen.
func (w *World) Write(database, row string) bool {
	w.lock()
	defer w.mu.Unlock()
	o, ok := w.objects[database]
	if !ok || o.Kind != state.KindDatabase || w.frozen[database] {
		return false
	}
	w.rows[database] = append(w.rows[database], row)
	return true
}

func sorted(in []provider.Input) []provider.Input {
	out := slices.Clone(in)
	sort.SliceStable(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

func copyOf(o provider.Object) provider.Object {
	o.Attributes, o.Outputs, o.Log = slices.Clone(o.Attributes), slices.Clone(o.Outputs), slices.Clone(o.Log)
	return o
}
