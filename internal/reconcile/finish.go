package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// finish commits how the pass ended for one client: its status, the audit record, the
// progress lines, the tombstones, the verdict of its commit, the history and what is
// to be reported, all in one transaction. The client is read again first: a newer wish
// may have been accepted meanwhile, and stays.
func (e *Engine) finish(g *group, m *member, result *apply.Result, end ending) (Done, error) {
	var done Done
	if m.quarantined() && end.cut == "" {
		return Done{Clients: g.ids}, nil // others of its group passed; nothing of it was worked on
	}
	if end.settled {
		if g.silent != nil { // it is looked into whatever became of the rest
			if at := e.soon(m.client.Failures+1, apply.RetryAt(g.silent), g.silent); end.at.IsZero() || at.Before(end.at) {
				end.at = at
			}
		}
		end.at = m.wakes(end.at)
	}
	if end.settled && end.status == state.StatusActive {
		end.at = m.comesLater(end.at, e.Now())
		if end.next == "" && len(m.later) > 0 && m.later[0].Led != "" {
			end.next = "it goes by itself once that is seen to be otherwise, or at once then with `reconciler retry " + m.client.Name + "`"
		}
	}
	if g.mending {
		end.word = "" // the commit is not what it was about
	}
	lines := e.takeLogs(m.client.Deployment)
	if end.quiet {
		lines = nil
	}
	// The clock may have been set while the pass ran: what is written now would hide that from a
	// start that comes next.
	if _, err := e.readTime(); err != nil {
		return Done{}, err
	}
	end.at = e.datedNow(g, end.at)
	e.at(PointEnd)
	err := e.Store.Update(func(tx store.Tx) error {
		done = Done{Clients: g.ids, At: end.at}
		c, ok, err := store.Client(tx, m.client.ID)
		if err != nil || !ok {
			return err
		}
		newer := c.Seq > m.client.Seq
		waited := c.Waits
		woken, look := c.Wakes != m.client.Wakes, c.LookWanted // by somebody who wants another pass
		now := e.Now()
		c.Status, c.Because, c.UpdatedAt, c.Attempts, c.LookWanted = end.status, end.because, now, 0, !end.settled && m.worked
		c.Next, c.Waits, c.Fault, c.Unplanned = end.next, end.waits, end.fault, end.lacks
		c.Settled, c.RetryAt = end.settled && !newer, end.at
		if end.step != "" {
			c.FailedStep = end.step
		}
		if end.change != nil {
			end.change(&c)
		}
		if result != nil && m.servesFirst(c, *result, end) {
			e.serves(m, &c)
		}
		if end.status == state.StatusFailed && end.cut == "" && c.URL != "" {
			if err := servesNoMore(tx, &c); err != nil {
				return err
			}
		}
		if c.Through() {
			if err := g.throughWithout(tx, c.ID); err != nil {
				return err
			}
		}
		if newer {
			c.Waits = "" // nobody was told that the newer wish waits
		}
		if newer || woken {
			done.Again, c.Settled, c.RetryAt, c.LookWanted = true, false, time.Time{}, c.LookWanted || woken && look
		}
		done.Again = done.Again || (!end.settled && end.at.IsZero())
		var errs firstError
		if m.worked && result != nil {
			errs.add(e.closeAudit(tx, m, result, end, now))
			errs.add(m.giveBack(tx, result))
		} else {
			errs.add(m.cutAudit(tx, c.Deployment, end, now))
		}
		for _, l := range lines {
			_, err := store.AddLog(tx, l)
			errs.add(err)
		}
		errs.add(tombstonesDone(tx, m, end))
		errs.add(e.rowsAfter(tx, g, m, result, end, c, now))
		// What a newer wish took over doesn't begin to wait again.
		if end.word != "" && (!newer || end.word == "succeeded" || end.word == "failed") {
			errs.add(e.verdict(tx, m, c, end))
		}
		if end.word != "" && !newer {
			errs.add(e.waitTold(tx, m, c, end, waited))
		}
		if end.what != "" {
			_, err := store.AddHistory(tx, state.Entry{At: now, Client: c.ID, Name: c.Name, Commit: m.commit(), What: end.what, Text: historyText(end)})
			errs.add(err)
		}
		if errs.err != nil {
			return errs.err
		}
		if end.status == state.StatusRetained && end.settled {
			done.Recheck = true
			if err := e.dated(tx, c, m.effective); err != nil {
				return err
			}
			if err := e.gone(tx, c, newer); err != nil {
				return err
			}
		} else if err := store.PutClient(tx, c); err != nil {
			return err
		}
		done.Recheck = done.Recheck || m.freed(now)
		next, err := e.nextWave(tx, c.ID)
		done.Also = append(done.Also, next...)
		return err
	})
	if err != nil {
		return Done{}, fmt.Errorf("record the end of %s: %w", m.client.Name, err)
	}
	e.at(PointEnded)
	e.told.Store(true)
	if end.settled {
		e.forget(m.client.ID)
	}
	return done, nil
}

