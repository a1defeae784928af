package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/rebuild"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// maxLag bounds how long a witness lets late lists catch up.
const maxLag = 10 * time.Minute

// witness reads what the providers show of ours. It holds their reading halves: whoever
// makes a record anew can change nothing (promise P2).
type witness struct {
	readers      []provider.ReadOnly
	installation string
	now          func() time.Time
	sleep        func(context.Context, time.Duration) error
	onRecord     func(state.ClientID) (bool, error) // by now
}

func (e *Engine) witness() witness {
	w := witness{installation: e.Runner.Installation, now: e.Now, sleep: e.Runner.Sleep}
	w.onRecord = func(id state.ClientID) (ok bool, err error) {
		err = e.Store.View(func(tx store.Tx) error { _, ok, err = store.Client(tx, id); return err })
		return ok, err
	}
	for _, p := range e.Providers {
		w.readers = append(w.readers, provider.NewReadOnly(p))
	}
	return w
}

// ask makes one reading call. No pass waits for it: where a vendor's limit is used up it goes
// on with the next window, and says so to whoever listens (provider.Listening).
func (w witness) ask(ctx context.Context, call func(context.Context) error) error {
	ctx = provider.Paced(ctx, provider.Pace{Wait: lookPatience})
	for windows := 1; ; windows++ {
		err := call(ctx)
		if !errors.Is(err, provider.ErrTurn) || windows > maxWindows || w.sleep == nil {
			return err
		}
		provider.Tell(ctx, "%s; it goes on then", sentence(err))
		if err := w.sleep(ctx, provider.UntilOf(err).Sub(w.now())); err != nil {
			return err
		}
	}
}

// untilSilent returns a context for a listing, which may take many windows of a vendor: it ends
// when none of its requests, as made counts them, went out for listSilence.
func untilSilent(ctx context.Context, made func() int) (quiet context.Context, stop func()) {
	quiet, cancel := context.WithCancelCause(ctx)
	ticker, done := time.NewTicker(listSilence), make(chan struct{})
	go func() {
		defer close(done)
		for last := 0; ; last = made() {
			select {
			case <-quiet.Done():
				return
			case <-ticker.C:
				if made() == last {
					cancel(context.DeadlineExceeded)
				}
			}
		}
	}()
	return quiet, func() { cancel(nil); ticker.Stop(); <-done }
}

// observe is a reader's Observe, as ask makes it.
func (w witness) observe(ctx context.Context, r provider.ReadOnly, q provider.Query) (found []provider.Object, err error) {
	err = w.ask(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, lookTimeout+lookPatience)
		defer cancel()
		found, err = r.Observe(ctx, q)
		return err
	})
	return found, err
}

// all lists what bears this installation's mark: complete, or an error. Lists may be late,
// so it waits until they show what was made before it began, and reads what they show by
// its id: what is gone by now is left out.
func (w witness) all(ctx context.Context) ([]rebuild.Found, error) {
	if lag := w.lag(); lag > 0 && w.sleep != nil {
		if err := w.sleep(ctx, lag); err != nil {
			return nil, err
		}
	}
	answers := make([][]rebuild.Found, len(w.readers))
	errs := make([]error, len(w.readers))
	var wg sync.WaitGroup
	for i, r := range w.readers {
		wg.Go(func() { answers[i], errs[i] = w.of(ctx, r) })
	}
	wg.Wait()
	var out []rebuild.Found
	for i, r := range w.readers {
		if errs[i] != nil {
			return nil, fmt.Errorf("look for objects of installation %s at %s: %w", w.installation, r.Name(), errs[i])
		}
		out = append(out, answers[i]...)
	}
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.Provider != b.Provider {
			return a.Provider < b.Provider
		}
		if a.Kind != b.Kind {
			return a.Kind < b.Kind
		}
		return a.ID < b.ID
	})
	return out, nil
}

// lag is how late a list may be.
func (w witness) lag() (most time.Duration) {
	for _, r := range w.readers {
		for _, t := range r.Traits() {
			most = max(most, t.ListLag)
		}
	}
	return min(most, maxLag)
}

// owned is all of ours that a provider lists.
func (w witness) owned(ctx context.Context, r provider.ReadOnly) (found []provider.Object, err error) {
	err = w.ask(ctx, func(ctx context.Context) error {
		ctx, made := provider.Counting(ctx)
		ctx, stop := untilSilent(ctx, made)
		defer stop()
		found, err = r.Owned(ctx, w.installation)
		return err
	})
	return found, err
}

