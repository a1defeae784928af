package canary

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// window is how many bytes of a value in a row give it away.
	window = 8
	// hexWindow is the same for a value of hex digits, of which eight can be a
	// coincidence in a text full of commits.
	hexWindow = 16
	// anchor is how many bytes a pattern is found by, and the shortest one there is.
	anchor = 4
	// filterBits is the size of the filter before the index, as a power of two.
	filterBits = 18
)

// Trap searches for planted values. The zero value is ready. Planting is not for
// concurrent use with anything; Find is with Find.
type Trap struct {
	patterns map[uint32][]pattern
	filter   []uint64
	planted  map[string]bool
}

type pattern struct{ text, whose, spelling string }

// Find is one value in one spelling.
type Find struct {
	Whose    string // as it was planted
	Spelling string
	At       int // the first byte, in what was searched
}

func (f Find) String() string { return fmt.Sprintf("%s, %s, at byte %d", f.Whose, f.Spelling, f.At) }

// Value makes a value to plant from a name, the same each time: no piece of it is in
// ordinary text, and there is a character for each escaping to change.
func Value(name string) string {
	sum := sha256.Sum256([]byte("canary " + name))
	random := base64.RawURLEncoding.EncodeToString(sum[:])
	awkward := []string{"\"", "<", "/", "+", "é", "&", " ", "=", "%", "'", "\\", "@"}
	var b strings.Builder
	for i, a := range awkward {
		b.WriteString(random[3*i:3*i+3] + a)
	}
	b.WriteString(random[36:])
	return b.String()
}

// Plant makes Find look for the value, whole or any piece of it.
func (t *Trap) Plant(whose, value string) {
	size := window
	if _, err := hex.DecodeString(value); err == nil {
		size = hexWindow
	}
	for i := 0; i+size <= len(value); i++ {
		t.plant(whose, value[i:i+size])
	}
	t.PlantWhole(whose, value)
}

// PlantWhole makes Find look for the whole value only: one whose pieces are ordinary.
func (t *Trap) PlantWhole(whose, value string) { t.plant(whose, value) }

func (t *Trap) plant(whose, value string) {
	if t.planted[value] || len(value) < anchor {
		return
	}
	if t.patterns == nil {
		t.patterns, t.filter, t.planted = map[uint32][]pattern{}, make([]uint64, 1<<filterBits/64), map[string]bool{}
	}
	t.planted[value] = true
	for _, s := range Spellings(value) {
		if len(s.Text) < anchor {
			continue
		}
		key := binary.LittleEndian.Uint32([]byte(s.Text))
		t.patterns[key] = append(t.patterns[key], pattern{s.Text, whose, s.Name})
		h := hash(key)
		t.filter[h/64] |= 1 << (h % 64)
	}
}

func hash(key uint32) uint32 { return key * 2654435761 >> (32 - filterBits) }

// Find returns what of the planted values is in the data, each value and spelling once.
func (t *Trap) Find(data []byte) []Find {
	if len(t.patterns) == 0 {
		return nil
	}
	type kind struct{ whose, spelling string }
	seen := map[kind]bool{}
	var out []Find
	for i := 0; i+anchor <= len(data); i++ {
		key := binary.LittleEndian.Uint32(data[i:])
		if h := hash(key); t.filter[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		for _, p := range t.patterns[key] {
			if k := (kind{p.whose, p.spelling}); !seen[k] && bytes.HasPrefix(data[i:], []byte(p.text)) {
				seen[k] = true
				out = append(out, Find{p.whose, p.spelling, i})
			}
		}
	}
	return out
}

// Spelled is a value in one spelling.
type Spelled struct{ Name, Text string }

// Spellings are the ways in which a value travels, itself first. Each is there once; a
// value that a spelling does not change has fewer.
func Spellings(value string) []Spelled {
	raw := []byte(value)
	out := []Spelled{{"plain", value}}
	add := func(name, text string) {
		if !slices.ContainsFunc(out, func(s Spelled) bool { return s.Text == text }) {
			out = append(out, Spelled{name, text})
		}
	}
	for _, e := range []struct {
		name string
		*base64.Encoding
	}{{"base64", base64.RawStdEncoding}, {"base64url", base64.RawURLEncoding}} {
		for shift := range 3 {
			encoded := e.EncodeToString(append(make([]byte, shift), raw...))
			add(fmt.Sprintf("%s after %d bytes", e.name, shift), encoded[(8*shift+5)/6:8*(shift+len(raw))/6])
		}
	}
	digits := hex.EncodeToString(raw)
	add("hex", digits)
	add("HEX", strings.ToUpper(digits))
	add("numbers", strings.Trim(fmt.Sprintf("%d", raw), "[]"))
	add("Go bytes", goBytes(raw))
	add("numbers with commas", strings.ReplaceAll(strings.Trim(fmt.Sprintf("%d", raw), "[]"), " ", ","))
	query := url.QueryEscape(value)
	add("query", query)
	add("query, lower case", lowerPercent(query))
	add("component", strings.ReplaceAll(query, "+", "%20"))
	add("path", url.PathEscape(value))
	add("user", url.UserPassword("", value).String()[1:])
	var all strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&all, "%%%02X", c)
	}
	add("percent", all.String())
	slices.Reverse(raw)
	add("reversed", string(raw))
	if !utf8.ValidString(value) { // a piece that begins or ends inside of a character
		return out
	}
	escaped := jsonText(value, true)
	add("JSON", escaped)
	add("JSON, not for HTML", jsonText(value, false))
	add("JSON with \\/", strings.ReplaceAll(escaped, "/", `\/`))
	add("JSON in JSON", jsonText(escaped, true))
	add("Go", inQuotes(strconv.Quote(value)))
	add("Go ASCII", inQuotes(strconv.QuoteToASCII(value)))
	add("HTML", html.EscapeString(value))
	add("HTML template", strings.ReplaceAll(html.EscapeString(value), "+", "&#43;"))
	add("HTML numbers", entities(value, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"))
	add("Markdown", strings.ReplaceAll(entities(value, "\\`*_[]|~<>&$@#"), "&#64;", "&#64;&#8203;"))
	add("YAML", strings.ReplaceAll(value, "'", "''"))
	add("shell", strings.ReplaceAll(value, "'", `'\''`))
	return out
}

// goBytes is how %#v shows bytes.
func goBytes(raw []byte) string {
	_, text, _ := strings.Cut(fmt.Sprintf("%#v", raw), "{")
	return strings.TrimSuffix(text, "}")
}

func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

func jsonText(s string, escapeHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	_ = e.Encode(s) // a string always encodes
	return inQuotes(strings.TrimSuffix(b.String(), "\n"))
}

func inQuotes(s string) string { return s[1 : len(s)-1] }

func entities(s, which string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(which, r) {
			fmt.Fprintf(&b, "&#%d;", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
