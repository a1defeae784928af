package cloudflare

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// split takes an object's id apart: the zone's, the record's.
func split(id string) (zone, record string, ok bool) {
	zone, record, ok = strings.Cut(id, "/")
	return zone, record, ok && idShape.MatchString(zone) && idShape.MatchString(record)
}

// find is split for ids that people wrote, too: with one zone its records need not name it.
func (p *Provider) find(id string) (zone, record string, ok bool) {
	if p.o.ZoneID != "" && idShape.MatchString(id) {
		return p.o.ZoneID, id, true
	}
	return split(id)
}

// Observe implements provider.Reader. With a wish it finds the records of the wish's name and
// type, whatever they say and whosever they are.
func (p *Provider) Observe(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	const op = "observe"
	if err := p.ready(ctx, op, q.Kind); err != nil {
		return nil, err
	}
	if q.ID != "" {
		zoneID, id, ok := p.find(q.ID)
		if !ok {
			return nil, nil // nothing here has such an id
		}
		r, there, err := p.byID(ctx, zoneID, id)
		if left, failed := p.left(ctx, zoneID, id, q.Name, err); failed != nil || left {
			return nil, failed
		}
		if err != nil || !there {
			return nil, err
		}
		return []provider.Object{p.show(ctx, zoneID, r)}, nil
	}
	if q.Wish == nil {
		return p.named(ctx, q.Name)
	}
	name, err := nameOf(*q.Wish)
	if err != nil {
		return nil, as(op, err)
	}
	return p.byName(ctx, strings.ToUpper(q.Wish.Get("type")), name, q.Wish)
}

// named finds records by an object's name alone: "TYPE name", and for several the rest.
func (p *Provider) named(ctx context.Context, name string) ([]provider.Object, error) {
	f := strings.Fields(name)
	if len(f) < 2 {
		return nil, nil
	}
	host, err := nameOf(provider.Wish{Inputs: []provider.Input{{Name: "name", Text: f[1]}}})
	if err != nil {
		return nil, nil //nolint:nilerr // no record has a name that is none
	}
	found, err := p.byName(ctx, f[0], host, nil)
	return slices.DeleteFunc(found, func(o provider.Object) bool { return o.Name != name }), err
}

// byID reads one record. It may come from a list of the last seconds (lists.go).
func (p *Provider) byID(ctx context.Context, zoneID, id string) (record, bool, error) {
	if r, ok, err := p.fromList(ctx, zoneID, id); ok || err != nil {
		return r, ok, p.ofZone(ctx, zoneID, err)
	}
	var r record
	_, err := p.call(ctx, "observe", http.MethodGet, recordPath(zoneID, id), nil, nil, &r)
	if provider.KindOf(err) == provider.NotFound && err != nil {
		if codeOf(err) == codeNoRecord {
			return record{}, false, nil
		}
		return record{}, false, transient("it does not know the path of the record: " + messageOf(err))
	}
	if err != nil {
		return record{}, false, p.ofZone(ctx, zoneID, err)
	}
	if r.sound() != nil || r.ID != id {
		return record{}, false, transient("its answer is not the record that was asked for")
	}
	return r, true, nil
}

func messageOf(err error) string {
	if e, ok := errorOf(err); ok {
		return e.Message
	}
	return ""
}

// byName lists the records of a name, always anew: an absence is proved by nothing older.
func (p *Provider) byName(ctx context.Context, kind, name string, w *provider.Wish) ([]provider.Object, error) {
	const op = "observe"
	z, err := p.zoneOf(ctx, op, name)
	if err != nil {
		return nil, err
	}
	all, err := p.records(ctx, z.ID, url.Values{"name.exact": {name}}, namePage)
	if err != nil {
		return nil, err
	}
	var out []provider.Object
	for _, r := range all {
		if r.name() != name {
			continue
		}
		if w != nil && r.Type != kind && turns(*w, kind, r) {
			return nil, &provider.Error{Kind: provider.Conflict, Provider: Name, Op: op, Message: fmt.Sprintf("%s %s (%s) is not ours, and Cloudflare would turn its proxy on or off with %s: make proxied the same for both, or remove that one there",
				r.Type, word(r.name()), r.ID, kind)}
		}
		if r.Type != kind {
			continue
		}
		p.lists.exactly(z.ID+"/"+r.ID, p.o.Now()) // who asks for it by id next wants to know whether it lives
		out = append(out, p.show(ctx, z.ID, r))
	}
	slices.SortFunc(out, func(a, b provider.Object) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// turns says that a wished address would change the proxying of one that is not ours:
// Cloudflare treats the addresses of a name alike.
func turns(w provider.Wish, kind string, r record) bool {
	mark, _ := readComment(r.Comment)
	return (kind == "A" || kind == "AAAA") && (r.Type == "A" || r.Type == "AAAA") && (mark.IsZero() || mark != w.Mark) && r.Proxied != (w.Get("proxied") == "true")
}

// Owned implements provider.Reader: page by page of every zone, sorted by id.
func (p *Provider) Owned(ctx context.Context, installation string) ([]provider.Object, error) {
	if err := p.ready(ctx, "observe", state.KindRecord); err != nil {
		return nil, err
	}
	all, err := p.zoneList(ctx, "observe", 0)
	if err != nil || installation == "" {
		return nil, err
	}
	var out []provider.Object
	for _, z := range all {
		found, err := p.records(ctx, z.ID, url.Values{"comment.contains": {provider.Mark{Installation: installation, Client: "x"}.Text()[:len("reconciler:")+len(installation)+1]}}, listPage)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if o := p.show(ctx, z.ID, r); o.Mark.Installation == installation {
				out = append(out, o)
			}
		}
	}
	slices.SortFunc(out, func(a, b provider.Object) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}
