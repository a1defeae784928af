package manifest

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const recordNameHint = `write "@" for the domain itself, or a name below it such as mail`

// records checks the further DNS records.
func (d *document) records(c Client, n *yaml.Node, at string) {
	list := find(n, "dns", "records")
	if list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	seen := map[string]bool{}
	types := map[string]string{} // name → CNAME or other
	addresses := map[string]bool{}
	for i, r := range c.DNS.Records {
		if i >= len(list.Content) || r.Type == "" || r.Name == "" || r.Content == "" {
			continue // told of already
		}
		node, where := list.Content[i], fmt.Sprintf("%s[%d]", join(at, "dns.records"), i)
		say := func(key, rule, text, hint string) {
			n := find(node, key)
			if n == nil {
				n = node
			}
			d.node(n, rule, where+text, hint)
		}
		lower := strings.ToLower(r.Name)
		if problem := recordName(lower); problem != "" {
			say("name", "record", ".name "+problem, recordNameHint)
			continue
		}
		if domain := strings.ToLower(c.Domain); strings.Contains(domain, ".") && (lower == domain || strings.HasSuffix(lower, "."+domain)) {
			say("name", "record", ".name is relative to the domain, which is in it already", recordNameHint)
			continue
		}
		if problem := recordContent(r); problem != "" {
			say("content", "record", ".content "+problem, "")
		}
		if id := r.Type + " " + lower + " " + r.Content; seen[id] {
			say("", "duplicate", " is in the list already", "remove it")
		} else {
			seen[id] = true
		}
		if address := r.Type + " " + lower; r.Type == "A" || r.Type == "AAAA" {
			if addresses[address] {
				say("content", "record", ": "+r.Name+" has an address of this type already, and a name has one of each", "give the other one a name of its own")
			}
			addresses[address] = true
		}
		kind := "other"
		if r.Type == "CNAME" {
			kind = "CNAME"
		}
		if had, ok := types[lower]; ok && (had == "CNAME" || kind == "CNAME") {
			say("name", "record", ": a name with a CNAME has no other records", "")
		}
		types[lower] = kind
		if r.Proxied != nil && *r.Proxied && r.Type != "A" && r.Type != "AAAA" && r.Type != "CNAME" {
			say("proxied", "record", ": only A, AAAA and CNAME can be proxied", "remove proxied")
		}
		if find(node, "priority") != nil && r.Priority != 0 && r.Type != "MX" && r.Type != "SRV" {
			say("priority", "record", ": only MX and SRV have a priority", "remove priority")
		}
		if lower == "@" && (r.Type == "NS" || r.Type == "CNAME") {
			say("type", "record", ": the domain itself can't have "+r.Type, "")
		}
	}
}

func recordName(s string) string {
	if s == "@" {
		return ""
	}
	if strings.HasSuffix(s, ".") {
		return "must be relative to the domain"
	}
	if len(s) > 200 {
		return "is too long"
	}
	for i, l := range strings.Split(s, ".") {
		if !labelShape.MatchString(l) || (l == "*" && i > 0) {
			return "must be labels of letters, digits, hyphens and underscores"
		}
	}
	return ""
}

// recordContent says what is wrong with a record's content for its type.
func recordContent(r Record) string {
	switch r.Type {
	case "A", "AAAA":
		a, err := netip.ParseAddr(r.Content)
		if err != nil || a.Zone() != "" || a.Is4In6() || a.Is4() != (r.Type == "A") {
			return map[string]string{"A": "must be an IPv4 address", "AAAA": "must be an IPv6 address"}[r.Type]
		}
	case "CNAME":
		return target(strings.ReplaceAll(r.Content, "_", "u")) // verification names begin with _
	case "MX":
		if r.Content == "." && r.Priority == 0 { // no mail at all, RFC 7505
			return ""
		}
		return target(r.Content)
	case "NS":
		return target(r.Content)
	case "TXT":
		if strings.ContainsAny(r.Content, "\n\t") {
			return "must be one line"
		}
	case "SRV":
		f := strings.Fields(r.Content)
		if len(f) != 3 || !below(f[0], 1<<16) || !below(f[1], 1<<16) || f[2] != "." && target(f[2]) != "" {
			return "must be: weight port target"
		}
	case "CAA":
		if !caaShape.MatchString(r.Content) {
			return `must be: 0 issue "authority"`
		}
	}
	return ""
}

// caaShape is flags, a tag of RFC 8659, and a value.
var caaShape = regexp.MustCompile(`^(0|128) (issue|issuewild|iodef) ("[^"\n\t]*"|[^\s"]+)$`)

// target says what is wrong with the host name that a record points to.
func target(s string) string {
	s = strings.TrimSuffix(s, ".")
	if _, problem, _ := hostOf(s); problem != "" {
		return problem
	}
	if !strings.Contains(s, ".") {
		return "must be a whole host name, with a dot"
	}
	return ""
}

// below says that a text is a whole number from 0 to under a limit.
func below(s string, limit int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n < limit && s[0] != '+'
}
