package apply

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// generatedPrefix starts the names of secrets that we make ourselves, once.
const generatedPrefix = "generated/"

func (r *Runner) mark(job Job, id state.ClientID) provider.Mark {
	return provider.Mark{Installation: r.Installation, Client: id, Generation: max(job.Clients[id].Generation, 1)}
}

// wish resolves a resource's values inside tx. missing lists generated secrets that
// do not exist yet; they are minted with the intent.
func (r *Runner) wish(tx store.Tx, job Job, res state.Resource) (w provider.Wish, missing []state.SecretRef, err error) {
	w = r.blank(job, res.Ref)
	for _, a := range res.Attributes {
		in, there, err := r.input(tx, a)
		if err != nil {
			return w, nil, err
		}
		if !there {
			missing = append(missing, *a.Value.Secret)
			continue
		}
		w.Inputs = append(w.Inputs, in)
	}
	sort.Slice(w.Inputs, func(i, j int) bool { return w.Inputs[i].Name < w.Inputs[j].Name })
	return w, missing, nil
}

// errUnresolved says that a wish refers to what is not there.
type errUnresolved struct {
	text string
	park bool // only a person can bring it back
}

func (e *errUnresolved) Error() string { return e.text }

func unresolved(format string, a ...any) error {
	return &errUnresolved{text: fmt.Sprintf(format, a...)}
}

// resolve is wish in a transaction of its own.
func (r *Runner) resolve(job Job, res state.Resource) (w provider.Wish, missing []state.SecretRef, err error) {
	err = r.Store.View(func(tx store.Tx) (err error) {
		w, missing, err = r.wish(tx, job, res)
		return err
	})
	var u *errUnresolved
	if err != nil && !errors.As(err, &u) {
		err = &journalError{err}
	}
	return w, missing, err
}

// resolvable is resolve without what can't be resolved.
func (r *Runner) resolvable(job Job, res state.Resource) (w provider.Wish, err error) {
	err = r.Store.View(func(tx store.Tx) error {
		w = r.blank(job, res.Ref)
		for _, a := range res.Attributes {
			in, there, err := r.input(tx, a)
			var gone *errUnresolved
			switch {
			case errors.As(err, &gone):
			case err != nil:
				return err
			case there:
				w.Inputs = append(w.Inputs, in)
			}
		}
		sort.Slice(w.Inputs, func(i, j int) bool { return w.Inputs[i].Name < w.Inputs[j].Name })
		return nil
	})
	if err != nil {
		return w, &journalError{err}
	}
	return w, nil
}

// blank is a wish that says nothing but whose and which it is.
func (r *Runner) blank(job Job, ref state.Ref) provider.Wish {
	m := r.mark(job, ref.Client)
	return provider.Wish{Ref: ref, Name: provider.ObjectName(m, ref), Mark: m}
}

// input resolves one attribute. there is false for a generated secret that does not
// exist yet.
func (r *Runner) input(tx store.Tx, a state.Attribute) (in provider.Input, there bool, err error) {
	in.Name = a.Name
	switch {
	case a.Value.Secret != nil:
		rec, ok, err := store.Secret(tx, a.Value.Secret.Scope, a.Value.Secret.Name, a.Value.Secret.Version)
		if err != nil {
			return in, false, err
		}
		if !ok && isGenerated(*a.Value.Secret) {
			return in, false, nil
		}
		if !ok {
			return in, false, unresolved("%s needs the secret %s, which is not set; set it with `reconciler secret set %s`", a.Name, secretName(*a.Value.Secret), secretName(*a.Value.Secret))
		}
		if rec.From == store.SecretLost {
			return in, false, lost(a.Name, rec.Ref)
		}
		s := state.NewSecret(string(rec.Text))
		in.Secret = &s
	case a.Value.Ref != nil:
		if err := r.output(tx, a, &in); err != nil {
			return in, false, err
		}
	default:
		in.Text = a.Value.Literal
	}
	return in, true, nil
}

// lost says that a value that is in use was lost with an earlier state: another one in its
// place would lock people out, so that a person has to say so.
func lost(attribute string, s state.SecretRef) error {
	name := secretName(s)
	return &errUnresolved{park: true, text: fmt.Sprintf("%s needs the secret %s, which was lost with an earlier state and is in use; bring it back with `reconciler secret set %s --client %s`, or have a new one made with `reconciler secret rm %s --client %s`",
		attribute, name, name, s.Scope, name, s.Scope)}
}

