package reconcile_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// planted is a bug of one line: somewhere in a file, new stands for old.
type planted struct {
	name     string
	file     string // below internal/
	old, new string
}

// elsewhere is a bug that the simulation does not come to.
type elsewhere struct {
	planted
	room, by string // the test that finds it, and where that is
}

// plantedBugs are found by the simulation: see planted_test.go.
var plantedBugs = []planted{
	{"an old owner's side goes before anybody saw where DNS leads", "plan/move.go", "if h.unseen && traits", "if h.unseen && !h.unseen && traits"},
	{"what was replaced goes while DNS leads people there", "plan/switch.go", "led := b.stillLed() != \"\"", "led := b.stillLed() == \"-\""},
	// The journal.
	{"the intent is not written before the call", "apply/write.go", "		return announce(tx, job, i)\n	})\n	if err == nil {", "		return nil\n	})\n	if err == nil {"},
	{"the outcome is lost", "apply/write.go", "	return r.put(tx, job, i.Provider, res, *o, generationOf(job, i.Ref))\n}", "	return nil\n}"},
	{"an outcome that can't be written is forgotten", "apply/step.go", "	return &journalError{err}\n}\n\n// step runs", "	return nil\n}\n\n// step runs"},
	{"an uncertain create is repeated", "apply/write.go", "	if kind != provider.Uncertain && (kind", "	if kind == provider.Uncertain || (kind"},
	{"one look decides that a create did not happen", "journal/settle.go", "	if i.Looks+1 >= SettleLooks {\n		if equal", "	if i.Looks >= 0 {\n		if equal"},
	{"one look decides that a create of a unique name did not happen", "journal/settle.go", "	if i.Looks+1 >= SettleLooks {\n		if equal", "	if t.UniqueName || i.Looks+1 >= SettleLooks {\n		if equal"},
	{"an uncertain delete is taken for done", "journal/settle.go", "		return settleUnseen(i, now)\n	case OpMark:", "		return Decision{Kind: Done, Object: -1}\n	case OpMark:"},
	{"an uncertain update is taken for done", "journal/settle.go", "		if len(seen) > 0 && (seen[0].Equal || seen[0].Moved || i.handsOver() && seen[0].Ours) && (", "		if len(seen) > 0 && ("},
	{"what a failed update changed is not put back", "apply/write.go", "		if err := noteUndo(tx, job, s); err != nil {", "		if err := error(nil); err != nil {"},
	{"open intents are not looked into", "reconcile/pass.go", "		if len(open) == 0 {", "		if len(open) >= 0 {"},
	{"a failed delete is taken for done", "apply/write.go", "	if err != nil && provider.KindOf(err) != provider.NotFound {", "	if err != nil && provider.KindOf(err) == provider.Uncertain {"},
	{"a command is carried out once more after a death", "review/command.go", "r.carriedOut(begun, p, c, o)", "r.carriedOut(state.Command{}, p, c, o)"},
	// What is whose.
	{"a look takes an object without our mark", "apply/look.go", "		if o.Mark == w.Mark && !o.Mark.IsZero() {\n			if ours >= 0 {", "		if o.Mark == w.Mark || o.Mark.IsZero() {\n			if ours >= 0 {"},
	{"no look before a create", "apply/write.go", "		return r.look(ctx, p, traits, s, w)", "		_ = traits\n		return nil"},
	{"what was found is recorded as made", "apply/look.go", "	res.Found = t.found", "	res.Found = false"},
	{"what was adopted is forgotten to be", "apply/write.go", "		res.Run, res.Adopted, res.Outputs, res.Readdressed = have.Run, have.Adopted, have.Outputs, have.Readdressed", "		res.Run, res.Outputs, res.Readdressed = have.Run, have.Outputs, have.Readdressed"},
	// Data.
	{"a removed client's database is deleted", "plan/remove.go", "		case t.Data && r.Real():", "		case t.Data && !r.Real():"},
	{"a dropped database is deleted", "plan/remove.go", "	case b.traits(r.Provider, r.Ref.Kind).Data:", "	case r.Ref.Kind == state.KindMail:"},
	{"data is kept for a day", "accept/guard.go", "	return keep.String()\n", "	return \"1d\"\n"},
	{"a returned database stays retained", "apply/step.go", "			have.RetainedAt, have.PurgeAfter, have.Ahead = time.Time{}, time.Time{}, 0", "			have.PurgeAfter = time.Time{}"},
	{"an empty database takes the place of one that is gone", "plan/converge.go", "		case b.c.Looks[r.Ref].Gone:\n			b.problem(state.HoldData", "		case b.c.Looks[r.Ref].Gone && b.in.Keep < 0:\n			b.problem(state.HoldData"},
	// Removals and history.
	{"the guard does not count names", "accept/guard.go", "		l.counts = true\n		name :=", "		name :="},
	{"the guard is off by one", "accept/guard.go", "now > 0 && lost > limit {", "now > 0 && lost > limit+1 {"},
	{"a rewritten history is accepted", "accept/history.go", "	case !in.Descends:", "	case !in.Descends && in.HeadEmpty:"},
	{"a stale wish stays after a force push", "accept/identify.go", "	return k.blob == c.Blob && c.InvalidBlob", "	return (k.blob == c.Blob || !p.in.Descends) && c.InvalidBlob"},
	{"a force push that is held hides every later head", "reconcile/poll.go", "(e.refused == head && e.refused != \"\")", "e.refused != \"\""},
	{"an empty tree is accepted", "accept/history.go", "	case in.HeadEmpty && living > 0:", "	case in.HeadEmpty && living < 0:"},
	{"a held removal is carried out", "accept/release.go", "	return t.Held != \"\" || t.Waits != \"\" || t.NotUntil.After(now)", "	return t.Waits != \"\" || t.NotUntil.After(now)"},
	{"removeAfter is not waited for", "accept/guard.go", "	if after := p.guard().RemoveAfter; after > 0 {", "	if after := p.guard().RemoveAfter; after < 0 {"},
	{"a file that breaks takes its client away", "accept/settle.go", "func (p *pass) gone(s *settled, id state.ClientID) bool { return p.going(id) && s.active[id] == nil }", "func (p *pass) gone(s *settled, id state.ClientID) bool { return s.active[id] == nil }"},
	{"two clients get one host name", "accept/settle.go", "		if len(claimants) > 1 {", "		if len(claimants) > 2 {"},
	// Order and service.
	{"a name is led to the site before it serves", "plan/connect.go", "			s.needs(promote)\n			if s.Ref.Kind == state.KindRecord {", "			if s.Ref.Kind == state.KindRecord {"},
	{"records by hand take the place of ours unseen", "plan/converge.go", "	if t.Serving || b.traits(have.Provider, w.Ref.Kind).Serving {", "	if t.Serving {"},
	// Wishes.
	{"a newer wish is not seen by a running pass", "reconcile/poll.go", "		e.seq[c.ID] = max(e.seq[c.ID], c.Seq)\n		if c.Panics", "		if c.Panics"},
	{"a pass of an older wish settles the newer one", "reconcile/finish.go", "		newer := c.Seq > m.client.Seq\n", "		newer := false\n"},
	{"a freeze is not kept", "plan/gate.go", "		if !g.Now.Before(w.From) && g.Now.Before(w.To) {", "		if !g.Now.Before(w.From) && g.Now.Before(w.From) {"},
	{"a paused client is written", "plan/gate.go", "		if (g.Paused[s.Ref.Client] || g.Paused[s.From.Client]) && !(", "		if len(p.Steps) == 0 && !("},
	{"a vendor that said when is asked before", "apply/step.go", "if until := provider.UntilOf(err); !until.IsZero() {", "if until := provider.UntilOf(err); until.IsZero() {"},
	{"a vendor's limit is for one call alone", "provider/heed.go", "	if now.Before(until) {", "	if now.Before(until) && op == \"dump\" {"},
	// Words.
	{"of what is invalid nobody is told", "accept/write.go", "	if len(w.problems[file]) == 0 {\n", "	if len(w.problems[file]) == 0 && !w.changed[file] {\n"},
	{"that it goes on is not told of what was approved", "accept/release.go", "			r.tell(v, goOn)\n", ""},
	{"success is told before all is done", "accept/verdict.go", "	if n[FatePending] > 0 {\n		v.State", "	if n[FatePending] > 1 {\n		v.State"},
	{"a whole folder that is put back is not noticed", "reconcile/poll.go", " && e.behind(ctx, in.Clients) {", " && in.Head == \"\" && e.behind(ctx, in.Clients) {"},
	{"a halted change of the fleet goes on", "accept/waves.go", "	if v.Halted {\n		return nil, false", "	if v.Halted && v.Total < 0 {\n		return nil, false"},
	{"a report that was refused is forgotten", "reconcile/deliver.go", "			tried = append(tried, r)", "			gone = append(gone, r.Seq)"},
	{"a name goes before those that redirect to it", "plan/calculate.go", "len(c.clients) > 1 && redirected(c.clients, steps)", "len(c.clients) > 1 && redirected(c.clients, nil)"},
	{"a vendor's words show a secret", "provider/conceal.go", "	return c.objects(found), c.failure(err)\n}\n\n// Owned", "	return found, err\n}\n\n// Owned"},
	// Pull requests.
	{"a pull request counts as merged that was not", "reconcile/reviews.go", "		if commits[p.Head] && !again ||", "		if p.Number > 0 || commits[p.Head] && !again ||"},
	{"what was pushed after a plan counts as planned", "reconcile/reviews.go", "			within(parents, p.Planned, made)", "			within(parents, in.Head, made)"},
	{"what was pushed after a plan is nobody's", "reconcile/reviews.go", "		r.Paths = append(r.Paths, unseen(in, b.own(p), now)...)", "		_ = b.own(p)"},
	{"what a stranger sent counts as planned", "reconcile/reviews.go", "		planned := !p.Static && p.Planned", "		planned := p.Planned"},
	{"what a stranger sent is planned", "reconcile/proposal.go", "	if p.Static || len(t.clients)", "	if len(t.clients)"},
	{"what is of a class runs though not all was planned", "accept/review.go", "	if out.Partial = !whole; out.Partial {", "	if out.Partial = !whole; out.Partial && w.in.Head == \"\" {"},
	{"a class is shown by the pull request before", "accept/review.go", "		whole = whole && !before.Partial", "		_ = before.Partial"},
	{"a push over what was not shown lets it run", "accept/review.go", "	case out == nil && (before == nil || !before.Partial):", "	case out == nil && w.in.Head != \"\":"},
	{"which head brought a pull request is written by itself", "reconcile/poll.go", "		if !r.Held {\n			if err := acceptedBy(tx, head, in.Reviews); err != nil {\n				return err\n			}\n		}\n		return forgetVerdicts(tx)\n	})\n	if err != nil {\n		return err\n	}\n",
		"		return forgetVerdicts(tx)\n	})\n	if err != nil {\n		return err\n	}\n	if !r.Held {\n		if err := e.Store.Update(func(tx store.Tx) error { return acceptedBy(tx, head, in.Reviews) }); err != nil {\n			return err\n		}\n	}\n"},
	{"a plan is a write", "reconcile/proposal.go", "	if err := e.Store.View(func(tx store.Tx) error { return e.onRecordNow(tx, &in) }); err != nil {", "	if err := e.Store.Update(func(tx store.Tx) error { return e.onRecordNow(tx, &in) }); err != nil {"},
	{"what nobody proposed waits for a review", "plan/gate.go", "g.Reviewed[s.Ref.Client] != nil && !reviewed", "g.Reviewed != nil && !reviewed"},
	{"what was not shown runs", "plan/gate.go", "g.Reviewed[s.Ref.Client] != nil && !reviewed", "g.Reviewed == nil && !reviewed"},
	{"a name that is led to a new site shows any release", "plan/calculate.go", " || b.leadsOver(s) {", " {"},
	{"what a merge made by itself counts as planned", "accept/guard.go", "			touched = c.Own\n", "			touched = nil\n"},
	{"a head that was overtaken is pending for ever", "review/sync.go", "			if ok && now.Head != p.Head && now.Head != now.Planned && !headed(now, latest, false) {", "			if now.Head == \"\" {"},
	{"a database's password is recorded in plain text", "apply/resolve.go", "		outs[out.Name] = state.SecretValue(ref)", "		outs[out.Name] = state.SecretValue(ref)\n		outs[out.Name+\"Text\"] = state.Lit(out.Secret.Reveal())"},
	// Pages, payments, a clock that is set.
	{"a list ends with its first page", "provider/pages.go", "		if r.total = page.Total; page.Last || r.moved {", "		if r.total = page.Total; r.pages > 0 {"},
	{"an account goes with its client", "plan/remove.go", "		case t.Data && r.Real():", "		case t.Data && r.Real() && r.Ref.Kind != state.KindPayments:"},
	{"an account does not return with its client", "plan/converge.go", "	case have.Retained() && (w.Ref.Kind != state.KindAdmin ||", "	case have.Retained() && w.Ref.Kind != state.KindPayments && (w.Ref.Kind != state.KindAdmin ||"},
	{"a pause is believed though the clock was set back", "provider/heed.go", "	if h.until.Sub(now) > maxPause {", "	if h.until.Sub(now) > 10_000*maxPause {"},
}

