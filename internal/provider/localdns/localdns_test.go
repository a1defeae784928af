package localdns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var mark = provider.Mark{Installation: "0a1b2c3d", Client: "demoshop-1a2b3c", Generation: 1}

func record(kind, name, content string, more ...string) provider.Wish {
	in := []provider.Input{{Name: "content", Text: content}, {Name: "name", Text: name}, {Name: "ttl", Text: "300"}, {Name: "type", Text: kind}}
	for i := 0; i < len(more); i += 2 {
		in = slices.DeleteFunc(in, func(x provider.Input) bool { return x.Name == more[i] })
		in = append(in, provider.Input{Name: more[i], Text: more[i+1]})
	}
	return provider.Wish{Ref: state.Ref{Client: mark.Client, Kind: state.KindRecord, Name: kind + " " + name}, Name: kind + " " + name, Mark: mark, Inputs: in}
}

func begin(t *testing.T, dir string) *Provider {
	t.Helper()
	p, err := New(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func serving(t *testing.T, wishes ...provider.Wish) *Provider {
	t.Helper()
	p := begin(t, t.TempDir())
	for _, w := range wishes {
		create(t, p, w)
	}
	if err := p.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return p
}

func create(t *testing.T, p *Provider, w provider.Wish) provider.Object {
	t.Helper()
	o, err := p.Create(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func ask(t *testing.T, p *Provider, network string, q *dns.Msg) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network, Timeout: 20 * time.Second, UDPSize: 4096}
	m, _, err := c.ExchangeContext(t.Context(), q, p.Addr())
	if err != nil {
		t.Fatalf("%s %v: %v", network, q.Question, err)
	}
	return m
}

func question(name string, kind uint16) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), kind)
	return q
}

// shown is an answer's records without the white space, sorted.
func shown(rrs []dns.RR) []string {
	var out []string
	for _, rr := range rrs {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	slices.Sort(out)
	return out
}

func wantKind(t *testing.T, err error, kind provider.ErrorKind) {
	t.Helper()
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("got %v, want an error of kind %s", err, kind)
	}
}