func (w witness) of(ctx context.Context, r provider.ReadOnly) ([]rebuild.Found, error) {
	listed, err := w.owned(ctx, r)
	if err != nil {
		return nil, err
	}
	var out []rebuild.Found
	for _, o := range listed {
		if o.Mark.Installation != w.installation || o.Mark.Client == "" {
			continue
		}
		if r.Traits()[o.Kind].ListLag > 0 {
			now, err := w.observe(ctx, r, provider.Query{Kind: o.Kind, ID: o.ID})
			if err != nil {
				return nil, err
			}
			if len(now) == 0 {
				continue
			}
			o = now[0]
		}
		out = append(out, rebuild.Found{Provider: r.Name(), Object: o})
	}
	return out, nil
}

// bare says that a database holds nothing at all. Nobody knows it of one that can't be read in
// a look's time, or whose keeper moves none.
func (w witness) bare(ctx context.Context, f rebuild.Found) bool {
	for _, r := range w.readers {
		if r.Name() != f.Provider {
			continue
		}
		looking, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		c, known, err := r.Content(looking, f.ID)
		return known && err == nil && len(c.Parts) == 0
	}
	return false
}

// unmarked looks for what the wish asks for and no mark shows: where a vendor has no place
// for a mark, an object of ours is told by its name; and a record that is there as it is
// wished, and is nobody's, is used as it is. What an older state says of one counts, unless it
// lived in what was made anew since. So it does for host names that the wish has not there (beside).
// leave are the host names that its wish asked for earlier.
func (w witness) unmarked(ctx context.Context, mark provider.Mark, wish, recorded, found []state.Resource, leave []string) ([]rebuild.Found, error) {
	known, seen, anew := map[state.Ref]state.Resource{}, map[state.Ref]bool{}, map[state.Ref]bool{}
	for _, h := range recorded {
		known[h.Ref] = h
	}
	for _, f := range found {
		anew[f.Ref] = known[f.Ref].ID != f.ID
		known[f.Ref], seen[f.Ref] = f, true
	}
	var out []rebuild.Found
	for _, res := range append(slices.Clone(wish), w.beside(wish, found, leave)...) {
		r, t, ok := w.reader(res)
		_, there := known[res.Ref]
		there = there && !slices.ContainsFunc(res.Attributes, func(a state.Attribute) bool { return a.Value.Ref != nil && anew[*a.Value.Ref] })
		if there || seen[res.Ref] || !ok || t.Manual || res.AdoptID != "" || res.Ref.Kind == state.KindMail || (t.Marks && res.Ref.Kind != state.KindRecord) {
			continue
		}
		asked := provider.Wish{Ref: res.Ref, Name: provider.ObjectName(mark, res.Ref), Mark: mark, Inputs: inputs(res, known)}
		if len(asked.Inputs) != len(res.Attributes) {
			continue // not all of the wish is known: nothing could be told to be it
		}
		found, err := w.observe(ctx, r, provider.Query{Kind: res.Ref.Kind, Name: asked.Name, Wish: &asked})
		if refused(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for %s %s at %s: %w", res.Ref.Kind, res.Ref.Name, res.Provider, err)
		}
		var fit []provider.Object
		for _, o := range found {
			if o.Mark.IsZero() && fits(asked, o, t) {
				fit = append(fit, o)
			}
		}
		if len(fit) != 1 {
			continue // none, or whoever makes it has to say which
		}
		o := fit[0]
		if !t.Marks && res.Ref.Kind != state.KindRecord {
			o.Mark = mark
		}
		if res.Ref.Kind == state.KindRecord {
			o.Name = res.Ref.Name
		}
		out = append(out, rebuild.Found{Provider: r.Name(), Object: o})
	}
	return out, nil
}