// foundBefore are seeds that found bugs for which many have to be played. They are tried
// first, and prove as much as the first one that finds a bug; whoever changes what a run draws
// makes other runs of them.
var foundBefore = map[string]int{
	"one look decides that a create of a unique name did not happen": 461,
	"no look before a create":                                1902,
	"what was found is recorded as made":                     903,
	"what was adopted is forgotten to be":                    308,
	"the guard does not count names":                         406,
	"records by hand take the place of ours unseen":          548,
	"what was pushed after a plan counts as planned":         1589,
	"what was pushed after a plan is nobody's":               479,
	"what a merge made by itself counts as planned":          1589,
	"which head brought a pull request is written by itself": 308,
	"a class is shown by the pull request before":            80,
	"a name goes before those that redirect to it":           357,
	"a name that is led to a new site shows any release":     967,
	"what is of a class runs though not all was planned":     9056,
	"a command is carried out once more after a death":       4531,
}

// plantedElsewhere are found by a test of their own. To some of them the simulation comes, too,
// when thousands of seeds are played.
var plantedElsewhere = []elsewhere{
	{planted{"who waits for a vendor is not asked after", "reconcile/health.go", "		if c.Status == state.StatusDeploying && !c.Waiting() {", "		if c.Status == state.StatusDeploying {"}, "reconcile", "TestS44WhoWaitsForAVendorIsAskedAfterToo"},
	{planted{"who waits for a permission is told nothing to do", "reconcile/end.go", "	return m.letIn(deniedBy(err))", "	_ = err\n	return \"\""}, "reconcile", "TestS44WhoWaitsForAVendorIsAskedAfterToo"},
	{planted{"what was to do about a failure is told while it is mended", "reconcile/pass.go", "c.Because, c.Next, c.UpdatedAt, c.RetryAt = \"\", \"\", g.now", "c.Because, c.UpdatedAt, c.RetryAt = \"\", g.now"}, "reconcile", "TestNobodyIsToldToMendWhatIsBeingMended"},
	{planted{"adopting drift promises data that is gone", "reconcile/adoptdrift.go", "		if row.Ref.Kind == state.KindDatabase || row.Ref.Kind == state.KindPayments {", "		if row.Ref.Kind == state.KindPayments {"}, "reconcile", "TestP5AdoptingDriftDoesNotPromiseData"},
	{planted{"nobody is mailed of a token that lacks a permission", "notify/notify.go", "	case c.Waiting() && c.Waits != \"\" && c.Next != \"\":", "	case c.Waiting() && c.Waits == \"\" && c.Next != \"\":"}, "notify", "TestWhoWaitsForAPermission"},
	{planted{"each client is mailed of a token that is refused", "notify/notify.go", "	return bad || told && is.unknown[key]", "	_ = bad\n	return told && is.unknown[key]"}, "notify", "TestWhoWaitsForAPermission"},
	{planted{"who goes parts those who had a name before it", "reconcile/finish.go", "		if err := keepClaim(tx, cl); err != nil {", "		if err := store.DeleteClaim(tx, cl.Key); err != nil {"}, "reconcile", "TestS24RedirectedNameStaysUpThoughNobodyAsksForIt"},
	{planted{"an uncertain create of who goes stops at what others made", "journal/settle.go", "	if len(seen) > 0 && !t.Marks {", "	if len(seen) > 0 {"}, "reconcile", "TestP3CreateOfWhoGoesBesideAnothers"},
	{planted{"what is equal is used while ours may still come", "journal/settle.go", "	if len(seen) > 0 && !t.Marks {", "	if len(seen) > 0 && (!t.Marks || seen[0].Equal && !seen[0].Marked) {"}, "apply", "TestP3UncertainCreateArrivesBesideAnEqualOne"},
	{planted{"what a held removal takes away is not judged", "accept/head.go", "for more := p.judge(s, losses, held); len(more) > 0; more = p.judge(s, losses, held) {", "for more := p.judge(s, losses, held); len(more) > 0; more = nil {"}, "accept", "TestRuleGuardJudgesWhatAHoldTakesAway"},
	{planted{"what was shown is forgotten when the next head is judged", "accept/review.go", "		out.Pulls, out.Shown = append(slices.Clone(before.Pulls), out.Pulls...), append(slices.Clone(before.Shown), out.Shown...)", ""}, "accept", "TestP12RuleReviewOfAWish"},
	{planted{"a review that is done comes back with the next head", "reconcile/fates.go", "	now.Wakes = awake + judged.Wakes - before.Wakes //", "	now.Wakes, now.Review = awake+judged.Wakes-before.Wakes, judged.Review //"}, "reconcile", "TestP12ReviewThatIsDoneWhileAHeadIsJudged"},
	{planted{"a failed removal of what was replaced rolls back", "reconcile/together.go", "st == apply.StepFailed && !onlyLeft(m, result):", "st == apply.StepFailed:"}, "reconcile", "TestLeftOverIsNotRolledBack"},
	{planted{"a second wish of the same head is taken for the first", "accept/write.go", "b != nil && w.base.Seq == b.Seq {", "b != nil && w.base.Seq < b.Seq {"}, "reconcile", "TestP7ASecondWishOfOneHeadIsANewerOne"},
	{planted{"what came while another was taken back ends with the wish before it", "reconcile/load.go", "		if now.Seq <= was.client.Seq {", "		if now.Seq > 0 {"}, "reconcile", "TestP7NewerWishWhileAnotherIsTakenBack"},
	{planted{"a schedule goes on with a purge that was refused", "reconcile/ops.go", "				recorded[i].PurgeAfter, recorded[i].Adopted = recorded[i].RetainedAt, false\n", "				recorded[i].PurgeAfter, recorded[i].Adopted = recorded[i].RetainedAt, false\n				if err := e.Store.Update(func(tx store.Tx) error { return store.PutResource(tx, recorded[i]) }); err != nil {\n					return nil, err\n				}\n"}, "reconcile", "TestP5RefusedPurgeLeavesTheDate"},
	{planted{"a conflict is planned again and again", "review/plan.go", "p.Taken, p.Moving, p.Static, p.New = nil, nil, nil, nil, \"\", false, true, 0", "p.Taken, p.Static, p.New = nil, nil, nil, nil, \"\", true, 0"}, "review", "TestConflictsAreNotPlannedAgain"},
	{planted{"what conflicts counts as planned", "review/plan.go", "p.Taken, p.Moving, p.Static, p.New = nil, nil, nil, nil, \"\", false, true, 0", "p.Taken, p.Moving, p.Static, p.New = nil, nil, nil, nil, \"\", false, false, 0"}, "review", "TestConflictsAreNotPlannedAgain"},
	{planted{"what an older head came to is not told again", "accept/history.go", "		if v.Commit == head {", "		if v.Commit == head && v.Seq == 0 {"}, "reconcile", "TestP9OlderHeadShownAgain"},
	// No action of today's planner has the risk traffic in one plan and offline in another, and
	// the risks above those wait whatever was shown: so no run comes to it.
	{planted{"a riskier step runs than was shown", "plan/gate.go", "r.Rank() >= s.Risk.Rank() && (g.Reviewed", "r.Rank() >= 0 && (g.Reviewed"}, "plan", "TestRuleReviewGate"},
	{planted{"an inherited change is not the pull request's that brought it", "accept/review.go", "	if k.inherited || was.Removed || k.eff.TemplateBlob != was.TemplateBlob || w.now.platform != was.PlatformBlob {", "	if k.inherited && w.in.Head == \"\" {"}, "reconcile", "TestP12AnInheritedChangeWaitsToo"},
	{planted{"the old side goes before the new one is proved", "plan/remove.go", "	s.needs(b.proved, b.find(Probe, b.deployment))\n	if k, ok := b.key(b.traffic); ok {\n		s.needs(k)\n	}\n	for _, o := range b.steps {\n		if o.Risk != RiskMail && comesBefore(o, r.Ref.Kind) {\n			s.needs(o.Key())\n		}\n	}", ""}, "reconcile", "TestS25OldSideStaysWhileTheNewOneIsUnwell"},
	{planted{"what was shown binds when its wish is done", "reconcile/end.go", "		c.Review = nil // what it showed is done; other causes than its commit are not its matter", "		c.Review = m.client.Review"}, "reconcile", "TestP12APushLetsNothingRunThatWaits"},
	{planted{"what becomes valid later is not the pull request's that brought it", "accept/review.go", "		if q.Path == path && q.Blob == blob && q.Review != nil {", "		if q.Path == \"\" {"}, "reconcile", "TestP12WhatBecomesValidLaterWaits"},
	{planted{"what was refused counts for nothing when its file is changed", "accept/review.go", "		case q.Review == nil || q.Path != path &&", "		case q.Review == nil || q.Path == path ||"}, "reconcile", "TestP12WhatWasRefusedAndChangedSinceWaits"},
	{planted{"what was refused counts for nothing at another place", "accept/review.go", "!(w.deleted[q.Path] && w.wasNamed(", "!(w.deleted[q.Path] && q.Path == path && w.wasNamed("}, "reconcile", "TestP12WhatWasRefusedElsewhereWaits"},
	{planted{"what is asked for while a pass looks is not seen", "reconcile/pass.go", "ok && (c.Seq != m.client.Seq || c.Wakes != m.client.Wakes)", "ok && (c.Seq != m.client.Seq && c.Wakes != m.client.Wakes)"}, "reconcile", "TestPausedWhileThePassLooks"},
	{planted{"a head's judgement is written over what changed meanwhile", "reconcile/poll.go", "		if err := sameAsRead(tx, in); err != nil {", "		if err := sameAsRead(tx, in); err != nil && head == \"\" {"}, "reconcile", "TestP7AWaveEndsWhileAHeadIsJudged"},
	{planted{"clients that a head joins are parted by a pass that read before", "reconcile/finish.go", "	if e.joined == joined {", "	if e.joined >= joined {"}, "reconcile", "TestP5WhoJoinsWhileOthersPart"},
	{planted{"a purge goes on though its client's file came back invalid", "apply/write.go", "(c.InvalidBlob != was.InvalidBlob || c.Paused != was.Paused)", "(c.InvalidBlob != was.InvalidBlob && c.Paused != was.Paused)"}, "reconcile", "TestP5PurgeOfWhatMayBeAskedForAgain"},
	{planted{"what serves at once is built anew without the risk", "plan/converge.go", "t.CreateCalls, Risk: b.builtOver(w, t)}", "t.CreateCalls}"}, "plan", "TestReleasesThatServeAtOnceBearTheRisk"},
	{planted{"an approval of removals lets only those go that wait", "accept/guard.go", "slices.DeleteFunc(slices.Clone(losses), p.letGoAlready)", "slices.Clone(losses)"}, "reconcile", "TestP5OneApprovalOfRemovalsThatAreHeldForEachOther"},
	{planted{"an approval of removals lets those of another head go", "accept/guard.go", "a.Head == p.in.Head && !a.Used", "a.Head != \"\" && !a.Used"}, "reconcile", "TestP5OneApprovalOfRemovalsThatAreHeldForEachOther"},
	{planted{"a merge brought what it left as it was", "accept/review.go", "return w.changed[f] && slices.Contains(r.Paths, f)", "return f != \"\" && slices.Contains(r.Paths, f)"}, "reconcile", "TestP12WhatAMergeLeftAsItWasIsNotItsOwn"},
	{planted{"what a client has all along counts as refused since", "accept/review.go", "ok && w.clients.get(id).Blob == blob {", "ok && w.clients.get(id).Blob == \"\" {"}, "reconcile", "TestP12WhoGivesBackTheGoodVersionBringsNothingThatWasRefused"},
	{planted{"a removal counts as shown where its file was to change", "reconcile/reviews.go", "planned && changed && got == blob", "planned && changed && (got == blob || blob != \"\")"}, "reconcile", "TestP12WhatARangeBrought"},
	{planted{"a redirect is put back to a name that was let go", "apply/write.go", "		if name != \"\" && !had && u.Prior.Ref.Kind == state.KindDomain &&", "		if name == goes.Provider && !had && u.Prior.Ref.Kind == state.KindDomain &&"}, "reconcile", "TestS24RedirectIsNotPutBackToANameThatIsGone"},
	{planted{"an approval outlives its client", "plan/gate.go", "		if a.Client == of.Ref.Client && !a.Ended ||", "		if a.Client != \"\" ||"}, "reconcile", "TestRuleReviewApprovalEndsWithItsClient"},
	{planted{"what was approved of a removal serves who comes back", "reconcile/poll.go", "	if err != nil || !ok || was.Removed == c.Removed {", "	if err != nil || !ok || was.Removed || !c.Removed {"}, "reconcile", "TestRuleReviewApprovalOfARemoval"},
	{planted{"what nobody can read takes no name over", "plan/move.go", "	for _, host := range c.Takes {", "	for _, host := range c.Takes[:0] {"}, "reconcile", "TestP5TheOldOwnerServesUntilTheNewOneDoes"},
	{planted{"of a rebase the last commit alone is the pull request's", "reconcile/reviews.go", "!conflicted(p) && len(own) >= most {", "!conflicted(p) && len(own) <= most {"}, "reconcile", "TestP12RebaseOfWhatWasTakenBack"},
	{planted{"a pass that was cut off is running for ever", "reconcile/engine.go", "		_, err = e.endLeft(clients, why)", "		_ = why"}, "reconcile", "TestP8PassThatWasCutOffIsToldSo"},
	{planted{"an approval is lost with the pass that was cut off", "reconcile/audit.go", "begun[a] || how != stepToDo", "begun[a] || how != \"\""}, "reconcile", "TestP8ApprovalOfAPassThatWasCutOff"},
	{planted{"a name that nobody asks for in a day parts those who have it", "accept/holds.go", "		if left.Joins() {", "		if left.Client != \"\" {"}, "accept", "TestRuleNameOfNobodyKeepsThoseWhoHadItTogether"},
	{planted{"who goes gives a name back to who is through", "reconcile/settle.go", "		if m.client.ID == by && m.removed {\n			return true", "		if m.client.ID == by && m.removed {\n			return false"}, "reconcile", "TestKeptByTaker"},
	{planted{"what is given back goes to who is in quarantine", "reconcile/settle.go", "m.client.ID == had && !m.quarantined()", "m.client.ID == had"}, "reconcile", "TestKeptByTaker"},
	{planted{"two that can't have their names back wait for each other", "reconcile/settle.go", "o.client.RollingBack != \"\" && !g.lost[o.client.ID] {", "o.client.RollingBack != \"\" {"}, "reconcile", "TestHasNameOf"},
	{planted{"an older state takes who came back for gone", "reconcile/restored.go", "c.LivedOn = c.Removed && (c.LivedOn || livedOn[c.ID])", "c.LivedOn = c.Removed && c.LivedOn && livedOn[c.ID]"}, "reconcile", "TestS34WhoComesBackOnceMoreIsItself"},
	{planted{"of two names that go, the one that the other leads to goes first", "plan/move.go", "case on != nil && on.Action == Delete && s.Ref.Client == c.Client.ID:", "case on != nil && on.Action == Delete && s.Ref.Client == \"\":"}, "plan", "TestS24OfTwoNamesThatGoTheOneThatRedirectsGoesFirst"},
	{planted{"another repository's pull request is one of before", "review/sync.go", "		if another(p, f) {\n			p, ok", "		if another(p, f) && p.Open {\n			p, ok"}, "review", "TestP9NumbersOfAnotherRepository"},
	// Pages, a clock that is set.
	{planted{"a list ends where a page fails", "provider/pages.go", "		page, err := read(ctx, r.pages+1)\n		if err != nil {", "		page, err := read(ctx, r.pages+1)\n		if err != nil && r.pages > 0 {\n			return nil\n		}\n		if err != nil {"}, "provider", "TestPagesOfAListThatMoves"},
	{planted{"one reading of a list that may move is believed", "provider/pages.go", "		if !r.moved && (r.pages == 1 || before != nil", "		if !r.moved && (r.pages >= 1 || before != nil"}, "provider", "TestPagesOfAListThatMoves"},
	{planted{"a clock that was set back is not noticed", "reconcile/clock.go", "	back := latest.Sub(now) > clockSlack", "	back := now.IsZero() && latest.Sub(now) > clockSlack"}, "reconcile", "TestTheClockIsSetBack"},
	{planted{"a clock that is set forward purges what is kept", "reconcile/clock.go", "		r.Ahead += ahead\n", ""}, "reconcile", "TestP5AClockThatIsSetForwardErasesNothing"},
	{planted{"a clock that is set forward while the program is down purges what is kept", "reconcile/clock.go", "	case is.wall.Before(latest) || is.wall.Sub(latest) > mostDown:", "	case is.wall.Before(latest):"}, "reconcile", "TestP5AClockThatIsSetForwardErasesNothing"},
	{planted{"a schedule waits for the year in which it was planned", "daemon/schedule.go", "			if e.next.IsZero() || back {", "			if e.next.IsZero() || back && now.IsZero() {"}, "daemon", "TestSchedulesWhileTheClockIsSet"},
	{planted{"the next try of a plan is waited for whenever it is", "review/plan.go", "	case p.RetryAt.After(r.Now()) && p.RetryAt.Sub(r.Now()) <= maxRetry:", "	case p.RetryAt.After(r.Now()):"}, "review", "TestP9NextTryIsNotWaitedForWhenTheClockIsSetBack"},
	{planted{"dates of kept data are moved with the clock", "reconcile/clock.go", "		if notLater(&r.UpdatedAt, now) {", "		if kept := notLater(&r.PurgeAfter, now); notLater(&r.UpdatedAt, now) || kept {"}, "reconcile", "TestTheClockIsSetBack"},
	{planted{"looks are counted by a clock that is set", "apply/looked.go", "	if r.Elapsed != nil {", "	if r.Elapsed != nil && r.Now().IsZero() {"}, "apply", "TestP3LooksAreFarEnoughApartWhateverTheClockShows"},
	{planted{"one look decides that a delete or an update did not happen", "journal/settle.go", "	if i.Looks+1 >= SettleLooks {\n		return", "	if i.Looks >= 0 {\n		return"}, "reconcile", "TestP5WriteThatOutlivesItsWish"},
	{planted{"who took a name from a client that fails keeps it", "reconcile/together.go", "range x.goBackWith(g, failed) {", "range x.goBackWith(g, nil) {"}, "reconcile", "TestS24SwapThatFailsForOneIsPutBackForBoth"},
	{planted{"who is done first of two that swap their names is through", "reconcile/together.go", "range x.goBackWith(g, atIt) {", "range x.goBackWith(g, nil) {"}, "reconcile", "TestS24SwapIsThroughForBothOrForNone"},
	{planted{"who goes keeps the name of who fails", "reconcile/settle.go", "if m.removed && u.Had(id) {", "if m.removed && u.Had(id) && id == \"\" {"}, "reconcile", "TestS24WhoGoesGivesTheNameBackToWhoFails"},
	{planted{"a name goes that may be wanted back", "plan/move.go", "if from := u.Prior.Ref.Client; atIt[from] && !u.Kept {", "if from := u.Prior.Ref.Client; atIt[from] && !u.Kept && len(takes) > 0 {"}, "reconcile", "TestS24WhoGoesGivesTheNameBackToWhoFails"},
	{planted{"who took a name is through while the other one can't be looked at", "reconcile/together.go", "			if m.waitsForVendor(p, holds) || ", "			if "}, "reconcile", "TestS24WhoTookANameIsNotThroughWhileTheOtherOneCantBeLookedAt"},
	{planted{"a newer wish that can't be leaves a swap as it is", "reconcile/together.go", "			if x.halfway(id) {", "			if x.halfway(id) && why == \"\" {"}, "reconcile", "TestS24NewerWishThatCantBeInTheMiddleOfASwap"},
	{planted{"what nobody knows of is put back before it comes", "reconcile/settle.go", "	if len(failed) < 2 && g.silent == nil {\n", "	if len(failed) < 200 && g.silent == nil {\n"}, "reconcile", "TestS24SwapThatFailsBesideAnUncertainWriteWaitsForIt"},
	{planted{"whose name has moved passes alone, though it may go back", "reconcile/finish.go", "if holds || gives || mayGoBack {", "if holds || gives || mayGoBack && len(claims) == 0 {"}, "reconcile", "TestS24WhoPassesNamesOnStaysTogetherUntilAllAreThrough"},
	{planted{"what came back goes where it was in between", "apply/resolve.go", "			if o.Ref == prior.Ref && !o.Kept {", "			if o.Ref == prior.Ref && !o.Kept && false {"}, "reconcile", "TestS24SimNamesThatWereRed"},
	{planted{"what was taken from who is through is given back", "reconcile/finish.go", "		if c.Through() {", "		if false {"}, "reconcile", "TestS24WhoIsThroughGetsNothingBack"},
	{planted{"who passes names on lets its own go at once", "plan/move.go", "		if s.Action == Move {\n			note(", "		if s.Action == Move && s == nil {\n			note("}, "reconcile", "TestS24WhoPassesNamesOnKeepsItsOwnUntilAllAreThrough"},
	{planted{"what goes back to another client is not waited for", "reconcile/settle.go", "r.WorstOfAll()", "r.Worst(m.client.ID)"}, "reconcile", "TestS24NameIsGivenBackBeforeAnybodyIsToldAsFailed"},
	{planted{"who has no name yet is told that its old version runs", "reconcile/settle.go", "if who, name, back := g.hasNameOf(m); back {", "if who, name, back := g.hasNameOf(m); back && who == m.client.Name {"}, "reconcile", "TestS24NameIsGivenBackBeforeAnybodyIsToldAsFailed"},
	{planted{"who can't have its name back is told that its old version runs", "reconcile/settle.go", "} else if who != \"\" && lost == \"\" {", "} else if who != \"\" && name == \"\" {"}, "reconcile", "TestS24WhoCantHaveItsNameBackIsToldWhy"},
	{planted{"who came back, and has no name, is told that its old version runs", "reconcile/settle.go", "case m.effective.Host != \"\" && !has(", "case m.effective.Host == \"-\" && !has("}, "reconcile", "TestS24WhoComesBackWithoutANameIsToldSo"},
	{planted{"a move is begun while the old database can't be seen", "plan/relocate.go", "	if old.Failed != \"\" {", "	if old.Failed == \"-\" {"}, "plan", "TestMoveWaitsUntilTheOldOneIsSeen"},
	{planted{"what serves while a removal waits is put back with what comes later", "reconcile/end.go", "c.Failures, c.FailedStep, c.Undo, c.Run = 0, \"\", nil, \"\"\n		e.serves(", "c.Failures, c.FailedStep, c.Run = 0, \"\", c.Run\n		e.serves("}, "reconcile", "TestWhatOnlyWaitsToRemoveIsNotPutBack"},
	{planted{"a release that was there already counts as what is served", "apply/look.go", "unknown, o.Overtaken = true, true", "unknown, o.Overtaken = false, true"}, "reconcile", "TestOlderCopyWhereTheHostDeploysInPlace"},
	{planted{"a release serves again beside another one", "apply/inplace.go", "o.Phase != \"\") {", "o.Phase != \"\" || o.Overtaken) {"}, "reconcile", "TestOlderCopyWhereTheHostDeploysInPlace"},
	{planted{"an older state says which release serves", "rebuild/record.go", "if serves && since {", "if serves && !since {"}, "rebuild", "TestS43WhichReleaseServes"},
	{planted{"a name is led back to one that is gone", "reconcile/settle.go", "	if to == \"\" || u.Prior.Ref.Kind != state.KindDomain {", "	if to != string(id) || u.Prior.Ref.Kind != state.KindDomain {"}, "reconcile", "TestLeadsNowhere"},
	{planted{"what was found makes what is in its place found", "rebuild/record.go", "		res.Found, res.Adopted, res.Overtaken = false, false, false\n", ""}, "rebuild", "TestS34WhatTookThePlaceOfTheAdopted"},
	{planted{"one look tells that an update came which changes nothing", "journal/settle.go", "(!i.repeats() || i.Looks+1 >= SettleLooks)", "(!i.repeats() || i.Looks >= 0)"}, "journal", "TestSettleUpdateThatChangesNothing"},
	{planted{"what an adopted site has is made once more", "plan/adopt.go", " || w.Ref.Kind == state.KindEnvironment || w.Ref.Kind == state.KindTraffic\n		if !part", "\n		if !part"}, "reconcile", "TestRuleAdoptionOfPartsAgain"},
	{planted{"who goes and is paused counts as gone", "reconcile/end.go", "m.client.Removed && m.client.Paused {\n			return e.stopped(", "m.client.Removed && m == nil {\n			return e.stopped("}, "reconcile", "TestPausedClientThatIsRemovedGivesNothingOn"},
	{planted{"what is being built to put it back counts as built", "reconcile/settle.go", "case is && plan.Comes(have, g.traits[have.Provider][have.Ref.Kind]):", "case is && have.ID == \"\":"}, "reconcile", "TestP8PutBackIsCutOffWhereTheHostDeploysInPlace"},
	{planted{"a name moves from who waits for its new one", "plan/gate.go", "again = keepNames(p, g)\n", "again = keepNames(Plan{}, g)\n"}, "reconcile", "TestS24SwapWaitsForBothNames"},
	{planted{"a name moves before who gives it on is ready", "plan/move.go", "			s.needs(proofs[s.From.Client])\n", ""}, "reconcile", "TestS24SwapMovesNothingBeforeBothAreReady"},
	{planted{"an environment that could not be put back never is", "reconcile/settle.go", "!alias && (newer || u.Ref.Kind", "!alias && (newer || lost != m.client.Name || u.Ref.Kind"}, "reconcile", "TestEnvironmentIsPutBackOnceItCanBe"},
	{planted{"a purge leaves its client's commit pending", "reconcile/ops.go", "err != nil || left || c.Settled {", "err != nil || left || c.Removed {"}, "reconcile", "TestP9PurgeEndsAPassThatWaited"},
	{planted{"what is put back is put back once more", "apply/resolve.go", "	if s.Prior == nil || job.PutsBack || !", "	if s.Prior == nil || !"}, "reconcile", "TestS24NameThatGoesBackIsNotPutBackOnceMore"},
	{planted{"a write of a wish that is none any more is announced", "apply/write.go", "!job.PutsBack && c.Seq > was.Seq {", "!job.PutsBack && c.Seq < was.Seq {"}, "apply", "TestP7NothingIsSentOnceANewerWishIsCommitted"},
	{planted{"looks of an earlier process count", "apply/settle.go", "		if !known {", "		if !known && i.Looks < 0 {"}, "apply", "TestP3LooksOfAnEarlierProcessDoNotCount"},
	{planted{"a name is not looked for where a move has brought it", "apply/settle.go", "i.Op == journal.OpUpdate && i.Wish != nil && !p.Traits()", "i.Op == journal.OpUpdate && i.Wish == nil && !p.Traits()"}, "reconcile", "TestS24NameWhoseMoveNobodyHeardOfIsFound"},
	{planted{"who waits only for mail is through before the one whose name it took", "reconcile/together.go", "		case st == apply.StepSkipped && onlyHeldLeft(p, m, result): // for good, if the others are through\n", ""}, "reconcile", "TestS24SwapOfWhichOnlyMailWaitsIsNotThroughBeforeTheOther"},
	{planted{"who waited for the other is never through, as mail waits", "reconcile/end.go", "		if len(m.client.Undo) > 0 { // it was", "		if len(m.client.Undo) < 0 { // it was"}, "reconcile", "TestS24SwapOfWhichOnlyMailWaitsIsNotThroughBeforeTheOther"},
	{planted{"the environment goes back where what serves does not", "reconcile/settle.go", "!alias && (newer || u.Ref.Kind", "!alias && (newer && u.Kept || u.Ref.Kind"}, "reconcile", "TestEnvironmentOfWhatServesStays"},
	{planted{"what is found by its mark is looked for once more by its name", "reconcile/witness.go", "		if there || seen[res.Ref] || !ok", "		if there || !ok"}, "reconcile", "TestS43EqualRecordBesideOurs"},
	{planted{"who never had a name keeps the one that it took as it failed", "reconcile/settle.go", "	if !m.knownByName() {\n", "	if !m.client.EverDeployed {\n"}, "reconcile", "TestS24SimNamesThatWereRed"},
	{planted{"who never had a name keeps the one that it took as the other failed", "reconcile/together.go", "if !m.knownByName() || ", "if !m.client.EverDeployed || "}, "reconcile", "TestS24WhoNeverHadANameGivesBackTheOneThatItTook"},
	{planted{"who took a name gives it back though its own one goes", "apply/write.go", "own := name != \"\" && goes.Ref.Client == id", "own := name == \"\" && goes.Ref.Client == id"}, "reconcile", "TestS24WhoseOwnNameGoesKeepsTheOneThatItTook"},
	{planted{"a record that a person has yet to set leads somewhere", "reconcile/settle.go", " && r.Phase != string(provider.Manual) && plan.Leads(r.Ref, host)", " && plan.Leads(r.Ref, host)"}, "reconcile", "TestS24RecordThatNobodyHasSetLeadsNowhere"},
	{planted{"a comment is heard before its pull request is known", "review/sync.go", "	if listing {\n", "	if listing || err != nil {\n"}, "review", "TestCommandOnAPullRequestThatIsOpenedMeanwhile"},
	{planted{"a command of long ago is carried out", "review/command.go", "c.CreatedAt) > state.ApprovalLife {", "c.CreatedAt) > keepCommand {"}, "review", "TestP12CommandsOfLongAgo"},
	{planted{"what another one approved since is approved once more", "review/command.go", "(k.By == by || !waitsElse(", "(k.By == by || waitsElse("}, "review", "TestP8CommandCarriedOutBeforeADeath"},
	{planted{"a secret that would be put back is forgotten", "reconcile/secrets.go", "range append(back, have...) {", "range append(back[:0], have...) {"}, "reconcile", "TestRuleSecretsOfWhatWouldBePutBackAreNotForgotten"},
	{planted{"who took a name keeps it before the one that had it is through", "apply/write.go", " && comesAfter(job.Plan, s, had) {", " && had != s.Ref.Client {"}, "reconcile", "TestS24SimNamesThatWereRed"},
	{planted{"who is paused fails with another one", "reconcile/together.go", " || m.client.Run == \"\" { // none", " { // none"}, "reconcile", "TestS24WhoIsPausedDoesNotFailWithAnother"},
	{planted{"who took a name is through while the other one waits for a person", "reconcile/together.go", " || st == apply.StepParked:", ":"}, "reconcile", "TestS24WhoTookANameIsNotThroughWhileTheOtherOneWaitsForAPerson"},
	{planted{"a name that was let go is free after a day, though it is still there", "accept/holds.go", " && !w.stillHas(t.Client, hostOf(t)):", ":"}, "accept", "TestRuleIdentityNameThatIsLetGoAndStillThere"},
	{planted{"a name is free once whoever was to have it is gone", "reconcile/finish.go", "c.Client == \"\" && len(c.From) == 1 {", "c.Client == \"\" && len(c.From) < 0 {"}, "reconcile", "TestS24NameOfWhoIsPausedOutlivesWhoWasToHaveIt"},
	{planted{"a name's old owner lets it go while DNS leads people there", "plan/move.go", "asks[s.Ref.Client]; what != \"\" {", "asks[s.Ref.Client]; what == \"-\" {"}, "reconcile", "TestS24OldOwnerKeepsANameWhileDNSLeadsThere"},
	{planted{"a plan does not know who has a name from before", "reconcile/preview.go", "	if len(only) > 0 {\n		if err := e.givers(", "	if len(only) < 0 {\n		if err := e.givers("}, "reconcile", "TestP12NameOfWhoIsPausedIsShownAsAMove"},
	{planted{"a record that a person sets leads to any release", "plan/converge.go", "if (t.Serving || b.leadsOver(&s)) && !quiet {", "if t.Serving && !quiet {"}, "plan", "TestP12LeadingPeopleToANewSiteBindsItsRelease"},
	{planted{"a merge commit that is known later is told nothing", "review/sync.go", "len(p.Accepted) > 0 && was == p.MergeCommit {", "len(p.Accepted) > 0 {"}, "review", "TestP9MergeCommitThatIsKnownLater"},
	{planted{"a pull request counts before comments are heard", "review/sync.go", "	if said.deaf {", "	if said.deaf && listed == nil {"}, "review", "TestCommandAfterAFirstLookThatFoundNoRoom"},
	{planted{"a move that a person changed since counts as none", "journal/settle.go", "(seen[0].Equal || seen[0].Moved || i.handsOver() && seen[0].Ours)", "seen[0].Equal"}, "journal", "TestSettleMoveThatAPersonChanged"},
	{planted{"what an alias redirected to is forgotten once it could not be put back", "reconcile/settle.go", "u.Prior.Ref != u.Ref || !alias && (newer", "u.Prior.Ref != u.Ref || (alias || !alias) && (newer"}, "reconcile", "TestS24AliasRedirectsAgainOnceTheNameCanBeGivenBack"},
	{planted{"who can't be planned counts as through as another one's name goes", "apply/write.go", "func(q plan.Problem) bool { return q.Client == id }) {\n		return false\n	}\n	before :=", "func(q plan.Problem) bool { return q.Client == \"\" }) {\n		return false\n	}\n	before :="}, "reconcile", "TestS24WhoGoesGivesTheNameBackToWhoGivesOneBack"},
	{planted{"who gets its name back from who goes counts as one that gets none", "reconcile/together.go", "(back[other.client.ID] || other.removed) && slices", "back[other.client.ID] && slices"}, "reconcile", "TestS24WhoGoesGivesTheNameBackToWhoGivesOneBack"},
	{planted{"who gets its name back from who goes keeps the one that it took", "reconcile/settle.go", "u.Prior.Ref.Kind == state.KindDomain && u.Prior.Attributes.Literal(\"redirect\") == \"\"\n	}) {\n		return false", "u.Prior.Ref.Kind == state.KindDomain && u.Prior.Attributes.Literal(\"redirect\") == \"\"\n	}) && m.removed {\n		return false"}, "reconcile", "TestS24WhoGoesGivesTheNameBackToWhoGivesOneBack"},
	{planted{"a plan has who begins afresh come back", "reconcile/preview.go", "		if !ids[c.ID] && !c.Removed {", "		if !ids[c.ID] && c.Removed {"}, "reconcile", "TestPreviewOfWhoBeginsAfresh"},
	{planted{"who took a name is through while the other one's new one is frozen", "reconcile/together.go", " || m.waitsForName(p) {", " {"}, "reconcile", "TestS24WhoTookANameIsNotThroughWhileTheOtherOneIsFrozen"},
	{planted{"a name goes whose client can't have its new one", "apply/write.go", "	if job.PutsBack || !s.TakesName() {", "	if job.PutsBack || s.TakesName() {"}, "reconcile", "TestS24NameStaysWhileTheNewOneIsSomebodyElses"},
	{planted{"a name goes that is to redirect, and whose client can't have another", "plan/gate.go", "		if !does || !s.TakesName() ||", "		if !does || s.Action != Move || s.From.Client == s.Ref.Client || !s.LeadsHere() ||"}, "reconcile", "TestS24NameThatIsToRedirectStaysWhileTheNewOneCantBePlanned"},
	{planted{"what is under way counts as not happened where all is put back", "apply/rollback.go", "		if !open && now.Ref == prior.Ref && now", "		if now.Ref == prior.Ref && (open || true) && now"}, "reconcile", "TestEnvironmentIsPutBackThoughItsChangeComesLate"},
	{planted{"a name whose record is another client's counts as one that answers", "reconcile/settle.go", "r.Ref.Kind == state.KindDomain && !g.ledElsewhere(m, r.Ref.Host()) && !g.unset(m, r.Ref.Host()) &&", "r.Ref.Kind == state.KindDomain &&"}, "reconcile", "TestS24WhoComesBackWithoutARecordIsToldSo"},
	{planted{"a name that leads to another client counts as one to go back to", "reconcile/together.go", "			!x.staysElsewhere(g, id, r.Ref.Host(), back)", "			x.result.Steps != nil"}, "reconcile", "TestS24WhoseNameLeadsElsewhereDoesNotFailWithAnother"},
	{planted{"a name whose record went counts as one that answers", "reconcile/settle.go", " && !g.unset(m, r.Ref.Host()) &&", " &&"}, "reconcile", "TestS24WhoComesBackAfterItsRecordWentIsToldSo"},
	{planted{"what is due goes though nobody can read the branch", "reconcile/pass.go", "	if e.unread(g) {", "	if g == nil && e.unread(g) {"}, "reconcile", "TestP5NothingGoesBeforeTheBranchIsRead"},
	{planted{"what went counts as read at once after a start", "reconcile/poll.go", "due && (looked.IsZero() || ", "due && !looked.IsZero() && ("}, "reconcile", "TestP5NothingGoesBeforeTheBranchIsRead"},
	{planted{"data is erased on the word of an older head", "reconcile/poll.go", "	case !same:\n		return fmt.Errorf(\"%w (%s)", "	case !same && err != nil:\n		return fmt.Errorf(\"%w (%s)"}, "reconcile", "TestS40NothingIsErasedBeforeTheBranchIsRead"},
	{planted{"what redirects to a name that another one has is not put back", "apply/write.go", "		if name != \"\" && !had && u.Prior", "		if name != \"\" && (had || !had) && u.Prior"}, "reconcile", "TestS24AliasRedirectsAgainToTheNameThatAThirdOneLetGo"},
	{planted{"what served is built again from another environment", "reconcile/settle.go", "if !m.environmentBack() {", "if e == nil {"}, "reconcile", "TestEarlierVersionIsNotBuiltFromAnotherEnvironment"},
	{planted{"who comes back brings a template that no plan showed", "accept/review.go", "k.inherited || was.Removed || ", "k.inherited || "}, "accept", "TestP12WhoComesBackHasAllOfItFromTheTemplates"},
	{planted{"a client without a site has an address", "reconcile/end.go", "r.Ref.Kind == state.KindSite }) {\n		return \"\"", "r.Ref.Kind == state.KindSite }) && m == nil {\n		return \"\""}, "reconcile", "TestClientWithoutASiteHasNoAddress"},
	{planted{"an older state knows the names of a site that was made anew", "reconcile/witness.go", "		anew[f.Ref] = known[f.Ref].ID != f.ID\n", ""}, "reconcile", "TestS34OlderStateFindsNamesOfASiteThatWasMadeAnew"},
	{planted{"what a list costs is not charged", "reconcile/survey.go", "	if n := made(); n > 0 {", "	if n := made(); n < 0 {"}, "reconcile", "TestS41WhatAListCostsIsCharged"},
	{planted{"looks use a window up", "provider/httpapi/turns.go", "half && t.halves >= max(1, t.most/2)", "half && t.halves >= t.most"}, "reconcile", "TestS41LooksAtALargeFleetLeaveHalfOfAWindow"},
	{planted{"who was not reached as a provider wanted no more calls counts as tried", "reconcile/survey.go", "halt{sentence(err), until, !s.asked}", "halt{sentence(err), until, false}"}, "reconcile", "TestS41PausesOnARateLimit"},
	{planted{"a rebuild ends with a vendor's first window", "reconcile/witness.go", "provider.Paced(ctx, provider.Pace{Wait: lookPatience})\n	for", "provider.Paced(ctx, provider.Pace{})\n	for"}, "reconcile", "TestS34RebuildWaitsThroughTheWindowsOfVendors"},
	{planted{"a record is kept under another key", "store/pulls.go", "return put(tx, bucketMeta, \"heads\", seq)", "return put(tx, bucketMeta, \"headsAsked\", seq)"}, "bolt", "TestTheShapeOfRecords"},
	{planted{"a migration loses a record", "bolt/migrate.go", "{\"fields of November 2026\", func(store.Tx) error { return nil }}", "{\"fields of November 2026\", func(tx store.Tx) error { return store.DeleteHold(tx, \"9f3a51c20b7e\") }}"}, "bolt", "TestEverySchemaOpens"},
	{planted{"a newer version builds everything anew", "desired/desired.go", "	sum := sha256.Sum256([]byte(text))", "	sum := sha256.Sum256([]byte(text + \" \"))"}, "reconcile", "TestEverySchemaGoesOn"},
	{planted{"a newer state opens", "bolt/open.go", "		if h.Schema > schema {", "		if h.Schema > schema+1 {"}, "../cmd/reconciler", "TestNewerStateIsRefused"},
	{planted{"an invalid file hides a quarantine", "accept/write.go", "	if c.Because == \"\" || strings.HasSuffix(c.Because, lastGoodStays) {", "	if c.Because != why {"}, "reconcile", "TestC20InvalidFileHidesNoQuarantine"},
	{planted{"the secret of a rollback is forgotten", "reconcile/secrets.go", "			if ok && (!c.Removed || c.RollingBack != \"\") {", "			if ok && !c.Removed {"}, "reconcile", "TestRuleSecretsOfARollbackAreNotForgotten"},
	{planted{"that an approved step goes on is not told", "reconcile/ops.go", "			return e.tellApproved(tx, h)\n", "			return nil\n"}, "reconcile", "TestApprovedCommitGoesOn"},
	{planted{"a stop in a look counts as a death", "reconcile/turns.go", "	e.unmark(left)\n", "	e.unmark(left[:0])\n"}, "reconcile", "TestC20StopLeavesNoMarkOfWorkBesidePasses"},
	{planted{"a death at a look is nobody's", "reconcile/looks.go", "end, ok, err = r.e.beside(workLook, string(l.Client), died)", "end, ok = func() {}, died >= 0"}, "reconcile", "TestC20DeathAtALookIsOneOfWhoIsLookedAt"},
	{planted{"a death at a probe is nobody's", "reconcile/poison.go", "	for _, mark := range left {\n		work, id := besideOf(mark)\n		does", "	for _, mark := range left {\n		if strings.HasPrefix(string(mark), workProbe) {\n			continue\n		}\n		work, id := besideOf(mark)\n		does"}, "reconcile", "TestC20SuspectsBesidePasses"},
	{planted{"who was beside others is quarantined", "reconcile/poisonbeside.go", "n >= maxCrashes && sure {", "n >= maxCrashes {"}, "reconcile", "TestC20SuspectsBesidePasses"},
	{planted{"a proof is made beside others", "reconcile/poisonbeside.go", "	if t.alone || alone && t.running > 0 {", "	if t.alone {"}, "reconcile", "TestC20ProofBesidePasses"},
	{planted{"a list is read beside a proof", "reconcile/survey.go", "		end, ok, err := s.e.beside(workList, s.readers[i].Name(), 0)\n", "		mark := []state.ClientID{besideMark(workList, s.readers[i].Name())}\n		end, ok, err := func() { s.e.unmark(mark) }, true, s.e.mark(mark)\n"}, "reconcile", "TestC20ProofBesideNoList"},
	{planted{"a death in a list is nobody's", "reconcile/survey.go", "	if s.marks {", "	if s.marks && i < 0 {"}, "reconcile", "TestC20DeathInAList"},
	{planted{"one look is enough for a mend", "drift/looked.go", "		case row.Looks < LooksBeforeMend:", "		case row.Looks < 1:"}, "reconcile", "TestS41PutBackAfterTwoEqualLooks"},
	{planted{"another value counts as the same look", "drift/looked.go", "			if old.Print == row.Print && old", "			if old"}, "reconcile", "TestS41AnotherValueBeginsAnewAndRestartsKeepLooks"},
	{planted{"a fight never stops", "drift/looked.go", "mends(l.Mends, *row, c.Now) >= MendsBeforeFight:", "mends(l.Mends, *row, c.Now) < 0:"}, "reconcile", "TestS41FightStops"},
	{planted{"a fight ends by itself", "drift/looked.go", "			row.Fight = old.Fight && !anew\n", "			row.Fight = old.Fight && !anew && len(out.Mends) > 0\n"}, "reconcile", "TestS41FightStops"},
	{planted{"an ignore without end goes on", "drift/policy.go", "	return err != nil || !now", "	return err == nil && !now"}, "drift", "TestPolicy"},
	{planted{"an ignore outlives its last day", "drift/policy.go", "		if r.Policy == manifest.DriftIgnore && over(r.Until, now) {", "		if r.Policy == manifest.DriftIgnore && r.Until == \"\" && over(r.Until, now) {"}, "reconcile", "TestS41IgnoreEnds"},
	{planted{"what differs is put back though nobody asked for it", "drift/policy.go", "		out.Policy = manifest.DriftReport\n	}\n	for", "		out.Policy = manifest.DriftHeal\n	}\n	for"}, "reconcile", "TestS41ReportIsTheDefault"},
	{planted{"a mend puts back what changed since the looks", "reconcile/mend.go", "				case all[i].Print == row.Print:", "				case all[i].Print != \"\":"}, "reconcile", "TestS41ChangedBetweenLookAndMend"},
	{planted{"a report before its commit: success is told before it is written", "reconcile/finish.go", "	e.at(PointEnd)\n", "	if end.word == \"succeeded\" {\n		if err := e.Store.Update(func(tx store.Tx) error { return e.verdict(tx, m, m.client, end) }); err != nil {\n			return Done{}, err\n		}\n		e.told.Store(true)\n	}\n	e.at(PointEnd)\n"}, "reconcile", "TestP9NothingIsToldBeforeItIsWritten"},
	{planted{"a name redirects anew to what nobody could see", "plan/converge.go", "to != \"\" && reachedBy(w, to)", "to == \"-\" && reachedBy(w, to)"}, "reconcile", "TestNameRedirectsAnewOnlyToWhatIsSeen"},
	{planted{"a move that bears no mark did not happen, as a person changed it since", "journal/settle.go", "seen[0].Equal || seen[0].Moved || ", "seen[0].Equal || "}, "journal", "TestSettleUpdateOfWhatMayHaveMoved"},
	{planted{"who is served already is welcomed once there is mail", "reconcile/welcome.go", "if err != nil || !served || ", "if err != nil || served || "}, "reconcile", "TestWelcomeIsForWhoIsNew"},
	{planted{"whatever wakes a client brings an upgrade along", "reconcile/upgrade.go", "		g.members[0].stays = stays(", "		g.members[0].stays = false && stays("}, "reconcile", "TestRuleVersionsUpgradeWaitsWhateverWakesAClient"},
	{planted{"a pass comes before an upgrade is judged", "reconcile/engine.go", "	if err == nil && !old {\n		err = e.upgraded", "	if err == nil && old {\n		err = e.upgraded"}, "reconcile", "TestRuleVersionsUpgradeWaits"},
	{planted{"an upgrade keeps a client from its next commit", "reconcile/poll.go", "followed(tx, newWishes(in.Holds, in.Clients, r.Clients))", "followed(tx, newWishes(in.Holds, nil, r.Clients))"}, "reconcile", "TestRuleVersionsUpgradeWaits"},
	{planted{"an upgrade keeps a client from a secret's new version", "reconcile/secrets.go", "followed(tx, ids)", "followed(tx, ids[:0])"}, "reconcile", "TestRuleVersionsUpgradeComesWithASecret"},
	{planted{"an upgrade keeps what is to go", "reconcile/upgrade.go", "			return seen && wished || slices", "			return seen && wished || false && slices"}, "reconcile", "TestRuleVersionsUpgradeKeepsNothingThatWasAskedFor"},
	{planted{"an upgrade finds at rest who is half the way back", "reconcile/upgrade.go", "	return !underway && c.Converged", "	return (!underway || underway) && c.Converged"}, "reconcile", "TestRuleVersionsUpgradeGoesBackTheWholeWay"},
	{planted{"an upgrade does not wait on a state that was put back", "reconcile/restored.go", "		r.Baseline.Version = in.Baseline.Version", "		r.Baseline.Version = e.Program"}, "reconcile", "TestRuleVersionsUpgradeWaitsAfterARestore"},
	{planted{"a name that only its record tells of is on no record", "reconcile/witness.go", "		if r.Ref.Kind == state.KindRecord && !r.Found {", "		if r.Ref.Kind == state.KindRecord && r.Found {"}, "reconcile", "TestS34NameThatOnlyItsRecordTellsOf"},
	{planted{"a name that a head gave up is on no record", "reconcile/witness.go", "map[state.Ref]bool{}, slices.Clone(leave)", "map[state.Ref]bool{}, slices.Clone(leave[:0])"}, "reconcile", "TestS34NameThatOnlyItsRecordTellsOf"},
	{planted{"a name of the site that is left is on no record", "reconcile/witness.go", "		if r.Ref.Kind == state.KindDomain {\n			hosts", "		if r.Ref.Kind == state.KindSite {\n			hosts"}, "reconcile", "TestS34NameThatOnlyItsRecordTellsOf"},
	{planted{"what an invalid file does not ask for stays for ever", "reconcile/restored.go", "		one.hold(e, head)\n		if c.Removed {", "		if c.InvalidBlob != \"\" {\n			one.out.Unwished = nil\n		}\n		one.hold(e, head)\n		if c.Removed {"}, "reconcile", "TestS34NameThatOnlyItsRecordTellsOf"},
	{planted{"a pull request's plan ends the program", "reconcile/proposal.go", "	err = e.contain(\"\", func() (err error) { out, err = e.weighAll(ctx, p); return err })", "	out, err = e.weighAll(ctx, p)"}, "reconcile", "TestP6PanicInAPullRequestsPlan"},
	{planted{"a plan that the forge would not take was shown", "reconcile/reviews.go", "		if refused[fmt.Sprintf", "		if false && refused[fmt.Sprintf"}, "reconcile", "TestP12PlanThatCouldNotBeToldWasNotShown"},
	{planted{"a new head waits behind old ones", "review/plan.go", "cmp.Or(cmp.Compare(waits(a), waits(b)), a", "cmp.Or(0*waits(a)*waits(b), a"}, "review", "TestP9NewHeadDoesNotWaitBehindOldOnes"},
	{planted{"a result waits for everybody else's clients", "review/result.go", "			if ended > 0 && open == 0 {", "			if ended > 0 && open < 0 {"}, "review", "TestP9ResultOfWhatEndedBesideMany"},
	{planted{"of two whose pass failed one is tried again", "daemon/daemon.go", "		for _, c := range t.Group { // it was to", "		for _, c := range t.Group[:1] { // it was to"}, "daemon", "TestP6WhoWasDueBesideAFailedPassIsTriedAgain"},
	{planted{"Vercel's notes can't be read back", "provider/vercel/environment.go", "	out[\"target\"] = []string{development}", "	out[\"target\"] = []string{production}"}, "provider/vercel", "TestATeamThatEnforcesSensitiveVariables"},
	{planted{"a paused project is asked to promote what it has", "provider/vercel/traffic.go", "	case at == id:\n		path", "	case at == id && !x.Paused:\n		path"}, "provider/vercel", "TestTrafficGoesAndComesBack"},
	{planted{"a list of projects that moves is read once", "provider/vercel/project.go", "err != nil || pages == 1 {", "err != nil || pages >= 1 {"}, "provider/vercel", "TestAListThatMoves"},
	{planted{"a file that does not show is overwritten", "provider/ploi/environment.go", "	if f, there, err = p.getEnv(ctx, at); err != nil || there {\n		return f, there, err\n	}\n	s, err", "	if f, there, err = p.getEnv(ctx, at); err != nil || there || !there {\n		return f, there, err\n	}\n	s, err"}, "provider/ploi", "TestAFileThatDoesNotShowIsNotOverwritten"},
	{planted{"who waits for the end of a freeze counts as through", "accept/waves.go", "	case waitsForDate(c):", "	case false && waitsForDate(c):"}, "reconcile", "TestS53WavesOutliveAFreeze"},
	{planted{"who waits in one change waits in the next as well", "reconcile/secrets.go", "accept.Overtake(holds, clients)", "accept.Overtake(holds[:0], clients)"}, "reconcile", "TestRuleTwoSecretsRightAfterEachOther"},
	{planted{"a change that has reached one keeps whom it is joined with", "reconcile/load.go", "!m.client.Removed && !reached(h) {", "!m.client.Removed && (!reached(h) || reached(h)) {"}, "reconcile", "TestS53WaveReachesTheJoined"},
	{planted{"what is asked for again goes while the head is held", "reconcile/pass.go", "	if e.headHeld(g) {", "	if g == nil && e.headHeld(g) {"}, "reconcile", "TestP5NothingGoesWhileTheHeadIsHeld"},
	{planted{"a rebuild forgets whose names in sources were", "reconcile/rebuild_write.go", "		if first.Name != n || len(all) > 1 {", "		if first.Name != n && len(all) < 1 {"}, "reconcile", "TestS43NamesInSourcesStayTheirClients"},
	{planted{"who has yet to get a secret waits for an upgrade", "reconcile/upgrade.go", "			if g.members[0].rotated() {", "			if g == nil && g.members[0].rotated() {"}, "reconcile", "TestRuleVersionsUpgradeAfterASecretOfThePaused"},
	{planted{"what is kept goes by the date of its first day", "reconcile/ops.go", "		if !now {\n			recorded[i]", "		if now && !now {\n			recorded[i]"}, "reconcile", "TestP5KeptAsLongAsItIsSaid"},
	{planted{"a look at ours counts for a person's record", "plan/move.go", "return r.Ref == o.Ref && r.Provider != o.Provider }) {", "return r.Ref == o.Ref && r.Provider == \"\" }) {"}, "reconcile", "TestSimSeedsThatWereRed"},
	{planted{"a removal whose date has come waits for it still", "reconcile/end.go", "		case t.NotUntil.After(m.now):\n			return s, word, \"its removal", "		case !t.NotUntil.IsZero():\n			return s, word, \"its removal"}, "reconcile", "TestP6ARemovalWhoseDateHasComeWaitsForWhoTakesItsName"},
	{planted{"what the commit says that leaves a database out does not count", "reconcile/load.go", "		if !m.client.Removed { // it says", "		if !m.client.Removed && keep < 0 { // it says"}, "reconcile", "TestP5KeptAsTheCommitSaysThatLeavesItOut"},
	{planted{"a release is kept that was built with another database", "apply/write.go", "	other := plan.BuiltElsewhere(have, all) ||", "	other := len(all) < 0 ||"}, "reconcile", "TestReleaseOfAMoveThereAndBack"},
	{planted{"a release of an erased database is promoted", "plan/relocate.go", "		if planned && b.steps[n].Action == Create && (of", "		if planned && b.steps[n].Action == Create && n < 0 && (of"}, "reconcile", "TestReleaseOfADatabaseThatWasErased"},
	{planted{"a site keeps its database's earlier address", "apply/resolve.go", "	if was.Ref.Kind != state.KindDatabase {\n		return nil\n	}\n	changed", "	if was.Ref.Kind != \"\" {\n		return nil\n	}\n	changed"}, "reconcile", "TestSiteFollowsItsDatabasesAddress"},
	{planted{"a file in two folders is nobody's for ever", "accept/identify.go", "	return p.deleted[c.Path] || p.namesakes[c.Name] &&", "	return p.deleted[c.Path] || p.namesakes[c.Name] && c.Removed &&"}, "reconcile", "TestRuleFileInTwoFolders"},
	{planted{"of two addresses of a name one is dropped", "manifest/records.go", "			if addresses[address] {", "			if addresses[address] && lower == \"\" {"}, "reconcile", "TestTwoAddressesOfOneName"},
	{planted{"a shop is built with a closed account", "plan/relocate.go", "release.Payments != \"\" && release.Payments != r.ID:", "release.Payments != \"\" && release.Payments == \"\":"}, "reconcile", "TestP5AShopIsBuiltWithTheAccountThatItHas"},
	{planted{"a site that serves is taken back for what is beside it", "reconcile/finish.go", "		if result != nil && m.servesFirst(c, *result, end) {", "		if result == nil && m.servesFirst(c, *result, end) {"}, "reconcile", "TestRuleAShopThatServesIsNotTakenBackForItsAccount"},
	{planted{"who failed or is held is not asked after", "reconcile/health.go", "	case state.StatusFailed, state.StatusHeld, state.StatusPaused, state.StatusDeploying:", "	case state.StatusRetained:"}, "reconcile", "TestS44WhoFailedOrIsHeldIsAskedAfterToo"},
	{planted{"the welcome says that somebody else is the first user", "reconcile/load.go", "			in.User = r.Attributes.Literal(\"email\")", "			in.User = \"\""}, "reconcile", "TestP3TheWelcomeSaysWhoTheFirstUserIs"},
	{planted{"what another provider refuses is not put back", "apply/write.go", "		if s.Action == plan.Replace && s.Ref.Kind == state.KindRecord", "		if s.Action == plan.Purge && s.Ref.Kind == state.KindRecord"}, "reconcile", "TestRuleADNSProviderThatRefusesTakesNothingDown"},
	{planted{"a freeze that is taken back goes on", "accept/write.go", "	w.standing()\n	w.thaw()\n", "	w.standing()\n"}, "reconcile", "TestRuleFreezeIsTakenBack"},
	{planted{"the default server is another one than none", "plan/diff.go", "	return k == state.KindSite && a.Name", "	return k == state.KindMail && a.Name"}, "reconcile", "TestP4NamingTheDefaultServerChangesNothing"},
	{planted{"mail that waits keeps a site", "plan/remove.go", "		if o.Risk != RiskMail && comesBefore(o, r.Ref.Kind) {", "		if comesBefore(o, r.Ref.Kind) {"}, "reconcile", "TestRuleMailAloneWaitsWhenTheSiteIsLeftOut"},
	{planted{"a held head is let go as the accepted one is judged again", "reconcile/poll.go", "	if !e.again {\n", "	if !e.again || e.again {\n"}, "reconcile", "TestP5NothingGoesWhileTheAcceptedHeadIsJudgedAgain"},
	{planted{"what is asked for as a head is judged is forgotten", "reconcile/poll.go", "e.recheck = \"\", e.wanted != e.judging", "e.recheck = \"\", e.wanted < e.judging"}, "reconcile", "TestRecheckIsWantedAsAHeadIsCommitted"},
	{planted{"a new client makes the state an older copy", "reconcile/behind.go", "err != nil || !known {", "err != nil || !known || known {"}, "reconcile", "TestP6NewClientBesideTheFirstListIsNoOldState"},
	{planted{"an adoption wakes nobody else", "reconcile/takeover.go", "		e.alsoDue(done)\n", ""}, "reconcile", "TestP6AdoptionIsConfirmedAsTheClockWasSetBack"},
	{planted{"a backup replaces whatever is there", "bolt/rotate.go", "	if err := replaceable(path); err != nil {", "	if err := replaceable(path); err != nil && path == \"\" {"}, "bolt", "TestABackupReplacesBackupsOnly"},
	{planted{"what the manifest said that went counts for nothing", "reconcile/ops.go", "	for _, t := range gone {\n		keep, forever", "	for _, t := range gone[:0] {\n		keep, forever"}, "reconcile", "TestP5KeptAsTheManifestThatWentSaid"},
	{planted{"what was asked for again goes by its first date", "reconcile/ops.go", "			atLeast(t.At, keep) //", "			atLeast(r.RetainedAt, keep) //"}, "reconcile", "TestP5AskedForAgainAndTakenOutOnceMore"},
	{planted{"people are told of the first date", "reconcile/finish.go", "			if err := e.dated(tx, c, m.effective); err != nil {", "			if err := e.dated(tx, state.Client{}, m.effective); err != nil {"}, "reconcile", "TestP5KeptAsTheManifestThatWentSaid"},
	{planted{"a clock that is set forward leaves what was said later", "reconcile/ops.go", "since.Add(keep + max(r.Ahead, 0))", "since.Add(keep)"}, "reconcile", "TestP5WhatWasSaidLaterIsPutOffToo"},
	{planted{"of what waited the last says for how long", "reconcile/load.go", "max(keep, k), forever || f, said || says", "k, f, said || says"}, "reconcile", "TestP5LongestOfWhatWaited"},
	{planted{"what a manifest said between two looks is not read", "reconcile/poll.go", "len(rg.Commits) < 2 ||", "len(rg.Commits) < 200 ||"}, "reconcile", "TestS51RetainThatWasSaidJustBeforeItWent"},
	{planted{"mail at an earlier name goes unasked", "plan/remove.go", "	for part := range b.proofs { //", "	for part := range map[string]bool{} { //"}, "reconcile", "TestRuleMailOfAnEarlierNameWaits"},
	{planted{"mail at an earlier name goes unasked where there is no site", "plan/remove.go", "	return name == b.c.Host || !strings.HasPrefix(name, \"_\") && (b.c.Host == \"\" ||", "	return name == b.c.Host || !strings.HasPrefix(name, \"_\") && b.c.Host == \"\" && (b.c.Host == \"\" ||"}, "reconcile", "TestRuleMailOfAnEarlierNameWaits"},
	{planted{"an older copy takes the database that was left for its client's", "rebuild/record.go", "	return frozen && other\n", "	return frozen && !frozen && other\n"}, "reconcile", "TestS34ACopyThatHasTheOneThatWasLeft"},
	{planted{"an older copy has one database twice", "reconcile/restored.go", "				case !seen[r.Ref] && r.Ref.Kind == state.KindDatabase &&", "				case !seen[r.Ref] && r.Ref.Kind == \"\" &&"}, "reconcile", "TestS34ACopyThatHasTheOneThatWasLeft"},
	{planted{"what was squashed is brought once more by the branch that goes on", "reconcile/reviews.go", "len(p.Accepted) > 0 && p.MergeCommit != \"\" && ", "len(p.Accepted) > 0 && p.MergeCommit == \"-\" && "}, "reconcile", "TestP12WhatARangeBrought"},
	{planted{"a plan says that nobody shows what it shows", "reconcile/proposal.go", "\t\tin.Shown[path] = true\n\t}\n\tfor _, f := range p.Merged", "\t\tin.Shown[path] = false\n\t}\n\tfor _, f := range p.Merged"}, "reconcile", "TestRuleGuardReviewedIsShownByThePlan"},
	{planted{"what goes on after the same was merged stays brought", "review/plan.go", "\t\tif v.made {", "\t\tif v.made && p.Merged {"}, "review", "TestP9GoesOnAfterTheSameWasMerged"},
	{planted{"a merge after the same is nobody's", "review/sync.go", "\t\tcase v.Seq > newest:", "\t\tcase newest == 0:"}, "review", "TestP9GoesOnAfterTheSameWasMerged"},
	{planted{"what was taken back has no result", "review/result.go", "err != nil || len(shown.Changes) == 0 {", "err != nil || len(shown.Changes) >= 0 {"}, "review", "TestP9ResultOfNothingThatWasShown"},
	{planted{"who was renamed beside a pull request is not its own", "review/result.go", "slices.ContainsFunc(c.Former, func(n string) bool { return names[n] }))", "len(c.Former) < 0)"}, "review", "TestP9ResultOfWhoWasRenamed"},
	{planted{"files that a template makes invalid are nobody's", "review/result.go", "!its && !q.Warning && changesRules(p) {", "!its && q.Warning && changesRules(p) {"}, "review", "TestP9ResultOfFilesThatATemplateMakesInvalid"},
	{planted{"a rename claims its own name", "review/others.go", "\t\t\tif touches(q, a.Name) || touches(p, b.Name) {", "\t\t\tif touches(q, a.Name) && len(a.Name) == 0 {"}, "review", "TestRuleARenameClaimsNoName"},
	{planted{"who waits or failed is not said to be sick", "notify/notify.go", "sick := runs(&is, c); sick {", "sick := runs(&is, c); sick && c.Removed {"}, "notify", "TestS44SickWhileItWaitsOrFailed"},
	{planted{"a pull request that was closed stays so", "review/unseen.go", "if was.Open || was.Merged {", "if was.Number != 0 {"}, "review", "TestP9ClosedThenMergedUnseen"},
	{planted{"a template's plan knows no client that came since", "review/plan.go", "len(changed) > 0 && changesRules(p) {", "len(changed) < 0 && changesRules(p) {"}, "review", "TestS04RulesArePlannedOntoNewClients"},
	{planted{"what is gone stays active at the forge", "review/deliver.go", "		if gone { // only", "		if gone && runs { // only"}, "review", "TestDeploymentOfWhatIsGone"},
	{planted{"statuses that are denied are tried one by one", "review/deliver.go", "if r.Now().Sub(k.since).Abs() >= deniedFor {", "if r.Now().Sub(k.since).Abs() >= 0 {"}, "review", "TestP9DeniedStatusesLeaveRoom"},
	{planted{"a status is set at every try of the rest", "review/deliver.go", "	if was == s {", "	if was == s && subject == \"\" {"}, "review", "TestP9StatusIsSetOnceWhileTheRestWaits"},
	{planted{"what is hidden is not taken for denied", "review/deliver.go", "failed := there(); failed == nil {", "failed := there(); failed == nil && err == nil {"}, "review", "TestP9HiddenStatusKeepsNoResult"},
	{planted{"a comment that was refused once is dropped", "review/deliver.go", "if _, failed := r.Forge.Pull(ctx, number); failed == nil {", "if _, failed := r.Forge.Pull(ctx, number); failed != nil {"}, "review", "TestP9RefusedCommentIsTriedAgain"},
	{planted{"an outage uses up what may be written", "github/transport.go", "if f != nil && f.nothing() && !reading", "if f != nil && !f.nothing() && !reading"}, "github", "TestP9OutageTakesNoBudget"},
	{planted{"a comment of another account is tried for ever", "review/deliver.go", "			denied = err // or", "			return err // or"}, "review", "TestP9CommentOfAnAccountOfBefore"},
	{planted{"a database's new address is not taken over", "reconcile/pass.go", "	if done.Again, err = e.readdress(g); done", "	if done.Again, err = false, nil; done"}, "reconcile", "TestRuleADatabaseThatWasReaddressedAtItsVendor"},
	{planted{"a look does not see where a database is", "reconcile/survey.go", "ownData(r) && o.Phase == provider.Ready {\n			out = append", "ownData(r) && o.Phase == provider.Failed {\n			out = append"}, "reconcile", "TestRuleADatabaseThatWasReaddressedAtItsVendor"},
	{planted{"a release is served on whose database is elsewhere by now", "desired/release.go", "		if n := b.in.Readdressed; n > 0 {", "		if n := b.in.Readdressed; n < 0 {"}, "reconcile", "TestRuleADatabaseThatWasReaddressedAtItsVendor"},
	{planted{"a new password comes with the commit after", "plan/converge.go", "	if look.Readdresses {", "	if look.Readdresses && look.Gone {"}, "reconcile", "TestRuleAChangeThatReaddressesADatabase"},
	{planted{"one refused object ends everybody's look", "reconcile/survey.go", "	case own && (kind", "	case !own && own && (kind"}, "reconcile", "TestP6RefusedObjectStopsNobodyElsesLook"},
	{planted{"a deployment that failed stays", "provider/railway/make.go", "	if d.deployment != nil && ended(d", "	if d.deployment != nil && d.making && ended(d"}, "provider/railway", "TestS28DeploymentThatFailedIsStartedAgain"},
	{planted{"a database that failed is only waited for", "plan/converge.go", "		case have.Phase == \"failed\" && w.Ref.Kind == state.KindDatabase:\n			b.update", "		case have.Phase == \"failed\" && w.Ref.Kind == state.KindMail:\n			b.update"}, "provider/railway", "TestS28DeploymentThatFailedIsStartedAgain"},
	{planted{"a zone that is not seen is the token's matter", "provider/cloudflare/zones.go", "	if !ok || e.Kind != provider.Denied || id =", "	if !ok || e.Kind == provider.Denied || id ="}, "provider/cloudflare", "TestP6ZoneThatIsNotSeenAnyMore"},
	{planted{"an address's password is told by itself", "secret/redactor.go", "len(password) >= minPassword {", "len(password) < 0 {"}, "secret", "TestP10PasswordOfAnAddress"},
	{planted{"traffic goes back before what it leads to is built", "reconcile/settle.go", "			return last != g.servesLast(u.Prior) ||", "			return last ||"}, "reconcile", "TestAChangeThatIsUnfitFromOutsideIsPutBackInPlace"},
	{planted{"what was adopted with a site is not built again", "reconcile/settle.go", "have.Adopted && have.Ref.Name != plan.AdoptedName:", "have.Adopted && have.Ref.Name == plan.AdoptedName:"}, "reconcile", "TestAChangeThatIsUnfitFromOutsideIsPutBackInPlace"},
	{planted{"a release that was adopted is in the way for ever", "plan/converge.go", "	if have.Adopted && w.Ref.Kind == state.KindDeployment && !another {", "	if have.Adopted && w.Ref.Kind == state.KindMail && !another {"}, "reconcile", "TestS20RevertOfAnAdoptedSiteWaitsForItsHost"},
	{planted{"whose adopted site is gone gets a welcome", "plan/adopt.go", "	return b.lived() && (", "	return b.lived() && k == \"\" && ("}, "reconcile", "TestRuleAdoptionNobodyIsWelcomedAfterTheSiteMoved"},
	{planted{"a record is adopted as another one", "plan/adopt.go", "		case !b.adopted(w) && b.anotherRecord(w) != \"\":", "		case b.adopted(w) && b.anotherRecord(w) != \"\":"}, "reconcile", "TestRuleAdoptionOfAnotherRecord"},
	{planted{"who lacked a provider waits for retry", "reconcile/engine.go", "!c.Settled, cut[c.ID], c.Unplanned:", "!c.Settled, cut[c.ID]:"}, "reconcile", "TestRuleWhoLacksAProviderGoesOnOnceItIsConfigured"},
	{planted{"what is at a provider that is away is no part of a wish", "reconcile/poll.go", "	in.Configured = e.keptOrAway\n", ""}, "reconcile", "TestP1WhatIsLetGoWhileItsProviderIsNotConfiguredGoes"},
	{planted{"a site on a server that is named no more is gone", "provider/ploi/ploi.go", "	if err := p.named(at.siteID, opDelete); err != nil {\n		return err\n	}\n", "	if err := p.named(at.siteID, opDelete); err != nil {\n		return nil\n	}\n"}, "../cmd/reconciler", "TestP3SiteOnAServerThatIsNamedNoMore"},
	{planted{"a project of a team that is not named is gone", "provider/vercel/call.go", "	if isGone(err) {\n		return p.unlessElsewhere(", "	if isGone(err) && k.Op == \"\" {\n		return p.unlessElsewhere("}, "../cmd/reconciler", "TestP3ProjectsOfATeamThatIsNotNamed"},
	{planted{"what serves is gone while a release is only written down", "provider/ploi/deployment.go", "	case err == nil && before && !began:", "	case err == nil && before && began && !began:"}, "../cmd/reconciler", "TestS41WhatServesWhileDeployingIsRefused"},
	{planted{"a refused permission is told without its name", "provider/ploi/call.go", "http.StatusForbidden && f.Error == \"\":", "http.StatusForbidden && f.Error != \"\":"}, "../cmd/reconciler", "TestS41WhatServesWhileDeployingIsRefused"},
	{planted{"a release that serves no more is told as gone", "reconcile/survey.go", "		if looked || r.Ref.Kind != state.KindDeployment {", "		if looked || r.Ref.Kind != \"\" {"}, "reconcile", "TestS41ReleaseThatServesNoMoreIsNotTold"},
	{planted{"why Vercel says nothing of a name is not told", "provider/vercel/domain.go", "\" there: \"+messageOf(err)", "\" there\""}, "../cmd/reconciler", "TestRuleANameThatVercelDoesNotSpeakOf"},
	{planted{"what hides its deployments is built", "provider/vercel/deployment.go", "	if x.hides() {", "	if x.hides() && site == \"\" {"}, "../cmd/reconciler", "TestRuleAProjectThatHidesItsDeployments"},
	{planted{"a variable goes from previews, too", "provider/vercel/environment.go", "	if len(others) == 0 {", "	if len(others) >= 0 {"}, "../cmd/reconciler", "TestRuleAVariableForPreviewsStaysThere"},
	{planted{"a renamed project is nobody's", "provider/vercel/vercel.go", "x.says().Installation != installation", "x.Env.mark().Installation != installation"}, "../cmd/reconciler", "TestP3ARenamedProjectIsFoundByARebuild"},
	{planted{"a plan without a price can't go back by two releases", "provider/vercel/traffic.go", "		if back && errors.Is(err, errPlan) {", "		if back && errors.Is(err, errPlan) && op == \"\" {"}, "../cmd/reconciler", "TestRuleARevertOverTwoReleasesOnAFreePlan"},
	{planted{"a name that is a branch's is not told", "provider/vercel/domain.go", "	if d.Branch != \"\" {", "	if d.Branch != \"\" && d.Name == \"\" {"}, "../cmd/reconciler", "TestRuleANameThatWasGivenToABranch"},
	{planted{"a promotion that is taken counts as made", "apply/wait.go", "if behind = servesAnother(wish, objects[0]); behind == \"\" {", "if behind = servesAnother(wish, objects[0]); behind != \"-\" {"}, "../cmd/reconciler", "TestP9PromotionThatIsTakenAndNotMade"},
	{planted{"a page in place of an answer is a success", "provider/httpapi/client.go", "if k.Out == nil && kindOf(a) == page &&", "if k.Out != nil && kindOf(a) == page &&"}, "../cmd/reconciler", "TestP3PageInPlaceOfAnAnswer"},
	{planted{"a server without an address has an empty one", "provider/ploi/site.go", "	if ip == \"\" { // it is being made", "	if ip == \"-\" { // it is being made"}, "../cmd/reconciler", "TestS32ServerThatHasNoAddressYet"},
	{planted{"a name that Ploi says nothing of is bound", "provider/ploi/domain.go", "err == nil && !got.Data.has(host) {", "err != nil && !got.Data.has(host) {"}, "../cmd/reconciler", "TestP9SuccessThatSaysNothing"},
	{planted{"variables that Vercel says nothing of are set", "provider/vercel/environment.go", "err == nil && (len(a.Created) == 0 ||", "err != nil && (len(a.Created) == 0 ||"}, "../cmd/reconciler", "TestP9SuccessThatSaysNothing"},
	{planted{"the guard lets sites go offline whose names stay", "accept/guard.go", "goesDark(part, kept) && slices.Contains(k.wants", "goesDark(part, kept) && !slices.Contains(k.wants"}, "../cmd/reconciler", "TestRuleGuardHoldsSitesThatGoOffline"},
	{planted{"what was invalid for a while stays so in the verdict", "accept/write.go", "v.Clients[c.ID] != FateInvalid {\n			continue", "v.Clients[c.ID] == FateInvalid {\n			continue"}, "accept", "TestP9WhatTheConfigurationMadeInvalidIsValidAgain"},
	{planted{"what was not there is told as erased", "reconcile/ops.go", "		out[s.Ref] = err == nil && len(found) == 0", "		out[s.Ref] = err != nil && len(found) == 0"}, "reconcile", "TestP5PurgeOfWhatIsNotThereSaysSo"},
	{planted{"who returns has the address of before", "reconcile/look.go", "				if ownData(inUse(r)) {\n", "				if ownData(r) {\n"}, "../cmd/reconciler", "TestS23WhoReturnsHasTheAddressThatItsDatabaseHasByNow"},
	{planted{"what was changed while it was out of use stays so", "plan/converge.go", "	if len(fields) == 0 && len(look.Differs) > 0 {", "	if len(fields) > 0 && len(look.Differs) > 0 {"}, "../cmd/reconciler", "TestS23WhoReturnsHasTheAddressThatItsDatabaseHasByNow"},
	{planted{"a plan knows nothing of another address", "reconcile/preview.go", "*w, m.secrets, m.recorded)", "*w, m.secrets, nil)"}, "../cmd/reconciler", "TestP12PlanAfterADatabaseHadAnotherAddress"},
	{planted{"payments return in another country", "plan/converge.go", "	if b.heldAsData(w, fields) {\n		return\n	}\n	if len", "	if len(fields) < 0 {\n		return\n	}\n	if len"}, "../cmd/reconciler", "TestS28PaymentsReturnInAnotherCountry"},
	{planted{"a database that does not run is as recorded", "reconcile/look.go", "o.Phase != provider.Failed || e.foreign(r, o)", "o.Phase == provider.Failed || e.foreign(r, o)"}, "../cmd/reconciler", "TestS41DatabaseThatDoesNotRun"},
	{planted{"data that is gone is made again by a retry", "drift/words.go", "(row.Mend || row.Field == state.FieldGone)", "row.Mend"}, "../cmd/reconciler", "TestS41WhatIsGoneWithItsDataIsRestoredByAPerson"},
	{planted{"another account's token says what is gone", "provider/railway/look.go", "			if p.wanted != \"\" { //", "			if p.wanted == \"-\" { //"}, "provider/railway", "TestP3NothingIsGoneOfAnotherAccountsToken"},
	{planted{"a changed SPF policy stands beside the one before", "plan/restate.go", "if policy == \"\" ||", "if policy != \"\" ||"}, "../cmd/reconciler", "TestRuleMailPolicyIsOneRecord"},
	{planted{"a person's SPF policy is joined by ours", "apply/look.go", "case !ours && (exclusive(w.Get(\"type\")) || samePolicy(w, o)):", "case !ours && (exclusive(w.Get(\"type\")) || samePolicy(w, o) && ours):"}, "../cmd/reconciler", "TestRuleMailPolicyOfAPerson"},
	{planted{"how long own records live is not counted", "plan/switch.go", "if leadsToSite(w) != b.site && !b.ownAddress(w) {", "if leadsToSite(w) != b.site {"}, "../cmd/reconciler", "TestS25OwnRecordsOfALongTimeToLive"},
	{planted{"an own record that leads to what was replaced is not seen", "plan/switch.go", "case b.ownAddress(w) && slices.Contains(left, to)", "case !b.ownAddress(w) && slices.Contains(left, to)"}, "../cmd/reconciler", "TestS25OwnRecordThatLeadsToWhatWasReplaced"},
	{planted{"an own record behind the proxy waits for a certificate", "plan/switch.go", "proxied || addresses(r, w.Ref.Host())", "proxied || leadsHere(r, w.Ref.Host())"}, "../cmd/reconciler", "TestRuleOwnRecordBehindTheProxy"},
	{planted{"what was left in another zone leads people still", "provider/cloudflare/observe.go", "failed != nil || left {", "failed != nil || left && r.ID == \"\" && there {"}, "../cmd/reconciler", "TestRuleZoneThatWasAddedAnew"},
	{planted{"one zone that is not seen keeps an older copy from being compared", "reconcile/witness.go", "provider.KindOf(err) == provider.Invalid }", "err != nil && provider.KindOf(err) != provider.Invalid }"}, "reconcile", "TestP6AZoneThatIsNotSeenStopsNoComparison"},
	{planted{"a part that waits is told as done", "reconcile/end.go", "		if end.because, end.next = m.partWaits(); end.because != \"\" {", "		if end.because = \"\"; end.because != \"\" {"}, "reconcile", "TestP9APartThatWaitsIsNotToldAsDone"},
	{planted{"the old version is said to run where mail alone waits", "report/outcome.go", "d.State == \"held\" && onlyLeft(d):", "d.State == \"held\" && onlyLeft(d) && d.Error == \"-\":"}, "reconcile", "TestP9WhatIsDoneButForMailIsNotToldAsTheOldVersion"},
	{planted{"a change that asks nothing makes a site well", "reconcile/end.go", "if c.Health != state.Degraded || c.URL == \"\" ||", "if c.Health != state.Degraded || c.URL != \"\" ||"}, "reconcile", "TestS44AChangeThatAsksNothingMakesNobodyWell"},
	{planted{"who is paused is not asked after", "reconcile/health.go", "	case state.StatusFailed, state.StatusHeld, state.StatusPaused, state.StatusDeploying:", "	case state.StatusFailed, state.StatusHeld, state.StatusDeploying:"}, "reconcile", "TestS44WhoIsPausedIsAskedAfterToo"},
	{planted{"who is paused and sick is not said to be", "notify/notify.go", "	case (c.Status == state.StatusActive || asked) && c", "	case c.Status == state.StatusActive && c"}, "notify", "TestS44SickWhileItIsPaused"},
	{planted{"a site stays built for the runtime before", "desired/release.go", "r != \"\" { // what the site has", "r == \"-\" { // what the site has"}, "reconcile", "TestRuleAnotherRuntimeIsAnotherRelease"},
	{planted{"an empty variable is none", "plan/diff.go", "			if (isVariable(w[j]) || !w", "			if (!w"}, "reconcile", "TestRuleValuesAnEmptyVariableIsSet"},
	{planted{"a release with a secret that was forgotten is promoted", "reconcile/secrets.go", "ref.Version, ref.Fingerprint = ref.Version+1, e", "ref.Version, ref.Fingerprint = ref.Version, e"}, "reconcile", "TestRuleAGeneratedSecretThatWasForgottenIsMadeAnew"},
	{planted{"a site is probed at every tick", "reconcile/health.go", "	return every <= usualProbe ||", "	return every > 0 ||"}, "reconcile", "TestS44HowOftenASiteIsProbed"},
	{planted{"what is described is not shown", "reconcile/view.go", "		d.Described = describedIn(eff)\n", "		_ = eff\n"}, "reconcile", "TestRuleValuesDescriptionsAreShown"},
	{planted{"a write at a host that is gone holds all", "reconcile/pass.go", "		open = e.reachable(open)\n", ""}, "reconcile", "TestP6AWriteAtAProviderThatIsGoneHoldsNothingElse"},
	{planted{"an uncertain write holds all of its client", "reconcile/pass.go", "			if g.silent = err; !g.alone() {", "			if g.silent = err; true {"}, "reconcile", "TestP6AnUncertainWriteHoldsItsVendorOnly"},
	{planted{"of an uncertain write that the plan doesn't know nothing waits", "reconcile/pass.go", "range slices.SortedFunc(maps.Keys(open),", "range slices.SortedFunc(maps.Keys(map[state.Ref]bool{}),"}, "reconcile", "TestP6AnUncertainWriteHoldsItsVendorOnly"},
	{planted{"a vendor is sent more while of a write nobody knows what became of it", "reconcile/pass.go", "		if open[s.Ref] || s.Provider == vendor {", "		if open[s.Ref] {"}, "reconcile", "TestP6NothingIsSentBesideAnUncertainWriteToItsVendor"},
	{planted{"what fails beside an uncertain write is put back before it", "reconcile/settle.go", "	if len(failed) < 2 && g.silent == nil {", "	if len(failed) < 2 {"}, "reconcile", "TestP6WhatFailsBesideAnUncertainWriteIsPutBackAfterIt"},
	{planted{"nobody looks into an uncertain write while a person is asked", "reconcile/finish.go", "		if g.silent != nil {", "		if false {"}, "reconcile", "TestP6AnUncertainWriteIsLookedIntoWhileAPersonIsAsked"},
	{planted{"who gives a name to a new client that waits, waits with it", "reconcile/load.go", "m.unbegun = bound && h.Kind == state.HoldCreates && !m.client.Removed", "m.unbegun = bound && h.Kind == state.HoldHistory && !m.client.Removed"}, "reconcile", "TestP6WhoGivesANameToANewClientThatWaitsGoesOn"},
	{planted{"what is left of a hold can't be approved", "accept/guard.go", "range [][]loss{losses, left}", "range [][]loss{losses}"}, "reconcile", "TestRuleGuardWhatIsLeftOfAHoldCanBeApproved"},
	{planted{"what another took over at its date is held for ever", "reconcile/end.go", "end.status != state.StatusRetained && !anew {", "end.status != state.StatusRetained {"}, "reconcile", "TestP9APartThatAnotherTakesOverAtItsDateIsDone"},
	{planted{"what is approved says that it waits for that", "reconcile/end.go", "m.client.RetryAt.Equal(at) && !anew {", "m.client.RetryAt.Equal(at) {"}, "reconcile", "TestP9APartThatIsApprovedSaysWhatItWaitsForStill"},
	{planted{"a stopped change counts who has left it", "accept/holds.go", "if say(&h); v.Halted {", "if say(&h); v.Halted && v.What == \"\" {"}, "reconcile", "TestS53AHaltedChangeSaysWhoWaitsStill"},
	{planted{"who was not valid for a while gets a template's change beside the waves", "accept/head.go", "len(p.inherits) > 0 && k.who == existing", "len(p.inherits) < 0 && k.who == existing"}, "reconcile", "TestS53AMendedTemplateGoesInWaves"},
	{planted{"a certificate that is gone is not seen", "reconcile/look.go", "		if e.bare(r, objects[0]) {", "		if e.bare(r, objects[0]) && r.ID == \"\" {"}, "../cmd/reconciler", "TestRuleACertificateThatIsGoneAtPloiIsAskedForAgain"},
	{planted{"a certificate that has run out counts", "provider/ploi/domain.go", "> 24*time.Hour", "> 24*time.Hour*10000"}, "../cmd/reconciler", "TestRuleACertificateThatIsGoneAtPloiIsAskedForAgain"},
	{planted{"a site's variables go with its repository", "provider/ploi/site.go", "	if there {\n		return seen, p.restoreEnv", "	if there && at.server == \"\" {\n		return seen, p.restoreEnv"}, "../cmd/reconciler", "TestRuleRepositoriesAtPloi"},
	{planted{"what was built is there without its repository", "provider/ploi/deployment.go", "return !s.HasRepository && s.settled() }", "return !s.HasRepository && s.settled() && s.ID == 0 }"}, "../cmd/reconciler", "TestRuleRepositoriesAtPloi"},
	{planted{"nobody can let be what is in a zone that left", "plan/remove.go", "b.c.Looks[s.Ref].Away; why != \"\" {", "b.c.Looks[s.Ref].Away; why == \"never\" {"}, "../cmd/reconciler", "TestP6WhatIsInAZoneThatLeftStaysOnceAPersonSaysSo"},
	{planted{"a second server locks who names none", "provider/ploi/site.go", "w.Get(\"server\") != \"\" && (err != nil", "(err != nil"}, "../cmd/reconciler", "TestRuleASecondServerAtPloi"},
	{planted{"who asks for no server is told that it changed", "drift/compare.go", "kind == state.KindSite && r.Name == \"server\" && r.Text == \"\"", "kind == state.KindSite && r.Name == \"server\" && r.Text == \"-\""}, "../cmd/reconciler", "TestRuleASecondServerAtPloi"},
	{planted{"a database moves while its site can't follow", "plan/gate.go", "\t\tagain = moveWaits(p.Steps) || again\n", "\t\tagain = moveWaits(p.Steps[:0]) || again\n"}, "reconcile", "TestRuleADatabaseMovesOnceItsSiteCanFollow"},
	{planted{"a freeze leaves a site read-only", "plan/gate.go", "\tthrough := g.ReadsOnly[s.Ref.Client] && (", "\tthrough := g.Removed[s.Ref.Client] && ("}, "reconcile", "TestRuleAFreezeLeavesNoSiteReadOnly"},
	{planted{"a move that was taken back needs no other yes", "plan/relocate.go", "\t\tif !there.Agreed || there.Retained() {", "\t\tif !there.Agreed {"}, "reconcile", "TestP12AMoveThatWasTakenBackIsAskedForAgain"},
	{planted{"what a move left and is gone is in the way", "plan/relocate.go", "!b.undoes(w.Ref) && !b.c.Looks[beside.Ref].Gone:", "!b.undoes(w.Ref):"}, "reconcile", "TestRuleWhatAMoveLeftAndIsGoneIsNotInTheWay"},
	{planted{"a copy whose password is not known is filled", "reconcile/look.go", "(ownData(r) || r.Copy && r.Real())", "ownData(r)"}, "reconcile", "TestRuleACopyThatCantBeFilledIsMended"},
	{planted{"a copy that failed to start is only waited for", "plan/relocate.go", "\tcase there.Phase == \"failed\":\n", "\tcase there.Phase == \"-\":\n"}, "reconcile", "TestRuleACopyThatCantBeFilledIsMended"},
}