func TestEveryTypeIsAnswered(t *testing.T) {
	long := strings.Repeat("k", 300) + `\end`
	p := serving(t,
		record("A", "shop.example", "192.0.2.7"), record("A", "shop.example", "192.0.2.8", "ttl", "60"), record("AAAA", "shop.example", "2001:db8::7"),
		record("CNAME", "www.shop.example", "Shop.Example"), record("MX", "shop.example", "mx.shop.example", "priority", "10"),
		record("TXT", "shop.example", "v=spf1 -all"), record("TXT", "key._domainkey.shop.example", long), record("TXT", "two.shop.example", `"one" "t\"wo"`),
		record("CAA", "shop.example", `0 issue "ca.example"`), record("SRV", "_sip._tcp.shop.example", "5 5060 sip.shop.example", "priority", "1"),
		record("NS", "sub.shop.example", "ns1.shop.example"), record("A", "*.any.shop.example", "192.0.2.9"), record("A", "ttl.shop.example", "192.0.2.1", "ttl", "1"),
		record("MX", "mailless.example", ".", "priority", "0"),
	)
	for _, c := range []struct {
		name string
		kind uint16
		want []string
	}{
		{"shop.example", dns.TypeA, []string{"shop.example. 60 IN A 192.0.2.7", "shop.example. 60 IN A 192.0.2.8"}},
		{"shop.example", dns.TypeAAAA, []string{"shop.example. 300 IN AAAA 2001:db8::7"}},
		{"www.shop.example", dns.TypeAAAA, []string{"shop.example. 300 IN AAAA 2001:db8::7", "www.shop.example. 300 IN CNAME shop.example."}},
		{"www.shop.example", dns.TypeCNAME, []string{"www.shop.example. 300 IN CNAME shop.example."}},
		{"shop.example", dns.TypeMX, []string{"shop.example. 300 IN MX 10 mx.shop.example."}},
		{"mailless.example", dns.TypeMX, []string{"mailless.example. 300 IN MX 0 ."}},
		{"shop.example", dns.TypeTXT, []string{`shop.example. 300 IN TXT "v=spf1 -all"`}},
		{"key._domainkey.shop.example", dns.TypeTXT, []string{`key._domainkey.shop.example. 300 IN TXT "` + long[:255] + `" "` + long[255:300] + `\\end"`}},
		{"two.shop.example", dns.TypeTXT, []string{`two.shop.example. 300 IN TXT "one" "t\"wo"`}},
		{"shop.example", dns.TypeCAA, []string{`shop.example. 300 IN CAA 0 issue "ca.example"`}},
		{"_sip._tcp.shop.example", dns.TypeSRV, []string{"_sip._tcp.shop.example. 300 IN SRV 1 5 5060 sip.shop.example."}},
		{"sub.shop.example", dns.TypeNS, []string{"sub.shop.example. 300 IN NS ns1.shop.example."}},
		{"x.any.shop.example", dns.TypeA, []string{"x.any.shop.example. 300 IN A 192.0.2.9"}},
		{"sHoP.eXaMpLe", dns.TypeA, []string{"sHoP.eXaMpLe. 60 IN A 192.0.2.7", "sHoP.eXaMpLe. 60 IN A 192.0.2.8"}},
		{"ttl.shop.example", dns.TypeA, []string{"ttl.shop.example. 300 IN A 192.0.2.1"}},
	} {
		for _, network := range []string{"udp", "tcp"} {
			q := question(c.name, c.kind)
			q.SetEdns0(4096, false)
			m := ask(t, p, network, q)
			if got := shown(m.Answer); !slices.Equal(got, c.want) || m.Rcode != dns.RcodeSuccess || !m.Authoritative || m.RecursionAvailable || m.Truncated {
				t.Errorf("%s %s %s: got %q %v", network, c.name, dns.TypeToString[c.kind], got, m.MsgHdr)
			}
		}
	}
}