// secretName is a secret as manifests and commands name it.
func secretName(s state.SecretRef) string {
	if s.Scope == "shared" {
		return "shared/" + s.Name
	}
	return s.Name
}

// output puts another resource's output into in.
func (r *Runner) output(tx store.Tx, a state.Attribute, in *provider.Input) error {
	src, ok, err := store.Resource(tx, *a.Value.Ref)
	if err != nil {
		return err
	}
	if !ok || !src.Real() {
		return unresolved("%s needs %s of %s, which does not exist", a.Name, a.Value.Output, *a.Value.Ref)
	}
	if a.Value.Output == "id" {
		in.Text = src.ID
		return nil
	}
	out, ok := src.Outputs[a.Value.Output]
	if !ok {
		return unresolved("%s needs %s of %s, which %s does not give", a.Name, a.Value.Output, *a.Value.Ref, src.Provider)
	}
	if out.Secret == nil {
		in.Text = out.Literal
		return nil
	}
	rec, ok, err := store.Secret(tx, out.Secret.Scope, out.Secret.Name, out.Secret.Version)
	if err != nil {
		return err
	}
	if !ok {
		return unresolved("%s needs %s of %s, whose secret is missing", a.Name, a.Value.Output, *a.Value.Ref)
	}
	s := state.NewSecret(string(rec.Text))
	in.Secret = &s
	return nil
}

func isGenerated(s state.SecretRef) bool {
	return len(s.Name) > len(generatedPrefix) && s.Name[:len(generatedPrefix)] == generatedPrefix
}

// mint makes the missing generated secrets inside tx: sealed before they are sent.
func (r *Runner) mint(tx store.Tx, missing []state.SecretRef) error {
	for _, ref := range missing {
		_, ok, err := store.Secret(tx, ref.Scope, ref.Name, ref.Version)
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		s, err := r.NewSecret()
		if err != nil {
			return fmt.Errorf("generate %s: %w", ref.Name, err)
		}
		ref.Fingerprint = r.Fingerprint(s)
		if err := store.PutSecret(tx, store.SecretRecord{Ref: ref, Text: []byte(s.Reveal()), At: r.Now(), From: "generated"}); err != nil {
			return err
		}
	}
	return nil
}

// put records an object as the outcome of res's wish; res.Outputs are those known so far.
// Secret outputs become secrets of the client, a new version when their text changed.
func (r *Runner) put(tx store.Tx, job Job, providerName string, res state.Resource, o provider.Object, generation int) error {
	res.Provider, res.ID, res.Name = providerName, o.ID, o.Name
	res.Generation, res.Commit = max(generation, 1), job.Commit
	res.UpdatedAt, res.ObservedAt = r.Now(), r.Now()
	if res.Run == "" {
		res.Run = job.run(res.Ref.Client)
	}
	res.Site = ""
	for _, ref := range res.References() {
		if ref.Kind != state.KindSite {
			continue
		}
		site, _, err := store.Resource(tx, ref)
		if err != nil {
			return err
		}
		res.Site = site.ID
	}
	if res.Ref.Kind == state.KindDeployment {
		db, _, err := store.Resource(tx, state.Ref{Client: res.Ref.Client, Kind: state.KindDatabase, Name: plan.MainDatabase})
		if err != nil {
			return err
		}
		res.Database = db.ID
		if res.Payments, err = accountIn(tx, res.Ref.Client); err != nil {
			return err
		}
	}
	res.Phase, res.Message = "", o.Message // of a ready one too: it may say what is left to a person
	if o.Phase != provider.Ready {
		res.Phase = string(o.Phase)
	}
	outs := map[string]state.Value{}
	maps.Copy(outs, res.Outputs) // what an answer does not tell stays
	outs["id"] = state.Lit(o.ID)
	for _, out := range o.Outputs {
		if out.Secret == nil {
			outs[out.Name] = state.Lit(out.Text)
			continue
		}
		ref, err := r.outputSecret(tx, res.Ref, out)
		if err != nil {
			return err
		}
		outs[out.Name] = state.SecretValue(ref)
	}
	if err := readdressed(tx, res, outs); err != nil {
		return err
	}
	res.Outputs = outs
	if !res.Adopted {
		var err error
		if res.Adopted, err = livedBefore(tx, res); err != nil {
			return err
		}
	}
	if err := r.overtake(tx, res); err != nil {
		return err
	}
	return store.PutResource(tx, res)
}

