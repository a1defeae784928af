package memory

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Options say what kind of vendor a Provider is.
type Options struct {
	// Name is its word in a manifest.
	Name string
	// World holds what it keeps. nil: a world of its own.
	World *World
	// Kinds are what it accepts. nil: Everything().
	Kinds map[state.Kind]provider.Traits
	// Fault is asked at each call, before its effect and after it. nil: no faults.
	Fault func(context.Context, Call) error
	// Limit is how many calls it takes.
	Limit Limit
	// Latency is how long a call takes, half of it on the way back.
	Latency time.Duration
	// Build says how what a wish asks for is built. nil: at once.
	Build func(provider.Wish) Build
	// Address is the address of its sites. "": 203.0.113.7.
	Address string
	// WriteOnly are attributes that it doesn't give back; "env.*" are all that begin so.
	WriteOnly map[state.Kind][]string
	// Page is how many objects a page of a list has; 0: all of them. The lists of sites,
	// databases and accounts hold those of everybody, and who looks for a name reads them all.
	Page int
	// NewestFirst is the order of its lists.
	NewestFirst bool
	// LateDeletes lets late lists show what is gone, too.
	LateDeletes bool
	// Now is the clock of a world of its own. nil: time.Now.
	Now func() time.Time
	// Local is the clock of whoever calls: what the vendor says of when to come again is by
	// it, as one that is told a span counts. nil: the World's.
	Local func() time.Time
	// Sleep lets time pass. nil: a timer.
	Sleep func(context.Context, time.Duration) error
}

// Build is how something slow comes to be.
type Build struct {
	Looks int           // it is done after so many looks by id
	Takes time.Duration // and not before
	Fails string        // it comes to nothing, for this reason; "": it succeeds
	Log   []string      // all of it is there when it is done
}

// Provider is one vendor. Make it with New.
type Provider struct {
	o     Options
	w     *World
	kinds map[state.Kind]provider.Traits
}

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Mover    = (*Provider)(nil)
)

