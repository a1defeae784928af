package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Limits on zones.
const (
	zonesAge      = 10 * time.Minute // how long a list of zones counts
	zonesAgain    = 10 * time.Second // how soon one that lacks a name is read anew
	zonesAPage    = 50               // the most that Cloudflare gives
	maxZonePages  = 100
	maxZones      = zonesAPage * maxZonePages
	maxNameServer = 10
)

// zone is one domain at Cloudflare.
type zone struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Status      string   `json:"status"`
	NameServers []string `json:"name_servers"`
	Account     struct {
		Name string `json:"name"`
	} `json:"account"`
	Permissions []string `json:"permissions"`
}

func (z zone) sound() error {
	if !idShape.MatchString(z.ID) || z.Name == "" || len(z.Name) > maxName || len(z.NameServers) > maxNameServer {
		return fmt.Errorf("its answer has a zone that is none")
	}
	return nil
}

// holds says that a name is in the zone.
func (z zone) holds(name string) bool { return name == z.Name || strings.HasSuffix(name, "."+z.Name) }

// zones are those that the token sees, as they were a while ago.
type zones struct {
	reading chan struct{} // one reader at a time; the others find what it read
	mu      sync.Mutex
	all     []zone
	at      time.Time // zero: never
}

// known returns the list, where it is young enough.
func (s *zones) known(now time.Time, age time.Duration) ([]zone, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := now.Sub(s.at)
	return s.all, !s.at.IsZero() && d >= 0 && d < age
}

// zoneList returns the zones that the token sees, read within age.
func (p *Provider) zoneList(ctx context.Context, op string, age time.Duration) ([]zone, error) {
	if all, ok := p.zones.known(p.o.Now(), age); ok {
		return all, nil
	}
	select {
	case p.zones.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, givenUp(ctx, op)
	}
	defer func() { <-p.zones.reading }()
	if all, ok := p.zones.known(p.o.Now(), age); ok {
		return all, nil // another one read it meanwhile
	}
	now := p.o.Now()
	all, err := p.readZones(ctx)
	if err != nil && provider.KindOf(err) == provider.NotFound { // of a zone nothing follows for its records
		return nil, as(op, transient("it does not know the path of the zones: "+messageOf(err)))
	}
	if err != nil {
		return nil, as(op, err)
	}
	p.zones.mu.Lock()
	defer p.zones.mu.Unlock()
	p.zones.all, p.zones.at = all, now
	return all, nil
}

// readZones reads the configured zone, or all that the token sees.
func (p *Provider) readZones(ctx context.Context) ([]zone, error) {
	if p.o.ZoneID != "" {
		var z zone
		if _, err := p.call(ctx, "observe", http.MethodGet, "/zones/"+p.o.ZoneID, nil, nil, &z); err != nil {
			return nil, err
		}
		z.Name = strings.ToLower(z.Name)
		if err := z.sound(); err != nil || z.ID != p.o.ZoneID {
			return nil, transient("its answer has a zone that is none")
		}
		return []zone{z}, nil
	}
	read := 0
	out, err := provider.Pages(ctx, maxZonePages, func(ctx context.Context, n int) (provider.Page[zone], error) {
		var part []zone
		info, err := p.call(ctx, "observe", http.MethodGet, "/zones", url.Values{"page": {strconv.Itoa(n)}, "per_page": {strconv.Itoa(zonesAPage)}}, nil, &part)
		if err != nil {
			return provider.Page[zone]{}, err
		}
		for i := range part {
			part[i].Name = strings.ToLower(part[i].Name)
			if err := part[i].sound(); err != nil {
				return provider.Page[zone]{}, transient(err.Error())
			}
		}
		if n == 1 {
			read = 0
		}
		read += len(part)
		if !info.told {
			return provider.Page[zone]{Items: part, Total: -1, Last: len(part) < zonesAPage}, nil
		}
		return provider.Page[zone]{Items: part, Total: info.total, Last: read >= info.total || len(part) == 0}, nil
	}, func(z zone) string { return z.ID })
	switch {
	case errors.Is(err, provider.ErrLong):
		return nil, &provider.Error{Kind: provider.Invalid, Provider: Name, Op: "observe", Message: fmt.Sprintf("the token sees more than %d zones: give one that sees fewer, or set providers.cloudflare.zoneID", maxZones)}
	case errors.Is(err, provider.ErrMoves):
		return nil, transient("its list of zones ends before all are told, or changes faster than it can be read")
	}
	return out, err
}

