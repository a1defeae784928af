package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/drift"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// survey is one run of looks over many clients. What a provider can list is listed once;
// single reads are for what no list shows, and for what it shows as gone or different: a
// list may be late. Each provider has a budget of calls. It holds the reading half of the
// providers, and nothing that can write.
type survey struct {
	e       *Engine
	readers []provider.ReadOnly
	at      map[string]int // provider/kind → reader
	lists   []*listing     // by reader; nil: not made yet
	left    map[string]int // calls, by provider
	stopped map[string]halt
	bad     map[string]int // reads that failed, by provider
}

// listing is everything of ours that a provider lists.
type listing struct {
	objects map[string]provider.Object // by kind/id
	failed  string
}

// halt is why a provider is not asked any more in this run, and until when.
type halt struct {
	why   string
	until time.Time
}

func (e *Engine) newSurvey(paused map[string]time.Time) *survey {
	s := &survey{e: e, at: map[string]int{}, lists: make([]*listing, len(e.Providers)), left: map[string]int{}, stopped: map[string]halt{}, bad: map[string]int{}}
	for i, p := range e.Providers {
		s.readers = append(s.readers, provider.NewReadOnly(p))
		s.left[p.Name()] = lookCalls
		for k := range p.Traits() {
			s.at[p.Name()+"/"+string(k)] = i
		}
	}
	for name, until := range paused {
		if e.Now().Before(until) {
			s.stopped[name] = halt{"it asked for a pause until " + until.UTC().Format("15:04:05 MST"), until}
		}
	}
	return s
}

// read makes one call within the budget. why says that none was made, or that it failed.
func (s *survey) read(ctx context.Context, name string, cost int, limit time.Duration, call func(context.Context) error) (why string) {
	if h, is := s.stopped[name]; is {
		return h.why
	}
	s.left[name] -= cost
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := s.e.contain("", func() error { return call(ctx) })
	if err == nil {
		s.bad[name] = 0
		return ""
	}
	s.bad[name]++
	kind := provider.KindOf(err)
	switch {
	case kind == provider.RateLimited:
		s.stopped[name] = halt{sentence(err), provider.UntilOf(err)}
	case kind == provider.Denied, s.bad[name] >= lookFailures:
		s.stopped[name] = halt{why: sentence(err)}
	}
	return sentence(err)
}

// list returns what a provider lists, made once.
func (s *survey) list(ctx context.Context, i int) *listing {
	if s.lists[i] != nil {
		return s.lists[i]
	}
	l := &listing{objects: map[string]provider.Object{}}
	s.lists[i] = l
	l.failed = s.read(ctx, s.readers[i].Name(), 1, listTimeout, func(ctx context.Context) error {
		found, err := s.readers[i].Owned(ctx, s.e.Runner.Installation)
		for _, o := range found {
			l.objects[string(o.Kind)+"/"+o.ID] = o
		}
		if provider.KindOf(err) == provider.Unsupported {
			err = nil // it has no lists: each object is asked for
		}
		return err
	})
	return l
}

// seen is what a survey saw of one client.
type seen struct {
	client   state.Client
	recorded []state.Resource
	objects  map[state.Ref]provider.Object // that were read one by one
	result   drift.Seen
}

// errLater: the client's turn comes in another run.
var errLater = errors.New("left for the next look")