// New opens a vendor on its World. Opening a name again is a restart: it finds what
// was there.
func New(o Options) *Provider {
	if o.Name == "" {
		o.Name = "memory"
	}
	if o.World == nil {
		o.World = NewWorld(o.Now)
	}
	if o.Kinds == nil {
		o.Kinds = Everything()
	}
	if o.Address == "" {
		o.Address = "203.0.113.7"
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Local == nil {
		o.Local = o.World.now
	}
	if o.Limit.Calls > 0 {
		o.World.Limit(o.Name, o.Limit)
	}
	return &Provider{o: o, w: o.World, kinds: maps.Clone(o.Kinds)}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// World is what it keeps its objects in.
func (p *Provider) World() *World { return p.w }

// Name implements provider.Provider.
func (p *Provider) Name() string { return p.o.Name }

// Traits implements provider.Provider.
func (p *Provider) Traits() map[state.Kind]provider.Traits { return maps.Clone(p.kinds) }

// Observe implements provider.Reader.
func (p *Provider) Observe(ctx context.Context, q provider.Query) (out []provider.Object, err error) {
	c := Call{Verb: Observe, Kind: q.Kind, ID: q.ID, Name: q.Name}
	if q.Wish != nil {
		c.Client = q.Wish.Ref.Client
	}
	if q.ID != "" {
		err = p.call(ctx, c, func(*Call) error {
			if o, ok := p.have(q.Kind, q.ID); ok {
				o.looks++
				out = append(out, p.give(o))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		return out, nil
	}
	var like []provider.Input
	if q.Wish != nil {
		like = q.Wish.Inputs
	}
	if q.Name == "" {
		return p.list(ctx, c, func() []*object { return p.hanging(q.Kind, get(like, "site")) })
	}
	key := nameKey(p.o.Name, q.Kind, q.Name, like)
	if p.o.Page == 0 || !everybodys(q.Kind) {
		return p.list(ctx, c, func() []*object {
			out := p.listed(key)
			if p.bareDomain(q.Kind) && q.Wish != nil { // a word in a list of its site's
				out = slices.DeleteFunc(out, func(o *object) bool { return get(o.Attributes, "site") != get(like, "site") })
			}
			return out
		})
	}
	all, err := p.list(ctx, c, func() []*object { return p.listed("kind " + p.o.Name + " " + string(q.Kind)) })
	return slices.DeleteFunc(all, func(o provider.Object) bool { return nameKey(p.o.Name, q.Kind, o.Name, o.Attributes) != key }), err
}

// Owned implements provider.Reader: sorted by kind, name and id.
func (p *Provider) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	key := "mark " + p.o.Name + " " + installation
	if p.o.Page > 0 {
		key = "all " + p.o.Name
	}
	out, err := p.list(ctx, Call{Verb: Owned}, func() []*object {
		if installation == "" {
			return nil
		}
		return p.listed(key)
	})
	out = slices.DeleteFunc(out, func(o provider.Object) bool { return !p.kinds[o.Kind].Marks || o.Mark.Installation != installation })
	if err != nil {
		return nil, err
	}
	sort.Slice(out, func(i, j int) bool { return before(out[i], out[j]) })
	return out, nil
}

// Create implements provider.Provider.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	var made provider.Object // not a result: it may come to be when nobody waits for it
	err := p.call(ctx, Call{Verb: Create, Kind: w.Ref.Kind, Name: w.Name, Client: w.Ref.Client}, func(c *Call) error {
		if err := p.check(w, ""); err != nil {
			return err
		}
		now, traits := p.w.now(), p.kinds[w.Ref.Kind]
		p.w.seq++
		o := &object{owner: p.o.Name, seq: p.w.seq, visible: now.Add(traits.ListLag), begun: now, promotes: traits.Promotable,
			Object: provider.Object{ID: p.idOf(w), Kind: w.Ref.Kind, Phase: provider.Ready}}
		if p.o.Build != nil {
			if o.build = p.o.Build(w); o.build.Looks > 0 || o.build.Takes > 0 || o.build.Fails != "" {
				o.Phase = provider.Progressing
			}
		}
		if traits.Manual {
			o.Phase, o.Message = provider.Manual, fmt.Sprintf("make the %s %s at %s", w.Ref.Kind, quote(w.Name), p.o.Name)
		}
		if o.Kind == state.KindPayments {
			o.Phase, o.Message = provider.Manual, "its owner has to finish it at "+p.o.Name
		}
		if o.Kind == state.KindDeployment {
			for _, e := range p.w.of("site " + get(w.Inputs, "site")) {
				if e.Kind == state.KindEnvironment {
					o.built = slices.Clone(e.Attributes)
				}
			}
		}
		p.fill(o, w)
		p.outputs(o)
		p.reach(o, "")
		p.w.add(o)
		c.ID = o.ID
		made = p.give(o)
		return nil
	})
	if err != nil {
		return provider.Object{}, err
	}
	return made, nil
}

// Update implements provider.Provider.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (out provider.Object, err error) {
	err = p.call(ctx, Call{Verb: Update, Kind: w.Ref.Kind, Name: w.Name, ID: id, Client: w.Ref.Client}, func(*Call) error {
		o, ok := p.have(w.Ref.Kind, id)
		if !ok && p.bareDomain(w.Ref.Kind) && strings.HasSuffix(id, "/"+w.Name) { // it may have moved already, and nobody heard
			id = p.idOf(w)
			o, ok = p.have(w.Ref.Kind, id)
		}
		if !ok {
			return Fail(provider.NotFound, fmt.Sprintf("%s %s is not here", w.Ref.Kind, quote(id)))
		}
		for _, name := range p.kinds[o.Kind].Replace {
			if get(o.Attributes, name) != get(w.Inputs, name) {
				return Fail(provider.Invalid, fmt.Sprintf("%s of a %s can't be changed", name, o.Kind))
			}
		}
		if err := p.check(w, id); err != nil {
			return err
		}
		p.w.drop(o)
		site := get(o.Attributes, "site")
		p.fill(o, w)
		if p.bareDomain(o.Kind) {
			o.ID = p.idOf(w) // it may be in another list now
		}
		p.reach(o, site)
		p.w.add(o)
		out = p.give(o)
		return nil
	})
	if err != nil {
		return provider.Object{}, err
	}
	return out, nil
}

// Mark implements provider.Marker.
func (p *Provider) Mark(ctx context.Context, kind state.Kind, id string, m provider.Mark) error {
	return p.call(ctx, Call{Verb: Mark, Kind: kind, ID: id, Client: m.Client}, func(*Call) error {
		o, ok := p.have(kind, id)
		switch {
		case !p.kinds[kind].Marks:
			return Fail(provider.Unsupported, "a "+string(kind)+" has no place for a mark")
		case !ok:
			return Fail(provider.NotFound, fmt.Sprintf("%s %s is not here", kind, quote(id)))
		case !o.Mark.IsZero() && o.Mark != m:
			return Fail(provider.Conflict, "it bears another mark")
		}
		p.w.drop(o)
		o.Mark = m
		p.w.add(o)
		return nil
	})
}

// Delete implements provider.Provider. What is inside a site or a database goes with it; an
// account for taking money stays, as it is its owner's.
func (p *Provider) Delete(ctx context.Context, kind state.Kind, id string) error {
	return p.call(ctx, Call{Verb: Delete, Kind: kind, ID: id}, func(c *Call) error {
		o, ok := p.have(kind, id)
		if !ok || kind == state.KindPayments {
			return nil
		}
		c.Name = o.Name
		if kind == state.KindDeployment && o.promotes {
			if serving, _ := p.w.serving(get(o.Attributes, "site")); serving == id {
				return Fail(provider.Invalid, "deployment "+id+" serves; move or delete its traffic first")
			}
		}
		lag := time.Duration(0)
		if p.o.LateDeletes {
			lag = p.kinds[kind].ListLag
		}
		p.w.goes(o, lag)
		return nil
	})
}

// Dump implements provider.Dumper: the rows, a line each.
func (p *Provider) Dump(ctx context.Context, id, path string) error {
	var rows []string
	err := p.call(ctx, Call{Verb: Dump, Kind: state.KindDatabase, ID: id}, func(*Call) error {
		if _, ok := p.have(state.KindDatabase, id); !ok {
			return Fail(provider.NotFound, "database "+quote(id)+" is not here")
		}
		rows = slices.Clone(p.w.rows[id])
		return nil
	})
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintln(&b, r)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return &provider.Error{Kind: provider.Invalid, Provider: p.o.Name, Op: string(Dump), Message: "the dump could not be written", Err: err}
	}
	return nil
}