// zoneOf is the zone that a name is in: the one with the longest name.
func (p *Provider) zoneOf(ctx context.Context, op, name string) (zone, error) {
	z, ok, err := p.longest(ctx, op, name, zonesAge)
	if err == nil && (!ok || z.Status != "active") { // it may have been added or activated since
		z, ok, err = p.longest(ctx, op, name, zonesAgain)
	}
	switch {
	case err != nil:
		return zone{}, err
	case !ok && p.o.ZoneID != "":
		return zone{}, refusal(op, "%s is not in the zone that providers.cloudflare.zoneID names", name)
	case !ok:
		return zone{}, refusal(op, "no zone that the token sees holds %s: add the domain at Cloudflare, or give the token its zone", name)
	case z.Status != "active":
		return zone{}, refusal(op, "the zone %s is %s at Cloudflare, not active: let its registrar name the name servers %s", z.Name, word(z.Status), word(strings.Join(z.NameServers, " and ")))
	}
	return z, nil
}

func (p *Provider) longest(ctx context.Context, op, name string, age time.Duration) (best zone, ok bool, err error) {
	all, err := p.zoneList(ctx, op, age)
	if err != nil {
		return zone{}, false, err
	}
	for _, z := range all {
		// Of two accounts that have the same domain, one is active at most.
		if z.holds(name) && (len(z.Name) > len(best.Name) || len(z.Name) == len(best.Name) && z.Status == "active") {
			best, ok = z, true
		}
	}
	return best, ok, nil
}

// zoneByID is what is known of a zone; ok is false where the token does not see it.
func (p *Provider) zoneByID(ctx context.Context, op, id string) (zone, bool, error) {
	all, err := p.zoneList(ctx, op, zonesAge)
	if err != nil {
		return zone{}, false, err
	}
	for _, z := range all {
		if z.ID == id {
			return z, true, nil
		}
	}
	return zone{}, false, nil
}

// ofZone is an error about a zone's records. Where the token is accepted, and sees others but not that zone, it is that
// zone's matter: its customer took the domain elsewhere, say. Denied would stop everybody.
func (p *Provider) ofZone(ctx context.Context, id string, err error) error {
	e, ok := errorOf(err)
	if !ok || e.Kind != provider.Denied || id == p.o.ZoneID {
		return err
	}
	all, failed := p.zoneList(ctx, e.Op, zonesAgain)
	if failed != nil || len(all) == 0 || slices.ContainsFunc(all, func(z zone) bool { return z.ID == id }) {
		return err
	}
	out := *e
	out.Kind, out.Away, out.Err = provider.Invalid, true, err
	out.Message = "the zone " + id + " is not one that the token sees any more: give the token that zone, or bring the domain back to this account"
	return &out
}

// left says that a record is in a zone which answers for its name no more, as another one does that the token sees: the
// domain was deleted and added anew, or moved to another account. What is left in the old one counts as gone. Of a zone
// that is not seen it has to be sure that its name is not a longer one, which the other one would delegate to it.
func (p *Provider) left(ctx context.Context, zoneID, id, name string, failed error) (bool, error) {
	f := strings.Fields(name)
	if len(f) < 2 || failed != nil && provider.KindOf(failed) != provider.Invalid { // who is down is not asked more
		return false, nil
	}
	all, err := p.zoneList(ctx, "observe", zonesAge)
	if err != nil {
		return false, nil //nolint:nilerr // it counts as there, as long as nobody can know
	}
	host := strings.ToLower(f[1])
	n := slices.IndexFunc(all, func(z zone) bool { return z.ID == zoneID })
	if seen := n >= 0; seen && all[n].Status == "active" || !seen && failed == nil {
		return false, nil
	}
	now, ok, err := p.longest(ctx, "observe", host, zonesAge)
	if err != nil || !ok || now.Status != "active" || now.ID == zoneID {
		return false, err
	}
	if n >= 0 {
		return len(now.Name) >= len(all[n].Name), nil
	}
	for at := host; now.holds(at) && at != now.Name; {
		delegated, err := p.records(ctx, now.ID, url.Values{"name.exact": {at}, "type": {"NS"}}, namePage)
		if err != nil || len(delegated) > 0 {
			return false, err
		}
		_, at, _ = strings.Cut(at, ".")
	}
	p.lists.leave(zoneID+"/"+id, p.o.Now())
	return true, nil
}

// refusal is an Invalid of our own.
func refusal(op, format string, a ...any) error { return as(op, invalid(format, a...)) }

func transient(message string) error {
	return &provider.Error{Kind: provider.Transient, Provider: Name, Op: "observe", Message: message}
}

// word makes text from outside fit for a sentence.
func word(s string) string {
	if s = provider.Line(s, 120); s != "" {
		return s
	}
	return "nothing"
}
