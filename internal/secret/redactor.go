package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/compassdigital/reconciler/internal/state"
)

// Limits of a Redactor.
const (
	// MinRedacted is the shortest text that is looked for, in bytes: shorter ones
	// would black out ordinary words.
	MinRedacted = 4
	// redactorBytes bounds what is looked for, about 30,000 secrets of 40 bytes in
	// all their spellings. Beyond it, those that were added longest ago go.
	redactorBytes = 32 << 20
	// maxPiece is the longest text that is spelled at once; longer ones are looked
	// for in pieces of this size.
	maxPiece = 16 << 10
	// minLine is the shortest line of a secret of several lines (a private key) that
	// is looked for by itself.
	minLine = 16
	// minPassword is the shortest password of an address (postgres://user:password@host) that is
	// looked for by itself: shorter ones may be words.
	minPassword = 10
	// minInner is the shortest base64 that is looked for inside of longer base64.
	minInner = 10
	// anchors is how many places of a text are tried for the one to find it by.
	anchors = 128

	wideAnchor, narrowAnchor = 8, 4
)

// Redactor takes known secrets out of text, whoever wrote it: plain, in base64 (both
// alphabets, also inside of a longer value as in a Basic authorization), in hex,
// percent-encoded, and escaped as in JSON, Go or HTML. Every place becomes
// state.Redacted. Safe for concurrent use; the zero value is ready.
//
// It is the second line: the first is that secrets are of a type that cannot print
// itself. It cannot know what was never added, nor a part of a secret but those that pieces names.
type Redactor struct {
	mu sync.RWMutex
	// Two generations bound the memory: when the new one is half of the limit, the old
	// one is dropped and the new one becomes old.
	fresh, old generation
	limit      int // of both, in bytes; 0 is redactorBytes
}

// generation is an index of spellings. Each is found by a few of its bytes that few
// others have, so that a fleet of connection strings that begin alike costs no more
// than one.
type generation struct {
	known map[string]bool // spellings
	bytes int
	wide  map[uint64][]place
	small map[uint32][]place
}

// place is a spelling and where in it its anchor is.
type place struct {
	text   string
	offset int
}

// Add makes a secret one that Redact takes out from now on.
func (r *Redactor) Add(s state.Secret) {
	text := s.Reveal()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, piece := range pieces(text) {
		if r.fresh.known[piece] {
			continue // with all its spellings
		}
		for _, spelling := range spellings(piece) {
			r.fresh.add(spelling)
		}
	}
	limit := r.limit
	if limit == 0 {
		limit = redactorBytes
	}
	if r.fresh.bytes > limit/2 {
		r.old, r.fresh = r.fresh, generation{}
	}
}

// pieces are the texts to look for: the secret, the lines of one that has several, and the password
// of one that is an address.
func pieces(text string) []string {
	var out []string
	for lines := range strings.Lines(text) {
		if line := strings.TrimSpace(lines); len(line) >= minLine && line != text {
			out = append(out, cut(line)...)
		}
	}
	// A program that can't connect, or says how it is set up, tells the password of an address by itself.
	if u, err := url.Parse(strings.TrimSpace(text)); err == nil && u.User != nil {
		if password, _ := u.User.Password(); len(password) >= minPassword {
			out = append(out, cut(password)...)
		}
	}
	out = append(out, cut(text)...)
	if trimmed := strings.TrimSpace(text); trimmed != text {
		out = append(out, cut(trimmed)...)
	}
	return out
}

func cut(text string) []string {
	var out []string
	for len(text) > maxPiece {
		out = append(out, text[:maxPiece])
		text = text[maxPiece:]
	}
	return append(out, text)
}

