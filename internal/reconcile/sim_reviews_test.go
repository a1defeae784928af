package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// reviewLaws is what the laws of pull requests know: from the branch and from what was
// shown, never from our records.
type reviewLaws struct {
	removals bool // those that no pull request showed are held
	// bound are, by client whose wish is not done yet, the pull requests that brought it.
	bound map[state.ClientID]*bringing
	// passing are the heads that gave those their wish of whom passes were begun, until they end.
	passing map[state.ClientID]string
	// over are those whose wish got a push in its place in this event, not all of it planned.
	over map[state.ClientID]bool
	// undone are, by such a client, those over or beside which a push came that nobody proposed:
	// an equal step was reviewed, and its wish is not done.
	undone map[state.ClientID]map[int]bool
	// maybe are clients of whose wish a pull request may have brought something.
	maybe map[state.ClientID]bool
	// let are the steps that somebody approved, by client and key: the approval's fingerprint.
	let map[state.ClientID]map[string]string
	// pushed are the versions that pushes brought that nobody proposed, by client.
	pushed map[state.ClientID]map[look]bool
	serves map[string]served // by host that is up
	before map[string]look   // by host: what people saw before the wish that is not done
	comes  map[string]bool   // releases that were being built where they serve as a client's pass failed
	away   map[string]served // by host: what they saw until a person took its record away, which may be put back
	// later are files that were brought, by pull requests or by nobody's push, and that were
	// not taken over so far: they were invalid, and may become valid by what others do.
	later map[string]*bringing
	good  string // the last template that was accepted and not broken: whoever has it gets nothing new with it
	// may are all files of ranges in which a pull request may have brought something.
	may map[string]string
	// refused are those of them that nobody's wish is of so far: whoever changes them adds to what
	// was brought before.
	refused map[string]bool
}

// bringing is how pull requests brought a wish.
type bringing struct {
	by      map[int]bool
	beside  map[int]bool // of what is taken over later: all of the ranges until then
	blob    string       // of what is taken over later
	at      string       // the head that brought what is taken over later
	partial bool         // not all that was merged was merged as it was planned
	pushed  []look       // of what is taken over later: earlier versions that nobody proposed
	instead string       // of what is taken over later: the file as it was before all that was not
	taken   bool         // it was taken over, and gave nobody another wish
}

// over lets what is taken over later take the place of an earlier version that was not: what
// brought that may be in it, too, as with a wish that is not done. See bind and nobodys. Nothing of
// it is in the file as it was before, which its client has all along: who gives that back, and
// changes a template beside it, does what none of them brought.
func (b *bringing) over(was *bringing, its look) {
	if b.instead = was.instead; b.blob == b.instead {
		return
	}
	maps.Copy(b.beside, was.by)
	maps.Copy(b.beside, was.beside)
	b.pushed = append(b.pushed, was.pushed...)
	if len(was.by) == 0 {
		b.pushed = append(b.pushed, its)
	} else if was.partial {
		maps.Copy(b.by, was.by)
		b.partial = true
	}
}

// look is what people see of a site. A site of no theme has the theme "".
type look struct{ colour, theme, ref string }

// unseen is what nobody can see of a site.
const unseen = "-"

// each says of every part of two looks whether it is the same.
func (l look) each(o look) [3]bool {
	return [3]bool{l.colour == o.colour, l.theme == o.theme, l.ref == o.ref}
}

// served is what people see at a host, and whose it is.
type served struct {
	look
	owner state.ClientID
}

func newReviewLaws() reviewLaws {
	return reviewLaws{bound: map[state.ClientID]*bringing{}, over: map[state.ClientID]bool{}, undone: map[state.ClientID]map[int]bool{}, maybe: map[state.ClientID]bool{}, let: map[state.ClientID]map[string]string{}, pushed: map[state.ClientID]map[look]bool{}, serves: map[string]served{}, later: map[string]*bringing{}, may: map[string]string{}, refused: map[string]bool{}, before: map[string]look{}, comes: map[string]bool{}, away: map[string]served{}}
}

// judge is the engine as the reviewer sees it. Judging writes nothing anywhere (P2), and a
// stranger's proposal is not planned.
type judge struct {
	*reconcile.Engine
	s *story
}

