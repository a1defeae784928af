package accept

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// collect makes a candidate of every client file that is to be looked at, and of
// every living client that inherits something new.
func (p *pass) collect() {
	p.misnamed()
	for _, file := range p.paths(manifest.ClassClient) {
		if p.deleted[file] {
			continue
		}
		f := p.file(file)
		k := &candidate{path: file, name: nameOf(file), blob: f.Blob, data: f.Data}
		if f.Err != "" {
			k.bad("read", f.Err, "")
		}
		p.files = append(p.files, k)
	}
	if !p.all && len(p.stale) == 0 {
		return
	}
	for i := range p.clients {
		c := &p.clients[i]
		id := c.ID
		if c.Removed || !p.all && !p.stale[c.TemplateBlob] || p.going(id) {
			continue
		}
		k := &candidate{path: c.Path, name: c.Name, blob: c.Blob, data: c.Manifest, inherited: true, who: existing, client: *c}
		p.resolve(k)
		p.fallbacks[id] = k
	}
}

func (k *candidate) bad(rule, text, hint string) {
	k.problems = append(k.problems, state.FileProblem{Path: k.path, Blob: k.blob, Client: k.name, Rule: rule, Text: text, Hint: hint})
}

// resolve reads the candidate with what the new baseline holds.
func (p *pass) resolve(k *candidate) {
	if why := p.unreadable[k.path]; why != "" {
		k.bad(ruleProgram, why, hintProgram)
		return
	}
	eff, problems := p.now.File(k.path, k.data)
	if problems.Failed() {
		k.problems = append(k.problems, fileProblems(k.path, k.blob, k.name, problems)...)
		if len(k.problems) == 0 {
			k.bad("file", "is invalid", "")
		}
		return
	}
	k.eff, k.hash, k.wants = eff, eff.Hash(), eff.Claims()
}

// going says that the range took the client's manifest away, whatever else it says.
func (p *pass) going(id state.ClientID) bool {
	c, ok := p.clients.find(id)
	return ok && !c.Removed && p.left(c) && len(p.present[c.Name]) == 0
}

// left says that the client's manifest is no more where it was: the range took it away, or an earlier one
// did, which has several files of its name in that one's place, so that nobody knows which of them it is.
func (p *pass) left(c state.Client) bool {
	return p.deleted[c.Path] || p.namesakes[c.Name] && !slices.Contains(p.present[c.Name], c.Path)
}

// ruleNamesake is broken by files of one name of which none is the client's so far.
const ruleNamesake = "namesake"

// linked says that the file may still say what became of the client: the client
// goes in this range, or its removal waits for this file.
func (p *pass) linked(id state.ClientID, file string) bool {
	if p.going(id) {
		return true
	}
	t, ok := p.whole(id)
	return ok && !t.Done && slices.Contains(p.waited(t), file)
}

