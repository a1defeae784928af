package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/desired"
	"github.com/compassdigital/reconciler/internal/drift"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// looksWanted: an empty plan by the record still wants a look when a retry or an
// approval asked for it.
func (g *group) looksWanted() bool {
	for _, m := range g.members {
		// A pass that was cut off may have seen what is not on record.
		if !m.quarantined() && (m.client.LookWanted || m.client.Attempts > 0) {
			return true
		}
	}
	return false
}

// lookedAt is the plan once what it changes was looked at. A user that only this one changes is looked
// at then: one that is gone would be updated in vain for ever.
func (e *Engine) lookedAt(ctx context.Context, g *group, p plan.Plan) plan.Plan {
	for range 2 {
		e.look(ctx, g, p)
		if p = e.calculate(g); g.panicked != nil || !g.unseen(p) {
			break
		}
	}
	p.LookedAt = g.looked
	return p
}

// unseen says that the plan changes a user that was not looked at.
func (g *group) unseen(p plan.Plan) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
		if s.Ref.Kind != state.KindAdmin || s.Prior == nil || !s.Prior.Real() {
			return false
		}
		return !slices.ContainsFunc(g.members, func(m *member) bool { _, is := m.looks[s.Ref]; return is })
	})
}

// look observes what is recorded of the clients that the plan is about to change, so
// that the plan is about the world. Earlier releases are left out: nothing of them is
// changed. A look that fails blocks that resource's steps and no others.
func (e *Engine) look(ctx context.Context, g *group, p plan.Plan) {
	touched, planned := map[state.ClientID]bool{}, map[state.Ref]bool{}
	goes := map[string]bool{} // names that somebody lets go
	var hosts []string        // of those, the host names
	for _, s := range p.Steps {
		touched[s.Ref.Client], planned[s.Ref] = true, true
		if name := plan.Named(s.Ref); name != "" && s.Action == plan.Delete {
			goes[name] = true
			if s.Ref.Kind == state.KindDomain {
				hosts = append(hosts, s.Ref.Host())
			}
		}
		if !s.From.IsZero() {
			touched[s.From.Client] = true // what moves must be there
		}
	}
	for _, q := range p.Problems {
		touched[q.Client] = touched[q.Client] || q.Hold == state.HoldParked || q.Hold == state.HoldData // what was found may say by now what is wished, or be gone
	}
	wanted := func(m *member) bool {
		return !m.quarantined() && (touched[m.client.ID] || m.client.LookWanted || m.client.Attempts > 0)
	}
	unread := e.compared(g, wanted)
	var wg sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, lookParallel)
	for _, m := range g.members {
		for _, r := range m.asWished() {
			also := !m.quarantined() && (goes[plan.Named(r.Ref)] || // it has that on record, too, and may have it no more
				g.traits[r.Provider][r.Ref.Kind].Manual && slices.ContainsFunc(hosts, func(h string) bool { return plan.Leads(r.Ref, h) })) // where does DNS lead people?
			if !wanted(m) && !also || !worthALook(r, m.wish, planned[r.Ref]) {
				continue
			}
			wg.Add(1)
			slots <- struct{}{}
			go func() {
				defer func() { <-slots; wg.Done() }()
				l := plan.Look{Ref: r.Ref}
				var gives []provider.Object
				p := panicOf(e.contain(m.client.ID, func() error {
					if unread != nil {
						l.Failed = unread.Error()
					} else {
						l, gives = e.lookAt(ctx, m, r)
					}
					return nil
				}))
				if l.Gone && !planned[r.Ref] && r.Ref.Kind != state.KindDatabase && m.ignores(r.Ref.Kind, state.FieldGone, g.now) {
					return // it is left gone
				}
				if !wanted(m) {
					l.Differs = nil // nothing asks to change it
				}
				mu.Lock()
				m.looks[r.Ref], m.gives = g.saw(l, p), append(m.gives, gives...)
				mu.Unlock()
			}()
		}
	}
	for _, m := range g.members {
		adopt := plan.ToAdopt(m.input())
		rivals := e.rivals(m, adopt)
		for _, w := range adopt {
			wg.Add(1)
			slots <- struct{}{}
			go func() {
				defer func() { <-slots; wg.Done() }()
				l := plan.Look{Ref: w.Ref}
				p := panicOf(e.contain(m.client.ID, func() error { l = e.lookFor(ctx, m, w); rivals.settle(&l, w); return nil }))
				mu.Lock()
				m.looks[w.Ref] = g.saw(l, p)
				mu.Unlock()
			}()
		}
	}
	wg.Wait()
	g.looked = e.Now()
}