// TestPlantedBugsFit: whoever changes a line in which a bug is planted plants it anew.
func TestPlantedBugsFit(t *testing.T) {
	names, seeds := map[string]bool{}, maps.Clone(foundBefore)
	for _, b := range allPlanted() {
		if names[b.name] {
			t.Errorf("two are called %q", b.name)
		}
		names[b.name] = true
		delete(seeds, b.name)
		if _, _, _, err := b.change(".."); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
	}
	if len(seeds) > 0 {
		t.Errorf("seeds of no bug: %v", seeds)
	}
	text, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	said := fmt.Sprintf("| %d bugs planted one by one (one build has them all) are found: %d are the random runs' to find, %d a named test's", len(allPlanted()), len(plantedBugs), len(plantedElsewhere))
	if !strings.Contains(string(text), said) {
		t.Errorf("CONTRIBUTING.md does not say %q", said)
	}
}

// allPlanted are the bugs of all lists.
func allPlanted() []planted {
	all := slices.Clone(plantedBugs)
	for _, b := range plantedElsewhere {
		all = append(all, b.planted)
	}
	return all
}

// change is the text of the bug's file, what it is with the bug in it, and where they begin
// to differ.
func (b planted) change(internal string) (was, sick string, at int, err error) {
	text, err := os.ReadFile(filepath.Join(internal, filepath.FromSlash(b.file)))
	if err != nil {
		return "", "", 0, err
	}
	was = string(text)
	if n := strings.Count(was, b.old); n != 1 {
		return "", "", 0, fmt.Errorf("%s has the line %d times: plant the bug anew", b.file, n)
	}
	sick = strings.Replace(was, b.old, b.new, 1)
	for at < len(was) && at < len(sick) && was[at] == sick[at] {
		at++
	}
	return was, sick, at, nil
}