// servesNoMore takes address and health from a client of which nothing serves any more: one that came back when a part of its
// removal was carried out, say.
func servesNoMore(tx store.Tx, c *state.Client) error {
	have, err := store.Resources(tx, c.ID)
	if err == nil && !slices.ContainsFunc(have, func(r state.Resource) bool { return r.Ref.Kind == state.KindTraffic && r.Real() }) {
		c.URL, c.AdminURL, c.Health, c.HealthBad = "", "", "", 0
	}
	return err
}

// servesFirst says that a new client's site was proved from outside in a pass that is not through, and by a name that
// it took from nobody: what fails later (an account for payments, say) is no reason to take the site back.
func (m *member) servesFirst(c state.Client, result apply.Result, end ending) bool {
	if c.EverDeployed || c.Removed || m.removed || end.audit != "waiting" && end.audit != "held" && end.audit != "superseded" && end.audit != "interrupted" ||
		slices.ContainsFunc(c.Undo, func(u state.Undo) bool { return u.Prior.Ref.Client != c.ID }) {
		return false
	}
	return slices.ContainsFunc(result.Of(c.ID), func(r apply.StepResult) bool {
		return r.Step.Action == plan.Probe && r.Step.Outside && r.State == apply.StepDone
	})
}

// wakes is when a settled client passes again by itself: at the given time, or earlier
// when the removal of something of it waits for a date.
func (m *member) wakes(at time.Time) time.Time {
	for _, t := range m.allTombs {
		if t.Done || t.Held != "" || t.NotUntil.IsZero() || !t.NotUntil.After(m.now) {
			continue // what waits for a file does so, too: the file may wait for this name
		}
		if at.IsZero() || t.NotUntil.Before(at) {
			at = t.NotUntil
		}
	}
	return at
}

// comesLater is when a client whose wish is fulfilled passes again by itself: at the given
// time, or when what it replaced may go.
func (m *member) comesLater(at, now time.Time) time.Time {
	for _, s := range m.later {
		then := s.NotBefore
		if then.IsZero() {
			then = now.Add(s.After)
		}
		if at.IsZero() || then.Before(at) {
			at = then
		}
	}
	return at
}

// saysLater says of a client whose wish is fulfilled what is still to come; "": nothing.
func (m *member) saysLater() string {
	switch {
	case len(m.keeps) > 0:
		return strings.Join(m.keeps, ", ") + " still leads here: " + m.keptWhy()
	case len(m.later) == 0:
		return ""
	}
	s := m.later[0]
	if s.Led != "" {
		return "what it replaced at " + s.Provider + " serves on: " + s.Led
	}
	text := "what it replaced at " + s.Provider + " serves on for those who learned its address before, "
	if s.NotBefore.IsZero() {
		return text + "and goes " + s.After.String() + " from now"
	}
	return text + "and goes at " + s.NotBefore.UTC().Format("15:04 MST, 2 January")
}

// freed says that names of the client became free by now: what is invalid because of
// them may be valid.
func (m *member) freed(now time.Time) bool {
	for _, t := range m.allTombs {
		if !t.Done && t.Held == "" && t.Waits == "" && !t.NotUntil.After(now) {
			return true
		}
	}
	return false
}

