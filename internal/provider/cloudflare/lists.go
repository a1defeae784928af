package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Limits on lists.
const (
	namePage  = 100
	listPage  = 1000 // records a page: some 600 KB, 3 MB of the longest texts
	maxListed = 50_000
	// listAge is how long a zone's list answers for its records.
	listAge = 15 * time.Second
	// So many looks by id within a while are asked one by one; then the list is read.
	fewLooks  = 4
	lookWhile = 5 * time.Second
	// What was written, or found by name, within listLag is read by itself. So many are
	// remembered; beyond it, nothing is taken from a list.
	maxExact = 100_000
	maxNotes = 1000
)

// lists are what zones held a moment ago, for looks at many records at once.
//
//	a look by id      few within a while     → the record itself
//	                  many                   → the zone's list, read once for all, at most
//	                                           15 s old; what is not in it: the record itself
//	                  of what was written or found by name within the list's lag
//	                                         → the record itself
//	a look by name    always the zone, now
//
// So an absence is never proved by a list that was kept, and no record is taken from one that
// can be older than our own write of it.
type lists struct {
	mu    sync.Mutex
	zones map[string]*listed
	exact map[string]time.Time // objects' ids → since when they are read by themselves
	full  time.Time            // when there were too many
	notes map[string]string    // ids → comments in which a person wrote, too
	proxy map[string]bool      // addresses' ids → whether they were proxied when last seen
	gone  map[string]time.Time // ids → when they were seen to be left in a zone that is not seen (zones.go)
}

// listed is one zone.
type listed struct {
	looks   [fewLooks]time.Time // the last ones, a ring
	next    int
	at      time.Time // when the list was begun; zero: there is none
	records map[string]record
	big     time.Time     // when it was too large to be kept
	reading chan struct{} // closed when the reader is done; nil: nobody reads
	err     error         // the reader's
}

func newLists() lists {
	return lists{zones: map[string]*listed{}, exact: map[string]time.Time{}, notes: map[string]string{}, proxy: map[string]bool{}, gone: map[string]time.Time{}}
}

// exactly lets a record be read by itself for a while.
func (l *lists) exactly(id string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.exact) >= maxExact {
		for old, at := range l.exact {
			if now.Sub(at) > listLag {
				delete(l.exact, old)
			}
		}
		if len(l.exact) >= maxExact {
			l.full = now
			return
		}
	}
	l.exact[id] = now
}

// note remembers what a person wrote beside a mark, for the next update.
func (l *lists) note(id, comment string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	plain := true
	for _, word := range strings.Fields(comment) {
		plain = plain && (!provider.ParseMark(word).IsZero() || tagShape.MatchString(word))
	}
	if plain {
		delete(l.notes, id)
	} else if len(l.notes) < maxNotes {
		l.notes[id] = comment
	}
}

// seen remembers whether an address is proxied.
func (l *lists) seen(id string, r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.proxy[id]; (r.Type == "A" || r.Type == "AAAA") && (known || len(l.proxy) < maxExact) {
		l.proxy[id] = r.Proxied
	}
}

// keeps says that an update leaves the proxying of a record as it is known to be.
func (l *lists) keeps(id string, b body) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	is, known := l.proxy[id]
	return b.Type != "A" && b.Type != "AAAA" || known && b.Proxied != nil && *b.Proxied == is
}

// leave notes a record that was left in a zone; leaves says that it was a moment ago.
func (l *lists) leave(id string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.gone) >= maxExact {
		clear(l.gone)
	}
	l.gone[id] = now
}

func (l *lists) leaves(id string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.gone[id]
	return ok && now.Sub(at) < zonesAge
}

func (l *lists) noted(id string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.notes[id]
}

