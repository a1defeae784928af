package cloudflare

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Limits on records.
const (
	maxName    = 253     // bytes, without a dot at the end
	maxContent = 4 << 10 // bytes of a record
	maxAnswer  = 64 << 10
	maxComment = 100 // characters
	maxLarge   = 500 // of a larger plan
	maxPort    = 65535
)

// types are those that are kept, sorted.
func types() []string { return []string{"A", "AAAA", "CAA", "CNAME", "MX", "SRV", "TXT"} }

// proxiable says that visitors of such a record may come through the proxy.
func proxiable(kind string) bool { return kind == "A" || kind == "AAAA" || kind == "CNAME" }

// record is a DNS record as Cloudflare says it.
type record struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Name     string `json:"name"`
	Content  string `json:"content"`
	Data     parts  `json:"data"`
	Priority number `json:"priority"`
	TTL      number `json:"ttl"`
	Proxied  bool   `json:"proxied"`
	Comment  string `json:"comment"`
}

// parts are the content of a CAA or SRV record, one by one.
type parts struct {
	Flags    *number `json:"flags,omitempty"`
	Tag      string  `json:"tag,omitempty"`
	Value    string  `json:"value,omitempty"`
	Priority *number `json:"priority,omitempty"`
	Weight   *number `json:"weight,omitempty"`
	Port     *number `json:"port,omitempty"`
	Target   string  `json:"target,omitempty"`
}

// UnmarshalJSON implements json.Unmarshaler. The parts of types that are not kept here are
// of any shape.
func (d *parts) UnmarshalJSON(data []byte) error {
	type plain parts
	if json.Unmarshal(data, (*plain)(d)) != nil {
		*d = parts{}
	}
	return nil
}

// sound says what is wrong with a record in an answer.
func (r record) sound() error {
	switch {
	case !idShape.MatchString(r.ID):
		return fmt.Errorf("its answer has a record without an id")
	case r.Type == "" || len(r.Type) > 20 || r.Name == "" || len(r.Name) > 512 || len(r.Content) > maxAnswer || len(r.Comment) > maxAnswer:
		return fmt.Errorf("its answer has a record that is none")
	}
	return nil
}

// content is what the record says, in the one spelling.
func (r record) content() string {
	switch r.Type {
	case "CAA":
		if d := r.Data; d.Flags != nil && d.Tag != "" {
			return state.RecordContent(r.Type, fmt.Sprintf(`%d %s "%s"`, *d.Flags, d.Tag, d.Value))
		}
	case "SRV":
		if d := r.Data; d.Weight != nil && d.Port != nil && d.Target != "" {
			return state.RecordContent(r.Type, fmt.Sprintf("%d %d %s", *d.Weight, *d.Port, d.Target))
		}
		if f := strings.Fields(r.Content); len(f) == 4 { // the priority stands before the rest
			return state.RecordContent(r.Type, strings.Join(f[1:], " "))
		}
	}
	return state.RecordContent(r.Type, r.Content)
}

func (r record) priority() int {
	if r.Type == "SRV" && r.Data.Priority != nil {
		return int(*r.Data.Priority)
	}
	return int(r.Priority)
}

// name is the record's, as DNS compares it.
func (r record) name() string { return strings.ToLower(strings.TrimSuffix(r.Name, ".")) }

// object is a record as the contract has it. The time to live of a proxied one is the
// proxy's own and says nothing.
func (r record) object(zone string) provider.Object {
	id := zone + "/" + r.ID
	text := func(name, value string) provider.Observed { return provider.Observed{Name: name, Text: value} }
	o := provider.Object{ID: id, Kind: state.KindRecord, Name: r.Type + " " + r.name(), Phase: provider.Ready, Outputs: []provider.Output{{Name: "id", Text: id}}}
	var tag string
	if o.Mark, tag = readComment(r.Comment); tag != "" {
		o.Name += " " + tag
	}
	o.Attributes = []provider.Observed{text("content", r.content()), text("name", r.name())}
	if r.Type == "MX" || r.Type == "SRV" {
		o.Attributes = append(o.Attributes, text("priority", strconv.Itoa(r.priority())))
	}
	if proxiable(r.Type) {
		o.Attributes = append(o.Attributes, text("proxied", strconv.FormatBool(r.Proxied)))
	}
	if !r.Proxied {
		o.Attributes = append(o.Attributes, text("ttl", strconv.Itoa(int(r.TTL))))
	}
	o.Attributes = append(o.Attributes, text("type", r.Type))
	return o
}

// tagShape tells several records of a name and type apart: the end of their Ref's name.
var tagShape = regexp.MustCompile(`^#[0-9a-f]{6}$`)