func (j judge) Judge(ctx context.Context, p reconcile.Proposal) (reconcile.Judgement, error) {
	s := j.s
	s.say("judge %s onto %s", p.Commit[36:], p.Base[36:])
	alone := !s.besides
	before, at, opened := s.allWritten(alone), s.world.clock.Now(), s.opened.Load()
	out, err := j.Engine.Judge(ctx, p)
	if after := s.allWritten(alone); after != before && s.world.clock.Now().Equal(at) {
		s.broken("P2: judging %s writes: %s, and was %s", p.Commit[36:], after, before)
	}
	if alone && s.opened.Load() != opened { // whoever writes waits for it, and a full disk would stop it
		s.broken("P2: judging %s opens a transaction to write", p.Commit[36:])
	}
	s.leaks("a judgement", fmt.Sprintf("%+v", out))
	if p.Static && (len(out.Changes) > 0 || len(out.Shown) > 0) {
		s.broken("P2: what a stranger sent is planned: %+v", out.Changes)
	}
	if err != nil {
		return out, err
	}
	sh := &shown{head: p.Commit, static: p.Static, files: map[string]string{}, steps: map[string]int{}, tree: s.pulls.trees[p.Commit], waits: out.Waits}
	was := map[string]string{}
	for _, f := range p.At {
		was[f.Path] = f.Blob
	}
	for _, f := range p.Merged {
		if was[f.Path] != f.Blob {
			sh.files[f.Path] = f.Blob
		}
		delete(was, f.Path)
	}
	for path := range was {
		sh.files[path] = ""
	}
	for _, c := range out.Changes {
		for _, step := range c.Steps {
			key := stepOf(c.Client, step.Action, step.Ref)
			sh.steps[key] = max(sh.steps[key], plan.Risk(step.Risk).Rank())
			if step.Risk != "" {
				s.say("    shows %s: %s", key, step.Risk)
			}
		}
	}
	c := s.pulls.by[p.Commit]
	s.pulls.plans[c.number] = append(s.pulls.plans[c.number], sh)
	return out, err
}

// diedAccepting: the process died between the commit that accepted what pull requests
// brought, and whatever would have followed.
const diedAccepting = "killed as it accepted pull requests"

// forgeAway: the place where pull requests live did not answer.
const forgeAway = "forge away"

// stepOf names a step as people read it. A release's name knows versions of secrets.
func stepOf(client, action, ref string) string {
	if strings.HasPrefix(ref, string(state.KindDeployment)+"/") {
		ref = string(state.KindDeployment)
	}
	return client + ": " + action + " " + ref
}

// allWritten is what vendors have, and how often the store was written. How far a vendor has
// built something is not in it: that goes on while it is looked at, and a plan may look.
func (s *story) allWritten(alone bool) string {
	if !alone {
		return ""
	}
	var now store.Moment
	s.view(func(tx store.Tx) error { _, now, _ = tx.Since("meta", nil); return nil })
	return fmt.Sprintf("%v\n%s", now, s.vendors.world.Written())
}