func TestWhatIsNotRecordedIsDenied(t *testing.T) {
	p := serving(t, record("A", "a.deep.shop.example", "192.0.2.7"), record("A", "*.shop.example", "192.0.2.9"), record("CNAME", "out.example", "elsewhere.example"),
		record("CNAME", "ring1.example", "ring2.example"), record("CNAME", "ring2.example", "ring1.example"))
	for _, c := range []struct {
		name   string
		kind   uint16
		rcode  int
		answer int
		soa    bool
	}{
		{"nobody.example", dns.TypeA, dns.RcodeNameError, 0, true},
		{"a.deep.shop.example", dns.TypeTXT, dns.RcodeSuccess, 0, true}, // no data
		{"deep.shop.example", dns.TypeA, dns.RcodeSuccess, 0, true},     // is there, because something is below it
		{"b.deep.shop.example", dns.TypeA, dns.RcodeNameError, 0, true}, // the wildcard stops at deep
		{"any.shop.example", dns.TypeTXT, dns.RcodeSuccess, 0, true},
		{"out.example", dns.TypeA, dns.RcodeSuccess, 1, false},
		{"ring1.example", dns.TypeA, dns.RcodeSuccess, 2, false},
		{".", dns.TypeSOA, dns.RcodeSuccess, 1, false},
		{".", dns.TypeNS, dns.RcodeSuccess, 0, true},
	} {
		m := ask(t, p, "udp", question(c.name, c.kind))
		soa := len(m.Ns) == 1 && m.Ns[0].Header().Rrtype == dns.TypeSOA
		if m.Rcode != c.rcode || len(m.Answer) != c.answer || soa != c.soa || !m.Authoritative {
			t.Errorf("%s %s: %v", c.name, dns.TypeToString[c.kind], m)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	p := serving(t, record("A", "shop.example", "192.0.2.7"))
	chaos := question("version.bind", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	update := new(dns.Msg)
	update.SetUpdate("shop.example.")
	two := question("shop.example", dns.TypeA)
	two.Question = append(two.Question, two.Question[0])
	edns := question("shop.example", dns.TypeA)
	edns.SetEdns0(4096, false)
	edns.IsEdns0().SetVersion(1)
	for name, c := range map[string]struct {
		q     *dns.Msg
		rcode int
	}{
		"transfer": {question("shop.example", dns.TypeAXFR), dns.RcodeRefused}, "any": {question("shop.example", dns.TypeANY), dns.RcodeRefused},
		"chaos": {chaos, dns.RcodeRefused}, "update": {update, dns.RcodeNotImplemented}, "two questions": {two, dns.RcodeFormatError}, "edns 1": {edns, dns.RcodeBadVers},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if m := ask(t, p, network, c.q); m.Rcode != c.rcode || len(m.Answer) != 0 {
				t.Errorf("%s over %s: %v", name, network, m)
			}
		}
	}
}

// What is no question gets no answer, and the server goes on.
func TestPacketsThatAreNoQuestions(t *testing.T) {
	p := serving(t, record("A", "shop.example", "192.0.2.7"))
	c, err := net.Dial("udp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	answer := question("shop.example", dns.TypeA)
	answer.Response = true
	packed, err := answer.Pack()
	if err != nil {
		t.Fatal(err)
	}
	broken := question("shop.example", dns.TypeA)
	broken.Id = 4711
	cut, err := broken.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, packet := range [][]byte{{}, {1, 2, 3}, packed, cut[:20]} {
		if _, err := c.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 600)
	n, err := c.Read(buf) // the first and only one that comes is about the broken question
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(buf[:n]); err != nil || m.Id != 4711 || m.Rcode != dns.RcodeFormatError {
		t.Fatalf("got %v (%v)", m, err)
	}
	if m := ask(t, p, "udp", question("shop.example", dns.TypeA)); len(m.Answer) != 1 {
		t.Fatalf("got %v", m)
	}
}

func TestALargeAnswerIsCutAndWholeOverTCP(t *testing.T) {
	var all []provider.Wish
	for n := range 60 {
		all = append(all, record("TXT", "big.example", fmt.Sprintf("%d %s", n, strings.Repeat("x", 60))))
	}
	p := serving(t, all...)
	for _, c := range []struct {
		size uint16 // of EDNS; 0: none
		most int
	}{{0, 512}, {100, 512}, {800, 800}, {4096, largestUDP}} {
		q := question("big.example", dns.TypeTXT)
		if c.size > 0 {
			q.SetEdns0(c.size, false)
		}
		m := ask(t, p, "udp", q)
		m.Compress = true // as it came
		packed, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if !m.Truncated || len(packed) > c.most || len(m.Answer) == 60 {
			t.Errorf("asked with %d: %d bytes, %d answers, cut %v", c.size, len(packed), len(m.Answer), m.Truncated)
		}
		if (m.IsEdns0() != nil) != (c.size > 0) {
			t.Errorf("asked with %d: EDNS in the answer is %v", c.size, m.IsEdns0())
		}
	}
	if m := ask(t, p, "tcp", question("big.example", dns.TypeTXT)); m.Truncated || len(m.Answer) != 60 {
		t.Errorf("over TCP: %d answers", len(m.Answer))
	}
}

func TestRecordsThatCannotBe(t *testing.T) {
	p := begin(t, t.TempDir())
	create(t, p, record("A", "shop.example", "192.0.2.7"))
	create(t, p, record("CNAME", "www.shop.example", "shop.example"))
	theirs := record("CNAME", "shop.example", "other.example") // only ours gives way
	theirs.Mark.Client = "other"
	for _, c := range []struct {
		w    provider.Wish
		kind provider.ErrorKind
		says string
	}{
		{record("A", "x.example", "2001:db8::1"), provider.Invalid, "not an IPv4 address"},
		{record("A", "x.example", "shop.example"), provider.Invalid, "not an IPv4 address"},
		{record("AAAA", "x.example", "192.0.2.7"), provider.Invalid, "not an IPv6 address"},
		{record("AAAA", "x.example", "::ffff:192.0.2.7"), provider.Invalid, "not an IPv6 address"},
		{theirs, provider.Invalid, "a CNAME can't stand beside others: leave that one out first"},
		{record("TXT", "WWW.shop.example.", "x"), provider.Invalid, "has a CNAME"},
		{record("CNAME", "www.shop.example", "other.example"), provider.Conflict, "exists"},
		{record("CNAME", "me.example", "ME.example."), provider.Invalid, "points at itself"},
		{record("CNAME", "x.example", "192.0.2.7"), provider.Invalid, "takes a host name"},
		{record("MX", "x.example", "192.0.2.7", "priority", "10"), provider.Invalid, "takes a host name"},
		{record("MX", "x.example", "mx.example", "priority", "70000"), provider.Invalid, "priority"},
		{record("SRV", "_a._tcp.x.example", "5060 sip.example"), provider.Invalid, "weight, port and target"},
		{record("CAA", "x.example", "issue ca.example"), provider.Invalid, "flags, tag and value"},
		{record("TXT", "x.example", `"open`), provider.Invalid, "closing quote"},
		{record("TXT", "x.example", ""), provider.Invalid, "content"},
		{record("TXT", "x.example", strings.Repeat("x", maxContent+1)), provider.Invalid, "content"},
		{record("PTR", "x.example", "y.example"), provider.Invalid, "type"},
		{record("A", "", "192.0.2.1"), provider.Invalid, "name"},
		{record("A", "a..example", "192.0.2.1"), provider.Invalid, "label"},
		{record("A", "käse.example", "192.0.2.1"), provider.Invalid, "xn--"},
		{record("A", "a b.example", "192.0.2.1"), provider.Invalid, "letters"},
		{record("A", "a.*.example", "192.0.2.1"), provider.Invalid, "letters"},
		{record("A", strings.Repeat("a", 64)+".example", "192.0.2.1"), provider.Invalid, "label"},
		{record("A", "x.example", "192.0.2.1", "ttl", "-1"), provider.Invalid, "ttl"},
		{record("A", "shop.example", "192.0.2.7", "ttl", "60"), provider.Conflict, "exists"},
		{record("A", "SHOP.example", "192.0.2.7"), provider.Conflict, "exists"},
	} {
		_, err := p.Create(t.Context(), c.w)
		wantKind(t, err, c.kind)
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not say %q", c.w.Name, err, c.says)
		}
	}
	if all := p.table.List(); len(all) != 2 {
		t.Errorf("%d records are kept", len(all))
	}
}

// P3: a record is found by name and type, with its mark, also by a process that did
// not make it; several of a name are all reported.
func TestP3RecordsAreFoundByContent(t *testing.T) {
	dir := t.TempDir()
	first := begin(t, dir)
	a := create(t, first, record("A", "shop.example", "192.0.2.7"))
	strange := record("TXT", "shop.example", "theirs")
	strange.Mark = provider.Mark{}
	create(t, first, strange)
	create(t, first, record("TXT", "shop.example", "ours"))

	p := begin(t, dir)
	w := record("A", "Shop.Example", "192.0.2.99")
	found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, Name: w.Name, Wish: &w})
	if err != nil || len(found) != 1 || found[0].ID != a.ID || found[0].Mark != mark {
		t.Fatalf("found %v (%v)", found, err)
	}
	w = record("TXT", "shop.example", "ours")
	found, err = p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, Name: w.Name, Wish: &w})
	if err != nil || len(found) != 2 {
		t.Fatalf("found %v (%v)", found, err)
	}
	owned, err := p.Owned(t.Context(), mark.Installation)
	if err != nil || len(owned) != 2 {
		t.Fatalf("owned %v (%v)", owned, err)
	}
	_, err = p.Create(t.Context(), record("A", "shop.example", "192.0.2.7"))
	wantKind(t, err, provider.Conflict)

	if err := p.Listen("localhost:0"); err != nil {
		t.Fatal(err)
	}
	moved := record("A", "shop.example", "192.0.2.8")
	moved.Mark.Client = "other"
	if o, err := p.Update(t.Context(), a.ID, moved); err != nil || o.ID != a.ID || o.Mark != moved.Mark {
		t.Fatalf("%v %v", o, err)
	}
	if m := ask(t, p, "udp", question("shop.example", dns.TypeA)); len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "192.0.2.8" {
		t.Errorf("after the update: %v", m)
	}
	for range 2 {
		if err := p.Delete(t.Context(), state.KindRecord, a.ID); err != nil {
			t.Fatal(err)
		}
	}
	if m := ask(t, p, "udp", question("shop.example", dns.TypeA)); len(m.Answer) != 0 || m.Rcode != dns.RcodeSuccess {
		t.Errorf("after the delete: %v", m)
	}
	_, err = p.Update(t.Context(), a.ID, moved)
	wantKind(t, err, provider.NotFound)
}

