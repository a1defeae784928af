package rebuild

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Input is all that the record of one client is made from.
type Input struct {
	Client state.Client
	Mark   provider.Mark
	// Wish is what its manifest asks for; nil: there is no manifest.
	Wish  []state.Resource
	Keeps string  // without a manifest: who kept its database, by its last good version
	Found []Found // with its mark, or under its names
	// Recorded is what an older state says of it; nil for one that was lost.
	Recorded []state.Resource
	Traits   map[string]map[state.Kind]state.Traits
	// Beside are objects that others refer to and that are not put on record here.
	Beside map[state.Ref]Found
	// Bare says of a database that it is known to hold nothing: of two, that one is a copy that
	// was never filled. nil: of none is it known.
	Bare func(Found) bool
	// Adopted are the ids of objects that some manifest named in `adopt:` at some time.
	Adopted map[string]bool
	// Secret returns a stored secret; version 0 is the newest.
	Secret      func(scope, name string, version int) (state.SecretRef, state.Secret, bool)
	Fingerprint func(state.Secret) string
	Now         time.Time
}

// Sealed is a secret to store.
type Sealed struct {
	Ref  state.SecretRef
	Text state.Secret // empty: lost
	From string       // output | generated | adopted
}

// Output is what is to be put on record.
type Output struct {
	Resources []state.Resource // sorted by Ref
	Secrets   []Sealed
	// Lost are generated secrets that are in use and that no provider gives back.
	Lost []state.SecretRef
	// Doubts are why nothing may be done for the client until a person has decided.
	Doubts []string
	// Unwished are resources that the wish, if there is one, does not ask for: nothing is
	// known that removed them.
	Unwished []state.Ref
}

// unknownRun stands for the pass that made what is found: a rollback of another one
// leaves it.
const unknownRun = "unknown"

type record struct {
	in       Input
	out      Output
	wished   map[state.Ref]state.Resource
	had      map[state.Ref]state.Resource // recorded
	of       map[state.Ref]Found
	refs     []state.Ref       // of of, sorted
	ids      map[string]string // "kind id" → Ref.Name, of what is on record now
	texts    map[string]state.Secret
	released bool     // the wished release is there
	unshown  []string // names of secrets that may be newer at their host, which shows none
}

// Record makes the record of one client.
func Record(in Input) Output {
	r := &record{in: in, wished: map[state.Ref]state.Resource{}, had: map[state.Ref]state.Resource{}, of: map[state.Ref]Found{}, ids: map[string]string{}, texts: map[string]state.Secret{}}
	for _, w := range in.Wish {
		r.wished[w.Ref] = w
	}
	for _, h := range in.Recorded {
		r.had[h.Ref] = h
	}
	r.place()
	for _, ref := range r.refs {
		r.out.Resources = append(r.out.Resources, r.shell(ref))
	}
	r.recover()
	for i := range r.out.Resources {
		r.attributes(&r.out.Resources[i])
	}
	r.doubtUnshown()
	r.overtake()
	r.sent()
	r.lost()
	r.missing()
	sort.Slice(r.out.Resources, func(i, j int) bool { return r.out.Resources[i].Ref.Less(r.out.Resources[j].Ref) })
	return r.out
}

// place says which Ref every object is. Sites come first: what hangs on them is named
// like them.
func (r *record) place() {
	found := append([]Found(nil), r.in.Found...)
	sort.Slice(found, func(i, j int) bool {
		a, b := found[i].Kind == state.KindSite, found[j].Kind == state.KindSite
		if a != b {
			return a
		}
		return found[i].less(found[j])
	})
	for _, f := range found {
		ref := r.ref(f)
		other, twice := r.of[ref]
		if twice && other.ID == f.ID && other.Provider == f.Provider {
			continue
		}
		if twice && f.Kind == state.KindMail {
			continue // sent is sent
		}
		if twice && f.Kind == state.KindDatabase && other.Provider != f.Provider {
			r.moved(ref, other, f)
			continue
		}
		if twice {
			r.out.Doubts = append(r.out.Doubts, fmt.Sprintf("two objects bear its mark as %s %s: %s at %s and %s at %s", f.Kind, ref.Name, other.ID, other.Provider, f.ID, f.Provider))
			if r.wished[ref].Provider != f.Provider || r.wished[ref].Provider == other.Provider {
				continue
			}
		}
		r.of[ref] = f
		r.ids[string(f.Kind)+" "+f.ID] = ref.Name
	}
	for ref := range r.of {
		r.refs = append(r.refs, ref)
	}
	sort.Slice(r.refs, func(i, j int) bool { return r.refs[i].Less(r.refs[j]) })
}