// nextWave goes on with a change that many clients inherit, when the client is one of
// those that it runs on, and returns who begins now.
func (e *Engine) nextWave(tx store.Tx, id state.ClientID) ([]state.ClientID, error) {
	holds, err := store.Holds(tx)
	if err != nil {
		return nil, err
	}
	return e.inWave(tx, holds, id)
}

// inWave tells a change that the client is part of how the client is now.
func (e *Engine) inWave(tx store.Tx, holds []state.Hold, id state.ClientID) ([]state.ClientID, error) {
	h, in := accept.InWave(holds, id)
	if !in {
		return nil, nil
	}
	var errs firstError
	r := accept.NextWave(accept.WaveInput{Now: e.Now(), Hold: h, Ended: []state.ClientID{id},
		Client: func(id state.ClientID) (state.Client, bool) {
			c, ok, err := store.Client(tx, id)
			errs.add(err)
			return c, ok
		},
		Verdict: func(commit string) (state.Verdict, bool) {
			v, ok, err := store.Verdict(tx, commit)
			errs.add(err)
			return v, ok
		}})
	errs.add(write(tx, r))
	errs.add(e.begins(tx, r.Touched))
	return r.Touched, errs.err
}

// begins makes those due whom a change reaches now and who have passed already, with somebody whom they are joined
// with: the change waits to hear of them.
func (e *Engine) begins(tx store.Tx, ids []state.ClientID) error {
	for _, id := range ids {
		c, ok, err := store.Client(tx, id)
		if err == nil && ok && c.Settled {
			err = e.wake(tx, id, func(*state.Client) {})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// giveBack lets an approval serve once more when none of the steps that it let run came
// to anything: the pass was cut short, or waits.
func (m *member) giveBack(tx store.Tx, result *apply.Result) error {
	begun := map[string]bool{}
	for _, r := range result.Of(m.client.ID) {
		for _, a := range r.Step.Approved {
			begun[a] = begun[a] || r.State == apply.StepDone || r.State == apply.StepFailed
		}
	}
	return unused(tx, begun)
}

// unused makes approvals as if they had never let anything run, but for those that did.
func unused(tx store.Tx, begun map[string]bool) error {
	for fingerprint, yes := range begun {
		if yes {
			continue
		}
		a, ok, err := store.Approval(tx, fingerprint)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		a.Used = time.Time{}
		if err := store.PutApproval(tx, a); err != nil {
			return err
		}
	}
	return nil
}

func historyText(end ending) string {
	if end.because == "" {
		return "all steps done"
	}
	return end.because
}

// gone writes a client whose manifest is removed and whose removal is done: kept while
// it has retained data, forgotten with its names else.
func (e *Engine) gone(tx store.Tx, c state.Client, newer bool) error {
	have, err := store.Resources(tx, c.ID)
	if err != nil {
		return err
	}
	if newer {
		return store.PutClient(tx, c) // it came back meanwhile
	}
	claims, err := store.Claims(tx)
	if err != nil {
		return err
	}
	for _, cl := range claims {
		if cl.Client != c.ID {
			continue
		}
		cl.Client = "" // of those who had the name before it, one may have it still, and another's alias redirect there
		if err := keepClaim(tx, cl); err != nil {
			return err
		}
	}
	retained := false
	for _, r := range have {
		retained = retained || r.Retained()
	}
	if retained {
		return store.PutClient(tx, c)
	}
	if len(have) > 0 {
		return store.PutClient(tx, c) // mail that was sent, and the like: the record stays for the history
	}
	tombs, err := store.Tombstones(tx, c.ID)
	if err != nil {
		return err
	}
	counts := c.EverDeployed || c.Converged != ""
	for _, t := range tombs {
		if t.Part == "" && t.Done && counts {
			continue // the guard counts it for a day: accept forgets it
		}
		if err := store.DeleteTombstone(tx, t.Client, t.Part); err != nil {
			return err
		}
	}
	return store.DeleteClient(tx, c)
}

// tombstonesDone marks those whose removal the pass completed.
func tombstonesDone(tx store.Tx, m *member, end ending) error {
	if end.word != "succeeded" && !(end.settled && end.status == state.StatusActive) { // there another part waits
		return nil
	}
	now, err := store.Tombstones(tx, m.client.ID)
	if err != nil {
		return err
	}
	due := map[string]string{}
	for _, t := range m.tombstones {
		due[t.Part] = t.Commit
	}
	recorded, err := store.Resources(tx, m.client.ID)
	if err != nil {
		return err
	}
	for _, t := range now {
		if m.removed && t.Held != "" { // what it got since an older copy was made went with the whole: nobody is to be asked
			h, ok, err := store.Hold(tx, t.Held)
			if err != nil {
				return err
			}
			if ok && h.Kind == state.HoldRebuild {
				due[t.Part] = t.Commit
				if err := store.DeleteHold(tx, t.Held); err != nil {
					return err
				}
			}
		}
		if commit, ok := due[t.Part]; !ok || commit != t.Commit || t.Done || plan.Left(t, recorded) {
			continue
		}
		t.Done = true
		if err := store.PutTombstone(tx, t); err != nil {
			return err
		}
	}
	return nil
}

// verdict notes in the verdict of the commit what became of the client, and reports
// the verdict once it changed.
func (e *Engine) verdict(tx store.Tx, m *member, c state.Client, end ending) error {
	commit := m.commit()
	have, touched, err := store.Fate(tx, commit, c.ID)
	if err != nil || !touched || have == end.word || accept.Superseded(have) {
		return err // what a later head superseded has ended: that head speaks of the client
	}
	v, err := store.PutFate(tx, commit, c.ID, end.word)
	if err != nil {
		return err
	}
	was := v.State
	accept.Conclude(&v, e.Now())
	if err := store.PutVerdictHead(tx, v); err != nil {
		return err
	}
	if n := v.Tally(); total(n) <= accept.MaxClientReports {
		r := state.Report{Subject: "commit/" + commit + "/client/" + c.Name, State: stateOf(end.word), Text: report.ClipWords(orElse(end.because, end.word), report.MaxStatus), Detail: end.because, URL: c.URL, At: e.Now()}
		if _, err := store.AddReport(tx, r); err != nil {
			return err
		}
	}
	if v.State == "pending" && was == "pending" {
		return nil
	}
	whole, _, err := store.Verdict(tx, commit)
	if err != nil {
		return err
	}
	_, err = store.AddReport(tx, state.Report{Subject: "commit/" + commit, State: v.State, Text: statusText(whole, nameIn(tx)), Detail: end.because, At: e.Now()})
	return err
}

// waitTold tells that a commit's client waits for a provider, or no longer does: once for the
// client, and of all clients that wait for one provider once for the commit. waited is
// whom it waited for before.
func (e *Engine) waitTold(tx store.Tx, m *member, c state.Client, end ending, waited string) error {
	commit := m.commit()
	fate, touched, err := store.Fate(tx, commit, c.ID)
	if err != nil || !touched || end.waits == waited && end.waits == "" {
		return err
	}
	v, ok, err := store.VerdictHead(tx, commit)
	if err != nil || !ok {
		return err
	}
	if fate == "pending" && end.waits != waited && total(v.Tally()) <= accept.MaxClientReports {
		r := state.Report{Subject: "commit/" + commit + "/client/" + c.Name, State: "pending", Text: report.ClipWords(end.because, report.MaxStatus), Detail: end.because, URL: c.URL, At: e.Now()}
		if _, err := store.AddReport(tx, r); err != nil {
			return err
		}
	}
	was := v.Waits
	if waited != "" && v.Waits == waited && (end.waits != waited || fate != "pending") {
		v.Waits = "" // others that wait for it say so again when they have tried
	}
	if fate == "pending" && v.Waits == "" {
		v.Waits = end.waits
	}
	if v.Waits == was {
		return nil
	}
	if err := store.PutVerdictHead(tx, v); err != nil || v.State != "pending" {
		return err // all have ended, and that was told
	}
	whole, _, err := store.Verdict(tx, commit)
	if err != nil {
		return err
	}
	_, err = store.AddReport(tx, state.Report{Subject: "commit/" + commit, State: v.State, Text: statusText(whole, nameIn(tx)), Detail: end.because, At: e.Now()})
	return err
}

// statusText is a verdict in words. An error in the wording must not keep a pass from its
// end.
func statusText(v state.Verdict, names func(state.ClientID) string) (text string) {
	if err := apply.Contain("", func() error { text = report.Status(v, names); return nil }); err != nil {
		return "its words can't be shown, as making them ran into an error in this program"
	}
	return text
}

func total(n map[string]int) int {
	sum := 0
	for _, k := range n {
		sum += k
	}
	return sum
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// stateOf is the state of a client's own status: a person must act on what failed or is
// held.
func stateOf(word string) string {
	switch word {
	case "pending":
		return "pending"
	case "succeeded", "paused":
		return "success"
	}
	return "failure"
}

// nameIn finds a client's name for a verdict; "" where there is none.
func nameIn(tx store.Tx) func(state.ClientID) string {
	return func(id state.ClientID) string {
		c, _, err := store.Client(tx, id)
		if err != nil {
			return "" // the verdict then gives a number
		}
		return c.Name
	}
}

// letGo ends the joining of clients whose name has moved for good, with all that moves beside it, and
// returns them: one that was joined to somebody who had to wait has waited with him, and passes
// alone from here on. Of clients outside of the group it knows no wish, and leaves them to their own
// pass.
func (e *Engine) letGo(g *group) ([]state.ClientID, error) {
	if len(g.ids) < 2 {
		return nil, nil
	}
	e.mu.Lock()
	joined := e.joined
	e.mu.Unlock()
	var left []state.Claim
	var free []state.ClientID
	err := e.Store.Update(func(tx store.Tx) error {
		left, free = nil, nil
		claims, err := store.Claims(tx)
		if err != nil {
			return err
		}
		for _, c := range claims {
			var have []state.ClientID
			for _, id := range c.From {
				if !slices.Contains(g.ids, id) || c.Client != "" && !slices.Contains(g.ids, c.Client) {
					have = append(have, id)
					continue
				}
				holds, err := holdsHost(tx, id, c.Key)
				if err != nil {
					return err
				}
				gives, err := g.gives(tx, id, c.Client)
				if err != nil {
					return err
				}
				back, err := mayGoBack(tx, id, append(slices.Clone(c.From), c.Client))
				if err != nil {
					return err
				}
				if holds || gives || back {
					have = append(have, id)
				} else {
					free = append(free, id)
					if c.Client != "" {
						free = append(free, c.Client)
					}
				}
			}
			was := len(c.From)
			if c.From = have; c.Joins() {
				left = append(left, c)
			}
			if len(have) == was {
				continue
			}
			if !c.Joins() {
				free = append(free, have...)
			}
			if err := keepClaim(tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("let go of moved names: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.joined == joined { // else a head joined others, perhaps since; whose names have moved pass together once more
		e.setPartners(left)
	}
	return free, nil
}

// keepClaim writes a claim as it is now. That of nobody which lets nobody pass together is that of the
// one who let the name go before, and may have it still: whoever gets it next gets it from there. Else
// the name is free, and off the ledger.
func keepClaim(tx store.Tx, c state.Claim) error {
	if c.Client == "" && len(c.From) == 1 {
		tombs, err := store.Tombstones(tx, c.From[0])
		if err != nil {
			return err
		}
		part := accept.HostPart + "/" + strings.TrimPrefix(c.Key, "host:")
		if slices.ContainsFunc(tombs, func(t state.Tombstone) bool { return t.Part == part }) { // it is freed with that
			c.Client, c.From = c.From[0], nil
		}
	}
	if c.Client == "" && !c.Joins() {
		return store.DeleteClaim(tx, c.Key)
	}
	return store.PutClaim(tx, c)
}

// mayGoBack says that one of those who have had a name since may give something back to the client that had it before:
// not only who is to have it now. Who took it may give it on, or let it go for good, before it is through itself.
func mayGoBack(tx store.Tx, to state.ClientID, from []state.ClientID) (bool, error) {
	for _, id := range from {
		c, _, err := store.Client(tx, id)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(c.Undo, func(u state.Undo) bool { return u.Had(to) }) {
			return true, nil
		}
	}
	return false, nil
}

// holdsHost says that the client still has the claimed host on record: bound to its site,
// leading there, or as what another name of its redirects to. Who gives it away passes with
// its new owner until then: that one may go, and its names wait for those that redirect to
// them (plan.redirected).
func holdsHost(tx store.Tx, id state.ClientID, key string) (bool, error) {
	have, err := store.Resources(tx, id)
	if err != nil {
		return false, err
	}
	for _, r := range have {
		host := strings.TrimPrefix(key, "host:")
		if plan.Leads(r.Ref, host) || r.Ref.Kind == state.KindDomain && r.Real() && r.Attributes.Literal("redirect") == host {
			return true, nil
		}
	}
	return false, nil
}

// gives says that records that lead nowhere, as MX and TXT, are still to move from one client to
// another, beside their name: each would find the other's in its way when it passes alone, and two
// that swap theirs for good.
func (g *group) gives(tx store.Tx, from, to state.ClientID) (bool, error) {
	in := map[state.ClientID]plan.ClientInput{}
	for _, m := range g.members {
		if id := m.client.ID; id == from || id == to {
			have, err := store.Resources(tx, id)
			if err != nil {
				return false, err
			}
			i := m.input()
			i.Recorded = have
			in[id] = i
		}
	}
	return len(in) == 2 && plan.Gives(in[from], in[to]), nil
}

// keepHolds replaces the clients' holds of the kinds that planning makes by those of
// this plan, and marks the approvals as used that let steps run.
func (e *Engine) keepHolds(tx store.Tx, g *group, p plan.Plan, holds []state.Hold) error {
	for _, fingerprint := range p.Used() {
		a, ok, err := store.Approval(tx, fingerprint)
		if err != nil {
			return err
		}
		if !ok || !a.Used.IsZero() {
			continue
		}
		a.Used = g.now
		if err := store.PutApproval(tx, a); err != nil {
			return err
		}
	}
	now := map[string]bool{}
	for _, h := range holds {
		now[h.Fingerprint] = true
		if err := store.PutHold(tx, h); err != nil {
			return err
		}
	}
	for _, h := range g.holds {
		if now[h.Fingerprint] || !g.has(h.Client) || !planned(h.Kind) {
			continue
		}
		if err := store.DeleteHold(tx, h.Fingerprint); err != nil {
			return err
		}
	}
	return nil
}

// letGoOfHolds ends the holds of planned steps when nothing is planned any more.
func (e *Engine) letGoOfHolds(g *group) error {
	for _, h := range g.holds {
		if g.has(h.Client) && planned(h.Kind) {
			return e.Store.Update(func(tx store.Tx) error { return e.keepHolds(tx, g, plan.Plan{}, nil) })
		}
	}
	return nil
}

func planned(k state.HoldKind) bool {
	switch k {
	case state.HoldRisk, state.HoldMail, state.HoldLeft, state.HoldData, state.HoldFreeze, state.HoldParked:
		return true
	}
	return false
}

func (g *group) has(id state.ClientID) bool {
	for _, m := range g.members {
		if m.client.ID == id && id != "" {
			return true
		}
	}
	return false
}

// throughWithout notes that a client came to its end without what members took from it that are not at
// theirs: they keep that.
func (g *group) throughWithout(tx store.Tx, id state.ClientID) error {
	for _, m := range g.members {
		c, ok, err := store.Client(tx, m.client.ID)
		if err != nil {
			return err
		}
		if !ok || !slices.ContainsFunc(c.Undo, func(u state.Undo) bool { return u.Had(id) }) {
			continue
		}
		c.Undo = slices.Clone(c.Undo)
		for i, u := range c.Undo {
			c.Undo[i].Kept = u.Kept || u.Had(id)
		}
		if err := store.PutClient(tx, c); err != nil {
			return err
		}
	}
	return nil
}