// look counts a look by id, and says whether a list may answer it.
func (l *lists) look(zone, id string, now time.Time) (*listed, bool) {
	z := l.zones[zone]
	if z == nil {
		if len(l.zones) >= maxZones {
			return nil, false
		}
		z = &listed{}
		l.zones[zone] = z
	}
	oldest := z.looks[z.next]
	z.looks[z.next] = now
	z.next = (z.next + 1) % fewLooks
	if at, ok := l.exact[zone+"/"+id]; ok {
		if now.Sub(at) <= listLag {
			return nil, false
		}
		delete(l.exact, zone+"/"+id)
	}
	few := oldest.IsZero() || now.Sub(oldest) > lookWhile
	overfull := !l.full.IsZero() && now.Sub(l.full) <= listLag
	big := !z.big.IsZero() && now.Sub(z.big) < zonesAge
	return z, !few && !overfull && !big
}

// fromList answers a look by id from the zone's list, where it may.
func (p *Provider) fromList(ctx context.Context, zone, id string) (record, bool, error) {
	l, now := &p.lists, p.o.Now()
	l.mu.Lock()
	z, may := l.look(zone, id, now)
	if !may {
		l.mu.Unlock()
		return record{}, false, nil
	}
	if age := now.Sub(z.at); z.at.IsZero() || age < 0 || age > listAge {
		if z.reading == nil {
			z.reading = make(chan struct{})
			p.working.Go(func() { p.readList(context.WithoutCancel(ctx), zone, z) })
		}
		reading := z.reading
		l.mu.Unlock()
		select {
		case <-reading:
		case <-ctx.Done():
			return record{}, false, givenUp(ctx, "observe")
		}
		l.mu.Lock()
		if z.err != nil {
			err := z.err
			l.mu.Unlock()
			return record{}, false, err
		}
	}
	r, ok := z.records[id]
	l.mu.Unlock()
	return r, ok, nil
}

// readList reads a zone for all who wait for it.
func (p *Provider) readList(ctx context.Context, zone string, z *listed) {
	began := p.o.Now()
	all, err := p.records(ctx, zone, nil, listPage)
	l := &p.lists
	l.mu.Lock()
	defer l.mu.Unlock()
	z.err, z.records, z.at = err, nil, time.Time{}
	if codeOf(err) == 0 && provider.KindOf(err) == provider.Unsupported && err != nil {
		z.err, z.big = nil, began // its records are asked for one by one
	}
	if err == nil {
		total := len(all)
		for _, other := range l.zones {
			total += len(other.records)
		}
		if total > maxListed {
			for _, other := range l.zones {
				other.records, other.at = nil, time.Time{}
			}
		}
		z.records, z.at = make(map[string]record, len(all)), began
		for _, r := range all {
			z.records[r.ID] = r
		}
	}
	close(z.reading)
	z.reading = nil
}

// records reads a list of a zone's records: complete, or an error. One that changes while it
// is read is read again (provider.Pages).
func (p *Provider) records(ctx context.Context, zone string, filter url.Values, each int) ([]record, error) {
	read := 0
	all, err := provider.Pages(ctx, maxListed/each+1, func(ctx context.Context, n int) (provider.Page[record], error) {
		q := url.Values{"page": {strconv.Itoa(n)}, "per_page": {strconv.Itoa(each)}}
		for name, values := range filter {
			q[name] = values
		}
		var part []record
		info, err := p.call(ctx, "observe", http.MethodGet, recordPath(zone), q, nil, &part)
		if err != nil {
			if provider.KindOf(err) == provider.NotFound {
				return provider.Page[record]{}, transient("it does not know the path of the zone: " + messageOf(err))
			}
			return provider.Page[record]{}, err
		}
		for _, r := range part {
			if err := r.sound(); err != nil {
				return provider.Page[record]{}, transient(err.Error())
			}
		}
		if n == 1 {
			read = 0
		}
		read += len(part)
		if !info.told {
			return provider.Page[record]{Items: part, Total: -1, Last: len(part) < each}, nil
		}
		return provider.Page[record]{Items: part, Total: info.total, Last: read >= info.total || len(part) < each}, nil
	}, func(r record) string { return r.ID })
	switch {
	case errors.Is(err, provider.ErrLong), len(all) > maxListed:
		return nil, &provider.Error{Kind: provider.Unsupported, Provider: Name, Op: "observe", Message: fmt.Sprintf("a list has more than %d records", maxListed)}
	case errors.Is(err, provider.ErrMoves):
		return nil, transient("its records change faster than they can be listed")
	}
	return all, err
}
