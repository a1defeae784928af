package external

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// lookTimeout is how long DNS may take to answer.
const lookTimeout = 5 * time.Second

// record is what a person is asked to set.
type record struct {
	kind, name, content string
	proxied             bool
}

// recordOf reads it from an id; the priority stands before the content, as in a zone.
func recordOf(v url.Values) record {
	r := record{kind: v.Get("type"), name: plain(v.Get("name")), content: v.Get("content"), proxied: v.Get("proxied") == "true"}
	if p := v.Get("priority"); p != "" && (r.kind == "MX" || r.kind == "SRV") {
		r.content = p + " " + r.content
	}
	return r
}

// ask is the sentence that says what to do.
func (r record) ask() string {
	s := "Set the record " + word(r.kind) + " " + word(r.name) + " → " + whole(r.content)
	if r.content == "" {
		s = "Point " + word(r.name) + " at the site, with a record " + word(r.kind) + " or CNAME,"
	}
	if r.proxied {
		s += " (through the proxy)"
	}
	return s + " at your DNS host"
}

// look says in o whether DNS answers with the record. Until it does, the content is
// left out of o: what is not there yet was not changed by anybody.
func (p *Provider) look(ctx context.Context, o *provider.Object, r record) error {
	o.Phase, o.Message = provider.Manual, r.ask()
	all := slices.Clone(o.Attributes)
	o.Attributes = slices.DeleteFunc(o.Attributes, func(a provider.Input) bool { return a.Name != "type" && a.Name != "name" })
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	there, now, err := p.set(ctx, r)
	o.Also = r.beside(there, now)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		o.Phase = provider.Ready // taken on trust: nobody can look
		o.Attributes = all
	case err != nil:
		return err
	case there:
		o.Phase, o.Message, o.Attributes = provider.Ready, "", all
	case len(now) > 0:
		now = slices.Clone(now)
		slices.Sort(now) // servers turn their answers around: that is no news
		o.Message += "; now it is " + word(strings.Join(now, ", "))
	}
	return nil
}

// beside is where else DNS leads the record's name: nobody took the earlier record away, or this one is not
// set, or not any more. Of a name behind a proxy that is not seen from here.
func (r record) beside(there bool, now []string) (out []string) {
	if r.proxied || r.content == "" {
		return nil
	}
	for _, have := range now {
		switch a, err := netip.ParseAddr(have); {
		case same(r.kind, have, r.content):
		case (r.kind == "A" || r.kind == "AAAA" || r.kind == "CNAME" && !there) && err == nil:
			out = append(out, a.Unmap().String())
		case r.kind == "CNAME" && !there:
			out = append(out, plain(have))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// set says whether the record is there, and what there is.
func (p *Provider) set(ctx context.Context, r record) (bool, []string, error) {
	now, err := p.o.Lookup(ctx, r.kind, r.name)
	if err != nil {
		return false, nil, err
	}
	address := r.kind == "A" || r.kind == "AAAA" || r.kind == "CNAME"
	if address && (r.proxied || r.content == "") { // what is behind is not seen from here
		if r.kind == "CNAME" && len(now) == 0 {
			now, err = p.o.Lookup(ctx, "A", r.name)
		}
		return len(now) > 0, now, err
	}
	for _, have := range now {
		if same(r.kind, have, r.content) {
			return true, now, nil
		}
	}
	if r.kind != "CNAME" {
		return false, now, nil
	}
	// A resolver follows a chain to its end, and hosts flatten aliases: the same
	// addresses mean the same place.
	mine, err := p.o.Lookup(ctx, "A", r.name)
	if err != nil || len(mine) == 0 {
		return false, now, err
	}
	theirs, err := p.o.Lookup(ctx, "A", plain(r.content))
	slices.Sort(mine)
	slices.Sort(theirs)
	if len(now) == 0 {
		now = mine
	}
	return err == nil && slices.Equal(mine, theirs), now, err
}

// same compares contents of records by what they mean.
func same(kind, a, b string) bool {
	switch kind {
	case "A", "AAAA":
		x, errX := netip.ParseAddr(a)
		y, errY := netip.ParseAddr(b)
		return errX == nil && errY == nil && x.Unmap() == y.Unmap()
	case "TXT":
		return txt(a) == txt(b)
	}
	return slices.Equal(strings.Fields(plain(a)), strings.Fields(plain(b)))
}

// plain is a name without capitals and the dot at its end.
func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// txt is what a TXT record says, its strings in one: a resolver joins them.
func txt(content string) string {
	parts, ok := state.TXTStrings(content)
	if !ok {
		return content
	}
	return strings.Join(parts, "")
}

// maxWord bounds what is shown of a text that is not ours, in runes.
const maxWord = 200

// word makes untrusted text fit for a sentence.
func word(s string) string {
	if s = provider.Line(s, maxWord); s != "" {
		return s
	}
	return "(nothing)"
}

// maxKey is maxWord of what a person is to set as it stands: a key of mail has some 400.
const maxKey = 500

// whole is word of a record's content.
func whole(s string) string {
	if s = provider.Line(s, maxKey); s != "" {
		return s
	}
	return "(nothing)"
}

// fail makes an *Error. What is not classified is a look that did not come through: a
// write here writes nothing.
func fail(op string, err error) error {
	if e := (*provider.Error)(nil); errors.As(err, &e) {
		out := *e
		out.Provider, out.Op = Name, op
		return &out
	}
	return &provider.Error{Kind: provider.Transient, Provider: Name, Op: op, Message: "DNS could not be asked", Err: err}
}

// DNS looks with a resolver. CAA records are beyond it.
func DNS(r *net.Resolver) Lookup {
	return func(ctx context.Context, recordType, name string) ([]string, error) {
		out, err := lookUp(ctx, r, recordType, name)
		if e := (*net.DNSError)(nil); errors.As(err, &e) && e.IsNotFound {
			return nil, nil
		}
		return out, err
	}
}

// anyLabel is what is asked for in the place of a star: a wildcard answers for whatever has no record of its own, and
// the resolver takes no name that has a star.
const anyLabel = "reconciler-wildcard."

func lookUp(ctx context.Context, r *net.Resolver, recordType, name string) (out []string, err error) {
	if below, wild := strings.CutPrefix(name, "*."); wild {
		name = anyLabel + below
	}
	full := name + "." // no search domains
	add := func(parts ...string) { out = append(out, strings.Join(parts, " ")) }
	number := func(n uint16) string { return strconv.Itoa(int(n)) }
	switch recordType {
	case "A", "AAAA":
		network := map[string]string{"A": "ip4", "AAAA": "ip6"}[recordType]
		found, e := r.LookupNetIP(ctx, network, full)
		for _, a := range found {
			add(a.Unmap().String())
		}
		return out, e
	case "CNAME":
		target, e := r.LookupCNAME(ctx, full)
		if e == nil && plain(target) != plain(name) {
			add(plain(target))
		}
		return out, e
	case "MX":
		found, e := r.LookupMX(ctx, full)
		for _, x := range found {
			add(number(x.Pref), plain(x.Host))
		}
		return out, e
	case "TXT":
		return r.LookupTXT(ctx, full)
	case "NS":
		found, e := r.LookupNS(ctx, full)
		for _, x := range found {
			add(plain(x.Host))
		}
		return out, e
	case "SRV":
		_, found, e := r.LookupSRV(ctx, "", "", full)
		for _, x := range found {
			add(number(x.Priority), number(x.Weight), number(x.Port), plain(x.Target))
		}
		return out, e
	}
	return nil, errors.ErrUnsupported
}