// moved places two databases of a client at two providers: its data was moved, or was about to
// be. The one that its client can write to is its own. Where that does not tell them apart, one
// that is known to be empty is a copy that nothing was moved to; where none is, or both are, the
// one where the manifest wants it is its own. A person looks first, in any case. The other one is
// kept beside it (plan.Beside), without a date.
func (r *record) moved(ref state.Ref, a, b Found) {
	keeps := r.in.Keeps
	if w, wished := r.wished[ref]; wished {
		keeps = w.Provider
	}
	swap, why := keeps == b.Provider, ""
	if a.Frozen != b.Frozen {
		swap = a.Frozen
	} else if bare := r.bare(a); bare != r.bare(b) {
		swap, why = bare, ": the other one is empty"
	}
	if swap {
		a, b = b, a
	}
	left := r.named(state.KindDatabase, ref.Name+"@"+b.Provider)
	r.of[ref], r.of[left] = a, b
	r.ids[string(a.Kind)+" "+a.ID], r.ids[string(b.Kind)+" "+b.ID] = ref.Name, left.Name
	r.out.Doubts = append(r.out.Doubts, fmt.Sprintf("its data was moved between %s (%s) and %s (%s), or was about to be: see which one its data is in before you approve; %s would count as its own%s",
		b.Provider, b.ID, a.Provider, a.ID, a.Provider, why))
}

// movedSince says that an older state has a database as the client's own that it can't write to, and another
// one that it can, and that is not known to be empty: its data was moved there since.
func (r *record) movedSince() bool {
	own := r.had[r.named(state.KindDatabase, "main")]
	frozen, other := false, false
	for _, f := range r.in.Found {
		switch is := f.Provider == own.Provider && f.ID == own.ID; {
		case f.Kind != state.KindDatabase:
		case is:
			frozen = f.Frozen
		default:
			other = other || !f.Frozen && !r.bare(f)
		}
	}
	return frozen && other
}

func (r *record) bare(f Found) bool { return r.in.Bare != nil && r.in.Bare(f) }

// beside says that a Ref is of a database that a move left.
func beside(ref state.Ref) bool {
	return ref.Kind == state.KindDatabase && strings.Contains(ref.Name, "@")
}

func (r *record) named(k state.Kind, name string) state.Ref {
	return state.Ref{Client: r.in.Client.ID, Kind: k, Name: name}
}

// ref is what an object is called here.
func (r *record) ref(f Found) state.Ref {
	for _, h := range r.in.Recorded {
		if h.Ref.Kind == f.Kind && h.Provider == f.Provider && h.ID == f.ID && !(f.Kind == state.KindDatabase && r.movedSince()) {
			return h.Ref
		}
	}
	switch f.Kind {
	case state.KindSite:
		return r.named(f.Kind, r.siteName(f))
	case state.KindEnvironment, state.KindTraffic:
		return r.named(f.Kind, r.siteOf(f))
	case state.KindDomain:
		host := f.get("host")
		if host == "" {
			host = f.Name
		}
		return r.named(f.Kind, host+"@"+r.siteOf(f))
	case state.KindDeployment, state.KindMail:
		name, ok := strings.CutPrefix(f.Name, provider.ObjectName(r.in.Mark, state.Ref{Kind: state.KindSite})+"-")
		if !ok {
			name = f.ID
		}
		return r.named(f.Kind, name)
	case state.KindRecord:
		return r.recordRef(f)
	}
	return r.named(f.Kind, "main")
}

func (r *record) siteName(f Found) string {
	server, told := f.attribute("server")
	name := f.Provider
	if s := server.Reveal(); s != "" && s != "default" {
		name += "/" + s
	}
	if told {
		return name
	}
	for _, w := range r.in.Wish { // it doesn't say on which server it is
		if w.Ref.Kind == state.KindSite && w.Provider == f.Provider {
			return w.Ref.Name
		}
	}
	return name
}

// siteOf is the name of the site that an object hangs on.
func (r *record) siteOf(f Found) string {
	if name, ok := r.ids[string(state.KindSite)+" "+f.get("site")]; ok {
		return name
	}
	for _, w := range r.in.Wish {
		if w.Ref.Kind == state.KindSite && w.Provider == f.Provider {
			return w.Ref.Name
		}
	}
	return f.Provider
}

