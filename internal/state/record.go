package state

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxTXTString is how many bytes one string of a TXT record has at most: RFC 1035,
// section 3.3.
const maxTXTString = 255

// RecordContent is what a DNS record says, in one spelling for all that mean the same: a
// manifest, a record and a vendor write it in their own way, and none of that is a
// difference. What can't be read stays as it is.
//
//	A, AAAA         the address as netip writes it
//	CNAME, MX, NS   the host in small letters and Punycode, without the dot at its end
//	SRV             weight port target
//	CAA             flags tag "value"
//	TXT             the text itself; several strings, or one that begins with a quote, as
//	                "one" "two". Strings that are only cut for their length are one
func RecordContent(recordType, content string) string {
	switch recordType {
	case "A", "AAAA":
		if a, err := netip.ParseAddr(content); err == nil && a.Is4() == (recordType == "A") {
			return a.String()
		}
	case "CNAME", "MX", "NS":
		return recordHost(content)
	case "SRV":
		f := strings.Fields(content)
		if len(f) != 3 {
			return content
		}
		return plainNumber(f[0]) + " " + plainNumber(f[1]) + " " + recordHost(f[2])
	case "CAA":
		return caaContent(content)
	case "TXT":
		return txtContent(content)
	}
	return content
}

// recordHost is a host name as DNS compares it. One that no host can have (bytes that are no
// text, two dots at the end) stays as it is.
func recordHost(name string) string {
	host := strings.ToLower(strings.TrimSuffix(name, "."))
	for i := range len(host) {
		if host[i] < 0x80 {
			continue
		}
		if ascii, err := idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false)).ToASCII(host); err == nil {
			host = strings.TrimSuffix(ascii, ".") // there are more dots than that of ASCII
		}
		break
	}
	if host == "" || strings.HasSuffix(host, ".") || !utf8.ValidString(name) {
		return name
	}
	return host
}

func plainNumber(text string) string {
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return strconv.FormatUint(n, 10)
	}
	return text
}

func caaContent(content string) string {
	f := strings.SplitN(strings.TrimSpace(content), " ", 3)
	if len(f) != 3 {
		return content
	}
	value := strings.TrimSpace(f[2])
	if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	if value == "" || strings.Contains(value, `"`) {
		return content
	}
	return plainNumber(f[0]) + " " + strings.ToLower(f[1]) + ` "` + value + `"`
}

// txtContent writes a text without quotes where it means the same.
func txtContent(content string) string {
	parts, ok := TXTStrings(content)
	if !ok {
		return content
	}
	cut := true
	for _, p := range parts[:len(parts)-1] {
		cut = cut && len(p) == maxTXTString
	}
	if cut {
		if text := strings.Join(parts, ""); text != "" && text[0] != '"' {
			return text
		}
		if len(parts) > 1 {
			parts = cutTXT(strings.Join(parts, ""))
		}
	}
	return QuoteTXT(parts)
}

// TXTStrings reads the strings of a TXT record's content: those in quotes that it lists, or
// the whole of it as one. Backslashes have their meaning in quotes alone: RFC 1035, section
// 5.1. ok is false where a quote is missing. There is at least one string.
func TXTStrings(content string) (parts []string, ok bool) {
	if !strings.HasPrefix(content, `"`) {
		return []string{content}, true
	}
	for rest := strings.TrimSpace(content); rest != ""; rest = strings.TrimSpace(rest) {
		if rest[0] != '"' {
			return nil, false
		}
		var b strings.Builder
		i := 1
		for ; i < len(rest) && rest[i] != '"'; i++ {
			c := rest[i]
			if c == '\\' && i+1 < len(rest) {
				i++
				c = rest[i]
				if i+2 < len(rest) {
					if n, err := strconv.ParseUint(rest[i:i+3], 10, 8); err == nil {
						c, i = byte(n), i+2
					}
				}
			}
			b.WriteByte(c)
		}
		if i >= len(rest) {
			return nil, false
		}
		parts, rest = append(parts, b.String()), rest[i+1:]
	}
	return parts, true
}

// QuoteTXT writes strings as TXTStrings reads them.
func QuoteTXT(parts []string) string {
	var b strings.Builder
	for n, p := range parts {
		if n > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte('"')
		for i := range len(p) {
			switch c := p[i]; {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < ' ' || c == 0x7f:
				fmt.Fprintf(&b, `\%03d`, c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
	}
	return b.String()
}

// QuotedTXT is a TXT record's content as the protocol's own form: strings in quotes, none
// too long.
func QuotedTXT(content string) string {
	parts, ok := TXTStrings(content)
	if !ok {
		return content
	}
	var out []string
	for _, p := range parts {
		out = append(out, cutTXT(p)...)
	}
	return QuoteTXT(out)
}

// cutTXT cuts a text into strings of the greatest length; at least one.
func cutTXT(text string) []string {
	var out []string
	for len(text) > maxTXTString {
		out, text = append(out, text[:maxTXTString]), text[maxTXTString:]
	}
	return append(out, text)
}

// MailPolicy is what a TXT record says of a domain's mail of which a name has one only: with two that begin alike
// receivers take neither (RFC 7208, 4.5; RFC 7489, 6.6.3), and of two keys of one selector any (RFC 6376, 3.6.2.2).
// "": it may stand beside others.
func MailPolicy(recordType, name, content string) string {
	if recordType != "TXT" {
		return ""
	}
	if strings.Contains(name, "._domainkey.") {
		return "dkim"
	}
	word, _, _ := strings.Cut(strings.ToLower(strings.TrimLeft(content, `"`)), " ")
	switch word, _, _ = strings.Cut(word, ";"); word {
	case "v=spf1", "v=dmarc1", "v=stsv1", "v=tlsrptv1":
		return word
	}
	return ""
}
