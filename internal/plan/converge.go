package plan

import (
	"sort"

	"github.com/compassdigital/reconciler/internal/state"
)

// converge plans from the record to the wish.
func (b *builder) converge() {
	b.checkData()
	for _, w := range b.sortedWish() {
		b.resource(w)
	}
	if len(b.problems) > 0 {
		return
	}
	b.release()
	b.connect()
	b.leftovers()
}

// checkData holds the client when an empty database would take a full one's place.
func (b *builder) checkData() {
	for _, r := range b.sortedRecord() {
		if r.Ref.Kind != state.KindDatabase || !r.Real() {
			continue
		}
		w, wished := b.wished[r.Ref]
		switch {
		case wished && w.Provider != r.Provider:
			b.problem(state.HoldData, "put back `database.provider: "+r.Provider+"`; moving data between providers is a plan of its own",
				"database.provider changes from %s to %s: the data is at %s, and an empty database never takes its place", r.Provider, w.Provider, r.Provider)
		case b.c.Looks[r.Ref].Gone:
			b.problem(state.HoldData, "restore it at "+r.Provider+", then `reconciler retry "+b.c.Client.Name+"`",
				"the database %s is gone at %s; an empty one never takes its place", r.ID, r.Provider)
		}
	}
}

// resource plans one wished resource.
func (b *builder) resource(w state.Resource) {
	have, ok := b.recorded[w.Ref]
	look := b.c.Looks[w.Ref]
	switch {
	case look.Foreign != "":
		b.problem(state.HoldParked, "settle at "+w.Provider+" whose it is, then `reconciler retry "+b.c.Client.Name+"`", "%s %s at %s bears the mark of %s: it is not ours", w.Ref.Kind, w.Ref.Name, w.Provider, look.Foreign)
	case look.Count > 1:
		b.problem(state.HoldParked, "delete the wrong one at "+w.Provider+", then `reconciler retry "+b.c.Client.Name+"`", "%d objects at %s could be %s %s", look.Count, w.Provider, w.Ref.Kind, w.Ref.Name)
	case !ok || !have.Real():
		b.absent(w, look)
	case have.Retained():
		b.comeBack(w, have, look)
	case w.Ref.Kind == state.KindMail:
		// sent once
	case look.Gone:
		b.create(w, &have, "it is gone at "+w.Provider)
	case have.Phase == "failed" && w.Ref.Kind == state.KindDeployment:
		b.replace(w, have, nil, "the last try failed")
	case have.Provider != w.Provider:
		b.replace(w, have, nil, "the provider changes from "+have.Provider+" to "+w.Provider)
	default:
		b.compare(w, have, look)
	}
	if look.Failed != "" {
		if n, planned := b.byRef[w.Ref]; planned {
			b.steps[n].Blocked, b.steps[n].Reason = true, "waiting for "+w.Provider+": "+look.Failed
		}
	}
}

func (b *builder) absent(w state.Resource, look Look) {
	if m, ok := b.moves.to[w.Ref]; ok {
		b.move(w, m)
		return
	}
	if look.Found && !look.Ours {
		if look.Equal && !b.traits(w.Provider, w.Ref.Kind).Data {
			w.ID, w.Found = look.ID, true
			b.add(Step{Number: Number(w.Ref.Kind), Action: Adopt, Ref: w.Ref, Provider: w.Provider, Wish: &w, Calls: b.traits(w.Provider, w.Ref.Kind).ObserveCalls,
				Reason: "an equal one exists; it is used and never changed", Undo: "it is taken off the record; it stays"})
			return
		}
		b.problem(state.HoldParked, "name it in `adopt:`, or remove it at "+w.Provider+", then `reconciler retry "+b.c.Client.Name+"`", "%s %s exists at %s without our mark", w.Ref.Kind, w.Ref.Name, w.Provider)
		return
	}
	b.create(w, nil, b.whyNew(w))
}

