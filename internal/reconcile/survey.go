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

// survey is one run of looks over many clients. What a provider can list is listed once, as
// far as it is of those whose turn it is: a list may cost calls for each site. Single reads
// are for what no list shows, and for what it shows as gone or different: a list may be late.
// Each provider has a budget of requests, and of a vendor's window looks take no more than
// half. It holds the reading half of the providers, and nothing that can write.
type survey struct {
	e       *Engine
	readers []provider.ReadOnly
	at      map[string]int // provider/kind → reader
	lists   []*listing     // by reader; nil: not made yet
	left    map[string]int // requests, by provider
	stopped map[string]halt
	bad     map[string]int              // reads that failed, by provider
	asked   bool                        // a person waits: it goes about a vendor's limit as everybody
	turns   map[state.ClientID]bool     // whose turn it is in this run
	ids     map[string]bool             // what is recorded of them, by provider/id
	later   func(context.Context) error // what comes before the look that ended with errAgain
	waited  bool                        // for a window, for the client that is looked at
	marks   bool                        // a death at a list is to be known as one
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
	now   bool // it said so in this run, which is not a person's
}

// newSurvey begins a run over clients in the order of their turns. asked: a person named
// them, and waits.
func (e *Engine) newSurvey(paused map[string]time.Time, order []state.Looked, asked bool) (*survey, error) {
	s := &survey{e: e, at: map[string]int{}, lists: make([]*listing, len(e.Providers)), left: map[string]int{}, stopped: map[string]halt{}, bad: map[string]int{},
		asked: asked, turns: map[state.ClientID]bool{}, ids: map[string]bool{}}
	for i, p := range e.Providers {
		s.readers = append(s.readers, provider.NewReadOnly(p))
		s.left[p.Name()] = lookCalls
		for k := range p.Traits() {
			s.at[p.Name()+"/"+string(k)] = i
		}
	}
	for name, until := range paused {
		if e.Now().Before(until) {
			s.stopped[name] = halt{why: "it asked for a pause until " + until.UTC().Format("15:04:05 MST"), until: until}
		}
	}
	return s, s.choose(order)
}

// choose says whose turn it is in this run: those first who wait longest, as far as the
// budget of each provider reaches.
func (s *survey) choose(order []state.Looked) error {
	planned := map[string]int{}
	for _, l := range order {
		var all []state.Resource
		open := false
		err := s.e.Store.View(func(tx store.Tx) error {
			intents, err := store.Intents(tx, l.Client)
			if err != nil {
				return err
			}
			open = len(intents) > 0
			all, err = store.Resources(tx, l.Client)
			return err
		})
		if err != nil {
			return fmt.Errorf("look: %w", err)
		}
		if open {
			continue
		}
		need := map[string]int{}
		for _, r := range all {
			i, ok := s.at[r.Provider+"/"+string(r.Ref.Kind)]
			if !ok || !inLooks(r, all) {
				continue
			}
			if t := s.readers[i].Traits()[r.Ref.Kind]; t.Marks {
				need[r.Provider] += t.ListCalls
			} else {
				need[r.Provider] += max(1, t.ObserveCalls)
			}
		}
		if !s.reaches(need, planned) {
			continue
		}
		s.turns[l.Client] = true
		for name, n := range need {
			planned[name] += n
		}
		for _, r := range all {
			s.ids[r.Provider+"/"+r.ID] = true
		}
	}
	return nil
}

// reaches says that the budget has room for what a client needs, beside what is planned. One
// that needs more than a whole budget is looked at as far as it goes.
func (s *survey) reaches(need, planned map[string]int) bool {
	for name, n := range need {
		if _, is := s.stopped[name]; !is && s.left[name]-planned[name] < n && n <= lookCalls {
			return false
		}
	}
	return true
}

// read makes one call within the budget, at a look's pace. why says that none was made, or
// that it failed; errAgain that its turn has to be waited for, with nobody entered. cost is
// what it is charged with where requests can't be counted. own: its provider showed others in
// this run, so that what it refuses is the object's own matter.
func (s *survey) read(ctx context.Context, name string, own bool, cost int, patience time.Duration, call func(context.Context) error) (why string, again error) {
	if h, is := s.stopped[name]; is {
		return h.why, nil
	}
	if !s.asked {
		ctx = provider.Paced(ctx, provider.Pace{Half: true, Wait: patience})
	}
	ctx, made := provider.Counting(ctx)
	ctx, stop := untilSilent(ctx, made)
	defer stop()
	err := s.e.contain("", func() error { return call(ctx) })
	until := provider.UntilOf(err)
	if errors.Is(err, provider.ErrTurn) && patience == 0 && until.Sub(s.e.Now()) <= lookPatience && s.e.Runner.Sleep != nil {
		s.left[name] -= made()
		s.later = func(ctx context.Context) error {
			s.waited = true
			return s.e.Runner.Sleep(ctx, until.Sub(s.e.Now()))
		}
		return "", errAgain
	}
	if n := made(); n > 0 {
		cost = n
	}
	s.left[name] -= cost
	if err == nil {
		s.bad[name] = 0
		return "", nil
	}
	s.bad[name]++
	kind := provider.KindOf(err)
	switch {
	case kind == provider.RateLimited:
		s.stopped[name] = halt{sentence(err), until, !s.asked}
	case own && (kind == provider.Denied || kind == provider.Invalid):
		s.bad[name]-- // of one zone, or one project, say: nobody else's look ends by it
	case kind == provider.Denied, s.bad[name] >= lookFailures:
		s.stopped[name] = halt{why: sentence(err)}
	}
	return sentence(err), nil
}

