package ploi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// maxAliases bounds what is asked into one certificate: Let's Encrypt takes 100 names.
const maxAliases = 100

// getAliases reads the host names of a site; nil: the site is not there.
func (p *Provider) getAliases(ctx context.Context, at siteID) (*aliases, error) {
	var got one[aliases]
	found, err := p.read(ctx, at.path()+"/aliases", nil, &got)
	if err == nil && !found {
		_, err = p.sees(ctx, opObserve, at.server)
	}
	if err != nil || !found {
		return nil, err
	}
	return &got.Data, nil
}

// has says that a host name leads to the site.
func (a aliases) has(host string) bool {
	return strings.EqualFold(string(a.Main), host) || slices.ContainsFunc(a.Aliases, func(x string) bool { return strings.EqualFold(x, host) })
}

// seeDomain is a host name of a site as an object; nil: it is not bound there.
//
// Bound without a certificate it is unreached: a record may lead to it, and only then there can
// be one. Attribute certificate tells.
func (p *Provider) seeDomain(ctx context.Context, at id) (*provider.Object, error) {
	a, err := p.getAliases(ctx, at.siteID)
	if err != nil || a == nil || !a.has(at.word) {
		return nil, err
	}
	all, err := p.certificates(ctx, at.siteID)
	if err != nil {
		return nil, err
	}
	o := domainObject(at.siteID, at.word)
	secured(o, all)
	if o.Phase != provider.Failed {
		return o, nil
	}
	here, others := p.leads(ctx, at.siteID, at.word)
	if !here {
		o = domainObject(at.siteID, at.word)
		secured(o, nil) // it was refused while DNS led elsewhere, as it does now
	} else if len(others) > 0 {
		o.Message = "Ploi got no certificate for " + at.word + ": its DNS leads to " + provider.Line(strings.Join(others, " and "), maxWord) + ", too, and Let's Encrypt asks there (an AAAA record first): take that record away"
	}
	return o, nil
}

func domainObject(at siteID, host string) *provider.Object {
	o := provider.Object{ID: at.part(partDomain, host), Kind: state.KindDomain, Name: host, Phase: provider.Ready,
		Attributes: []provider.Observed{{Name: "host", Text: host}, {Name: "site", Text: at.String()}}}
	o.Outputs = []provider.Output{{Name: "id", Text: o.ID}}
	return &o
}

// certificates are those of a site that have not run out.
func (p *Provider) certificates(ctx context.Context, at siteID) ([]certificate, error) {
	all, err := list[certificate](ctx, p, at.path()+"/certificates", nil, nil, certificateNumber)
	return slices.DeleteFunc(all, func(c certificate) bool {
		until, err := time.Parse(time.DateTime, string(c.Until)) // in a zone that it does not say
		return err == nil && p.o.Now().Sub(until) > 24*time.Hour
	}), err
}

// covers says that a certificate is for a host name. The vendor's pages show one domain; of
// several it may show all that was asked for.
func (c certificate) covers(host string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(string(c.Domain), func(r rune) bool { return r == ',' || r == ' ' }), func(d string) bool { return strings.EqualFold(d, host) })
}

// The vendor's words for how a certificate is.
const (
	certificateActive   = "active"
	certificateFailed   = "failed"
	certificateDeleting = "deleting"
)

// secured says in o whether its host has a certificate.
func secured(o *provider.Object, all []certificate) {
	word := "none"
	for _, c := range all {
		if !c.covers(o.Name) || c.Status == certificateDeleting {
			continue
		}
		switch {
		case c.Status == certificateActive:
			word = certificateActive
		case word == certificateActive:
		case c.Status == certificateFailed:
			word = certificateFailed
		default: // created, or a word that is new
			word = "issuing"
		}
		if word == certificateActive {
			break
		}
	}
	o.Attributes = append([]provider.Observed{{Name: "certificate", Text: word}}, o.Attributes...)
	switch word {
	case "issuing":
		o.Phase, o.Message = provider.Progressing, "Let's Encrypt is asked for the certificate of "+o.Name
	case certificateFailed:
		o.Phase, o.Message = provider.Failed, "Ploi got no certificate for "+o.Name+": does its DNS lead to the server, and do its CAA records allow letsencrypt.org?"
	case "none":
		o.Phase, o.Message = provider.Unreached, "there is no certificate for "+o.Name+" yet: Let's Encrypt gives one once its DNS leads to the server"
	}
}

