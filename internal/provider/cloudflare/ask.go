package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// Limits on asking.
const (
	maxAddresses = 2   // of one server
	maxAnswers   = 100 // records of one answer
	dnsPort      = "53"
)

// Asking says how DNS is asked.
type Asking struct {
	// Resolvers are host:port, or a host; none: nobody but the zones' own servers is asked.
	Resolvers []string
	// Resolve finds the addresses of a name server. nil: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Port is where name servers listen. "": 53.
	Port string
}

// DNS is a Lookup over UDP, and TCP where an answer is cut.
func DNS(a Asking) Lookup {
	if a.Resolve == nil {
		a.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if a.Port == "" {
		a.Port = dnsPort
	}
	return a.ask
}

func (a Asking) ask(ctx context.Context, server, recordType, name string) ([]string, error) {
	kind, ok := dns.StringToType[recordType]
	if !ok {
		return nil, errors.ErrUnsupported
	}
	at, err := a.addresses(ctx, server)
	if err != nil {
		return nil, err
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), kind)
	q.RecursionDesired = server == ""
	q.SetEdns0(1232, false)
	var failed error
	for _, address := range at {
		answer, err := exchange(ctx, q, address)
		if err != nil {
			failed = err
			continue
		}
		return texts(answer, kind), nil
	}
	return nil, fmt.Errorf("ask for %s %s: %w", recordType, name, failed)
}

// addresses are those of a server, or of the resolvers.
func (a Asking) addresses(ctx context.Context, server string) ([]string, error) {
	var out []string
	if server == "" {
		if len(a.Resolvers) == 0 {
			return nil, errors.ErrUnsupported
		}
		for _, r := range a.Resolvers[:min(len(a.Resolvers), maxAddresses)] {
			if _, _, err := net.SplitHostPort(r); err != nil {
				r = net.JoinHostPort(strings.Trim(r, "[]"), dnsPort)
			}
			out = append(out, r)
		}
		return out, nil
	}
	found, err := a.Resolve(ctx, strings.TrimSuffix(server, ".")+".")
	if err != nil {
		return nil, fmt.Errorf("find name server: %w", err)
	}
	for _, ip := range found[:min(len(found), maxAddresses)] {
		out = append(out, net.JoinHostPort(ip.Unmap().String(), a.Port))
	}
	if len(out) == 0 {
		return nil, errors.New("the name server has no address")
	}
	return out, nil
}

func exchange(ctx context.Context, q *dns.Msg, address string) (*dns.Msg, error) {
	answer, _, err := (&dns.Client{Net: "udp", UDPSize: 1232}).ExchangeContext(ctx, q, address)
	if err == nil && answer.Truncated {
		answer, _, err = (&dns.Client{Net: "tcp"}).ExchangeContext(ctx, q, address)
	}
	switch {
	case err != nil:
		return nil, err
	case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
		return nil, fmt.Errorf("it answered %s", dns.RcodeToString[answer.Rcode])
	}
	return answer, nil
}

// texts are an answer's records of a type.
func texts(m *dns.Msg, kind uint16) []string {
	var out []string
	for _, rr := range m.Answer[:min(len(m.Answer), maxAnswers)] {
		if rr.Header().Rrtype != kind {
			continue // an alias on the way
		}
		switch r := rr.(type) {
		case *dns.A:
			out = append(out, r.A.String())
		case *dns.AAAA:
			out = append(out, r.AAAA.String())
		case *dns.CNAME:
			out = append(out, r.Target)
		case *dns.MX:
			out = append(out, strconv.Itoa(int(r.Preference))+" "+r.Mx)
		case *dns.TXT:
			out = append(out, plain(r.Txt))
		case *dns.SRV:
			out = append(out, fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, r.Target))
		case *dns.CAA:
			out = append(out, fmt.Sprintf("%d %s %q", r.Flag, r.Tag, r.Value))
		}
	}
	return out
}

// plain joins strings that the DNS library wrote with its escapes.
func plain(parts []string) string {
	var b strings.Builder
	for _, s := range parts {
		for i := 0; i < len(s); i++ {
			if s[i] == '\\' && i+1 < len(s) {
				i++
				if i+2 < len(s) {
					if n, err := strconv.ParseUint(s[i:i+3], 10, 8); err == nil {
						b.WriteByte(byte(n))
						i += 2
						continue
					}
				}
			}
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