// saw notes what a look ran into; the look failed then.
func (g *group) saw(l plan.Look, p *apply.Panicked) plan.Look {
	if p != nil {
		l = plan.Look{Ref: l.Ref, Failed: p.Error()}
		if g.panicked == nil || p.Client < g.panicked.Client { // of several not the one that came first
			g.panicked = p
		}
	}
	return l
}

// compared reads what the recorded attributes of members are compared by.
func (e *Engine) compared(g *group, wanted func(*member) bool) error {
	return e.Store.View(func(tx store.Tx) (err error) {
		for _, m := range g.members {
			if !wanted(m) {
				continue
			}
			if m.values, err = e.recordedValues(tx, m.asWished()); err != nil {
				return err
			}
		}
		return nil
	})
}

// worthALook: mail was sent, and users are looked at only when something of them
// changes: that somebody deleted one is no drift.
func worthALook(r state.Resource, wish []state.Resource, planned bool) bool {
	if !r.Real() || r.Ref.Kind == state.KindMail || (r.Ref.Kind == state.KindAdmin && !planned) {
		return false
	}
	if r.Ref.Kind != state.KindDeployment {
		return true
	}
	for _, w := range wish {
		if w.Ref == r.Ref {
			return true // it may be promoted: is it still there?
		}
	}
	return false
}

// readdress takes over where databases are by now: somebody gave one another password, or a public address
// anew, at its vendor, and what is built from here on is to find it. A host name that lost its certificate is noted, so that one
// is asked for. What an adopted site had before us is kept as it is by now. taken: another pass has to plan.
func (e *Engine) readdress(g *group) (taken bool, err error) {
	for _, m := range g.members {
		for _, o := range m.gives {
			for _, r := range m.recorded {
				if r.ID != o.ID || r.Ref.Kind != o.Kind || m.client.Removed {
					continue
				}
				note := e.Runner.Noted
				if ownData(inUse(r)) {
					note = e.Runner.Readdressed
				} else if r.Ref.Kind == state.KindEnvironment {
					note = e.Runner.Kept
				} else if !e.bare(r, o) {
					continue
				}
				if err := note(g.job(e, plan.Plan{}, ""), r, o); err != nil {
					return false, fmt.Errorf("note how %s of %s is: %w", r.Ref.Kind, m.client.Name, err)
				}
				taken = true
			}
		}
	}
	return taken, nil
}

// lookAt observes one recorded resource. gives is what it is, where that is a database that has another address than
// the one on record, or a host name that lost its certificate.
func (e *Engine) lookAt(ctx context.Context, m *member, r state.Resource) (l plan.Look, gives []provider.Object) {
	l = plan.Look{Ref: r.Ref}
	p, ok := e.Runner.Provider(r.Provider, r.Ref.Kind)
	if !ok {
		l.Failed = "provider " + r.Provider + " is not configured"
		return l, nil
	}
	ctx, cancel := context.WithTimeout(provider.For(ctx, provider.Caller{Client: m.client.ID, New: !m.client.EverDeployed}), lookTimeout)
	defer cancel()
	objects, err := p.Observe(ctx, provider.Query{Kind: r.Ref.Kind, ID: r.ID, Name: r.Name})
	switch {
	case err != nil:
		l.Failed, l.Denied = err.Error(), deniedBy(err)
		var pe *provider.Error
		if errors.As(err, &pe) && pe.Away {
			l.Away = report.Line(pe.Message)
		}
	case len(objects) == 0 || objects[0].Lost:
		l.Gone = true
	default:
		l.Differs = e.differs(m, r, objects[0])
		if slices.ContainsFunc(e.findings(r, m.values[r.Ref], objects[0]), func(f drift.Finding) bool {
			return r.Ref.Kind == state.KindDatabase && r.Phase == "" && f.Field == fieldAddress // else it is the one that we asked for, and it comes late
		}) {
			gives = objects[:1]
		}
		l.Broken = e.broken(r, objects[0])
		if e.bare(r, objects[0]) {
			gives = objects[:1]
		}
		if e.keptAnew(m, r, objects[0]) {
			gives = objects[:1]
		}
		l.Readdresses = hidden(r, objects[0])
		l.Bytes, l.Also = objects[0].Bytes, objects[0].Also
		if objects[0].Phase == provider.Manual {
			l.Asks = objects[0].Message
		}
		if r.Ref.Kind == state.KindRecord && e.foreign(r, objects[0]) == "" {
			l.Says = saysOf(objects[0])
		}
	}
	return l, gives
}