// whyNew is the reason of a create.
func (b *builder) whyNew(w state.Resource) string {
	if len(b.c.Recorded) == 0 {
		return "the manifest is new"
	}
	if w.Ref.Kind == state.KindDeployment {
		if old, ok := b.serving(); ok {
			if names := names(diff(old, w)); len(names) > 0 {
				return listWords(names) + " changed"
			}
		}
	}
	return "the manifest asks for it"
}

// serving is the recorded deployment that the recorded traffic points at.
func (b *builder) serving() (state.Resource, bool) {
	for _, r := range b.sortedRecord() {
		if r.Ref.Kind != state.KindTraffic {
			continue
		}
		if v, ok := r.Attributes.Get("deployment"); ok && v.Ref != nil {
			d, ok := b.recorded[*v.Ref]
			return d, ok
		}
	}
	return state.Resource{}, false
}

func (b *builder) create(w state.Resource, prior *state.Resource, reason string) {
	t := b.traits(w.Provider, w.Ref.Kind)
	b.add(Step{Number: Number(w.Ref.Kind), Action: Create, Ref: w.Ref, Provider: w.Provider, Wish: &w, Prior: prior, Fields: diff(state.Resource{}, w),
		Reason: reason, Undo: undoOfCreate(w, t), Calls: t.ObserveCalls + t.CreateCalls})
}

func undoOfCreate(w state.Resource, t state.Traits) string {
	switch {
	case t.Data:
		return "it is retained, never deleted by a rollback"
	case w.Ref.Kind == state.KindMail:
		return "a mail that was sent stays sent"
	}
	return "it is deleted again"
}

// comeBack puts retained data back into use.
func (b *builder) comeBack(w, have state.Resource, look Look) {
	if have.Provider != w.Provider {
		return // checkData has said it
	}
	wish := have
	wish.RetainedAt, wish.PurgeAfter = state.Resource{}.RetainedAt, state.Resource{}.PurgeAfter
	b.add(Step{Number: Number(w.Ref.Kind), Action: Return, Ref: w.Ref, Provider: w.Provider, Wish: &wish, Prior: &have, Reason: "the client returns, and its data with it", Undo: "it is retained again"})
	if fields := diff(have, w); len(fields) > 0 {
		b.update(w, have, fields, "")
		b.steps[len(b.steps)-1].needs(b.steps[len(b.steps)-2].Key())
	}
	_ = look
}

// compare plans the change of something that is there.
func (b *builder) compare(w, have state.Resource, look Look) {
	fields := diff(have, w)
	if len(fields) == 0 {
		if len(look.Differs) > 0 && !have.Found {
			b.update(w, have, look.Differs, "it was changed outside")
		}
		return
	}
	t := b.traits(w.Provider, w.Ref.Kind)
	for _, f := range fields {
		if !contains(t.Replace, f.Name) {
			continue
		}
		if t.Data {
			b.problem(state.HoldData, "put back "+f.Name, "%s of the %s changes, which %s can only do with a new one; data is never replaced by something empty", f.Name, w.Ref.Kind, w.Provider)
			return
		}
		b.replace(w, have, fields, f.Name+" can't be changed in place")
		return
	}
	b.update(w, have, fields, "")
}

func (b *builder) update(w, have state.Resource, fields []Field, reason string) {
	t := b.traits(w.Provider, w.Ref.Kind)
	if reason == "" {
		reason = listWords(names(fields)) + " changed"
	}
	s := Step{Number: Number(w.Ref.Kind), Action: Update, Ref: w.Ref, Provider: w.Provider, Wish: &w, Prior: &have, Fields: fields, Reason: reason,
		Undo: "it is changed back", Calls: t.ObserveCalls + t.UpdateCalls}
	if t.Serving {
		s.Risk = RiskTraffic
	}
	if b.mail(have) {
		s.Risk = RiskMail
	}
	if w.Ref.Kind == state.KindTraffic {
		s.Undo = "the earlier deployment is promoted again"
		if d, ok := b.recorded[b.deployment]; ok && d.Real() && d.Phase == "" {
			s.Reason = "an earlier deployment is promoted; nothing is built"
		}
	}
	b.add(s)
}

