package reconcile_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/rebuild"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// lastSecret is the shared secret's value when everything is mended.
const lastSecret = "very-secret-last"

// backUp keeps a copy of the state, for a person to put back later.
func (s *story) backUp() {
	if s.engine.Head() == "" {
		return // an empty one is refused in front of what there is
	}
	path := filepath.Join(s.t.TempDir(), "copy.backup")
	if err := s.store.BackupTo(path); err != nil {
		s.Fatalf("back up: %v", err)
	}
	s.say("back up")
	s.backup, s.knewThen = path, map[state.ClientID]bool{}
	for _, id := range s.ids() {
		s.knewThen[id] = true
	}
	s.namesThen = map[string]bool{}
	for name := range s.lives() {
		s.namesThen[name] = true
	}
}

// made says that a site or a database was made for the client: what lived before us tells
// nobody whose it is.
func (s *story) made(id state.ClientID) bool {
	for _, o := range s.vendors.world.Objects("") {
		if (o.Kind == state.KindSite || o.Kind == state.KindDatabase) && ours(o) && o.Mark.Client == id && !s.planted[o.ID] {
			return true
		}
	}
	return false
}

// lives are the ids of living clients by name.
func (s *story) lives() map[string]state.ClientID {
	out := map[string]state.ClientID{}
	for _, c := range s.clients() {
		if !c.Removed {
			out[c.Name] = c.ID
		}
	}
	return out
}

// odd says that a client's manifest asks for what a state that came back does not know:
// a secret, a person's work, or what lived before.
func (s *story) odd() bool {
	for _, x := range s.tree.specs {
		if x.secret || x.byHand || x.adopts != "" {
			return true
		}
	}
	return false
}

// sameIDs: who lives has the id that it had. A file that an older state refuses is nobody's so
// far: somebody whom only that state knows as living bears its name, or has one that it asks
// for, and "previously may name only a client that is removed in the same range of commits". A
// person decides then. A rebuild begins from Git and marks alone, and knows nobody older.
func (s *story) sameIDs(before map[string]state.ClientID, knewThen map[state.ClientID]bool) {
	o, err := s.engine.Overview()
	if err != nil {
		s.Fatalf("%v", err)
	}
	refused := map[string]bool{}
	for _, p := range o.Problems {
		refused[clientOf(p.Path)] = true
	}
	for name, id := range s.lives() {
		x := s.tree.specs[name]
		if was := before[name]; was != "" && was != id && x.host != "none" && x.adopts == "" && !(refused[name] && knewThen[id]) {
			s.Fatalf("S43: %s is %s, and was %s", name, id, was)
		}
	}
}

// wroteNothing: no provider was written since the calls were forgotten.
func (s *story) wroteNothing(when string) {
	if got := s.writes(); len(got) > 0 {
		s.Fatalf("S43: %s: %v", when, got)
	}
}

// rebuilt loses the state of a world at rest and makes it anew from Git and marks: nothing
// is written, everybody is who they were, and what follows is nothing. false: there is
// nobody to begin from.
func (s *story) rebuilt() bool {
	s.say("--- lose the state")
	before := s.lives()
	s.were = before
	s.lose()
	s.unheard()
	s.vendors.world.ForgetCalls()
	out, err := s.engine.Rebuild(s.ctx(), "dana")
	s.wroteNothing("a rebuild writes")
	if err != nil {
		if len(before) == 0 || strings.Contains(err.Error(), "no provider shows") {
			s.say("%v", err)
			return false // nothing shows which installation it was
		}
		s.Fatalf("S43: rebuild: %v", err)
	}
	s.begin()
	s.sameIDs(before, nil)
	for _, l := range out.Lost {
		s.knows(l.Client, l.Name, "very-secret-lost-"+l.Name)
	}
	s.knows("", "key", lastSecret)
	s.hit("state lost")
	s.reopen()
	s.everybodyAsked()
	s.pollNow()
	s.quiet()
	if !s.odd() {
		// Users are not looked at, and one may still name a site that was made anew; of releases
		// nobody knows which are the youngest. Of whom only an account is left, and whose name Git does
		// not explain, nobody knows who it was.
		anew := ""
		for name, id := range s.lives() {
			if was := before[name]; was != "" && was != id && s.tree.specs[name].host == "none" {
				anew += " create payments " + string(id)
			}
		}
		got := slices.DeleteFunc(s.writes(), func(call string) bool {
			_, account, _ := strings.Cut(call, stripe)
			account, _, _ = strings.Cut(account, "-"+lawInstallation)
			return strings.Contains(call, " admin ") || strings.Contains(call, "delete deployment ") || account != "" && strings.Contains(anew, account)
		})
		if len(got) > 0 {
			s.Fatalf("S43: a rebuilt state plans something: %v", got)
		}
	}
	if s.rest(); s.anotherClients() {
		return false
	}
	s.fulfilled()
	return true
}