// waited are the files that a removal waits for. Where the range takes one of them away, what it adds or changes may be
// what that one became: it was called by another name, or is in another folder. (By its own name a client is put back: that
// is a return, and no rename that an earlier commit began.)
func (p *pass) waited(t state.Tombstone) []string {
	files := WaitsFor(t)
	if !slices.ContainsFunc(files, func(f string) bool { return p.deleted[f] && nameOf(p.layout.Proper(f)) != t.Name }) {
		return files
	}
	for file := range p.changed {
		if !p.deleted[file] && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	sort.Strings(files)
	return files
}

// whole returns the tombstone of the whole client.
func (p *pass) whole(id state.ClientID) (state.Tombstone, bool) {
	for _, t := range p.tombs[id] {
		if t.Part == "" {
			return t, true
		}
	}
	return state.Tombstone{}, false
}

// identify says of every file whose it is.
func (p *pass) identify() {
	var fresh []*candidate
	carried := map[state.ClientID]bool{}
	for _, k := range p.files {
		if !p.alone(k) {
			continue
		}
		id, ok := p.byName[k.name]
		if !ok {
			fresh = append(fresh, k)
			continue
		}
		k.who, k.client = existing, p.clients.get(id)
		if k.same = len(k.problems) == 0 && p.unchanged(k); k.same {
			continue
		}
		if len(k.problems) == 0 {
			p.resolve(k)
		}
		if len(k.problems) == 0 {
			p.formerNames(k)
		}
	}
	for _, k := range fresh {
		if len(k.problems) == 0 {
			p.resolve(k)
		}
		if len(k.problems) == 0 && p.rename(k) {
			carried[k.client.ID] = true
		}
	}
	// Only now is known whom a rename carries on.
	for _, k := range fresh {
		if len(k.problems) == 0 && k.who == newcomer {
			p.comeBack(k, carried)
		}
	}
	p.once()
}

// unchanged says that the file is the client's last good version and would
// resolve to the same wish. What was invalid is always resolved again: what its
// last good version is held to may be another template or platform file.
func (p *pass) unchanged(k *candidate) bool {
	c := k.client
	return k.blob == c.Blob && c.InvalidBlob == "" && !p.all && !p.stale[c.TemplateBlob]
}

// alone refuses a file whose name another file has.
func (p *pass) alone(k *candidate) bool {
	id, known := p.byName[k.name]
	if known {
		c := p.clients.get(id)
		if c.Path == k.path {
			return true
		}
		if !p.left(c) {
			k.bad("name", fmt.Sprintf("%s is the manifest of %s", c.Path, k.name), "one of the two has to go")
			return false
		}
	}
	others := p.present[k.name]
	if len(others) > 1 {
		k.bad(ruleNamesake, "more than one file is named "+k.name+": "+strings.Join(others, ", "), "one of them has to go")
		return false
	}
	return true
}

// formerNames checks `previously` of a client that is known: its own recorded
// former names, and names that nobody else bears.
func (p *pass) formerNames(k *candidate) {
	for _, n := range k.eff.Previously {
		if slices.Contains(k.client.Former, n) {
			continue
		}
		if _, ok := p.linkedName(n, k.path); ok {
			k.bad("previously", fmt.Sprintf("%s is removed here, and %s is a client already: it can't become %s", n, k.name, n), "take "+n+" out of previously")
		} else if _, ok := p.byName[n]; ok {
			k.bad("previously", n+" still has its own manifest", "take "+n+" out of previously")
		} else {
			k.bad("previously", n+" is no former name of "+k.name, "take "+n+" out of previously")
		}
	}
}

// A valid file with a name that no living client bears is a rename, a return, or a
// newcomer. rename follows `previously` to a client that goes in the same range.
func (p *pass) rename(k *candidate) bool {
	var matches []state.ClientID
	var strangers []string
	for _, n := range k.eff.Previously {
		if id, ok := p.linkedName(n, k.path); ok {
			matches = append(matches, id)
			continue
		}
		if _, ok := p.byName[n]; ok {
			k.bad("previously", n+" still has its own manifest", "take "+n+" out of previously, or remove its manifest in the same commit")
			return false
		}
		strangers = append(strangers, n)
	}
	switch {
	case len(matches) == 1:
		k.who, k.client = renamed, p.clients.get(matches[0])
		k.from = k.client.Name
		return true
	case len(matches) > 1:
		k.bad("previously", "more than one of its former names is removed here: "+strings.Join(k.eff.Previously, ", "), "name the one client that it was")
	case len(strangers) > 0 && p.in.Baseline != nil && !p.returns(k):
		n := strangers[0]
		if len(p.removed[n]) > 0 {
			k.bad("previously", n+" was removed by an earlier commit", "a rename removes the old file and adds the new one in the same commit; database.reuse says whose database this is")
		} else {
			k.bad("previously", "nobody here is called "+n, "check its spelling")
		}
	}
	return false
}

// returns says that the file is a removed client's, with its recorded former names.
func (p *pass) returns(k *candidate) bool {
	for _, id := range p.removed[k.name] {
		all := true
		for _, n := range k.eff.Previously {
			all = all && slices.Contains(p.clients.get(id).Former, n)
		}
		if all {
			return true
		}
	}
	return false
}

// linkedName finds the client of that name that goes in this range.
func (p *pass) linkedName(name, file string) (state.ClientID, bool) {
	if id, ok := p.byName[name]; ok {
		return id, p.going(id)
	}
	for _, id := range p.removed[name] {
		if p.linked(id, file) {
			return id, true
		}
	}
	return "", false
}

// The words of database.reuse.
const (
	reuseRetained = "retained"
	reuseFresh    = "fresh"
)

// comeBack finds the removed client that a newcomer is, or whose name it takes.
func (p *pass) comeBack(k *candidate, carried map[state.ClientID]bool) {
	ids := append([]state.ClientID(nil), p.removed[k.name]...)
	p.newest(ids)
	reuse := k.eff.Database.Reuse
	for _, id := range ids {
		c := p.clients.get(id)
		if t, ok := p.whole(id); ok && !t.Done && c.LivedOn || (p.sameHost(c, k) || p.stillHas(c, k)) && !(reuse == reuseFresh && p.saidReuse(c) != reuseFresh) {
			k.who, k.client = returned, c
			return
		}
	}
	var formers []state.ClientID
	for _, id := range p.former[k.name] {
		if (p.clients.get(id).Removed || p.going(id)) && !carried[id] && !slices.Contains(ids, id) {
			formers = append(formers, id)
		}
	}
	p.newest(formers)
	for _, id := range append(ids, formers...) {
		if !p.hasData(id) {
			continue
		}
		if reuse == reuseFresh {
			if what := p.adoptsSame(id, k); what != "" {
				k.bad("adopt", fmt.Sprintf("database.reuse says fresh, and adopt.%s names what the %s that was removed still has", what, p.clients.get(id).Name),
					"say database.reuse: retained (it comes back, with all that was kept of it), or take that out of adopt")
				return
			}
			continue
		}
		if reuse == reuseRetained {
			k.who, k.client = returned, p.clients.get(id)
			if k.client.Name != k.name {
				k.from = k.client.Name
			}
			return
		}
		k.reuse = id
		return
	}
}

// adoptsSame is what the file adopts that the removed client's last good version adopted, and
// that is kept for it, as only these are; "": nothing.
func (p *pass) adoptsSame(id state.ClientID, k *candidate) string {
	if len(k.eff.Adopt) == 0 {
		return ""
	}
	e, problems := p.old.Client(p.clients.get(id))
	if problems.Failed() {
		return ""
	}
	for _, what := range []string{"database", "payments"} {
		names, ok := k.eff.Adopt[what]
		if ok && e.Adopt[what] == names && (what != "database" || e.Database.Provider == k.eff.Database.Provider) {
			return what
		}
	}
	return ""
}

// hasData says that a removed client has a database, or may have: its removal is
// not done, or begins here. Who has none and wished none leaves nothing of which a file could say whose it is.
func (p *pass) hasData(id state.ClientID) bool {
	t, ok := p.whole(id)
	return p.in.Retained(id) || (p.going(id) || ok && !t.Done && p.wishedData(id)) && !p.neverBegun(id)
}

// wishedData says that the client's last good version wishes something that is kept, or may: it can't be read any more.
func (p *pass) wishedData(id state.ClientID) bool {
	e, ok := p.before(p.clients.get(id))
	return !ok || e.Database.Provider != "none" || e.Payments != nil
}

// newest orders removed clients by the time that they went, latest first.
func (p *pass) newest(ids []state.ClientID) {
	sort.SliceStable(ids, func(i, j int) bool {
		a, b := p.clients.get(ids[i]), p.clients.get(ids[j])
		if !a.RemovedAt.Equal(b.RemovedAt) {
			return a.RemovedAt.After(b.RemovedAt)
		}
		return a.ID < b.ID
	})
}

// sameHost says that the removed client's last good version had the same domain.
func (p *pass) sameHost(c state.Client, k *candidate) bool {
	if c.Blob != "" && c.Blob == k.blob {
		return true
	}
	if e, problems := p.old.Client(c); !problems.Failed() {
		return e.Host == k.eff.Host
	}
	// Its template may be gone: then the domain as it was written decides.
	m, problems := manifest.DecodeClient(c.Path, c.Manifest)
	return !problems.Failed() && (m.Domain == k.eff.Domain || m.Domain == k.eff.Host)
}

// stillHas says that the client, whose removal is not carried out, has the name that the file
// asks for, though its last good version gave it on: the name did not move so far, and who
// says the same as before that is the same client.
func (p *pass) stillHas(c state.Client, k *candidate) bool {
	t, ok := p.whole(c.ID)
	claim, owned := p.claims.find("host:" + k.eff.Host)
	return ok && !t.Done && owned && (claim.Client == c.ID || slices.Contains(claim.From, c.ID))
}

// saidReuse is the last good version's own database.reuse: it was said of an
// earlier client, not of this one's return.
func (p *pass) saidReuse(c state.Client) string {
	m, _ := manifest.DecodeClient(c.Path, c.Manifest)
	return m.Database.Reuse
}

// once refuses two files that would be the same client.
func (p *pass) once() {
	by := map[state.ClientID][]*candidate{}
	for _, k := range p.files {
		if k.valid() && (k.who == renamed || k.who == returned) {
			by[k.client.ID] = append(by[k.client.ID], k)
		}
	}
	for _, k := range p.files {
		if same := by[k.client.ID]; len(same) > 1 && slices.Contains(same, k) {
			k.bad("previously", "more than one file would be "+k.client.Name, "name it in one of them only")
		}
	}
}
