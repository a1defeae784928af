package localdns

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Limits on records.
const (
	maxRecords    = 200_000
	maxPerName    = 100
	maxContent    = 8 << 10 // bytes
	maxString     = 255     // bytes of one string of a TXT record, RFC 1035 section 3.3
	maxNameLength = 253
	maxTTL        = 1<<31 - 1 // RFC 2181 section 8
	defaultTTL    = 300       // seconds; also for 1, which vendors read as "automatic"
	maxShown      = 120       // runes of untrusted text in a message
)

// invalid is a refusal of a wish; its text is shown.
type invalid string

func (e invalid) Error() string { return string(e) }

// conflict is a refusal because of another record.
type conflict string

func (e conflict) Error() string { return string(e) }

func invalidf(format string, a ...any) error { return invalid(fmt.Sprintf(format, a...)) }

type attrs []provider.Input

func (a attrs) get(name string) string {
	for _, i := range a {
		if i.Name == name {
			return i.Reveal()
		}
	}
	return ""
}

// where is the name and type that a record is found by.
func (a attrs) where() (name, kind string) {
	return strings.ToLower(strings.TrimSuffix(a.get("name"), ".")) + ".", strings.ToUpper(a.get("type"))
}

// parse makes the record that answers, or says what is wrong with the attributes.
func parse(a attrs) (dns.RR, error) {
	name, kind := a.where()
	if err := checkName(strings.TrimSuffix(name, "."), true); err != nil {
		return nil, invalidf("name %q: %v", clean(a.get("name")), err)
	}
	content := a.get("content")
	if content == "" || len(content) > maxContent {
		return nil, invalidf("%s %s: the content has %d bytes; it takes 1 to %d", kind, name, len(content), maxContent)
	}
	ttl, err := number(a.get("ttl"), defaultTTL, maxTTL)
	if err != nil {
		return nil, invalidf("%s %s: ttl %v", kind, name, err)
	}
	if ttl <= 1 {
		ttl = defaultTTL
	}
	priority, err := number(a.get("priority"), 0, 65535)
	if err != nil {
		return nil, invalidf("%s %s: priority %v", kind, name, err)
	}
	h := dns.RR_Header{Name: name, Class: dns.ClassINET, Ttl: uint32(ttl)}
	rr, err := body(h, kind, content, uint16(priority))
	if err != nil {
		return nil, invalidf("%s %s: %v", clean(kind), name, err)
	}
	if _, err := dns.PackRR(rr, make([]byte, dns.MaxMsgSize), 0, nil, false); err != nil {
		return nil, invalidf("%s %s: the content can't be sent: %s", kind, name, clean(err.Error()))
	}
	return rr, nil
}

// body reads the content of one type.
func body(h dns.RR_Header, kind, content string, priority uint16) (dns.RR, error) {
	switch kind {
	case "A", "AAAA":
		return address(h, kind, content)
	case "CNAME":
		h.Rrtype = dns.TypeCNAME
		to, err := target(content, false)
		if err == nil && to == h.Name {
			err = invalid("it points at itself")
		}
		return &dns.CNAME{Hdr: h, Target: to}, err
	case "NS":
		h.Rrtype = dns.TypeNS
		to, err := target(content, false)
		return &dns.NS{Hdr: h, Ns: to}, err
	case "MX":
		h.Rrtype = dns.TypeMX
		to, err := target(content, priority == 0)
		return &dns.MX{Hdr: h, Preference: priority, Mx: to}, err
	case "TXT":
		h.Rrtype = dns.TypeTXT
		txt, err := text(content)
		return &dns.TXT{Hdr: h, Txt: txt}, err
	case "SRV":
		h.Rrtype = dns.TypeSRV
		return service(h, content, priority)
	case "CAA":
		h.Rrtype = dns.TypeCAA
		return authority(h, content)
	}
	return nil, invalidf("type %q is not kept here; there are A, AAAA, CNAME, MX, TXT, CAA, SRV and NS", clean(kind))
}