// accountIn is the account for payments of which a client's environment speaks; "": of none.
func accountIn(tx store.Tx, id state.ClientID) (string, error) {
	all, err := store.Resources(tx, id)
	if err != nil {
		return "", err
	}
	for _, r := range all {
		for _, a := range r.Attributes {
			if r.Ref.Kind == state.KindEnvironment && a.Value.Ref != nil && a.Value.Ref.Kind == state.KindPayments {
				account, _, err := store.Resource(tx, *a.Value.Ref)
				return account.ID, err
			}
		}
	}
	return "", nil
}

// formerly stands behind the id of a release's database whose address is another one since the release was made: the
// two ids differ then, as where it was built with another database (plan.BuiltElsewhere).
const formerly = " before"

// readdressed notes of the client's environments that they say what a database gave until now, where it
// gives something else, so that every later plan changes them; and of its releases that they were built
// with that, so that none of them is promoted again.
func readdressed(tx store.Tx, was state.Resource, gives map[string]state.Value) error {
	if was.Ref.Kind != state.KindDatabase {
		return nil
	}
	changed := map[string]state.Value{}
	for name, v := range was.Outputs {
		if now, ok := gives[name]; ok && !now.Equal(v) {
			changed[name] = v
		}
	}
	if len(changed) == 0 {
		return nil
	}
	all, err := store.Resources(tx, was.Ref.Client)
	if err != nil {
		return err
	}
	for _, r := range all {
		is := false
		switch r.Ref.Kind {
		case state.KindEnvironment:
			r.Attributes = slices.Clone(r.Attributes)
			for i, a := range r.Attributes {
				if a.Value.Ref == nil || *a.Value.Ref != was.Ref {
					continue
				}
				if v, ok := changed[a.Value.Output]; ok {
					r.Attributes[i].Value, is = v, true
				}
			}
		case state.KindDeployment:
			if is = r.Database == was.ID && was.ID != ""; is {
				r.Database += formerly
			}
		}
		if !is {
			continue
		}
		if err := store.PutResource(tx, r); err != nil {
			return err
		}
	}
	return nil
}

// Readdressed records what a database gives by now: its address was changed at its vendor, by others.
func (r *Runner) Readdressed(job Job, have state.Resource, o provider.Object) error {
	have.Readdressed++
	return r.phase(job, have, o)
}

// Noted takes over how far something is by now at its vendor.
func (r *Runner) Noted(job Job, have state.Resource, o provider.Object) error {
	return r.phase(job, have, o)
}

// Kept takes over what the variables say by now that an adopted site had before us, and that no manifest mentions.
func (r *Runner) Kept(_ Job, have state.Resource, o provider.Object) error {
	return r.update(func(tx store.Tx) error {
		have.Attributes = slices.Clone(have.Attributes)
		for n, a := range have.Attributes {
			i := slices.IndexFunc(o.Attributes, func(x provider.Observed) bool { return x.Name == a.Name && x.Reveal() != "" })
			if a.Value.Secret == nil || !strings.HasPrefix(a.Value.Secret.Name, keptPrefix) || i < 0 {
				continue
			}
			v, err := r.keep(tx, have.Ref, o.Attributes[i])
			if err != nil {
				return err
			}
			have.Attributes[n].Value = v
		}
		return store.PutResource(tx, have)
	})
}