// The names are gone with the last record, and with nothing else.
func TestDeletedNamesAreGone(t *testing.T) {
	p := serving(t, record("A", "shop.example", "192.0.2.1"))
	a, b := create(t, p, record("A", "a.b.example", "192.0.2.7")), create(t, p, record("TXT", "a.b.example", "x"))
	rcode := func(name string) int { return ask(t, p, "udp", question(name, dns.TypeA)).Rcode }
	if err := p.Delete(t.Context(), state.KindRecord, a.ID); err != nil {
		t.Fatal(err)
	}
	if rcode("a.b.example") != dns.RcodeSuccess || rcode("b.example") != dns.RcodeSuccess {
		t.Error("the name went with the first of two records")
	}
	if err := p.Delete(t.Context(), state.KindRecord, b.ID); err != nil {
		t.Fatal(err)
	}
	if rcode("a.b.example") != dns.RcodeNameError || rcode("b.example") != dns.RcodeNameError || rcode("example") != dns.RcodeSuccess {
		t.Error("the name is still there")
	}
}

func TestLookupHost(t *testing.T) {
	p := begin(t, t.TempDir())
	create(t, p, record("A", "shop.example", "192.0.2.7"))
	create(t, p, record("AAAA", "shop.example", "2001:db8::7"))
	create(t, p, record("CNAME", "www.shop.example", "alias.example"))
	create(t, p, record("CNAME", "alias.example", "shop.example"))
	create(t, p, record("CNAME", "here.example", "site-1.localhost"))
	create(t, p, record("CNAME", "out.example", "elsewhere.example"))
	both := []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}
	for host, want := range map[string][]netip.Addr{"shop.example": both, "WWW.Shop.Example.": both, "here.example": {netip.MustParseAddr("127.0.0.1")}, "out.example": nil, "nobody.example": nil, "": nil} {
		got, err := p.LookupHost(t.Context(), host)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", host, got, err)
		}
		var e *net.DNSError
		if want == nil && (!errors.As(err, &e) || !e.IsNotFound) {
			t.Errorf("%s: %v is not the error of a name that isn't there", host, err)
		}
	}
}