// bind makes a host name an alias of the site. Its root domain stays what it was made with:
// that says whose the site is, and which of its names is the first changes nothing there.
func (p *Provider) bind(ctx context.Context, at siteID, w provider.Wish) (provider.Object, error) {
	host := w.Get("host")
	if !isHost(host) {
		return provider.Object{}, fail(opCreate, provider.Invalid, quote(host)+" is no host name")
	}
	a, err := p.getAliases(ctx, at)
	switch {
	case err != nil:
		return provider.Object{}, err
	case a == nil:
		return provider.Object{}, fail(opCreate, provider.Invalid, "there is no site "+at.String())
	case a.has(host):
		return provider.Object{}, fail(opCreate, provider.Conflict, "the site has that name")
	}
	now, err := p.addAlias(ctx, opCreate, at, host)
	if err != nil {
		return provider.Object{}, err
	}
	o := domainObject(at, host)
	if p.leadsHere(ctx, at, host) {
		if c, err := p.certify(ctx, opCreate, at, host, now); err == nil {
			secured(o, []certificate{c})
			return *o, nil
		}
	}
	secured(o, nil) // it is bound, whatever became of the certificate
	return *o, nil
}

// addAlias binds a name and returns what is bound then.
func (p *Provider) addAlias(ctx context.Context, op string, at siteID, host string) (aliases, error) {
	var got one[aliases]
	if err := p.free(ctx, op, at, host); err != nil {
		return got.Data, err
	}
	err := p.write(ctx, op, http.MethodPost, at.path()+"/aliases", map[string][]string{"aliases": {host}}, &got)
	if err == nil && !got.Data.has(host) { // DNS would lead to a site that does not answer to the name
		err = fail(op, provider.Uncertain, "its answer does not have the name "+quote(host))
	}
	return got.Data, err
}

// free refuses a name that is the root domain of another site on the server: Ploi takes it for both, and its web server lets
// one of them answer, whichever it read first. Lists show no aliases.
func (p *Provider) free(ctx context.Context, op string, at siteID, host string) error {
	has := func(s site) bool {
		return strings.EqualFold(s.Domain, host) && siteNumber(s) != at.site && s.Status != statusDeleting
	}
	rows, err := p.sitesOn(ctx, at.server, url.Values{"search": {host}}, has)
	if err != nil {
		var e *provider.Error
		if errors.As(err, &e) {
			out := *e
			out.Op = op
			return &out
		}
		return err
	}
	if n := slices.IndexFunc(rows, has); n >= 0 {
		other := at.server + "/" + siteNumber(rows[n])
		return fail(op, provider.Invalid, quote(host)+" is the root domain of site "+other+" on the same server, and one of the two would answer: take that site over with `adopt: {site: {id: "+other+"}}`, or delete it there, or give it another root domain")
	}
	return nil
}

// leadsHere says that DNS gives the server's address for a host.
func (p *Provider) leadsHere(ctx context.Context, at siteID, host string) bool {
	here, _ := p.leads(ctx, at, host)
	return here
}

// leads is leadsHere, with the other addresses that DNS gives, sorted.
func (p *Provider) leads(ctx context.Context, at siteID, host string) (here bool, others []string) {
	if p.o.Resolve == nil {
		return false, nil
	}
	ip, err := p.addressOf(ctx, at.server)
	if err != nil || ip == "" {
		return false, nil
	}
	seen, err := p.o.Resolve(ctx, host)
	if err != nil || !slices.Contains(seen, ip) {
		return false, nil
	}
	others = slices.DeleteFunc(slices.Clone(seen), func(a string) bool { return a == ip })
	slices.Sort(others)
	return true, others
}

// certify asks for one certificate for the host and all other names of the site that lead
// here: the host first, the rest sorted.
func (p *Provider) certify(ctx context.Context, op string, at siteID, host string, a aliases) (certificate, error) {
	names := []string{host}
	others := slices.Clone(a.Aliases)
	slices.Sort(others)
	for _, other := range others {
		if len(names) < maxAliases && other != host && isHost(other) && p.leadsHere(ctx, at, other) {
			names = append(names, other)
		}
	}
	var got one[certificate]
	err := p.write(ctx, op, http.MethodPost, at.path()+"/certificates", map[string]any{"certificate": strings.Join(names, ","), "type": "letsencrypt", "force": false}, &got)
	if got.Data.Domain == "" {
		got.Data.Domain = word(host)
	}
	return got.Data, err
}

// changeDomain moves a name to the site that is wished, and gets its certificate once DNS
// leads there. Renewals are the vendor's.
func (p *Provider) changeDomain(ctx context.Context, at id, w provider.Wish) (provider.Object, error) {
	host := w.Get("host")
	if host != at.word {
		return provider.Object{}, fail(opUpdate, provider.Invalid, "another host name is another domain")
	}
	to, ok := parse(state.KindSite, w.Get("site"))
	if !ok || p.names[to.server] == "" {
		return provider.Object{}, fail(opUpdate, provider.Invalid, "there is no site "+quote(w.Get("site"))+" here")
	}
	a, err := p.getAliases(ctx, at.siteID)
	if err != nil {
		return provider.Object{}, err
	}
	if to.siteID != at.siteID {
		if a, err = p.move(ctx, at, to.siteID, a); err != nil {
			return provider.Object{}, err
		}
	}
	if a == nil || !a.has(host) {
		return provider.Object{}, p.absent(w.Ref.Kind, at.part(partDomain, host))
	}
	all, err := p.certificates(ctx, to.siteID)
	if err != nil {
		return provider.Object{}, err
	}
	o := domainObject(to.siteID, host)
	leads := p.leadsHere(ctx, to.siteID, host)
	open := slices.ContainsFunc(all, func(c certificate) bool {
		return c.covers(host) && c.Status != certificateFailed && c.Status != certificateDeleting
	})
	if !open && !leads {
		all = nil
	} else if !open {
		c, err := p.certify(ctx, opUpdate, to.siteID, host, *a)
		if err != nil {
			return provider.Object{}, err
		}
		all = []certificate{c}
	}
	secured(o, all)
	return *o, nil
}