// limited says that a provider wants no more calls, and said so in this run: a client that
// was not seen whole is no failure of its own, and keeps its turn.
func (s *survey) limited(name string) bool { return s.stopped[name].now }

// list asks a provider for what is of those whose turn it is. It may wait through windows:
// nobody is entered. errLater: somebody is worked on alone.
func (s *survey) list(ctx context.Context, i int) error {
	if s.marks {
		end, ok, err := s.e.beside(workList, s.readers[i].Name(), 0)
		if err != nil {
			return err
		}
		if !ok {
			return errLater
		}
		defer end()
	}
	l, name := &listing{objects: map[string]provider.Object{}}, s.readers[i].Name()
	s.lists[i] = l
	l.failed, _ = s.read(ctx, name, false, 1, lookPatience, func(ctx context.Context) error {
		only := provider.Only(ctx, func(id string, _ provider.Mark) bool { return s.ids[name+"/"+id] })
		found, err := s.readers[i].Owned(only, s.e.Runner.Installation)
		for _, o := range found {
			l.objects[string(o.Kind)+"/"+o.ID] = o
		}
		if provider.KindOf(err) == provider.Unsupported {
			err = nil // it has no lists: each object is asked for
		}
		return err
	})
	return nil
}

// seen is what a survey saw of one client.
type seen struct {
	client   state.Client
	recorded []state.Resource
	objects  map[state.Ref]provider.Object // that were read one by one
	result   drift.Seen
}

// errQuarantined: nobody looks at the client. errLater: its turn comes in another run. errAgain: it comes once what s.later does
// is done.
var (
	errLater       = errors.New("left for the next look")
	errQuarantined = errors.New("in quarantine")
	errAgain       = errors.New("something comes before this look")
)

