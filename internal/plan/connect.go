package plan

import "github.com/compassdigital/reconciler/internal/state"

// connect adds what every step needs.
func (b *builder) connect() {
	await, _ := b.key(b.deployment)
	probe := b.find(Probe, b.deployment)
	promote, _ := b.key(b.traffic)
	admin, _ := b.key(state.Ref{Client: b.c.Client.ID, Kind: state.KindAdmin, Name: "main"})
	for i := range b.steps {
		s := &b.steps[i]
		if s.Wish != nil && s.Action != Return {
			for _, r := range s.Wish.References() {
				if k, ok := b.key(r); ok {
					s.needs(k)
				}
			}
		}
		switch {
		case s.Action == Secure:
			s.needs(b.made(s.Ref))
			for _, w := range b.sortedWish() {
				if k, ok := b.key(w.Ref); ok && leadsHere(w, s.Ref.Host()) {
					s.needs(k)
				}
			}
		case s.Action == Refresh:
			s.needs(promote, await, probe)
			if k, ok := b.key(s.Ref); ok {
				s.needs(k)
			}
		case s.Action == Await:
			s.needs(b.made(s.Ref))
		case s.Action == Probe && s.Outside:
			s.needs(promote, probe)
			for _, o := range b.steps {
				if (o.Ref.Kind == state.KindDomain || o.Ref.Kind == state.KindRecord) && o.Action != Refresh {
					s.needs(o.Key())
				}
			}
		case s.Action == Probe:
			s.needs(await, admin, b.keyOfKind(state.KindDatabase))
		case s.Ref.Kind == state.KindDeployment && s.Action != Delete:
			s.needs(b.keyOfKind(state.KindEnvironment), b.keyOfKind(state.KindDatabase))
		case s.Ref.Kind == state.KindAdmin:
			s.needs(await)
		case s.Ref.Kind == state.KindTraffic:
			s.needs(probe, await, admin)
			if b.made(b.deployment) == "" { // an earlier one, which nothing waits for: it serves once its environment is there, too
				s.needs(b.keyOfKind(state.KindEnvironment))
			}
		case s.Ref.Kind == state.KindDomain, s.Ref.Kind == state.KindRecord && b.address(s):
			s.needs(promote)
			if s.Ref.Kind == state.KindRecord {
				b.bound(s)
			} else {
				b.redirects(s)
			}
		case s.Ref.Kind == state.KindMail:
			s.needs(promote, b.proved)
		}
	}
}

// bound lets an address record wait until its host is bound to the site that it leads
// to.
func (b *builder) bound(record *Step) {
	host := record.Wish.Attributes.Literal("name")
	for _, o := range b.steps {
		if o.Ref.Kind == state.KindDomain && o.Wish != nil && o.Ref.Host() == host {
			there, _ := b.key(o.Ref)
			record.needs(there)
		}
	}
	if record.Action != Move {
		return
	}
	for _, w := range b.c.Wish { // it is bound since an earlier pass: where that can't be seen, the name stays where it serves
		if look := b.c.Looks[w.Ref]; w.Ref.Kind == state.KindDomain && w.Ref.Host() == host && look.Failed != "" {
			record.WaitFor(w.Provider, look.Failed)
		}
	}
}

// redirects lets a name that redirects wait until people reach the site at the other,
// whoever sees to that, and in whichever pass it was begun.
func (b *builder) redirects(domain *Step) {
	if domain.Wish == nil {
		return
	}
	to := domain.Wish.Attributes.Literal("redirect")
	for _, w := range b.sortedWish() {
		if k, ok := b.key(w.Ref); ok && to != "" && reachedBy(w, to) {
			domain.needs(k)
		}
	}
}

// reachedBy says that a wished resource is what people come to the site by at a name: the name bound there, or
// its address record.
func reachedBy(w state.Resource, name string) bool {
	return w.Ref.Kind == state.KindDomain && w.Ref.Host() == name || w.Ref.Kind == state.KindRecord && address(w) && w.Attributes.Literal("name") == name
}

// address says that a record step leads people to the site.
func (b *builder) address(s *Step) bool { return s.Wish != nil && address(*s.Wish) }

func address(record state.Resource) bool {
	v, _ := record.Attributes.Get("content")
	return v.Ref != nil
}

func (b *builder) find(a Action, r state.Ref) string {
	for _, s := range b.steps {
		if s.Action == a && s.Ref == r && !s.Outside {
			return s.Key()
		}
	}
	return ""
}

// made is the step that makes a Ref, without its await.
func (b *builder) made(r state.Ref) string {
	if n, ok := b.byRef[r]; ok {
		return b.steps[n].Key()
	}
	return ""
}

// keyOfKind is the step that makes the wished resource of a kind ready.
func (b *builder) keyOfKind(k state.Kind) string {
	for _, s := range b.steps {
		if s.Ref.Kind == k && (s.Action.Writes() || s.Action == Return) && s.Action != Delete {
			key, _ := b.key(s.Ref)
			return key
		}
	}
	return ""
}