func address(h dns.RR_Header, kind, content string) (dns.RR, error) {
	ip, err := netip.ParseAddr(content)
	if kind == "A" {
		if err != nil || !ip.Is4() {
			return nil, invalidf("%q is not an IPv4 address", clean(content))
		}
		h.Rrtype = dns.TypeA
		return &dns.A{Hdr: h, A: net.IP(ip.AsSlice())}, nil
	}
	if err != nil || !ip.Is6() || ip.Is4In6() || ip.Zone() != "" {
		return nil, invalidf("%q is not an IPv6 address", clean(content))
	}
	h.Rrtype = dns.TypeAAAA
	return &dns.AAAA{Hdr: h, AAAA: net.IP(ip.AsSlice())}, nil
}

func service(h dns.RR_Header, content string, priority uint16) (dns.RR, error) {
	f := strings.Fields(content)
	if len(f) != 3 {
		return nil, invalidf("%q is not weight, port and target", clean(content))
	}
	weight, err := number(f[0], 0, 65535)
	if err != nil {
		return nil, invalidf("weight %v", err)
	}
	port, err := number(f[1], 0, 65535)
	if err != nil {
		return nil, invalidf("port %v", err)
	}
	to, err := target(f[2], true)
	return &dns.SRV{Hdr: h, Priority: priority, Weight: uint16(weight), Port: uint16(port), Target: to}, err
}

func authority(h dns.RR_Header, content string) (dns.RR, error) {
	f := strings.SplitN(content, " ", 3)
	if len(f) != 3 {
		return nil, invalidf("%q is not flags, tag and value", clean(content))
	}
	flags, err := number(f[0], 0, 255)
	if err != nil {
		return nil, invalidf("flags %v", err)
	}
	tag := strings.ToLower(f[1])
	if tag == "" || len(tag) > 15 || strings.Trim(tag, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return nil, invalidf("%q is not a tag such as issue, issuewild or iodef", clean(f[1]))
	}
	value := strings.TrimSpace(f[2])
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return nil, invalid("the value has characters that a CAA record can't bear")
	}
	return &dns.CAA{Hdr: h, Flag: uint8(flags), Tag: tag, Value: value}, nil
}

// text cuts a TXT record's content into its strings. Content in quotes is read as
// the strings that it lists.
func text(content string) ([]string, error) {
	parts := []string{content}
	if strings.HasPrefix(content, `"`) {
		var err error
		if parts, err = quoted(content); err != nil {
			return nil, err
		}
	}
	var out []string
	for _, p := range parts {
		for len(p) > maxString {
			out = append(out, escape(p[:maxString]))
			p = p[maxString:]
		}
		out = append(out, escape(p))
	}
	return out, nil
}

// quoted reads `"one" "two"`, in which \ takes the meaning from the next character.
func quoted(s string) ([]string, error) {
	var out []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if s[0] != '"' {
			return nil, invalid(`a text that begins with " is a list of quoted strings; a quote is missing`)
		}
		var b strings.Builder
		i := 1
		for ; i < len(s) && s[i] != '"'; i++ {
			if s[i] == '\\' && i+1 < len(s) {
				i++
			}
			b.WriteByte(s[i])
		}
		if i >= len(s) {
			return nil, invalid("a string's closing quote is missing")
		}
		out = append(out, b.String())
		s = s[i+1:]
	}
	return out, nil
}

// escape writes a text as the DNS library wants it: a backslash has a meaning there.
func escape(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }

// target is a host name as content. root allows "." for none.
func target(content string, root bool) (string, error) {
	if content == "." && root {
		return ".", nil
	}
	host := strings.ToLower(strings.TrimSuffix(content, "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return "", invalidf("%q is an address; it takes a host name", clean(content))
	}
	if err := checkName(host, false); err != nil {
		return "", invalidf("%q: %v", clean(content), err)
	}
	return host + ".", nil
}

// checkName says what is wrong with a name without its final dot.
func checkName(name string, wildcard bool) error {
	if name == "" || len(name) > maxNameLength {
		return invalidf("a name has 1 to %d bytes", maxNameLength)
	}
	for i, label := range strings.Split(name, ".") {
		if label == "*" && i == 0 && wildcard {
			continue
		}
		if label == "" || len(label) > 63 {
			return invalid("a label has 1 to 63 bytes")
		}
		if label[0] == '-' || label[len(label)-1] == '-' {
			return invalid("a label begins and ends with a letter or digit")
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return invalid("a name consists of letters, digits, - and _; others are written in their xn-- form")
			}
		}
	}
	return nil
}

