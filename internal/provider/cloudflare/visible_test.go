package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/compassdigital/reconciler/internal/provider"
)

// world of DNS: who answers what.
type answers struct {
	mu    sync.Mutex
	by    map[string][]string // "SERVER TYPE name"
	asked []string
	err   error
}

func (a *answers) lookup(_ context.Context, server, kind, name string) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, server)
	return a.by[server+" "+kind+" "+name], a.err
}

func (a *answers) set(key string, texts ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.by[key] = texts
}

const ada, bob = "ada.ns.cloudflare.example", "bob.ns.cloudflare.example"

// A record is progressing until its zone's servers answer with it, and then the resolvers; a
// look never waits for that, and nobody is asked twice a second.
func TestProgressingUntilAnswered(t *testing.T) {
	a := &answers{by: map[string][]string{}}
	w := newWorld(t, setup{lookup: func(*world) Lookup { return a.lookup }})
	o := w.create(wish("A", "bakery.shops.example", "192.0.2.7"))
	steps := []struct {
		set   []string
		want  provider.Phase
		asked string
	}{
		{nil, provider.Progressing, ada},
		{[]string{ada + " A bakery.shops.example", "192.0.2.7"}, provider.Progressing, ada + " " + bob},
		{[]string{bob + " A bakery.shops.example", "192.0.2.1", "192.0.2.7"}, provider.Progressing, ada + " " + bob + " "},
		{[]string{" A bakery.shops.example", "192.0.2.7"}, provider.Ready, ada + " " + bob + " "},
		{nil, provider.Ready, ""},
	}
	if o.Phase != provider.Progressing || len(a.asked) != 0 {
		t.Errorf("created: %s, asked %v", o.Phase, a.asked)
	}
	for i, s := range steps {
		w.clock.add(2 * time.Second)
		if s.set != nil {
			a.set(s.set[0], s.set[1:]...)
		}
		a.asked = nil
		if seen := w.byID(o.ID); seen.Phase != s.want || strings.Join(a.asked, " ") != s.asked || seen.Message != "" {
			t.Errorf("%d: %s (%s), asked %q", i, seen.Phase, seen.Message, a.asked)
		}
		a.asked = nil
		if again := w.byID(o.ID); again.Phase != s.want || len(a.asked) > 0 {
			t.Errorf("%d again: %s, asked %q", i, again.Phase, a.asked)
		}
	}
}

// After half a minute a record is ready all the same, and says once what is odd; what is behind
// the proxy, or was written by an earlier process, is ready by the API alone.
func TestPatience(t *testing.T) {
	a := &answers{by: map[string][]string{}, err: errors.New("nobody answers")}
	w := newWorld(t, setup{lookup: func(*world) Lookup { return a.lookup }})
	o := w.create(wish("TXT", "bakery.shops.example", "one"))
	w.clock.add(patience - time.Second)
	if seen := w.byID(o.ID); seen.Phase != provider.Progressing {
		t.Errorf("before: %+v", seen)
	}
	w.clock.add(time.Second)
	if seen := w.byID(o.ID); seen.Phase != provider.Ready || !strings.Contains(seen.Message, ada+" does not answer with it yet") {
		t.Errorf("after: %+v", seen)
	}
	if proxied := w.create(wish("A", "shop.shops.example", "192.0.2.7", "proxied=true")); proxied.Phase != provider.Ready {
		t.Errorf("proxied: %+v", proxied)
	}
	late := w.create(wish("A", "late.shops.example", "192.0.2.7"))
	w.open(setup{lookup: func(*world) Lookup { return a.lookup }}, w.wire)
	a.asked = nil
	if seen := w.byID(late.ID); seen.Phase != provider.Ready || len(a.asked) > 0 {
		t.Errorf("after a restart: %+v, asked %v", seen, a.asked)
	}
}

// Each type is asked for over the wire and compared by what it means.
func TestDNS(t *testing.T) {
	long := strings.Repeat("k", 300)
	zone := map[string]string{
		"a.example. A": "a.example. 60 IN A 192.0.2.7", "b.example. AAAA": "b.example. 60 IN AAAA 2001:db8::7", "c.example. CNAME": "c.example. 60 IN CNAME Target.Example.",
		"m.example. MX": "m.example. 60 IN MX 10 Mx.Example.", "t.example. TXT": `t.example. 60 IN TXT "` + long[:255] + `" "` + long[255:] + `"`, "q.example. TXT": `q.example. 60 IN TXT "say \"hi\" \009"`,
		"s.example. SRV": "s.example. 60 IN SRV 20 5 443 sip.example.", "i.example. CAA": `i.example. 60 IN CAA 0 issue "ca.example"`,
	}
	var refused atomic.Bool
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if refused.Load() {
			m.Rcode = dns.RcodeRefused
		} else if text, ok := zone[q.Question[0].Name+" "+dns.TypeToString[q.Question[0].Qtype]]; ok {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Error(err)
			}
			m.Answer = append(m.Answer, rr)
		} else {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: packets, Handler: handler}
	done := make(chan error)
	go func() { done <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(), <-done); err != nil {
			t.Error(err)
		}
	})
	_, port, _ := net.SplitHostPort(packets.LocalAddr().String())
	ask := DNS(Asking{Resolvers: []string{packets.LocalAddr().String()}, Port: port, Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
		if host != ada+"." {
			return nil, fmt.Errorf("asked for %s", host)
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	priority, weight, portNumber := number(20), number(5), number(443)
	for _, r := range []record{
		{Type: "A", Name: "a.example", Content: "192.0.2.7"}, {Type: "AAAA", Name: "b.example", Content: "2001:db8::7"}, {Type: "CNAME", Name: "c.example", Content: "target.example"},
		{Type: "MX", Name: "m.example", Content: "mx.example", Priority: 10}, {Type: "TXT", Name: "t.example", Content: long}, {Type: "TXT", Name: "q.example", Content: `"say \"hi\" \009"`},
		{Type: "SRV", Name: "s.example", Data: parts{Priority: &priority, Weight: &weight, Port: &portNumber, Target: "sip.example"}}, {Type: "CAA", Name: "i.example", Content: `0 issue "ca.example"`},
	} {
		for _, server := range []string{ada, ""} {
			found, err := ask(t.Context(), server, r.Type, r.Name)
			if err != nil || !slices.ContainsFunc(found, func(s string) bool { return says(s, r) }) {
				t.Errorf("%s of %q: %q, %v; want %q", r.Type, server, found, err, r.content())
			}
		}
	}
	if found, err := ask(t.Context(), ada, "A", "nothing.example"); err != nil || len(found) > 0 {
		t.Errorf("nothing: %v, %v", found, err)
	}
	refused.Store(true)
	if _, err := ask(t.Context(), ada, "A", "a.example"); err == nil {
		t.Error("a refusal is an absence")
	}
	if _, err := ask(t.Context(), bob, "A", "a.example"); err == nil {
		t.Error("a server that isn't found is an absence")
	}
	for _, kind := range []string{"A", "NONSENSE"} {
		if _, err := DNS(Asking{})(t.Context(), "", kind, "a.example"); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("nobody to ask for %s: %v", kind, err)
		}
	}
}