// spellings of a text, itself first.
func spellings(text string) []string {
	out := []string{text}
	if len(text) < MinRedacted {
		return nil
	}
	raw := []byte(text)
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		out = append(out, e.EncodeToString(raw), e.WithPadding(base64.NoPadding).EncodeToString(raw))
		out = append(out, inner(e.WithPadding(base64.NoPadding), raw)...)
	}
	h := hex.EncodeToString(raw)
	out = append(out, h, strings.ToUpper(h))
	query := url.QueryEscape(text)
	component := strings.ReplaceAll(query, "+", "%20")
	javascript := strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*", "%7E", "~").Replace(component)
	for _, escaped := range []string{query, component, javascript, url.PathEscape(text), url.UserPassword("", text).String()[1:]} {
		out = append(out, escaped, lowerPercent(escaped))
	}
	for _, quoted := range []string{jsonText(text, true), jsonText(text, false), trimQuotes(strconv.Quote(text)), trimQuotes(strconv.QuoteToASCII(text))} {
		out = append(out, quoted, strings.ReplaceAll(quoted, "/", `\/`), jsonText(quoted, false))
	}
	out = append(out, html.EscapeString(text))
	slices.Sort(out[1:])
	return slices.Compact(out)
}

// inner is the base64 that a text always has inside of a longer value, for each of
// the three places in a group of bytes at which it may begin.
func inner(e *base64.Encoding, raw []byte) []string {
	var out []string
	for shift := range 3 {
		encoded := e.EncodeToString(append(make([]byte, shift), raw...))
		from, to := (8*shift+5)/6, 8*(shift+len(raw))/6
		if to-from >= minInner {
			out = append(out, encoded[from:to])
		}
	}
	return out
}

func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
			i += 2
		}
	}
	return string(b)
}

func jsonText(s string, escapeHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	if err := e.Encode(s); err != nil {
		return s // a string always encodes
	}
	return trimQuotes(strings.TrimSuffix(b.String(), "\n"))
}

func trimQuotes(s string) string { return s[1 : len(s)-1] }

// add indexes a spelling by the anchor that the fewest others have.
func (g *generation) add(text string) {
	if len(text) < MinRedacted || g.known[text] || strings.Contains(state.Redacted, text) {
		return
	}
	if g.known == nil {
		*g = generation{known: map[string]bool{}, wide: map[uint64][]place{}, small: map[uint32][]place{}}
	}
	g.known[text] = true
	g.bytes += len(text)
	if len(text) < wideAnchor {
		key := binary.LittleEndian.Uint32([]byte(text[:narrowAnchor]))
		g.small[key] = append(g.small[key], place{text, 0})
		return
	}
	best, offset, fewest := uint64(0), 0, -1
	for i := 0; i+wideAnchor <= len(text) && i < anchors && fewest != 0; i++ {
		key := binary.LittleEndian.Uint64([]byte(text[i : i+wideAnchor]))
		if n := len(g.wide[key]); fewest < 0 || n < fewest {
			best, offset, fewest = key, i, n
		}
	}
	g.wide[best] = append(g.wide[best], place{text, offset})
}

// span is a part of a text, from inclusive, to exclusive.
type span struct{ from, to int }

func (g *generation) find(text string, out []span) []span {
	if len(g.known) == 0 {
		return out
	}
	b := []byte(text)
	for i := 0; i+narrowAnchor <= len(b); i++ {
		if len(g.small) > 0 {
			out = match(text, i, g.small[binary.LittleEndian.Uint32(b[i:])], out)
		}
		if i+wideAnchor <= len(b) {
			out = match(text, i, g.wide[binary.LittleEndian.Uint64(b[i:])], out)
		}
	}
	return out
}

func match(text string, at int, places []place, out []span) []span {
	for _, p := range places {
		if from := at - p.offset; from >= 0 && strings.HasPrefix(text[from:], p.text) {
			out = append(out, span{from, from + len(p.text)})
		}
	}
	return out
}

// Redact returns text without the secrets. Text without any is returned as it is.
func (r *Redactor) Redact(text string) string {
	r.mu.RLock()
	spans := r.fresh.find(text, nil)
	spans = r.old.find(text, spans)
	r.mu.RUnlock()
	if len(spans) == 0 {
		return text
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	end := 0
	for i, s := range spans {
		if i == 0 || s.from > end {
			b.WriteString(text[end:s.from])
			b.WriteString(state.Redacted)
		}
		end = max(end, s.to)
	}
	b.WriteString(text[end:])
	return b.String()
}