// comment is a record's: whose it is, and which of its name. Words that a person wrote beside
// the mark stay, as far as there is room.
func comment(w provider.Wish, before string) string {
	words := []string{w.Mark.Text()}
	if f := strings.Fields(w.Name); len(f) > 0 && tagShape.MatchString(f[len(f)-1]) {
		words = append(words, f[len(f)-1])
	}
	for _, word := range strings.Fields(before) {
		if provider.ParseMark(word).IsZero() && !tagShape.MatchString(word) {
			words = append(words, word)
		}
	}
	most := maxComment
	if utf8.RuneCountInString(before) > most {
		most = maxLarge // this zone has one
	}
	out := strings.TrimSpace(strings.Join(words, " "))
	for len(words) > 1 && utf8.RuneCountInString(out) > most {
		words = words[:len(words)-1]
		out = strings.Join(words, " ")
	}
	return out
}

// readComment finds the mark among a comment's words. Two are none: nobody can tell whose
// the record is.
func readComment(text string) (m provider.Mark, tag string) {
	for _, word := range strings.Fields(text) {
		if found := provider.ParseMark(word); !found.IsZero() {
			if !m.IsZero() && found != m {
				return provider.Mark{}, ""
			}
			m = found
		} else if tag == "" && tagShape.MatchString(word) {
			tag = word
		}
	}
	if m.IsZero() {
		tag = ""
	}
	return m, tag
}

// body is what a write says. A field that is nil is left as it is.
type body struct {
	ID       string  `json:"id,omitempty"` // in a batch
	Type     string  `json:"type,omitempty"`
	Name     string  `json:"name,omitempty"`
	Content  string  `json:"content,omitempty"`
	Data     *parts  `json:"data,omitempty"`
	Priority *number `json:"priority,omitempty"`
	TTL      number  `json:"ttl,omitempty"`
	Proxied  *bool   `json:"proxied,omitempty"`
	Comment  string  `json:"comment,omitempty"`
}

func invalid(format string, a ...any) error {
	return &provider.Error{Kind: provider.Invalid, Provider: Name, Message: provider.Line(fmt.Sprintf(format, a...), 300)}
}

// bodyOf writes a wish as Cloudflare takes it, or says what is wrong with it.
func bodyOf(w provider.Wish) (body, error) {
	b := body{Type: strings.ToUpper(w.Get("type")), TTL: 1}
	var err error
	if b.Name, err = nameOf(w); err != nil {
		return b, err
	}
	if !slices.Contains(types(), b.Type) {
		return b, invalid("records of type %q are not kept here; there are %s", b.Type, strings.Join(types(), ", "))
	}
	content := state.RecordContent(b.Type, w.Get("content"))
	if content == "" || len(content) > maxContent || !utf8.ValidString(content) || strings.ContainsAny(content, "\x00\n\r") {
		return b, invalid("%s %s: a content is one line of 1 to %d bytes", b.Type, b.Name, maxContent)
	}
	priority, err := whole(w, "priority", maxPort)
	if err != nil {
		return b, err
	}
	ttl, err := whole(w, "ttl", 1<<31-1)
	if err != nil {
		return b, err
	}
	if ttl > 1 {
		b.TTL = ttl
	}
	switch text := w.Get("proxied"); {
	case text != "" && text != "true" && text != "false":
		return b, invalid("%s %s: proxied is true or false", b.Type, b.Name)
	case proxiable(b.Type):
		proxied := text == "true"
		if b.Proxied = &proxied; proxied {
			b.TTL = 1 // the proxy's own; another one is refused
		}
	}
	switch b.Type {
	case "MX":
		b.Content, b.Priority = content, &priority
	case "TXT":
		b.Content = state.QuotedTXT(content)
	case "CAA", "SRV":
		if b.Data, err = partsOf(b.Type, content, priority); err != nil {
			return b, err
		}
	default:
		b.Content = content
	}
	return b, nil
}

// nameOf is the wished name in Punycode, without a dot at its end.
func nameOf(w provider.Wish) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(w.Get("name"), "."))
	if strings.ContainsFunc(name, func(c rune) bool { return c >= utf8.RuneSelf }) {
		if ascii, err := idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false)).ToASCII(name); err == nil {
			name = ascii
		}
	}
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != '*'
	}) {
		return "", invalid("%q is not the name of a record", w.Get("name"))
	}
	return name, nil
}

func whole(w provider.Wish, name string, most int) (number, error) {
	text := w.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, invalid("%s: %q is not a number from 0 to %d", name, text, most)
	}
	return number(n), nil
}

// partsOf takes a content in the one spelling apart.
func partsOf(kind, content string, priority number) (*parts, error) {
	f := strings.SplitN(content, " ", 3)
	if len(f) != 3 {
		return nil, invalid("%s: %q has too few parts", kind, content)
	}
	first, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil {
		return nil, invalid("%s: %q is not a number", kind, f[0])
	}
	one := number(first)
	if kind == "CAA" {
		return &parts{Flags: &one, Tag: f[1], Value: strings.Trim(f[2], `"`)}, nil
	}
	port, err := strconv.ParseUint(f[1], 10, 16)
	if err != nil {
		return nil, invalid("%s: %q is not a port", kind, f[1])
	}
	two := number(port)
	return &parts{Priority: &priority, Weight: &one, Port: &two, Target: f[2]}, nil
}
