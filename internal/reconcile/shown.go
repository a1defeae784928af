package reconcile

import (
	"slices"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// shown is what an overview says of a client beyond its own record, kept from the last
// overview: to look at ten thousand clients must not cost reading ten thousand
// manifests and all that is on record of them.
type shown struct {
	wish   shownWish
	record shownRecord
}

// shownWish is good while the file and what it is laid over are the same.
type shownWish struct {
	blob, templateBlob, platformBlob string
	rules                            *accept.Resolver
	host, plan, template             string
	secrets                          []string
}

// shownRecord is good while no pass worked on the client, and no look saw its account for
// payments otherwise.
type shownRecord struct {
	deployment string
	updated    int64
	providers  []string
	payments   *Payments  // never changed
	databases  []Database // in use, without what looks know
}

// wishShown returns what people are shown of a client's wish, as far as its manifest
// can be read.
func (s *shown) wishShown(c state.Client, rules *accept.Resolver) shownWish {
	w := &s.wish
	if w.rules == rules && w.blob == c.Blob && w.templateBlob == c.TemplateBlob && w.platformBlob == c.PlatformBlob {
		return *w
	}
	*w = shownWish{blob: c.Blob, templateBlob: c.TemplateBlob, platformBlob: c.PlatformBlob, rules: rules}
	if len(c.Manifest) == 0 {
		return *w
	}
	if eff, problems := rules.Client(c); !problems.Failed() {
		w.host, w.plan, w.template, w.secrets = eff.Host, eff.Plan, eff.Template, secretsOf(eff)
	}
	return *w
}

// recordShown returns who keeps something of a client, sorted, how far its account for
// payments is, and which databases it uses.
func (s *shown) recordShown(tx store.Tx, c state.Client) (shownRecord, error) {
	r := &s.record
	// Only passes and purges change what is on record; a settled client that is active
	// has neither under way, and each leaves another deployment or time.
	quiet := c.Settled && c.Status == state.StatusActive
	if quiet && r.providers != nil && r.deployment == c.Deployment && r.updated == c.UpdatedAt.UnixNano() {
		return *r, nil
	}
	have, err := store.Resources(tx, c.ID)
	if err != nil {
		return shownRecord{}, err
	}
	out := shownRecord{c.Deployment, c.UpdatedAt.UnixNano(), providersOf(have), paymentsOf(have), databasesOf(have)}
	*r = shownRecord{}
	if quiet {
		*r = out
	}
	return out, nil
}

func providersOf(have []state.Resource) []string {
	out := []string{}
	for _, r := range have {
		if !slices.Contains(out, r.Provider) {
			out = append(out, r.Provider)
		}
	}
	slices.Sort(out)
	return out
}

// databasesOf are those that are in use: one, but for a moment in which one moves.
func databasesOf(have []state.Resource) []Database {
	var out []Database
	for _, r := range have {
		if r.Ref.Kind == state.KindDatabase && r.Real() && !r.Retained() {
			out = append(out, Database{Provider: r.Provider, ID: r.ID})
		}
	}
	return out
}
