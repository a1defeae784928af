package cloudflare

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Limits on waiting for DNS.
const (
	// patience is how long a record may take to be answered; Cloudflare promises 5 minutes
	// and takes 5 to 30 s. After it the record is ready, and says what is odd.
	patience = 30 * time.Second
	// askAgain is how long nobody asks again, askTime how long one asking may take: a look
	// must not wait for DNS.
	askAgain   = time.Second
	askTime    = 2 * time.Second
	askServers = 2 // of a zone's name servers
	maxUnseen  = 10_000
)

// Lookup asks DNS for the texts of a name's records of one type, the priority in front for
// MX and SRV, strings of TXT joined. server is the host name of an authoritative server; ""
// stands for the resolvers that are configured. No such record is an empty answer; what
// can't be asked is errors.ErrUnsupported.
type Lookup func(ctx context.Context, server, recordType, name string) ([]string, error)

// unseen are records that were just written and that DNS may not answer yet. They are known
// to this process alone: after a restart a record is ready.
type unseen struct {
	mu   *sync.Mutex
	byID map[string]waiting
}

type waiting struct {
	zone         zone
	record       record
	since, asked time.Time
}

func newUnseen() unseen { return unseen{mu: &sync.Mutex{}, byID: map[string]waiting{}} }

// add lets a record wait to be answered. What is behind the proxy is not seen in DNS.
func (u *unseen) add(z zone, r record, o Options) {
	u.mu.Lock()
	defer u.mu.Unlock()
	id := z.ID + "/" + r.ID
	delete(u.byID, id)
	if r.Proxied || o.Lookup == nil {
		return
	}
	if len(u.byID) >= maxUnseen {
		for other, w := range u.byID {
			if o.Now().Sub(w.since) > patience {
				delete(u.byID, other)
			}
		}
	}
	if len(u.byID) < maxUnseen {
		u.byID[id] = waiting{zone: z, record: r, since: o.Now()}
	}
}

// visible says how far a record is.
func (p *Provider) visible(ctx context.Context, id string) (provider.Phase, string) {
	u, now := &p.unseen, p.o.Now()
	u.mu.Lock()
	w, waits := u.byID[id]
	age := now.Sub(w.since)
	if waits && age < patience && (w.asked.IsZero() && age == 0 || !w.asked.IsZero() && now.Sub(w.asked) < askAgain) {
		u.mu.Unlock()
		return provider.Progressing, "" // just written, or just asked
	}
	if waits {
		w.asked = now
		u.byID[id] = w
	}
	u.mu.Unlock()
	if !waits {
		return provider.Ready, ""
	}
	seen, odd := p.answered(ctx, w)
	if !seen && age < patience {
		return provider.Progressing, ""
	}
	u.mu.Lock()
	if u.byID[id].since.Equal(w.since) { // nobody wrote it meanwhile
		delete(u.byID, id)
	}
	u.mu.Unlock()
	if seen {
		return provider.Ready, ""
	}
	return provider.Ready, odd
}

// answered says whether DNS answers with a record: first the zone's own servers, then the
// resolvers. odd is what to tell where it does not.
func (p *Provider) answered(ctx context.Context, w waiting) (seen bool, odd string) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	servers := append(slices.Clone(w.zone.NameServers[:min(len(w.zone.NameServers), askServers)]), "")
	for _, server := range servers {
		answer, err := p.o.Lookup(ctx, server, w.record.Type, w.record.name())
		if errors.Is(err, errors.ErrUnsupported) {
			continue // taken on trust: nobody can look
		}
		who := "the resolvers do not answer with it yet: what they learned before lives as long as the zone says"
		if server != "" {
			who = word(server) + " does not answer with it yet: see whether the domain's name servers are Cloudflare's"
		}
		if err != nil {
			return false, who
		}
		if !slices.ContainsFunc(answer, func(text string) bool { return says(text, w.record) }) {
			return false, who
		}
	}
	return true, ""
}

// says compares an answer with a record.
func says(text string, r record) bool {
	switch r.Type {
	case "MX", "SRV":
		priority, rest, _ := strings.Cut(text, " ")
		return priority == strconv.Itoa(r.priority()) && state.RecordContent(r.Type, rest) == r.content()
	case "TXT":
		parts, ok := state.TXTStrings(r.content())
		return ok && text == strings.Join(parts, "")
	}
	return state.RecordContent(r.Type, text) == r.content()
}