// look compares what is recorded of one client with what is there. The caller has
// entered it, so that no pass changes either. errLater: it is not at rest, or the budget
// does not reach for all of it.
func (s *survey) look(ctx context.Context, id state.ClientID, at time.Time) (*seen, error) {
	var out seen
	var values map[state.Ref][]drift.Value
	open := false
	err := s.e.Store.View(func(tx store.Tx) error {
		c, ok, err := store.Client(tx, id)
		if err != nil || !ok {
			return err
		}
		out = seen{client: c, objects: map[state.Ref]provider.Object{}, result: drift.Seen{At: at, Seq: c.Seq, Looked: map[state.Ref]bool{}, Recorded: map[state.Ref]bool{}}}
		intents, err := store.Intents(tx, id)
		if err != nil {
			return err
		}
		open = len(intents) > 0
		if out.recorded, err = store.Resources(tx, id); err != nil {
			return err
		}
		values, err = s.e.recordedValues(tx, out.recorded)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look: %w", err)
	}
	if open || out.client.ID == "" {
		return nil, errLater
	}
	var single []state.Resource
	need := map[string]int{}
	for _, r := range out.recorded {
		out.result.Recorded[r.Ref] = true
		if !inLooks(r, out.recorded) {
			continue
		}
		i, ok := s.at[r.Provider+"/"+string(r.Ref.Kind)]
		if !ok {
			out.fails(r.Provider, "it is not configured")
			continue
		}
		traits := s.readers[i].Traits()[r.Ref.Kind]
		if traits.Marks {
			l := s.list(ctx, i)
			if l.failed != "" {
				out.fails(r.Provider, l.failed)
				continue
			}
			if o, listed := l.objects[string(r.Ref.Kind)+"/"+r.ID]; listed && len(s.e.findings(r, values[r.Ref], o)) == 0 {
				s.saw(&out, r, o)
				continue
			}
		}
		single = append(single, r)
		need[r.Provider] += max(1, traits.ObserveCalls)
	}
	for name, n := range need {
		if _, is := s.stopped[name]; !is && s.left[name] < n && n <= lookCalls {
			return nil, errLater
		}
	}
	for _, r := range single {
		s.single(ctx, &out, r, values[r.Ref])
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return &out, nil
}

// saw notes an object that is there. How much is in somebody else's database is no matter.
func (s *survey) saw(out *seen, r state.Resource, o provider.Object) {
	out.result.Looked[r.Ref], out.objects[r.Ref] = true, o
	if r.Ref.Kind == state.KindDatabase && o.Bytes > 0 && s.e.foreign(r, o) == "" {
		out.result.Sizes = append(out.result.Sizes, state.Size{Ref: r.Ref, ID: r.ID, Bytes: o.Bytes, At: out.result.At})
	}
}

func (o *seen) fails(at, why string) {
	if o.result.Failed == "" {
		o.result.Failed = at + ": " + report.Line(strings.TrimPrefix(why, at+": ")) // a provider's own words begin with its name
	}
}

// single reads one object by its id.
func (s *survey) single(ctx context.Context, out *seen, r state.Resource, values []drift.Value) {
	i := s.at[r.Provider+"/"+string(r.Ref.Kind)]
	cost := max(1, s.readers[i].Traits()[r.Ref.Kind].ObserveCalls)
	if s.left[r.Provider] < cost {
		out.fails(r.Provider, "the budget of this look is used up")
		return
	}
	var found []provider.Object
	why := s.read(ctx, r.Provider, cost, lookTimeout, func(ctx context.Context) (err error) {
		found, err = s.readers[i].Observe(ctx, provider.Query{Kind: r.Ref.Kind, ID: r.ID})
		return err
	})
	if why != "" {
		out.fails(r.Provider, why)
		return
	}
	out.result.Looked[r.Ref] = true
	row := state.Drift{Ref: r.Ref, Provider: r.Provider, ID: r.ID, Written: r.UpdatedAt}
	if len(found) == 0 {
		row.Field, row.Print = state.FieldGone, state.FieldGone
		out.result.Rows = append(out.result.Rows, row)
		return
	}
	s.saw(out, r, found[0])
	for _, f := range s.e.findings(r, values, found[0]) {
		row.Field, row.Before, row.After, row.Print, row.Secret = f.Field, f.Before, f.After, f.Print, f.Secret
		out.result.Rows = append(out.result.Rows, row)
	}
}

// inLooks says which records are looked at: not mail, not users (who deletes one has a
// reason), of the releases only the one that serves, nothing that is still being made.
func inLooks(r state.Resource, all []state.Resource) bool {
	switch {
	case r.Ref.Kind == state.KindPayments:
		return r.Real() // how far its owner is, is what a look is for
	case !r.Real() || r.Phase != "" || r.Ref.Kind == state.KindMail || r.Ref.Kind == state.KindAdmin:
		return false
	case r.Ref.Kind != state.KindDeployment:
		return true
	}
	for _, t := range all {
		if v, ok := t.Attributes.Get("deployment"); ok && t.Ref.Kind == state.KindTraffic && v.Ref != nil && *v.Ref == r.Ref {
			return true
		}
	}
	return false
}

// findings are all differences of a recorded object. One that bears somebody else's mark
// is theirs: what it says is no matter.
func (e *Engine) findings(r state.Resource, recorded []drift.Value, o provider.Object) []drift.Finding {
	if whose := e.foreign(r, o); whose != "" {
		return []drift.Finding{{Field: state.FieldForeign, After: whose, Print: whose}}
	}
	return drift.Compare(r.Ref.Kind, recorded, e.foundValues(r, o))
}

// foreign says whose mark an object bears, "" when it is ours or nobody's.
func (e *Engine) foreign(r state.Resource, o provider.Object) string {
	if o.Mark.IsZero() || o.Mark.Installation == e.Runner.Installation && o.Mark.Client == r.Ref.Client {
		return ""
	}
	return o.Mark.Installation + "/" + string(o.Mark.Client)
}

// recordedValues are the recorded attributes of a client's resources as they can be
// compared: references and secrets as what they refer to.
func (e *Engine) recordedValues(tx store.Tx, all []state.Resource) (map[state.Ref][]drift.Value, error) {
	by := make(map[state.Ref]state.Resource, len(all))
	for _, r := range all {
		by[r.Ref] = r
	}
	out := make(map[state.Ref][]drift.Value, len(all))
	for _, r := range all {
		for _, a := range r.Attributes {
			if r.Adopted && r.Ref.Kind == state.KindSite && plan.Asis(a) {
				continue
			}
			v, ok, err := e.recordedValue(tx, r.Ref.Kind, a, by)
			if err != nil {
				return nil, err
			}
			if ok {
				out[r.Ref] = append(out[r.Ref], v)
			}
		}
	}
	return out, nil
}

func (e *Engine) recordedValue(tx store.Tx, kind state.Kind, a state.Attribute, by map[state.Ref]state.Resource) (drift.Value, bool, error) {
	v := a.Value
	if v.Ref != nil {
		src := by[*v.Ref]
		switch out, ok := src.Outputs[v.Output]; {
		case !src.Real():
			return drift.Value{}, false, nil
		case v.Output == "id":
			v = state.Lit(src.ID)
		case !ok || out.Ref != nil:
			return drift.Value{}, false, nil
		default:
			v = out
		}
	}
	if v.Secret == nil {
		return e.value(kind, a.Name, v.Literal, false), true, nil
	}
	mark := v.Secret.Fingerprint
	if mark == "" {
		rec, ok, err := store.Secret(tx, v.Secret.Scope, v.Secret.Name, v.Secret.Version)
		if err != nil || !ok {
			return drift.Value{}, false, err
		}
		mark = rec.Ref.Fingerprint
	}
	return drift.Value{Name: a.Name, Text: v.Secret.Name + " (" + mark + ")", Print: mark, Secret: true}, mark != "", nil
}

// foundValues are an object's attributes as they can be compared.
func (e *Engine) foundValues(r state.Resource, o provider.Object) []drift.Value {
	out := make([]drift.Value, 0, len(o.Attributes))
	for _, a := range o.Attributes {
		out = append(out, e.value(r.Ref.Kind, a.Name, a.Reveal(), a.Secret != nil))
	}
	return out
}

// value is one text as it is compared and shown: what is a secret or may be one shows as
// its fingerprint.
func (e *Engine) value(kind state.Kind, name, text string, secret bool) drift.Value {
	text = plainly(kind, name, text)
	v := drift.Value{Name: name, Text: text, Print: e.Runner.Fingerprint(state.NewSecret(text)), Secret: secret}
	switch r := []rune(text); {
	case secret || manifest.Delicate(name, text):
		v.Text, v.Secret = "fingerprint "+v.Print, true
	case len(r) > maxDriftText:
		v.Text = string(r[:maxDriftText]) + "…"
	}
	return v
}

// plainly is a record's number as it is written here, whatever its vendor writes before it.
func plainly(kind state.Kind, name, text string) string {
	if kind == state.KindRecord && (name == "ttl" || name == "priority") {
		if n, err := strconv.Atoi(text); err == nil {
			return strconv.Itoa(n)
		}
	}
	return text
}

// differs are the differences that a pass mends by itself when it changes the client
// anyway: what is ignored is left.
func (e *Engine) differs(m *member, r state.Resource, o provider.Object) []plan.Field {
	var out []plan.Field
	for _, f := range e.findings(r, m.values[r.Ref], o) {
		v, known := r.Attributes.Get(f.Field)
		literal := known && v.Secret == nil && v.Ref == nil
		if f.After == "" && !literal || f.Before == "" && !known || f.Field == state.FieldForeign {
			continue // a variable that is more or less: the next change of the set says so
		}
		if !literal && (!mendsReferences(r.Ref.Kind) || f.Field == "site") {
			continue
		}
		if m.ignores(r.Ref.Kind, f.Field, e.Now()) {
			continue
		}
		out = append(out, plan.Field{Name: f.Field, Before: f.After, After: f.Before, Secret: f.Secret})
	}
	return out
}

// mendsReferences says that what refers to another object or to a secret is put back in
// place, too.
func mendsReferences(k state.Kind) bool {
	switch k {
	case state.KindRecord, state.KindEnvironment, state.KindTraffic:
		return true
	}
	return false
}

// ignores says that a field is left as somebody made it.
func (m *member) ignores(kind state.Kind, field string, now time.Time) bool {
	return drift.Of(m.effective.Drift, kind, field, now).Policy == manifest.DriftIgnore
}