// recordRef finds a record by its name, else by type and name: of a record whose content
// was changed by hand the vendor may know no more.
func (r *record) recordRef(f Found) state.Ref {
	ref := r.named(f.Kind, f.Name)
	if _, ok := r.wished[ref]; ok {
		return ref
	}
	typ, name := strings.ToUpper(f.get("type")), strings.TrimSuffix(strings.ToLower(f.get("name")), ".")
	var same []state.Ref
	for _, w := range r.in.Wish { // sorted by Ref
		if w.Ref.Kind != f.Kind || w.Attributes.Literal("type") != typ || w.Attributes.Literal("name") != name {
			continue
		}
		if w.Attributes.Literal("content") == f.get("content") {
			return w.Ref
		}
		if _, taken := r.of[w.Ref]; !taken && !r.foundAs(w.Ref) {
			same = append(same, w.Ref)
		}
	}
	if strings.HasPrefix(f.Name, typ+" "+name) && typ != "" {
		return ref // it bears a name that we gave: another one of the set
	}
	if len(same) > 0 {
		return same[0]
	}
	if f.Name != "" && f.Name != name {
		return ref
	}
	return r.named(f.Kind, typ+" "+name)
}

// foundAs says that an object bears exactly this name.
func (r *record) foundAs(ref state.Ref) bool {
	for _, f := range r.in.Found {
		if f.Kind == ref.Kind && f.Name == ref.Name {
			return true
		}
	}
	return false
}

// shell is an object's record without its attributes.
func (r *record) shell(ref state.Ref) state.Resource {
	f := r.of[ref]
	w, wished := r.wished[ref]
	res, had := r.had[ref]
	if !had {
		res = state.Resource{Ref: ref, Run: unknownRun, Commit: r.in.Client.Commit, UpdatedAt: r.in.Now}
	}
	if wished {
		res.After = w.After
	}
	if res.ID != f.ID { // that what was here before was somebody else's says nothing of what is in its place
		res.Found, res.Adopted, res.Overtaken = false, false, false
	}
	// What lived before us, and what hangs on it, is never deleted: nobody knows any more
	// what of it we made.
	res.Adopted = res.Adopted || f.Lived(r.in.Adopted) != ""
	res.Provider, res.ID, res.Name, res.ObservedAt, res.Site = f.Provider, f.ID, f.Name, r.in.Now, ""
	res.Generation = max(f.Mark.Generation, r.in.Mark.Generation, 1)
	res.Phase, res.Message = "", f.Message
	if f.Phase != provider.Ready && f.Phase != "" {
		res.Phase = string(f.Phase)
	}
	outs := map[string]state.Value{}
	for name, v := range res.Outputs {
		outs[name] = v
	}
	outs["id"] = state.Lit(f.ID)
	for _, o := range f.Outputs {
		if o.Secret == nil {
			outs[o.Name] = state.Lit(o.Text)
			continue
		}
		outs[o.Name] = state.SecretValue(r.seal(state.SecretRef{Scope: string(ref.Client), Name: "output/" + string(ref.Kind) + "/" + ref.Name + "/" + o.Name}, *o.Secret, "output"))
	}
	res.Outputs = outs
	if beside(ref) && !had {
		res.RetainedAt = r.in.Now
	}
	if !wished && !had && r.in.Wish != nil && !r.replaced(ref) {
		r.out.Unwished = append(r.out.Unwished, ref)
	}
	if ref.Kind == state.KindDeployment && wished {
		r.released = true
	}
	return res
}

// overtake says which releases of a site another one overtook, where the host serves what was
// built last: all but the one that its traffic leads to. What an older state says of that counts
// where nothing was built since.
func (r *record) overtake() {
	all := r.out.Resources
	for _, traffic := range all {
		to, _ := traffic.Attributes.Get("deployment")
		site, _ := traffic.Attributes.Get("site")
		t := r.in.Traits[traffic.Provider][state.KindDeployment]
		if traffic.Ref.Kind != state.KindTraffic || to.Ref == nil || site.Ref == nil || t.Promotable || t.Manual {
			continue
		}
		serves, since := false, false // it is there; and any of them is none of an older state's
		var releases []int
		for i, o := range all {
			at, _ := o.Attributes.Get("site")
			if o.Ref.Kind != state.KindDeployment || o.Phase != "" || at.Ref == nil || *at.Ref != *site.Ref {
				continue
			}
			releases = append(releases, i)
			serves, since = serves || o.Ref == *to.Ref, since || r.had[o.Ref].ID != o.ID
		}
		for _, i := range releases {
			if serves && since {
				all[i].Overtaken = all[i].Ref != *to.Ref
			}
		}
	}
}

// replaced says that the wish itself says what becomes of a resource that it does not ask
// for: earlier releases, mail that was sent, the other side of a switch.
func (r *record) replaced(ref state.Ref) bool {
	site := ""
	for _, w := range r.in.Wish {
		if w.Ref.Kind == state.KindSite {
			site = w.Ref.Name
		}
	}
	switch ref.Kind {
	case state.KindDatabase:
		return beside(ref)
	case state.KindDeployment, state.KindMail:
		return true
	case state.KindSite, state.KindEnvironment, state.KindTraffic:
		return site != ""
	case state.KindDomain:
		_, again := r.wished[r.named(ref.Kind, ref.Host()+"@"+site)]
		return again
	}
	return false
}

