package external_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/compassdigital/reconciler/internal/provider/external"
)

// resolver asks a real DNS server that answers with the given zone.
func resolver(t *testing.T, zone ...string) *net.Resolver {
	t.Helper()
	var all []dns.RR
	for _, line := range zone {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rr)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	s := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.RecursionAvailable = true
		known := false
		for _, rr := range all {
			of, asked := rr.Header().Name, q.Question[0].Name
			below, wild := strings.CutPrefix(of, "*")
			if of != asked && !(wild && strings.HasSuffix(asked, below)) {
				continue
			}
			known = true
			if rr.Header().Rrtype == q.Question[0].Qtype || rr.Header().Rrtype == dns.TypeCNAME {
				m.Answer = append(m.Answer, rr)
			}
		}
		switch {
		case q.Question[0].Name == "broken.example.":
			m.Rcode = dns.RcodeRefused
		case !known:
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})}
	ended := make(chan error, 1)
	go func() { ended <- s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		if err := errors.Join(s.Shutdown(), <-ended); err != nil {
			t.Error(err)
		}
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func TestDNS(t *testing.T) {
	look := external.DNS(resolver(t,
		"shop.example. 300 IN A 203.0.113.7", "shop.example. 300 IN AAAA 2001:db8::7", "shop.example. 300 IN MX 10 mail.example.",
		`shop.example. 300 IN TXT "v=spf1" " -all"`, "shop.example. 300 IN NS ns1.host.example.", "_sip._tcp.shop.example. 300 IN SRV 1 5 5060 sip.example.",
		"www.shop.example. 300 IN CNAME Shop.Example.", "k1._domainkey.shop.example. 300 IN CNAME k1.mail.example.",
		"*.wild.example. 300 IN A 203.0.113.8", "*.wild.example. 300 IN MX 10 mail.example.", "*.alias.example. 300 IN CNAME lb.host.example."))
	for _, c := range []struct {
		kind, name string
		want       []string
	}{
		{"A", "shop.example", []string{"203.0.113.7"}},
		{"AAAA", "shop.example", []string{"2001:db8::7"}},
		{"MX", "shop.example", []string{"10 mail.example"}},
		{"TXT", "shop.example", []string{"v=spf1 -all"}},
		{"NS", "shop.example", []string{"ns1.host.example"}},
		{"SRV", "_sip._tcp.shop.example", []string{"1 5 5060 sip.example"}},
		{"CNAME", "shop.example", nil},
		{"A", "absent.example", nil},
		{"MX", "absent.example", nil},
		{"CNAME", "absent.example", nil},
		{"CNAME", "k1._domainkey.shop.example", []string{"k1.mail.example"}}, // a key's, which has no address
		{"A", "*.wild.example", []string{"203.0.113.8"}},                     // no resolver asks for the star
		{"MX", "*.wild.example", []string{"10 mail.example"}},
		{"CNAME", "*.alias.example", []string{"lb.host.example"}},
		{"TXT", "*.absent.example", nil},
	} {
		got, err := look(ctx, c.kind, c.name)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s %s: %q, %v; want %q", c.kind, c.name, got, err, c.want)
		}
	}
	if _, err := look(ctx, "CAA", "shop.example"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("CAA: %v", err)
	}
	if got, err := look(ctx, "A", "broken.example"); err == nil {
		t.Errorf("a server that refuses is an error, not an absence: %q", got)
	}
}