// A resolver of the standard library finds its way, over UDP and TCP.
func TestTheStandardResolver(t *testing.T) {
	p := serving(t, record("CNAME", "www.shop.example", "shop.example"), record("A", "shop.example", "192.0.2.7"), record("MX", "shop.example", "mx.shop.example", "priority", "5"))
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, p.Addr())
	}}
	got, err := r.LookupNetIP(t.Context(), "ip4", "www.shop.example.")
	if err != nil || len(got) != 1 || got[0].Unmap() != netip.MustParseAddr("192.0.2.7") {
		t.Fatalf("%v %v", got, err)
	}
	mx, err := r.LookupMX(t.Context(), "shop.example.")
	if err != nil || len(mx) != 1 || mx[0].Host != "mx.shop.example." {
		t.Fatalf("%v %v", mx, err)
	}
}

func TestListening(t *testing.T) {
	p := begin(t, t.TempDir())
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:53", "[::]:0", "nonsense"} {
		if err := p.Listen(addr); err == nil {
			t.Errorf("listens at %s", addr)
		}
	}
	if p.Addr() != "" {
		t.Errorf("address %q before it listens", p.Addr())
	}
	if err := p.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := p.Listen("127.0.0.1:0"); err == nil {
		t.Error("listens twice")
	}
	idle, err := net.Dial("tcp", p.Addr()) // somebody who connects and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Listen("127.0.0.1:0"); err == nil {
		t.Error("listens after it was closed")
	}
}

