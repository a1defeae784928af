package simulated

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// refusal is why a change is not made.
type refusal struct {
	status, code int
	text         string
	chain        []message
}

// invalid is a refusal of a record's own fields: 1004 with the reason behind it, as in
// cloudflare/terraform-provider-cloudflare#3217.
func invalid(code int, text string) *refusal {
	no := &refusal{status: http.StatusBadRequest, code: 1004, text: "DNS Validation Error"}
	if code > 0 {
		no.chain = []message{{Code: code, Message: text}}
	}
	return no
}

func bad(code int, text string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: code, text: text}
}

// check says why a record can't stand in its zone beside the others.
func check(r Record, f fields, z Zone, others []Record) *refusal {
	if no := form(r); no != nil {
		return no
	}
	if len(f.Tags) > 0 {
		return invalid(9300, "DNS record has tags, exceeding the quota of 0.")
	}
	if utf8.RuneCountInString(r.Comment) > maxComment { // STRRL/cloudflare-tunnel-ingress-controller#168
		return bad(9313, "DNS record comment exceeds the maximum length of 100 characters.")
	}
	return beside(r, z, others)
}

// form looks at the record's own fields.
func form(r Record) *refusal {
	switch {
	case len(r.Name) > 255 || strings.ContainsFunc(r.Name, func(c rune) bool { return c <= ' ' || c > '~' }):
		return invalid(9000, "DNS name is invalid.")
	case r.TTL != 1 && (r.TTL < 60 || r.TTL > 86400):
		return invalid(9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
	case r.Proxied && !r.proxiable():
		return invalid(9004, "This record type cannot be proxied.")
	case len(r.Content) > maxContent:
		return invalid(0, "")
	}
	switch a, err := netip.ParseAddr(r.Content); r.Type {
	case "A":
		if err != nil || !a.Is4() {
			return invalid(9005, "Content for A record must be a valid IPv4 address.")
		}
	case "AAAA":
		if err != nil || !a.Is6() || a.Is4In6() {
			return invalid(9006, "Content for AAAA record must be a valid IPv6 address.")
		}
	case "CNAME":
		if !isHost(r.Content) || strings.EqualFold(r.Content, r.Name) {
			return invalid(9007, "Content for CNAME record is invalid.")
		}
	case "NS":
		if !isHost(r.Content) {
			return invalid(0, "")
		}
	case "MX":
		if r.Content != "." && !isHost(r.Content) {
			return invalid(9009, "Content for MX record must be a hostname.")
		}
		if r.Priority == nil {
			return invalid(9100, "priority is a required data field.")
		}
	case "TXT":
		if strings.Trim(r.Content, `"`) == "" {
			return invalid(0, "")
		}
	case "CAA":
		if d := r.Data; d == nil || d.Flags == nil || d.Tag == "" || d.Value == "" {
			return invalid(9101, "flags, tag and value are required data fields.")
		}
	case "SRV":
		if d := r.Data; d == nil || d.Priority == nil || d.Weight == nil || d.Port == nil || d.Target == "" {
			return invalid(9101, "priority, weight, port and target are required data fields.")
		}
	default:
		return invalid(0, "") // no other type is kept here
	}
	return nil
}

func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil || s == "" || len(s) > 253 {
		return false
	}
	for _, l := range strings.Split(s, ".") {
		if l == "" || len(l) > 63 || strings.ContainsFunc(l, func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
		}) {
			return false
		}
	}
	return true
}

// beside looks at what else has the name.
func beside(r Record, z Zone, others []Record) *refusal {
	size, count := len(r.Content), 1
	for _, o := range others {
		if o.Zone != r.Zone || o.ID == r.ID {
			continue
		}
		count++
		if o.Name != r.Name {
			continue
		}
		switch {
		case o.Type == r.Type && strings.EqualFold(o.Content, r.Content) && (r.Type != "TXT" || o.Content == r.Content) && samePriority(o, r):
			return bad(81058, "An identical record already exists.")
		case r.proxiable() && o.Type == "CNAME":
			return bad(81054, "A CNAME record with that host already exists.")
		case r.Type == "CNAME" && o.proxiable():
			return bad(81053, "An A, AAAA, or CNAME record with that host already exists.")
		case o.Type == r.Type:
			size += len(o.Content)
		}
	}
	quota := z.Quota
	if quota == 0 {
		quota = 3500
	}
	switch {
	case count > quota:
		return bad(81045, "Record quota exceeded.")
	case size > maxSet:
		return invalid(0, "")
	}
	return nil
}

func samePriority(a, b Record) bool {
	return (a.Priority == nil) == (b.Priority == nil) && (a.Priority == nil || *a.Priority == *b.Priority)
}

// withProxy lets the other addresses of a name follow the one that was set last.
func withProxy(r Record, all []Record) []Record {
	if r.Type != "A" && r.Type != "AAAA" {
		return all
	}
	all = slices.Clone(all)
	for i, o := range all {
		if o.ID != r.ID && o.Zone == r.Zone && o.Name == r.Name && (o.Type == "A" || o.Type == "AAAA") && o.Proxied != r.Proxied {
			all[i].Proxied = r.Proxied
			if r.Proxied {
				all[i].TTL = 1
			}
		}
	}
	return all
}