// brought follows the engine when it accepted a head: which pull requests brought which
// client's wish, and whether as they were planned.
func (s *story) brought(from, head string, clients []state.Client) {
	l := &s.pulls.laws
	defer func() {
		for p, blob := range l.may {
			l.refused[p] = blob != ""
		}
		s.taken(s.clients())
		if now := s.trees[head].template; refOf(now) != "" {
			l.good = now
		}
	}()
	if from == "" || !s.repo.descends(from, head) {
		for _, c := range clients {
			l.maybe[c.ID] = true
		}
		l.may = maps.Clone(s.repo.trees[head])
		// What was refused and is another file by now, or none, an approved head brought.
		maps.DeleteFunc(l.later, func(p string, b *bringing) bool { return s.repo.trees[head][p] != b.blob })
		// What plans had shown of a wish that is not done yet, and what those of the history that somebody
		// approved showed, counts on for who brings the next one: see nobodys.
		for id, b := range l.bound {
			l.goesOn(id, b.by)
		}
		l.bound = map[state.ClientID]*bringing{}
		for _, c := range clients {
			if from != "" {
				l.goesOn(c.ID, s.rangeOf(from, head).all())
			}
		}
		return
	}
	// Who has a version that this head has no more got it by a judgement before, as by an approval, whatever else
	// the client inherits of this head.
	s.takenLaterAt(from, slices.DeleteFunc(s.clients(), func(c state.Client) bool {
		return c.Accepted != from && s.repo.trees[head][c.Path] == c.Blob
	}))
	r := s.rangeOf(from, head)
	if s.died && len(r.sure) > 0 {
		s.hit(diedAccepting)
	}
	for _, n := range slices.Sorted(maps.Keys(r.sure)) {
		s.recordedAccepted(n, head)
	}
	later := maps.Clone(l.later) // a rename takes one of the files away
	for p := range r.now {
		delete(l.later, p)
		formers := s.formers(r, p)
		if delete(l.may, p); r.any || s.perhapsNamed(r, p) || slices.ContainsFunc(append(formers, p), func(f string) bool { return l.refused[f] }) {
			l.may[p] = r.now[p]
		}
		if strings.HasPrefix(p, "clients/") && r.now[p] != "" {
			by := r.bringers(p)
			b := &bringing{by: by, beside: map[int]bool{}, blob: r.now[p], at: head, partial: r.bad[p] || r.unplanned(by), instead: s.repo.trees[from][p]}
			for _, f := range append(formers, p) {
				if was := later[f]; was != nil && !was.taken {
					x := s.bySpec[was.blob]
					b.over(was, look{x.colour, x.theme, refOf(s.trees[was.at].template)})
				}
			}
			l.later[p] = b
		}
	}
	for n := range r.sure { // a plan onto an older head is about files, too, that an earlier range brought
		if kept := s.pulls.kept[n]; kept != nil {
			for p := range kept.files {
				l.may[p] = s.repo.trees[head][p]
			}
		}
	}
	for _, b := range l.later {
		maps.Copy(b.beside, r.all())
	}
	for _, c := range clients {
		if s.touchedBy(c, head) {
			s.bind(r, c)
		}
	}
}

// formers are the files that a new one says it was, and that the range took away: what was
// refused there it may hold, whoever has its name ("A client has an immutable id").
// "`previously` may name only a client that is removed in the same range of commits": a file of
// whom none ever was is nobody's former one, nor is that of a client whom an earlier range took
// away, but for one that the removal waits for. Whoever comes so is another client, and what was
// brought of that one's return is not its own. Who is a client already can't become another one.
func (s *story) formers(r *landed, path string) (out []string) {
	x, is := s.bySpec[r.now[path]]
	was := "clients/" + x.previously + ".yaml"
	known := slices.ContainsFunc(s.clients(), func(c state.Client) bool {
		return s.names[c.ID] == x.previously && (s.touchedBy(c, r.head) || s.waitsForFile(c, path))
	})
	already := slices.ContainsFunc(s.clients(), func(c state.Client) bool {
		return "clients/"+c.Name+".yaml" == path && !c.Removed && !slices.Contains(c.Former, x.previously)
	})
	if blob, changed := r.now[was]; is && known && !already && changed && blob == "" {
		out = append(out, was)
	}
	return out
}

// perhapsNamed says that a new file may hold what was refused in one that the range took away: where it
// can't be read, whom it says to have been is not known, and then what was brought waits.
func (s *story) perhapsNamed(r *landed, path string) bool {
	already := slices.ContainsFunc(s.clients(), func(c state.Client) bool {
		return "clients/"+c.Name+".yaml" == path && !c.Removed && !s.touchedBy(c, r.head)
	})
	for p, blob := range r.now {
		if blob == "" && s.pulls.laws.refused[p] && r.now[path] != "" && !already {
			return true
		}
	}
	return false
}

// waitsForFile says that the removal of a client waits for a file.
func (s *story) waitsForFile(c state.Client, path string) bool {
	return slices.ContainsFunc(s.tombstones(c.ID), func(t state.Tombstone) bool {
		return t.Part == "" && !t.Done && slices.Contains(accept.WaitsFor(t), path)
	})
}