// seal keeps a text as a secret: under the version that it has already, else under a new
// one.
func (r *record) seal(ref state.SecretRef, text state.Secret, from string) state.SecretRef {
	have, old, ok := r.in.Secret(ref.Scope, ref.Name, 0)
	if ok && old.Equal(text) {
		r.texts[secretKey(have)] = text
		return have
	}
	ref.Version = have.Version + 1
	ref.Fingerprint = r.in.Fingerprint(text)
	r.out.Secrets = append(r.out.Secrets, Sealed{Ref: ref, Text: text, From: from})
	r.texts[secretKey(ref)] = text
	return ref
}

func secretKey(s state.SecretRef) string {
	return s.Scope + "\x00" + s.Name + "\x00" + strconv.Itoa(s.Version)
}

// isGenerated says that a secret is one that we made.
func isGenerated(s state.SecretRef) bool { return strings.HasPrefix(s.Name, "generated/") }

// recover takes generated secrets from where they are given back: each was made once, and
// is the one.
func (r *record) recover() {
	for _, ref := range r.refs {
		for _, a := range r.wished[ref].Attributes {
			s := a.Value.Secret
			if s == nil || !isGenerated(*s) {
				continue
			}
			if _, known := r.text(*s); known {
				continue
			}
			told, ok := r.of[ref].attribute(a.Name)
			if !ok || told.Reveal() == "" {
				continue
			}
			text := state.NewSecret(told.Reveal())
			kept := *s
			kept.Fingerprint = r.in.Fingerprint(text)
			r.out.Secrets = append(r.out.Secrets, Sealed{Ref: kept, Text: text, From: "generated"})
			r.texts[secretKey(*s)] = text
		}
	}
}

// text is a secret's, if it is known.
func (r *record) text(s state.SecretRef) (state.Secret, bool) {
	if t, ok := r.texts[secretKey(s)]; ok {
		return t, true
	}
	_, t, ok := r.in.Secret(s.Scope, s.Name, s.Version)
	return t, ok && !t.Empty()
}

// lost are the generated secrets that are in use and not known: making others in their
// place would lock people out, so that is never done unasked.
func (r *record) lost() {
	deployed := false
	for _, ref := range r.refs {
		deployed = deployed || ref.Kind == state.KindDeployment
	}
	seen := map[string]bool{}
	for _, w := range r.in.Wish {
		_, there := r.of[w.Ref]
		if !there && !(deployed && w.Ref.Kind == state.KindEnvironment) {
			continue
		}
		for _, a := range w.Attributes {
			s := a.Value.Secret
			if s == nil || !isGenerated(*s) || seen[secretKey(*s)] {
				continue
			}
			if _, known := r.text(*s); !known {
				seen[secretKey(*s)] = true
				r.out.Lost = append(r.out.Lost, *s)
			}
		}
	}
}

// sent takes mail that is sent once as sent, and users as made, where the client was
// served already: nobody needs a second welcome, lists of mails may be short, and a user
// whom somebody deleted is not made again for that.
func (r *record) sent() {
	serves := false
	for _, ref := range r.refs {
		serves = serves || ref.Kind == state.KindTraffic
	}
	for _, w := range r.in.Wish {
		_, there := r.of[w.Ref]
		if w.Ref.Kind != state.KindMail && w.Ref.Kind != state.KindAdmin || there || !serves {
			continue
		}
		if _, had := r.had[w.Ref]; had {
			continue
		}
		w.ID, w.Run, w.Message, w.UpdatedAt = state.DoneBefore, unknownRun, "taken as done: the client was served already", r.in.Now
		w.Generation = r.in.Mark.Generation
		r.out.Resources = append(r.out.Resources, w)
	}
}

// missing doubts a client that has all but its data.
func (r *record) missing() {
	for _, w := range r.in.Wish {
		t := r.in.Traits[w.Provider][w.Ref.Kind]
		_, there := r.of[w.Ref]
		_, had := r.had[w.Ref]
		if !t.Data || t.Manual || there || had || w.AdoptID != "" || len(r.of) == 0 {
			continue
		}
		r.out.Doubts = append(r.out.Doubts, fmt.Sprintf("no %s bears its mark at %s, and it had one or was about to get one; an empty one never takes the place of a full one", w.Ref.Kind, w.Provider))
	}
}