// overtake notes of the client's earlier deployments that the host serves another one now,
// where it serves what was built last.
func (r *Runner) overtake(tx store.Tx, built state.Resource) error {
	if built.Ref.Kind != state.KindDeployment || built.Phase != "" || built.Overtaken {
		return nil
	}
	_, t, err := r.providerOf(built.Provider, built.Ref.Kind)
	if err != nil || t.Promotable {
		return nil //nolint:nilerr // a provider that is not configured any more says nothing of how it serves
	}
	all, err := store.Resources(tx, built.Ref.Client)
	if err != nil {
		return err
	}
	for _, other := range all {
		if !plan.SameHost(built, other) || other.Overtaken {
			continue
		}
		other.Overtaken = true
		if err := store.PutResource(tx, other); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) outputSecret(tx store.Tx, of state.Ref, out provider.Output) (state.SecretRef, error) {
	return r.seal(tx, state.SecretRef{Scope: string(of.Client), Name: "output/" + string(of.Kind) + "/" + of.Name + "/" + out.Name}, *out.Secret, "output")
}

// seal keeps a text as a secret: under the version that it has already, else under a
// new one.
func (r *Runner) seal(tx store.Tx, ref state.SecretRef, text state.Secret, from string) (state.SecretRef, error) {
	ref.Version = 1
	have, ok, err := store.Secret(tx, ref.Scope, ref.Name, 0)
	if err != nil {
		return ref, err
	}
	if ok {
		if state.NewSecret(string(have.Text)).Equal(text) {
			return have.Ref, nil
		}
		ref.Version = have.Ref.Version + 1
	}
	ref.Fingerprint = r.Fingerprint(text)
	return ref, store.PutSecret(tx, store.SecretRecord{Ref: ref, Text: []byte(text.Reveal()), At: r.Now(), From: from})
}

// noteUndo keeps what s is about to change on the client, so that a failure of the
// pass, or the start after a crash, puts it back. Each Ref's first state counts. What is put
// back stays so, whoever has it then: of an exchange of names that fails for both, each gets back
// what it had, and the second undo does not undo the first.
func noteUndo(tx store.Tx, job Job, s plan.Step) error {
	if s.Prior == nil || job.PutsBack || !putBack(s.Ref.Kind) && s.Action != plan.Transfer || s.Risk == plan.RiskLeft {
		return nil // what nobody here can reach any more is not put back
	}
	prior := *s.Prior
	if s.Ref.Kind == state.KindEnvironment && s.From.IsZero() {
		// A transfer of the same pass says on record whose address it has.
		if have, ok, err := store.Resource(tx, s.Ref); err != nil {
			return err
		} else if ok {
			prior = have
		}
	}
	c, ok, err := store.Client(tx, s.Ref.Client)
	if err != nil || !ok || c.RollingBack != "" {
		return err
	}
	for _, u := range c.Undo {
		if u.Ref == s.Ref && !u.Kept {
			return nil
		}
	}
	u := state.Undo{Ref: s.Ref, From: s.From, Prior: prior, Replaced: s.Action == plan.Replace}
	if had := prior.Ref.Client; had != c.ID {
		owner, _, err := store.Client(tx, had)
		if err != nil {
			return err
		}
		if owner.Through() {
			answers, err := answersElse(tx, c.ID, had, s.Ref.Host())
			if err != nil {
				return err
			}
			u.Kept = !answers
		}
		for _, o := range owner.Undo {
			if o.Ref == prior.Ref && !o.Kept { // it goes back to where it was before that one had it
				u.Prior = o.Prior
			}
		}
	}
	c.Undo = append(slices.DeleteFunc(slices.Clone(c.Undo), func(u state.Undo) bool { return u.Ref == s.Ref }), u)
	return store.PutClient(tx, c)
}

// answersElse says that a client has a name of its own besides one that it takes from another client, and
// that one has not taken it from it: it would answer by it if the name went back.
func answersElse(tx store.Tx, id, from state.ClientID, taken string) (bool, error) {
	have, err := store.Resources(tx, id)
	if err != nil {
		return false, err
	}
	theirs, err := store.Resources(tx, from)
	if err != nil {
		return false, err
	}
	for _, r := range have {
		if r.Ref.Kind != state.KindDomain || !r.Real() || r.Ref.Host() == taken || r.Attributes.Literal("redirect") != "" {
			continue
		}
		if !slices.ContainsFunc(theirs, func(o state.Resource) bool { return plan.Leads(o.Ref, r.Ref.Host()) }) {
			return true, nil
		}
	}
	return false, nil
}

// putBack says which kinds a failed update puts back: what serves, and what the next
// build would read.
func putBack(k state.Kind) bool {
	switch k {
	case state.KindTraffic, state.KindDomain, state.KindRecord, state.KindEnvironment:
		return true
	}
	return false
}