// taken notes which files are the wish of one of these by now.
func (s *story) taken(clients []state.Client) {
	l := &s.pulls.laws
	for _, c := range clients {
		if b := l.later[c.Path]; b != nil && b.blob == c.Blob && !c.Removed {
			b.taken = true
		}
		if l.may[c.Path] == c.Blob && !c.Removed {
			delete(l.refused, c.Path)
		}
	}
}

// bind notes whose wish it is that the client got. What other plans of the range showed runs,
// too.
func (s *story) bind(r *landed, c state.Client) {
	l := &s.pulls.laws
	l.maybe[c.ID] = l.maybe[c.ID] || r.any || l.may[c.Path] == c.Blob
	template := s.trees[r.head].template
	own := s.filesOfClient(c, r.now, !c.Removed && refOf(template) != "" && template != l.good)
	set := r.bringers(own...)
	partial := r.unplanned(set) || slices.ContainsFunc(own, func(p string) bool { return r.bad[p] })
	before := map[int]bool{} // who brought versions of its file that were not taken over
	if late := l.later[c.Path]; late != nil && late.at == r.head && late.blob == c.Blob {
		maps.Copy(set, late.by)
		maps.Copy(before, late.beside)
		partial = partial || late.partial && len(late.by) > 0
		for _, x := range late.pushed {
			l.push(c.ID, x)
		}
		delete(l.later, c.Path)
	}
	all := r.all()
	maps.Copy(all, before)
	b := l.bound[c.ID]
	if len(set) == 0 {
		late := l.later[c.Path]
		if late != nil && late.blob == c.Blob && late.taken { // its client had it all along: what changes is what it inherits
			delete(l.later, c.Path)
			late = nil
		}
		if late == nil || late.blob != c.Blob || len(late.by) == 0 { // else it is theirs: see takenLater
			l.nobodys(c.ID, s.lookOf(s.trees[r.head], c), all)
		} else if b != nil && b.partial {
			maps.Copy(b.by, all)
		}
		return
	}
	if b == nil {
		b = &bringing{by: map[int]bool{}}
		l.binds(c.ID, b)
	}
	maps.Copy(b.by, all)
	b.partial = b.partial || partial
	s.say("    the wish of %s is of pull requests %v, as planned: %v", c.ID, slices.Sorted(maps.Keys(set)), !b.partial)
}

// nobodys notes that a client got a wish that nobody proposed: the guard alone decides, but
// where what was brought before was not all planned: there what plans of its range showed runs.
// "A step runs if an equal step was reviewed in the accepted range": until this wish is done, the
// next one's range goes on from it, and what was shown before the push, in its own range or in one
// before, counts for who brings the next one. When somebody polled in between is no matter.
func (l *reviewLaws) nobodys(id state.ClientID, x look, of map[int]bool) {
	b := l.bound[id]
	if b != nil && b.partial {
		maps.Copy(b.by, of)
		l.over[id] = true
		return
	}
	l.goesOn(id, of)
	if b != nil {
		l.goesOn(id, b.by)
	}
	delete(l.bound, id)
	l.push(id, x)
}

// goesOn notes whose plans count on for who brings a client's next wish, until this one is done.
func (l *reviewLaws) goesOn(id state.ClientID, of map[int]bool) {
	if l.undone[id] == nil {
		l.undone[id] = map[int]bool{}
	}
	maps.Copy(l.undone[id], of)
}

// binds notes who brought the wish of a client that was nobody's.
func (l *reviewLaws) binds(id state.ClientID, b *bringing) {
	maps.Copy(b.by, l.undone[id])
	l.bound[id] = b
}

// push notes what a push brought that nobody proposed.
func (l *reviewLaws) push(id state.ClientID, x look) {
	if l.pushed[id] == nil {
		l.pushed[id] = map[look]bool{}
	}
	l.pushed[id][x] = true
}

// touchedBy says that a head gave the client another wish, or took its manifest away.
func (s *story) touchedBy(c state.Client, head string) bool {
	if c.Removed {
		return slices.ContainsFunc(s.tombstones(c.ID), func(t state.Tombstone) bool { return t.Part == "" && t.Commit == head })
	}
	return c.Commit == head
}