// keptAnew says that somebody gave a variable another value that an adopted site had before us and that no manifest mentions: it is
// kept as it is by now.
func (e *Engine) keptAnew(m *member, r state.Resource, o provider.Object) bool {
	return slices.ContainsFunc(e.findings(r, m.values[r.Ref], o), func(f drift.Finding) bool { return kept(r, f.Field) && told(o, f.Field) != "" })
}

// kept says that a recorded variable is one that an adopted site had before us.
func kept(r state.Resource, field string) bool {
	v, _ := r.Attributes.Get(field)
	return r.Ref.Kind == state.KindEnvironment && v.Secret != nil && strings.HasPrefix(v.Secret.Name, desired.Kept)
}

// told is what an object says of an attribute, "" for nothing.
func told(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name {
			return a.Reveal()
		}
	}
	return ""
}

// broken is why a database that its client uses does not run, though it did.
func (e *Engine) broken(r state.Resource, o provider.Object) string {
	if !ownData(r) || r.Phase != "" || o.Phase != provider.Failed || e.foreign(r, o) != "" {
		return ""
	}
	return cmp.Or(report.Line(o.Message), "it does not run")
}

// hidden says that a database no longer gives the address that is on record, and runs.
func hidden(r state.Resource, o provider.Object) bool {
	_, known := r.Outputs[fieldAddress]
	return known && (ownData(r) || r.Copy && r.Real()) && o.Phase == provider.Ready && !slices.ContainsFunc(o.Outputs, func(x provider.Output) bool { return x.Name == fieldAddress })
}

// saysOf is what a record says, by attribute.
func saysOf(o provider.Object) map[string]string {
	out := map[string]string{}
	for _, a := range o.Attributes {
		out[a.Name] = plainly(o.Kind, a.Name, a.Reveal())
	}
	return out
}

// lookFor looks for an object that a manifest names in `adopt:`, or that is part of a
// site that it names.
func (e *Engine) lookFor(ctx context.Context, m *member, w state.Resource) plan.Look {
	l := plan.Look{Ref: w.Ref}
	p, ok := e.Runner.Provider(w.Provider, w.Ref.Kind)
	if !ok {
		l.Failed = "provider " + w.Provider + " is not configured"
		return l
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	mark := provider.Mark{Installation: e.Runner.Installation, Client: m.client.ID, Generation: max(m.client.Generation, 1)}
	q := provider.Query{Kind: w.Ref.Kind, ID: w.AdoptID}
	if q.ID == "" {
		q.Wish = m.asked(w, mark)
		if w.Ref.Kind == state.KindDomain || w.Ref.Kind == state.KindRecord {
			q.Name = q.Wish.Name
		}
	}
	objects, err := p.Observe(ctx, q)
	switch {
	case err != nil:
		l.Failed, l.Denied = err.Error(), deniedBy(err)
	case len(objects) == 0 || objects[0].Lost:
		l.Gone = true
	default:
		o := objects[0]
		l.Found, l.ID, l.Count, l.Ours = true, o.ID, len(objects), o.Mark == mark
		if w.AdoptID != "" && w.Ref.Kind == state.KindRecord {
			l.Says = saysOf(o)
		}
		if !o.Mark.IsZero() && !l.Ours {
			l.Foreign = o.Mark.Installation + "/" + string(o.Mark.Client)
		} else if at := elsewhere(q.Wish, o); at != "" {
			l.Foreign = "site " + at
		}
	}
	return l
}

// elsewhere is the site that a found part hangs on, "" when it is the one that was asked
// for: a host may be bound to somebody else's site.
func elsewhere(asked *provider.Wish, o provider.Object) string {
	if asked == nil || asked.Get("site") == "" {
		return ""
	}
	for _, a := range o.Attributes {
		if a.Name == "site" && a.Reveal() != asked.Get("site") {
			return a.Reveal()
		}
	}
	return ""
}

// asked is a wish as far as it can be told before all of it is on record: its literals,
// and the ids that `adopt:` names or that are on record.
func (m *member) asked(w state.Resource, mark provider.Mark) *provider.Wish {
	out := &provider.Wish{Ref: w.Ref, Name: provider.ObjectName(mark, w.Ref), Mark: mark}
	for _, a := range w.Attributes {
		switch {
		case a.Value.Secret != nil:
		case a.Value.Ref == nil:
			out.Inputs = append(out.Inputs, provider.Input{Name: a.Name, Text: a.Value.Literal})
		case a.Value.Output == "id":
			for _, x := range append(slices.Clone(m.wish), m.recorded...) {
				if id := cmp.Or(x.AdoptID, x.ID); x.Ref == *a.Value.Ref && id != "" {
					out.Inputs = append(out.Inputs, provider.Input{Name: a.Name, Text: id})
					break
				}
			}
		}
	}
	return out
}