// lookAt enters a client, looks at it, and hands on what it saw before it leaves. What comes
// before the look is done with nobody entered.
func (s *survey) lookAt(ctx context.Context, id state.ClientID, at func() time.Time, enter func() (leave func(), err error), then func(*seen) error) error {
	s.waited = false
	once := func() error {
		leave, err := enter()
		if err != nil {
			return err
		}
		defer leave()
		saw, err := s.look(ctx, id, at())
		if err != nil {
			return err
		}
		return then(saw)
	}
	for {
		err := once()
		if !errors.Is(err, errAgain) {
			return err
		}
		if err := s.later(ctx); err != nil {
			return fmt.Errorf("look: %w", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// look compares what is recorded of one client with what is there. The caller has
// entered it, so that no pass changes either. errLater: it is not at rest, the budget
// does not reach for all of it, or its provider wants no more calls.
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
	if open || out.client.ID == "" || !s.turns[id] {
		return nil, errLater
	}
	var single []state.Resource
	need := map[string]int{}
	for _, r := range out.recorded {
		looked := inLooks(r, out.recorded)
		if looked || r.Ref.Kind != state.KindDeployment { // of a release that serves no more nothing is said any more
			out.result.Recorded[r.Ref] = true
		}
		if !looked {
			continue
		}
		i, ok := s.at[r.Provider+"/"+string(r.Ref.Kind)]
		if !ok {
			out.fails(r.Provider, "it is not configured")
			continue
		}
		traits := s.readers[i].Traits()[r.Ref.Kind]
		if traits.Marks {
			l := s.lists[i]
			switch {
			case l == nil:
				s.later = func(ctx context.Context) error { return s.list(ctx, i) }
				return nil, errAgain
			case l.failed != "" && s.limited(r.Provider):
				return nil, errLater
			case l.failed != "":
				out.fails(r.Provider, l.failed)
				continue
			}
			if o, listed := l.objects[string(r.Ref.Kind)+"/"+r.ID]; listed && !o.Lost && len(s.e.findings(r, values[r.Ref], o)) == 0 {
				s.saw(&out, r, o)
				continue
			}
		}
		single = append(single, r)
		need[r.Provider] += max(1, traits.ObserveCalls)
	}
	if !s.reaches(need, nil) {
		return nil, errLater
	}
	for _, r := range single {
		err := s.single(ctx, &out, r, values[r.Ref])
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, err
		case s.limited(r.Provider):
			return nil, errLater
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

// single reads one object by its id. Its turn is waited for with nobody entered, once a
// client: whoever needs more than one window has waits on.
func (s *survey) single(ctx context.Context, out *seen, r state.Resource, values []drift.Value) error {
	i := s.at[r.Provider+"/"+string(r.Ref.Kind)]
	cost := max(1, s.readers[i].Traits()[r.Ref.Kind].ObserveCalls)
	if s.left[r.Provider] < cost {
		out.fails(r.Provider, "the budget of this look is used up")
		return nil
	}
	var found []provider.Object
	patience := time.Duration(0)
	if s.waited {
		patience = lookPatience
	}
	listed := s.lists[i] != nil && s.lists[i].failed == ""
	why, err := s.read(ctx, r.Provider, listed, cost, patience, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, lookTimeout+patience)
		defer cancel()
		found, err = s.readers[i].Observe(ctx, provider.Query{Kind: r.Ref.Kind, ID: r.ID, Name: r.Name})
		return err
	})
	if err != nil {
		return err
	}
	if why != "" {
		out.fails(r.Provider, why)
		return nil
	}
	out.result.Looked[r.Ref] = true
	row := state.Drift{Ref: r.Ref, Provider: r.Provider, ID: r.ID, Written: r.UpdatedAt}
	if len(found) == 0 || found[0].Lost {
		row.Field, row.Print = state.FieldGone, state.FieldGone
		out.result.Rows = append(out.result.Rows, row)
		return nil
	}
	s.saw(out, r, found[0])
	for _, f := range s.e.findings(r, values, found[0]) {
		row.Field, row.Before, row.After, row.Print, row.Secret = f.Field, f.Before, f.After, f.Print, f.Secret
		out.result.Rows = append(out.result.Rows, row)
	}
	return nil
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
	out := drift.Compare(r.Ref.Kind, recorded, e.foundValues(r, o))
	if why := e.broken(r, o); why != "" {
		out = append(out, drift.Finding{Field: state.FieldBroken, After: why, Print: why})
	}
	if takenAway(r, o) {
		out = append(out, drift.Finding{Field: state.FieldUndone, After: o.Message, Print: state.FieldUndone})
	}
	if e.bare(r, o) {
		out = append(out, drift.Finding{Field: fieldCertificate, Before: "there", After: "none", Print: "none"})
	}
	return out
}

// takenAway says that a DNS record which a person keeps, and which was there, is not set as it was any more.
func takenAway(r state.Resource, o provider.Object) bool {
	return r.Ref.Kind == state.KindRecord && r.Real() && r.Phase == "" && o.Phase == provider.Manual && o.Message != ""
}

// fieldCertificate is what a host name is served with. Nobody wishes it: it comes with the name.
const fieldCertificate = "certificate"

// bare says that a host name that we secured has no certificate any more at a vendor where it is the site's own: somebody
// deleted it there, or it could not be renewed.
func (e *Engine) bare(r state.Resource, o provider.Object) bool {
	if r.Ref.Kind != state.KindDomain || !r.Real() || r.Phase != "" || r.Adopted || r.Found || o.Phase != provider.Unreached && o.Phase != provider.Failed {
		return false
	}
	p, ok := e.Runner.Provider(r.Provider, r.Ref.Kind)
	return ok && p.Traits()[r.Ref.Kind].PerSite
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
		if at, known := r.Outputs[fieldAddress]; known && ownData(r) && at.Secret != nil {
			v, ok, err := e.recordedValue(tx, r.Ref.Kind, state.Attribute{Name: fieldAddress, Value: at}, by)
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

// fieldAddress is the output of a database by which its client reaches it. It is no attribute: nobody
// wishes it, and somebody may change it at the vendor.
const fieldAddress = "url"

// ownData says that a record is the database that its client uses.
func ownData(r state.Resource) bool {
	_, wished := r.Attributes.Get(fieldAddress) // of one that is nowhere kept by us
	return r.Ref.Kind == state.KindDatabase && r.Ref.Name == plan.MainDatabase && r.Real() && !r.Retained() && !wished
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
	for _, x := range o.Outputs {
		if x.Name == fieldAddress && x.Secret != nil && ownData(r) && o.Phase == provider.Ready {
			out = append(out, e.value(r.Ref.Kind, x.Name, x.Secret.Reveal(), true))
		}
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
		if r.Ref.Kind == state.KindDatabase && f.Field == fieldAddress {
			continue // it is taken over: see readdress
		}
		if kept(r, f.Field) && told(o, f.Field) != "" {
			continue // likewise
		}
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
