package letter

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Limits on what a wish brings along.
const (
	MaxAddress = 254       // bytes: RFC 5321 section 4.5.3.1.3, without the brackets
	maxName    = 512       // bytes
	maxSubject = 255       // runes
	maxText    = 256 << 10 // bytes, of text and of HTML
	maxShown   = 120       // runes of untrusted text in a message
	maxKey     = 128       // characters of a Key
)

// Letter is one mail to one recipient. Of and Check make sure that it can be sent.
type Letter struct {
	Name    string // deterministic: a name is sent once
	To      string // an address without a name
	Subject string
	Text    string
	HTML    string // a whole document
}

// Of takes a letter from a wish. problem says what is wrong with it, "" for nothing.
func Of(w provider.Wish) (l Letter, problem string) {
	l = Letter{Name: w.Name, To: w.Get("to"), Subject: w.Get("subject"), Text: w.Get("text"), HTML: w.Get("html")}
	if problem = l.check(); problem != "" {
		return Letter{}, problem
	}
	if l.HTML == "" {
		l.HTML = ofText(l.Text)
	}
	l.HTML = document(l.Name, l.HTML)
	return l, ""
}

func (l Letter) check() string {
	switch {
	case l.Name == "" || len(l.Name) > maxName || !utf8.ValidString(l.Name) || strings.ContainsFunc(l.Name, unfit):
		return fmt.Sprintf("a name is one line of 1 to %d bytes", maxName)
	case Address(l.To) != nil:
		return Address(l.To).Error()
	case strings.TrimSpace(l.Subject) == "" || utf8.RuneCountInString(l.Subject) > maxSubject:
		return fmt.Sprintf("a subject has 1 to %d characters", maxSubject)
	case !utf8.ValidString(l.Subject) || strings.ContainsFunc(l.Subject, unfit):
		return "a subject is one line of text without control characters"
	case strings.TrimSpace(l.Text) == "":
		return "a mail has a text"
	}
	for _, part := range []string{l.Text, l.HTML} {
		switch {
		case len(part) > maxText:
			return fmt.Sprintf("the text is %d bytes; at most %d", len(part), maxText)
		case !utf8.ValidString(part) || strings.ContainsRune(part, 0):
			return "the text is not UTF-8 text"
		}
	}
	return ""
}

// Address says what is wrong with an address that stands by itself; nil: nothing.
func Address(text string) error {
	at, err := mail.ParseAddress(text)
	if len(text) > MaxAddress || strings.ContainsFunc(text, notASCII) || err != nil || at.Address != text || at.Name != "" {
		return fmt.Errorf("%q is not an e-mail address", provider.Line(text, maxShown))
	}
	return nil
}

// Sender reads who sends: an address, or a name with an address in <>.
func Sender(text string) (mail.Address, error) {
	at, err := mail.ParseAddress(text)
	if err != nil || !utf8.ValidString(text) || strings.ContainsFunc(text, unfit) || utf8.RuneCountInString(text) > maxSubject || Address(at.Address) != nil {
		return mail.Address{}, errors.New("it is not a sender: write Acme <ops@acme.example>, or the address alone")
	}
	return *at, nil
}

// unfit says that a character has no place in a header.
func unfit(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

func notASCII(r rune) bool { return r > unicode.MaxASCII || unfit(r) }

// Key is the letter's name as a key: ASCII letters, digits and dashes, at most 128. A name
// that is none stands in it by its hash.
func (l Letter) Key() string {
	odd := func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if len(l.Name) <= maxKey && !strings.ContainsFunc(l.Name, odd) {
		return l.Name
	}
	return "name-" + Hash(l.Name)
}

// Hash stands for a name where only a few letters may be used.
func Hash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:20])
}

// ID is the letter's Message-ID at a host, without brackets: two deliveries of one letter
// have the same, and most mailboxes show one of them.
func (l Letter) ID(host string) string { return Hash(l.Name) + "@" + host }

// Where the name stands in the HTML.
const (
	nameBegins = `<meta name="reconciler" content="`
	nameEnds   = `">`
)

// document puts the body into a page that names the letter.
func document(name, body string) string {
	return "<!doctype html>\n<html><head><meta charset=\"utf-8\">\n" + nameBegins + html.EscapeString(name) + nameEnds +
		"\n</head>\n<body style=\"font-family: sans-serif; font-size: 15px; line-height: 1.5; max-width: 40em\">\n" + strings.TrimSpace(body) + "\n</body></html>\n"
}

// NameIn is the name of the letter whose HTML this is; "" for one of somebody else's.
func NameIn(page string) string {
	head, _, ok := strings.Cut(page, "</head>")
	if !ok {
		return ""
	}
	_, rest, ok := strings.Cut(head, nameBegins)
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, nameEnds)
	if name = html.UnescapeString(name); !ok || len(name) > maxName || !utf8.ValidString(name) {
		return ""
	}
	return name
}

// link is an address in a text, up to what can't be part of it.
var link = regexp.MustCompile(`https?://[^\s<>"'\x60]+`)

// ofText is a text as HTML: paragraphs, line breaks, links.
func ofText(text string) string {
	var b strings.Builder
	for _, p := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		p = strings.Trim(p, "\n")
		if strings.TrimSpace(p) == "" {
			continue
		}
		b.WriteString("<p>")
		for {
			at := link.FindStringIndex(p)
			if at == nil {
				break
			}
			address := strings.TrimRight(p[at[0]:at[1]], ".,;:!?)")
			b.WriteString(plain(p[:at[0]]))
			fmt.Fprintf(&b, `<a href="%s">%s</a>`, html.EscapeString(address), html.EscapeString(address))
			p = p[at[0]+len(address):]
		}
		b.WriteString(plain(p) + "</p>\n")
	}
	return b.String()
}

func plain(s string) string {
	return strings.ReplaceAll(html.EscapeString(s), "\n", "<br>\n")
}