// beside are the host names that the client's sites may have and that its wish does not ask for there, at a
// host that has no place for their marks: those of its own records in DNS, which are marked, those of its
// wish, on a site that it leaves, and those that its wish asked for before (leave). A wish that was not carried out
// yet, or a later one, may have put them there.
func (w witness) beside(wish, found []state.Resource, leave []string) (names []state.Resource) {
	asked, hosts := map[state.Ref]bool{}, slices.Clone(leave)
	for _, r := range wish {
		asked[r.Ref] = true
		if r.Ref.Kind == state.KindDomain {
			hosts = append(hosts, r.Ref.Host())
		}
	}
	for _, r := range found {
		if r.Ref.Kind == state.KindRecord && !r.Found {
			hosts = append(hosts, strings.TrimSuffix(strings.ToLower(r.Attributes.Literal("name")), "."))
		}
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	for _, site := range found {
		at := state.Resource{Ref: state.Ref{Client: site.Ref.Client, Kind: state.KindDomain}, Provider: site.Provider}
		if _, t, ok := w.reader(at); site.Ref.Kind != state.KindSite || !ok || t.Marks || site.Found || site.Adopted {
			continue
		}
		for _, host := range hosts {
			at.Ref.Name = host + "@" + site.Ref.Name
			if host == "" || asked[at.Ref] {
				continue
			}
			name := at
			name.Attributes = state.Attributes{{Name: "host", Value: state.Lit(host)}, {Name: "redirect", Value: state.Lit("")}, {Name: "site", Value: state.OutputOf(site.Ref, "id")}}
			names = append(names, name)
		}
	}
	return names
}

// adoptees are the objects that `adopt:` names, for what refers to them.
func (w witness) adoptees(ctx context.Context, wish []state.Resource) (map[state.Ref]rebuild.Found, error) {
	var out map[state.Ref]rebuild.Found
	for _, res := range wish {
		r, _, ok := w.reader(res)
		if res.AdoptID == "" || !ok {
			continue
		}
		found, err := w.observe(ctx, r, provider.Query{Kind: res.Ref.Kind, ID: res.AdoptID})
		if err != nil {
			return nil, fmt.Errorf("look at %s %s at %s: %w", res.Ref.Kind, res.AdoptID, res.Provider, err)
		}
		if len(found) == 1 {
			if out == nil {
				out = map[state.Ref]rebuild.Found{}
			}
			out[res.Ref] = rebuild.Found{Provider: r.Name(), Object: found[0]}
		}
	}
	return out, nil
}

// gone adds to what is gone those recorded objects that no mark shows and that are not
// there by their id either.
func (w witness) gone(ctx context.Context, gone []state.Ref, recorded []state.Resource, found []rebuild.Found) ([]state.Ref, error) {
	seen := map[object]bool{}
	for _, f := range found {
		seen[object{f.Provider, f.Kind, f.ID}] = true
	}
	for _, res := range recorded {
		r, t, ok := w.reader(res)
		if !ok || t.Manual || !res.Real() || res.Found || res.Adopted || res.Ref.Kind == state.KindMail || seen[recordedObject(res)] {
			continue
		}
		there, err := w.observe(ctx, r, provider.Query{Kind: res.Ref.Kind, ID: res.ID})
		if refused(err) {
			continue // it is not known to be gone
		}
		if err != nil {
			return gone, fmt.Errorf("look at %s %s at %s: %w", res.Ref.Kind, res.ID, res.Provider, err)
		}
		if len(there) == 0 {
			gone = append(gone, res.Ref)
		}
	}
	return gone, nil
}

// refused says that a vendor can't be asked about this one object, now or later: its zone is not one that the token
// sees any more, say. That is its client's matter, and keeps nobody else waiting.
func refused(err error) bool { return provider.KindOf(err) == provider.Invalid }

func (w witness) reader(res state.Resource) (provider.ReadOnly, provider.Traits, bool) {
	for _, r := range w.readers {
		if t, ok := r.Traits()[res.Ref.Kind]; ok && r.Name() == res.Provider {
			return r, t, true
		}
	}
	return provider.ReadOnly{}, provider.Traits{}, false
}

// inputs is a wish as far as its values are no secrets and what they refer to is known.
func inputs(res state.Resource, known map[state.Ref]state.Resource) []provider.Input {
	var out []provider.Input
	for _, a := range res.Attributes { // sorted by name
		switch {
		case a.Value.Secret != nil:
		case a.Value.Ref == nil:
			out = append(out, provider.Input{Name: a.Name, Text: a.Value.Literal})
		default:
			if v, ok := known[*a.Value.Ref].Outputs[a.Value.Output]; ok && v.Secret == nil {
				out = append(out, provider.Input{Name: a.Name, Text: v.Literal})
			}
		}
	}
	return out
}

// fits says that an unmarked object is what we would have made: of a record all that it
// says, of a domain the site that it is bound to, of others the name that only we give.
func fits(w provider.Wish, o provider.Object, t provider.Traits) bool {
	told := map[string]string{}
	for _, a := range o.Attributes {
		told[a.Name] = a.Reveal()
	}
	switch w.Ref.Kind {
	case state.KindRecord:
		same := 0
		for _, in := range w.Inputs {
			have, ok := told[in.Name]
			if !ok {
				continue
			}
			x, errX := strconv.Atoi(have)
			y, errY := strconv.Atoi(in.Text)
			if have != in.Text && (errX != nil || errY != nil || x != y) {
				return false
			}
			same++
		}
		return same > 2
	case state.KindDomain:
		return told["site"] != "" && told["site"] == w.Get("site")
	}
	return !t.Marks && o.Name == w.Name
}