func number(s string, absent, most int) (int, error) {
	if s == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return 0, invalidf("%q is not a number from 0 to %d", clean(s), most)
	}
	return n, nil
}

// clean makes untrusted text fit for a message.
func clean(s string) string { return provider.Line(s, maxShown) }

// zone is every record in memory, by name. Guarded by Provider.mu.
type zone struct {
	names  map[string][]entry // canonical name → records, sorted by type and id
	covers map[string]int     // name → how many records are below it
	count  int
}

type entry struct {
	id string
	rr dns.RR
}

func newZone() zone { return zone{names: map[string][]entry{}, covers: map[string]int{}} }

// above lists a name's ancestors, the nearest first, without the root.
func above(name string) []string {
	var out []string
	for {
		_, parent, _ := strings.Cut(name, ".")
		if parent == "" {
			return out
		}
		out = append(out, parent)
		name = parent
	}
}

func (z *zone) add(id string, rr dns.RR) {
	name := rr.Header().Name
	l := append(slices.Clone(z.names[name]), entry{id, rr})
	slices.SortFunc(l, func(a, b entry) int {
		if a.rr.Header().Rrtype != b.rr.Header().Rrtype {
			return int(a.rr.Header().Rrtype) - int(b.rr.Header().Rrtype)
		}
		return strings.Compare(a.id, b.id)
	})
	z.names[name] = l
	z.count++
	for _, a := range above(name) {
		z.covers[a]++
	}
}

func (z *zone) drop(id string, name string) {
	l := slices.DeleteFunc(slices.Clone(z.names[name]), func(e entry) bool { return e.id == id })
	if len(l) == len(z.names[name]) {
		return
	}
	if z.names[name] = l; len(l) == 0 {
		delete(z.names, name)
	}
	z.count--
	for _, a := range above(name) {
		if z.covers[a]--; z.covers[a] == 0 {
			delete(z.covers, a)
		}
	}
}

// check says whether a record may stand beside the others of its name, but for some of them.
func (z *zone) check(rr dns.RR, but ...string) error {
	name, kind := rr.Header().Name, rr.Header().Rrtype
	beside := 0
	for _, e := range z.names[name] {
		if slices.Contains(but, e.id) {
			continue
		}
		beside++
		other := e.rr.Header().Rrtype
		switch {
		case other == kind && (kind == dns.TypeCNAME || dns.IsDuplicate(e.rr, rr)):
			return conflict(fmt.Sprintf("%s %s exists: %s", dns.TypeToString[kind], name, e.id))
		case other == dns.TypeCNAME:
			return invalidf("%s has a CNAME, which no other record can stand beside; remove it first", name)
		case kind == dns.TypeCNAME:
			return invalidf("%s has a record of type %s, and a CNAME can't stand beside others: leave that one out first, by a commit of its own", name, dns.TypeToString[other])
		}
	}
	if beside >= maxPerName {
		return invalidf("%s has %d records, and no more are kept", name, beside)
	}
	return nil
}

// at returns the records that a question about name is answered from: the name's
// own, or a wildcard's. there says that the name exists, with or without records.
func (z *zone) at(name string) (records []entry, there bool) {
	if l, ok := z.names[name]; ok {
		return l, true
	}
	if z.covers[name] > 0 || name == "." {
		return nil, true
	}
	for _, a := range above(name) { // RFC 4592: only the closest name that exists has a say
		_, own := z.names[a]
		if l, ok := z.names["*."+a]; ok {
			return l, true
		}
		if own || z.covers[a] > 0 {
			return nil, false
		}
	}
	return nil, false
}