// restored puts an older copy of the state back: nobody acts on it before it was compared,
// and the end is what it was.
func (s *story) restored() {
	s.say("--- put the copy back")
	s.older = true
	before, back := s.lives(), s.world.clock.Now()
	// (A file of whom the copy has under that name is its own by that, and nobody is made anew.)
	whole := s.odds(3, "with its marker") && slices.ContainsFunc(slices.Collect(maps.Values(before)), func(id state.ClientID) bool { return !s.knewThen[id] && !s.namesThen[rebuild.NameOf(id)] && s.made(id) })
	s.vendors.world.ForgetCalls()
	s.queue = map[state.ClientID]time.Time{}
	put := s.restore
	if whole { // it is found out by a client that it does not know
		put = s.restoreWhole
	}
	for _, d := range put(s.backup) {
		s.queue[d.Client] = d.At
	}
	s.hit("older state put back")
	s.unheard()
	s.accepted, s.approved = s.engine.Head(), false
	for _, t := range s.allTombstones() { // what was let go before the copy was made was judged then
		s.free[lossOf(t)] = s.free[lossOf(t)] || t.Held == ""
	}
	s.begin()
	s.everybodyAsked()
	if !whole {
		s.passDue(5)
		s.wroteNothing("an older state acts before it looks")
	}
	if s.odds(3, "dies comparing") {
		s.chaos.kill = 1 + s.n(5, "after")
		s.pollNow()
		if s.chaos.gone() {
			s.reopen()
		}
		s.chaos.kill = 0
	}
	s.pollNow()
	s.wroteNothing("comparing writes")
	if s.anotherClients() {
		return // names changed hands since: it says `rebuild`
	}
	s.approveAll()
	s.pollNow()
	if whole { // it may be found out only when something is to be made, which takes the secrets
		s.knows("", "key", lastSecret)
		s.quiet()
		s.pollNow()
		s.takesTheHead()
	}
	if s.anotherClients() {
		return
	}
	if s.foundOut(back) {
		s.sameIDs(before, s.knewThen)
	}
	s.quiet()
	s.knows("", "key", lastSecret)
	s.lostSecrets()
	s.lackOwn()
	s.ownAgain()
	if o, err := s.engine.Overview(); err != nil || len(o.Problems) > 0 {
		s.mend()
	}
	if s.rest(); !s.anotherClients() {
		s.fulfilled()
	}
}

// foundOut says that an older copy that was put back then is to be known as one. A whole folder is when somebody comes whom it does
// not know, or something is to be made: that waits while the one's file is refused, since it asks for a name of somebody whom the
// copy has as living, and the other lacks a secret.
func (s *story) foundOut(back time.Time) bool {
	for _, id := range s.lives() {
		if !s.knewThen[id] {
			return true
		}
	}
	entries, err := s.engine.History("", 1000)
	if err != nil {
		s.Fatalf("%v", err)
	}
	return slices.ContainsFunc(entries, func(x state.Entry) bool { return x.What == "restored" && !x.At.Before(back) })
}

// takesTheHead approves what the branch is by now, where that still waits. A whole folder that is put back is found out
// only when a client comes that it does not know, and while a head is held as a whole nobody comes. (approveAll goes by
// what was held as it began: where a removal was let go before, the head is held by another fingerprint since, as others
// would lose their manifest.)
func (s *story) takesTheHead() {
	for _, h := range s.holds() {
		if h.Kind == state.HoldHistory && h.Approvable {
			s.approveOne(h)
			s.middle()
		}
	}
}

// everybodyAsked: everybody may be written, for the state that says who is at rest is
// another one.
func (s *story) everybodyAsked() {
	for n := range s.tree.specs {
		s.person(n)
	}
	for _, c := range s.clients() {
		s.person(c.Name)
	}
	s.clean, s.cleanNow, s.up = map[state.ClientID]bool{}, map[state.ClientID]bool{}, map[string]state.ClientID{}
}

// anotherClients says that a hold wants another way out than an approval: whoever looks, as it asks
// them to, sees also where a lost state's guess of whose data it is, by a name alone, is wrong.
func (s *story) anotherClients() bool {
	lives := s.lives()
	for _, h := range s.holds() {
		if h.Kind != state.HoldRebuild {
			continue
		}
		if !h.Approvable || len(h.Steps) == 1 && h.Steps[0] == accept.OlderWish {
			return true
		}
		for name, was := range s.were {
			if id := lives[name]; id != was && slices.Contains(append([]state.ClientID{h.Client}, h.Clients...), id) {
				return true
			}
		}
	}
	return false
}

// knows sets a secret as a person does who has it elsewhere.
func (s *story) knows(client, name, value string) {
	_, ids, err := s.engine.SetSecret(client, name, state.NewSecret(value), s.keys.Fingerprint, "dana")
	if err != nil {
		s.Fatalf("set the secret %s: %v", name, err)
	}
	s.secrets = append(s.secrets, value)
	s.wants(ids...)
}

// lostSecrets sets those that an older state does not know.
func (s *story) lostSecrets() {
	for _, c := range s.clients() {
		var lost []state.SecretRef
		s.view(func(tx store.Tx) error {
			all, err := store.Secrets(tx, string(c.ID))
			for _, r := range all {
				rec, _, err := store.Secret(tx, r.Scope, r.Name, r.Version)
				if err != nil {
					return err
				}
				if rec.From == store.SecretLost {
					lost = append(lost, r)
				}
			}
			return err
		})
		for _, r := range lost {
			s.knows(string(c.ID), r.Name, "very-secret-lost-"+r.Name)
		}
	}
}