func (b *builder) replace(w, have state.Resource, fields []Field, reason string) {
	t := b.traits(w.Provider, w.Ref.Kind)
	s := Step{Number: Number(w.Ref.Kind), Action: Replace, Ref: w.Ref, Provider: w.Provider, Wish: &w, Prior: &have, Fields: fields, Reason: reason,
		Undo: "the earlier one is made again", Calls: t.ObserveCalls + t.DeleteCalls + t.CreateCalls}
	if t.Serving {
		s.Risk = RiskGap
	}
	if b.mail(have) {
		s.Risk = RiskMail
	}
	b.add(s)
}

// release plans what a new or promoted deployment needs: waiting, probing, promoting.
func (b *builder) release() {
	if b.deployment.IsZero() {
		return
	}
	w := b.wished[b.deployment]
	have, known := b.recorded[b.deployment]
	_, made := b.byRef[b.deployment]
	_, promoted := b.byRef[b.traffic]
	t := b.traits(w.Provider, state.KindDeployment)
	if made || (known && have.Phase == "progressing") {
		b.add(Step{Number: StepMonitor, Action: Await, Ref: b.deployment, Provider: w.Provider, Reason: "until it is built", Undo: "nothing: it only waits", Calls: t.ObserveCalls})
		made = true
	}
	if b.c.Health && (made || promoted) {
		b.add(Step{Number: StepHealth, Action: Probe, Ref: b.deployment, Provider: w.Provider, Reason: "on its own address, before it serves", Undo: "nothing: it only asks"})
	}
	if b.c.Health && b.reconnected() {
		s := b.add(Step{Number: StepHealth, Action: Probe, Ref: b.traffic, Provider: w.Provider, Outside: true, Reason: "outside in, at the public name", Undo: "nothing: it only asks"})
		b.proved = s.Key()
	}
}

// reconnected says that what the public reaches changes.
func (b *builder) reconnected() bool {
	for _, s := range b.steps {
		switch s.Ref.Kind {
		case state.KindTraffic, state.KindDomain:
			return true
		case state.KindRecord:
			if t := s.Wish.Attributes.Literal("type"); t == "A" || t == "AAAA" || t == "CNAME" {
				return true
			}
		}
	}
	return false
}

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
		case s.Action == Await:
			s.needs(b.made(b.deployment))
		case s.Action == Probe && s.Outside:
			s.needs(promote, probe)
			for _, o := range b.steps {
				if o.Ref.Kind == state.KindDomain || o.Ref.Kind == state.KindRecord {
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
		case s.Ref.Kind == state.KindDomain, s.Ref.Kind == state.KindRecord && b.address(s):
			s.needs(promote)
		case s.Ref.Kind == state.KindMail:
			s.needs(promote, b.proved)
		}
	}
}

// address says that a record step leads people to the site.
func (b *builder) address(s *Step) bool {
	if s.Wish == nil {
		return false
	}
	v, _ := s.Wish.Attributes.Get("content")
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

func (b *builder) keyOfKind(k state.Kind) string {
	for _, s := range b.steps {
		if s.Ref.Kind == k && (s.Action.Writes() || s.Action == Return) && s.Action != Delete {
			return s.Key()
		}
	}
	return ""
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// newestFirst sorts deployments, the youngest first.
func newestFirst(all []state.Resource) {
	sort.SliceStable(all, func(i, j int) bool {
		if !all[i].UpdatedAt.Equal(all[j].UpdatedAt) {
			return all[i].UpdatedAt.After(all[j].UpdatedAt)
		}
		return all[i].Ref.Less(all[j].Ref)
	})
}