// Sockets that it doesn't answer at are closed: nobody else would.
func TestServeRefuses(t *testing.T) {
	at := func(host string) (net.PacketConn, net.Listener) {
		packets, err := net.ListenPacket("udp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		streams, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return packets, streams
	}
	refused := func(why string, p *Provider, host string) {
		packets, streams := at(host)
		if err := p.Serve(packets, streams); err == nil {
			t.Errorf("answers: %s", why)
		}
		if packets.Close() == nil || streams.Close() == nil {
			t.Errorf("sockets are left open: %s", why)
		}
	}
	p := begin(t, t.TempDir())
	refused("not loopback", p, "0.0.0.0")
	packets, streams := at("127.0.0.1")
	if err := p.Serve(packets, streams); err != nil || p.Addr() != packets.LocalAddr().String() {
		t.Fatalf("at %q: %v", p.Addr(), err)
	}
	refused("twice", p, "127.0.0.1")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	refused("closed", p, "127.0.0.1")
}

func TestAskedWhileItChanges(t *testing.T) {
	p := serving(t, record("A", "shop.example", "192.0.2.1"))
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 10 {
				w := record("A", "shop.example", fmt.Sprintf("192.0.2.%d", 100+10*n+i))
				o, err := p.Create(t.Context(), w)
				if err == nil {
					err = p.Delete(t.Context(), state.KindRecord, o.ID)
				}
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range 50 {
		if m := ask(t, p, "udp", question("shop.example", dns.TypeA)); len(m.Answer) == 0 {
			t.Error("the record that nobody touches is not answered")
		}
	}
	wg.Wait()
	if m := ask(t, p, "tcp", question("shop.example", dns.TypeA)); len(m.Answer) != 1 {
		t.Errorf("in the end: %v", m)
	}
}

func TestAnUnreadableRecordIsNotAbsent(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir)
	create(t, p, record("A", "shop.example", "192.0.2.7"))
	files, err := filepath.Glob(filepath.Join(dir, "records", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], []byte(strings.Replace(string(data), "192.0.2.7", "192.0.2", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Dir: dir}); err == nil {
		t.Error("a damaged record was read as none")
	}
}

func FuzzReply(f *testing.F) {
	dir := f.TempDir()
	p, err := New(Options{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	for _, w := range []provider.Wish{record("A", "shop.example", "192.0.2.7"), record("TXT", "shop.example", strings.Repeat("x", 2000)), record("CNAME", "*.example", "shop.example")} {
		if _, err := p.Create(context.Background(), w); err != nil {
			f.Fatal(err)
		}
	}
	for _, kind := range []uint16{dns.TypeA, dns.TypeTXT, dns.TypeANY} {
		packed, err := question("shop.example", kind).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	// Whatever comes in, what goes out is an answer of a size that the asker allowed.
	f.Fuzz(func(t *testing.T, in []byte) {
		out := p.reply(in)
		if out == nil {
			return
		}
		m := new(dns.Msg)
		if err := m.Unpack(out); err != nil || !m.Response {
			t.Fatalf("%v is no answer: %v", m, err)
		}
		q, most := new(dns.Msg), smallestUDP
		if q.Unpack(in) == nil && q.IsEdns0() != nil {
			most = largestUDP
		}
		if len(out) > most {
			t.Fatalf("%d bytes", len(out))
		}
	})
}
