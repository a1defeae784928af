package localdns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxChain is how many CNAMEs are followed.
const maxChain = 8

// negativeTTL is how long an absence may be remembered, in seconds: short, because
// what isn't there yet is about to be made.
const negativeTTL = 5

// Sizes of UDP answers: what the protocol guarantees, and what passes unfragmented.
const (
	smallestUDP = dns.MinMsgSize
	largestUDP  = 1232
)

// start is the start of authority in answers that say no.
func start() dns.RR {
	return &dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: negativeTTL}, Ns: "localhost.", Mbox: "hostmaster.localhost.",
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: negativeTTL}
}

// answer makes the reply to a message that was unpacked, nil for none.
func (p *Provider) answer(q *dns.Msg, udp bool) *dns.Msg {
	if q.Response {
		return nil // two servers that answer each other's answers never end
	}
	m := new(dns.Msg)
	m.SetReply(q)
	m.Compress = true
	size := dns.MaxMsgSize
	if udp {
		size = smallestUDP
	}
	if opt := q.IsEdns0(); opt != nil {
		if udp {
			size = min(max(int(opt.UDPSize()), smallestUDP), largestUDP)
		}
		m.SetEdns0(largestUDP, false)
		if opt.Version() != 0 {
			m.Rcode = dns.RcodeBadVers
			return m
		}
	}
	switch {
	case q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
	case len(q.Question) != 1:
		m.Rcode, m.Question = dns.RcodeFormatError, nil
	case q.Question[0].Qclass != dns.ClassINET:
		m.Rcode = dns.RcodeRefused
	case q.Question[0].Qtype == dns.TypeAXFR, q.Question[0].Qtype == dns.TypeIXFR, q.Question[0].Qtype == dns.TypeANY:
		m.Rcode = dns.RcodeRefused // everything at once is what amplifies
	default:
		p.resolve(m)
	}
	m.Truncate(size)
	return m
}

// resolve fills in what is recorded for m's question.
func (p *Provider) resolve(m *dns.Msg) {
	m.Authoritative = true
	asked := m.Question[0]
	owner, name := asked.Name, dns.CanonicalName(asked.Name)
	if name == "." && asked.Qtype == dns.TypeSOA {
		m.Answer = append(m.Answer, start())
		return
	}
	seen := map[string]bool{}
	for range maxChain {
		_ = p.follow(p.at(name)...) // what can't be used is answered as before
		records, there := p.recorded(name)
		if !there && len(m.Answer) > 0 {
			return // the alias leads away from here
		}
		if !there {
			m.Rcode = dns.RcodeNameError
			m.Ns = append(m.Ns, start())
			return
		}
		set := pick(records, owner, asked.Qtype)
		if len(set) > 0 {
			m.Answer = append(m.Answer, set...)
			return
		}
		alias := pick(records, owner, dns.TypeCNAME)
		if len(alias) == 0 {
			m.Ns = append(m.Ns, start())
			return
		}
		m.Answer = append(m.Answer, alias...)
		seen[name] = true
		name = alias[0].(*dns.CNAME).Target
		owner = name
		if seen[name] {
			return // a ring: what was found is all there is
		}
	}
}

// pick copies the records of one type, under the name as it was asked for and with
// one time to live (RFC 2181 section 5.2).
func pick(records []entry, owner string, kind uint16) []dns.RR {
	var out []dns.RR
	ttl := uint32(maxTTL)
	for _, e := range records {
		if e.rr.Header().Rrtype == kind {
			rr := dns.Copy(e.rr)
			rr.Header().Name = owner
			ttl = min(ttl, rr.Header().Ttl)
			out = append(out, rr)
		}
	}
	for _, rr := range out {
		rr.Header().Ttl = ttl
	}
	return out
}

// LookupHost returns the addresses of a host, as a resolver would that asks only
// here. An alias that ends below localhost ends at this machine.
func (p *Provider) LookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("look up %s: %w", clean(host), context.Cause(ctx))
	}
	var out []netip.Addr
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		q := new(dns.Msg)
		q.SetQuestion(dns.Fqdn(host), kind)
		m := new(dns.Msg)
		m.SetReply(q)
		p.resolve(m)
		for _, rr := range m.Answer {
			switch r := rr.(type) {
			case *dns.A:
				out = add(out, r.A)
			case *dns.AAAA:
				out = add(out, r.AAAA)
			case *dns.CNAME:
				if r.Target == "localhost." || strings.HasSuffix(r.Target, ".localhost.") {
					if _, there := p.recorded(r.Target); !there {
						out = add(out, net.IPv4(127, 0, 0, 1))
					}
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("look up: %w", &net.DNSError{Err: "no such host", Name: clean(host), Server: p.Addr(), IsNotFound: true})
	}
	return out, nil
}

func (p *Provider) recorded(name string) ([]entry, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.zone.at(name)
}

func add(to []netip.Addr, ip net.IP) []netip.Addr {
	a, ok := netip.AddrFromSlice(ip)
	if a = a.Unmap(); !ok || slices.Contains(to, a) {
		return to
	}
	return append(to, a)
}