// filesOfClient are those of the changed files that a client's wish comes from. A template
// that is broken is not, nor one that is again what it was before it broke, and who goes needs
// none. The file of a former name is its own where it gets its new name with this head, as the
// rename takes that one away; later, or as it goes itself, it is whoever else's has the name by then.
func (s *story) filesOfClient(c state.Client, now map[string]string, template bool) []string {
	var out []string
	for p := range now {
		name := clientOf(p)
		if template && p == "templates/shop.yaml" || name == c.Name || !c.Removed && name == s.names[c.ID] && now[p] == "" {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

func (s *story) lookOf(m manifests, c state.Client) look {
	x, ok := m.specs[c.Name]
	if !ok || x.invalid() {
		x = s.bySpec[c.Blob]
	}
	return look{x.colour, x.theme, refOf(m.template)}
}

func refOf(template string) string {
	_, rest, _ := strings.Cut(template, "ref: ") // a broken one has none
	return rest[:min(2, len(rest))]
}

// broughtBefore says that a pull request is on record as what another head brought.
func (s *story) broughtBefore(number int, head string) (before bool) {
	s.view(func(tx store.Tx) error {
		p, _, err := store.Pull(tx, number)
		before = slices.ContainsFunc(p.Accepted, func(h string) bool { return h != head })
		return err
	})
	return before
}

// recordedAccepted: a pull request that a range brought knows the head that brought it (P9).
func (s *story) recordedAccepted(number int, head string) {
	s.view(func(tx store.Tx) error {
		p, ok, err := store.Pull(tx, number)
		if ok && !slices.Contains(p.Accepted, head) {
			s.broken("P9: head %s brought pull request %d, and it knows of %v", head[36:], number, p.Accepted)
		}
		return err
	})
}

// shownBefore: what bears a risk runs, for a client whose wish pull requests brought, when
// a plan of theirs showed it, or somebody approved it (P12). A pass that judges the head again
// makes files valid in its middle.
func (s *story) shownBefore(step plan.Step) {
	if s.pulls.on && !s.wasShown(step) {
		if s.takenLater(); !s.wasShown(step) {
			s.broken("P12: %s runs with the risk %s, and no plan of pull requests %v showed it", keyOf(step), step.Risk, slices.Sorted(maps.Keys(s.pulls.laws.bound[step.Ref.Client].by)))
		}
	}
}

func keyOf(s plan.Step) string {
	return stepOf(s.Client, string(s.Action), string(s.Ref.Kind)+"/"+s.Ref.Name)
}

func (s *story) wasShown(step plan.Step) bool {
	b, c := s.pulls.laws.bound[step.Ref.Client], s.client(step.Ref.Client)
	if b == nil || step.Risk != plan.RiskTraffic && step.Risk != plan.RiskOffline || c.RollingBack != "" || s.pulls.laws.let[c.ID][letKey(step.Key())] != "" {
		return true
	}
	if c.Removed && s.letGo[c.ID] { // that the whole of it goes somebody approved
		return true
	}
	keys := []string{keyOf(step)}
	if step.Action == plan.Create && step.Prior != nil { // "the same or less risky": it was shown as changed, and is gone since
		changed := step
		changed.Action = plan.Update
		keys = append(keys, keyOf(changed))
	}
	if step.Ref.Kind == state.KindDeployment { // "the same": it was shown as made, and tried since, or as made anew, and is gone
		for as, a := range map[plan.Action]plan.Action{plan.Replace: plan.Create, plan.Create: plan.Replace} {
			if made := step; step.Action == as {
				made.Action = a
				keys = append(keys, keyOf(made))
			}
		}
	}
	for n := range b.by {
		if slices.ContainsFunc(s.pulls.plans[n], func(sh *shown) bool {
			return slices.ContainsFunc(keys, func(k string) bool { return sh.steps[k] >= step.Risk.Rank() })
		}) {
			return true
		}
	}
	return false
}

// servesWhatWasShown: what people see of a client whose wish pull requests brought changes
// to what their plans showed (P12). It is asked after every write.
func (s *story) servesWhatWasShown(when string) {
	l := &s.pulls.laws
	if !s.pulls.on {
		return
	}
	for _, host := range slices.Sorted(maps.Keys(s.up)) {
		now, was := s.sees(host), l.serves[host]
		if l.serves[host] = now; now == was || now.owner == "" || now.owner != was.owner || now == l.away[host] {
			continue // that a name moves is a step of its own
		}
		c := s.client(now.owner)
		failed := failedOnce(c) || s.engine.Head() != s.accepted // with the head before; what it is now is of this one
		release, _ := s.vendors.world.Serves(host)
		if back, ok := l.before[host]; (failed || l.comes[release]) && ok && back == now.look {
			continue // a release that was built again to put it back, and comes by now: see comesBack
		} else if !ok {
			l.before[host] = was.look
		}
		if c.RollingBack != "" || len(l.let[now.owner]) > 0 || s.saidSo(c, now.look, was.look) {
			continue
		}
		if s.takenLater(); !s.saidSo(c, now.look, was.look) {
			s.broken("P12: %s shows %v after %s, was %v, and no plan of pull requests %v said so", host, now, when, was, slices.Sorted(maps.Keys(l.bound[c.ID].by)))
		}
	}
}

// comesUp notes what people see at a host that comes up, so that from the first write on it is
// asked what changes that. What it showed when it was up before is no matter, though it was the
// same client's: nobody saw it in between, and "that a name moves is a step of its own", back, too.
func (s *story) comesUp(host string) {
	if s.pulls.on {
		s.pulls.laws.serves[host] = s.sees(host)
	}
}

// seen is what people see at the hosts that are up.
func (s *story) seen() map[string]served {
	out := map[string]served{}
	for host := range s.up {
		out[host] = s.sees(host)
	}
	return out
}

// byPerson notes what people see once a person took away what led a host there, and what they saw before:
// neither that nor its return is anything that a plan says.
func (s *story) byPerson(before map[string]served) {
	for host, was := range before {
		if now := s.sees(host); s.pulls.on && now != was {
			s.pulls.laws.serves[host], s.pulls.laws.away[host] = now, was
		}
	}
}

// saidSo: every part of what people see of a client is what it was, or what somebody pushed
// that nobody proposed, or what a plan said.
func (s *story) saidSo(c state.Client, now, was look) bool {
	l := &s.pulls.laws
	b := l.bound[c.ID]
	if b == nil {
		return true
	}
	said := now.each(was)
	also := func(x look) {
		for i, same := range now.each(x) {
			said[i] = said[i] || same
		}
	}
	for x := range l.pushed[c.ID] {
		also(x)
	}
	for n := range b.by {
		for _, sh := range s.pulls.plans[n] {
			if !sh.static {
				also(s.lookOf(sh.tree, c))
			}
		}
	}
	return said == [3]bool{true, true, true}
}

// sees is what people see at a host; nobody's where that can't be told.
func (s *story) sees(host string) served {
	d, ok := s.vendors.world.Serves(host)
	o, there := s.vendors.world.Object(d)
	if !ok || !there || !ours(o) || s.planted[o.ID] {
		return served{}
	}
	return served{look{s.vendors.world.BuiltWith(d)["COLOUR"], themeOf(attribute(o, "settings")), attribute(o, "ref")}, o.Mark.Client}
}

// themeOf is the theme in the settings that a release was given, as JSON.
func themeOf(settings string) string {
	_, rest, _ := strings.Cut(settings, `"theme":"`)
	theme, _, _ := strings.Cut(rest, `"`)
	return theme
}

// letKey is a step's key as an approval means it: a release's name knows versions of secrets,
// and what is approved does not.
func letKey(key string) string {
	before, _, release := strings.Cut(key, "/"+string(state.KindDeployment)+"/")
	if release {
		return before + "/" + string(state.KindDeployment)
	}
	return key
}

// letBy notes what an approval lets run: what was not shown, or what leaves a time without
// service. Both bind the release that people are led to.
func (s *story) letBy(h state.Hold) {
	l := &s.pulls.laws
	if h.Kind != state.HoldRisk && h.Kind != state.HoldData || h.Client == "" {
		return
	}
	if l.let[h.Client] == nil {
		l.let[h.Client] = map[string]string{}
	}
	for _, key := range h.Steps {
		l.let[h.Client][letKey(key)] = h.Fingerprint
	}
}

// reviewed checks what must hold between any two passes: nothing waits as not shown but
// what a pull request may have brought, and what is done is nobody's matter any more.
func (s *story) reviewed() {
	l := &s.pulls.laws
	if !s.pulls.on {
		return
	}
	s.takenLater()
	waits := map[state.ClientID]bool{}
	for _, h := range s.holds() {
		if h.Kind != state.HoldRisk {
			continue
		}
		waits[h.Client] = true
		if !l.maybe[h.Client] {
			s.broken("P12: %s waits as not shown, and no pull request brought anything: %+v", h.Client, h)
		}
	}
	for _, c := range s.clients() {
		s.comesBack(c)
		if (c.Settled || s.rested[c.ID]) && !waits[c.ID] &&
			(c.Status == state.StatusActive && c.Converged == c.WishHash || c.Status == state.StatusRetained) {
			delete(l.bound, c.ID)
			delete(l.undone, c.ID)
			delete(l.maybe, c.ID)
			// "`approve` binds exactly those steps; it is used once, within 24 hours": what is still to
			// be taken away may wait for the client's file, and then has its approval still, as has what
			// another commit took back before it ran, and one brings again.
			if !slices.ContainsFunc(s.tombstones(c.ID), func(t state.Tombstone) bool { return !t.Done }) {
				maps.DeleteFunc(l.let[c.ID], func(_, fingerprint string) bool { return !s.unspent(c.ID, fingerprint) })
			}
			delete(l.pushed, c.ID)
			maps.DeleteFunc(l.before, func(host string, _ look) bool { return s.up[host] == c.ID || s.up[host] == "" })
		}
	}
}

// hadRested are those who have come to rest. A start asks everybody to be looked at, and then that is not to be seen any
// more: who has what its manifest asks for may be on its way all the same, as its removal, or its return to what it was,
// was accepted while its last pass ran.
func (s *story) hadRested() map[state.ClientID]bool {
	out := map[state.ClientID]bool{}
	for _, c := range s.clients() {
		out[c.ID] = c.Settled
	}
	return out
}

// failedOnce says that a client's last pass failed, also where a newer wish is there by now.
func failedOnce(c state.Client) bool {
	return c.Status == state.StatusFailed || strings.HasSuffix(c.Because, "; a newer commit replaced that wish")
}

// comesBack notes what a failed client's host builds in place still: it was begun to put back the version before, and
// nobody could see how it went. "A failed update leaves the old version serving, or puts it back where the vendor deploys
// in place": it comes to be whatever is done next, though the next pass would take it away, and waits for that host itself.
func (s *story) comesBack(c state.Client) {
	if !s.inPlace || !failedOnce(c) || c.RollingBack != "" {
		return
	}
	for _, r := range s.resources(c.ID) {
		if r.Provider == "ploi" && plan.Comes(r, state.Traits{}) {
			s.pulls.laws.comes[r.ID] = true
		}
	}
}

// unspent says that nothing was done by an approval so far.
func (s *story) unspent(id state.ClientID, fingerprint string) (is bool) {
	s.view(func(tx store.Tx) error {
		a, ok, err := store.Approval(tx, fingerprint)
		is = ok && a.Client == id && a.Used.IsZero() && !a.Ended && s.world.clock.Now().Sub(a.At) < state.ApprovalLife
		return err
	})
	return is
}

// beginsPasses notes what passes are begun of.
func (s *story) beginsPasses() {
	l := &s.pulls.laws
	l.over, l.passing = map[state.ClientID]bool{}, map[state.ClientID]string{}
	for _, c := range s.clients() {
		l.passing[c.ID] = c.Commit
	}
}

// diedPassing is doneBefore of all of whom a pass was begun when the process died: theirs may have ended before
// that, whether or not anybody was told, and what is on record of it a death does not take back. Where it was no
// pass that died, none is noted as begun, and no wish counts as done.
func (s *story) diedPassing() {
	for _, c := range s.clients() {
		s.doneBefore(c.ID)
	}
}

// doneBefore: of a pass that ran while another head was accepted the verdict of its own tells that it
// had carried its wish out before that, and then the push stands for itself.
func (s *story) doneBefore(id state.ClientID) {
	l := &s.pulls.laws
	if !l.over[id] {
		return
	}
	fate := ""
	s.view(func(tx store.Tx) (err error) { fate, _, err = store.Fate(tx, l.passing[id], id); return err })
	if fate == accept.FateSucceeded { // else it would be superseded
		delete(l.bound, id)
		delete(l.undone, id)
	}
}

// takenLater binds what was invalid when it was brought, and is taken over by now: also what
// nobody proposed, which frees from what was brought before as any push does. What the other
// plans of the range in which the file was brought, and of those until it was taken over, showed
// belongs to it, as with a valid file.
func (s *story) takenLater() { s.takenLaterAt(s.accepted, s.clients()) }

// takenLaterAt is takenLater of a head that was judged again, and of clients that got their wish by that:
// another one may have followed it since.
func (s *story) takenLaterAt(accepted string, clients []state.Client) {
	l := &s.pulls.laws
	s.taken(clients)
	for _, c := range clients {
		b := l.later[c.Path]
		if c.Accepted == accepted && l.may[c.Path] == c.Blob && c.Converged != c.WishHash {
			l.maybe[c.ID] = true // it may have become valid just now
		}
		if b == nil || b.blob != c.Blob || c.Removed {
			continue
		}
		if len(b.by) == 0 { // a push that nobody proposed; c.Commit says that it gave c this wish
			if c.Commit == accepted {
				delete(l.later, c.Path)
				for _, x := range b.pushed {
					l.push(c.ID, x)
				}
				l.nobodys(c.ID, s.lookOf(s.trees[accepted], c), b.beside)
			}
			continue
		}
		delete(l.later, c.Path)
		l.maybe[c.ID] = true
		if slices.Index(s.heads, c.Commit) < slices.Index(s.heads, b.at) {
			continue // the file is another one, and the wish is what it was
		}
		for _, x := range b.pushed {
			l.push(c.ID, x)
		}
		maps.Copy(b.by, b.beside)
		l.push(c.ID, look{unseen, unseen, refOf(s.trees[accepted].template)}) // what it inherits is that of now
		if have := l.bound[c.ID]; have != nil {
			maps.Copy(have.by, b.by)
			have.partial = have.partial || b.partial
		} else {
			l.binds(c.ID, b)
		}
		s.say("    the wish of %s is of pull requests %v by now, as planned: %v", c.ID, slices.Sorted(maps.Keys(b.by)), !l.bound[c.ID].partial)
	}
}

// removalsShown: where removals are to be reviewed, a client is taken away that a plan of
// a pull request showed as gone, or that somebody let go (P5).
func (s *story) removalsShown(from, head string, clients []state.Client) {
	if !s.pulls.laws.removals || from == "" || !s.repo.descends(from, head) {
		return
	}
	ids := map[string]bool{}
	for _, c := range s.repo.history(from, head) {
		ids[c.ID] = true
	}
	gone := map[string]bool{}
	for _, c := range s.pulls.all {
		for _, sh := range s.pulls.plans[c.number] {
			for p, blob := range sh.files {
				gone[p] = gone[p] || blob == "" && !sh.static
			}
		}
	}
	for _, c := range clients {
		for _, t := range s.tombstones(c.ID) {
			if t.Part == "" && t.Commit == head && c.Removed && t.Held == "" && !s.letGo[c.ID] && !gone["clients/"+t.Name+".yaml"] {
				s.broken("P5: %s is removed by %s, and no plan of a pull request showed that: %+v", c.ID, head[36:], t)
			}
		}
	}
}

// headsEnd: every head of a pull request that was told as pending came to its end (P9).
func (s *story) headsEnd() {
	for _, subject := range slices.Sorted(maps.Keys(s.told)) {
		if strings.HasPrefix(subject, "head/") && s.told[subject] == "pending" {
			s.Fatalf("P9: %s is pending for ever", subject)
		}
	}
}

// forgetReviews begins anew after a state was lost or put back.
func (s *story) forgetReviews() {
	removals := s.pulls.laws.removals
	s.pulls.laws = newReviewLaws()
	s.pulls.laws.removals = removals
	s.pulls.told, s.pulls.kept = nil, nil
	for _, c := range s.clients() {
		s.pulls.laws.maybe[c.ID] = true
	}
	s.pulls.on = false // nobody proposes any more
}