// move binds a name at another site and lets it go at the first. It is bound at both for a
// moment, so that no request is without an answer; where the vendor does not have that, it
// is let go first. What a cut-off move did is not done again.
func (p *Provider) move(ctx context.Context, at id, to siteID, from *aliases) (*aliases, error) {
	if from != nil && strings.EqualFold(string(from.Main), at.word) {
		return nil, fail(opUpdate, provider.Invalid, quote(at.word)+" is the root domain of site "+at.String()+" at Ploi: make "+p.rootBefore(ctx, at.siteID)+" its root domain there first")
	}
	now, err := p.getAliases(ctx, to)
	if err != nil {
		return nil, err
	}
	if now == nil {
		return nil, fail(opUpdate, provider.Invalid, "there is no site "+to.String())
	}
	bound := from != nil && from.has(at.word)
	if !now.has(at.word) {
		if !bound {
			return nil, nil // it is at neither
		}
		added, err := p.addAlias(ctx, opUpdate, to, at.word)
		if k := provider.KindOf(err); err != nil && (k == provider.Invalid || k == provider.Conflict) {
			if err := p.parts(ctx, opUpdate, at, *from); err != nil {
				return nil, err
			}
			if err := p.dropAlias(ctx, opUpdate, at); err != nil {
				return nil, err
			}
			if added, err = p.addAlias(ctx, opUpdate, to, at.word); err != nil {
				return nil, because(opUpdate, provider.Uncertain, "the name was let go by one site and not taken by the other", err)
			}
			return &added, nil
		} else if err != nil {
			return nil, err
		}
		now = &added
	}
	if bound {
		if err := p.parts(ctx, opUpdate, at, *from); err != nil {
			return nil, err
		}
		if err := p.dropAlias(ctx, opUpdate, at); err != nil {
			return nil, because(opUpdate, provider.Uncertain, "the name is bound to both sites", err)
		}
	}
	return now, nil
}

// parts sees to it, before a name goes, that the others of the site don't depend on a certificate that is for it, too:
// Let's Encrypt renews one for all of its names, or not at all.
func (p *Provider) parts(ctx context.Context, op string, at id, a aliases) error {
	a.Aliases = slices.DeleteFunc(slices.Clone(a.Aliases), func(x string) bool { return strings.EqualFold(x, at.word) })
	all, err := p.certificates(ctx, at.siteID)
	if err != nil {
		return err
	}
	for _, host := range a.Aliases {
		shared, own := false, false
		for _, c := range all {
			both := c.covers(host) && c.covers(at.word)
			shared = shared || both && c.Status == certificateActive
			own = own || !both && c.covers(host) && c.Status != certificateFailed && c.Status != certificateDeleting // asked for by an earlier try
		}
		if shared && !own && p.leadsHere(ctx, at.siteID, host) {
			if _, err := p.certify(ctx, op, at.siteID, host, a); provider.KindOf(err) != provider.Invalid { // a refusal keeps no name from going
				return err
			}
			return nil
		}
	}
	return nil
}

// rootBefore is the root domain that a site of ours was made with, whatever somebody made of it; of another's, in words.
func (p *Provider) rootBefore(ctx context.Context, at siteID) string {
	if s, err := p.getSite(ctx, at); err == nil && s != nil {
		if mark, err := p.markOf(ctx, at, *s); err == nil && !mark.IsZero() {
			if root, ok := rootOf(provider.ObjectName(mark, state.Ref{Kind: state.KindSite})); ok {
				return root
			}
		}
	}
	return "another name"
}

func (p *Provider) dropAlias(ctx context.Context, op string, at id) error {
	return gone(p.write(ctx, op, http.MethodDelete, at.path()+"/aliases/"+url.PathEscape(at.word), nil, nil))
}

// unbind lets a host name go. The root domain of a site that was not made here stays.
func (p *Provider) unbind(ctx context.Context, at id) error {
	a, err := p.getAliases(ctx, at.siteID)
	if err != nil || a == nil || !a.has(at.word) {
		return err
	}
	if strings.EqualFold(string(a.Main), at.word) {
		return fail(opDelete, provider.Invalid, quote(at.word)+" is the site's root domain at Ploi and can't be taken away: make "+p.rootBefore(ctx, at.siteID)+" its root domain there (site "+at.site+", Settings)")
	}
	if err := p.parts(ctx, opDelete, at, *a); err != nil {
		return err
	}
	return p.dropAlias(ctx, opDelete, at)
}
