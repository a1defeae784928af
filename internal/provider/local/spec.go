package local

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Limits on what a manifest brings along.
const (
	maxSettings  = 64 << 10 // bytes of the settings' JSON
	maxWord      = 120      // runes of a name that is shown
	maxText      = 400      // runes of a text that is shown
	maxList      = 64       // features, collections
	maxFacts     = 12       // variables that are shown
	maxVariables = 512      // in an environment
	maxVariable  = 64 << 10 // bytes of one value
)

// healthPath is where every release answers for itself.
const healthPath = "/api/health"

// Builtin is the only repository that a site or deployment may have.
const Builtin = "builtin"

// spec is what a release is made of, apart from its environment.
type spec struct {
	ID, Site, Template, Shop, Ref string
	Install, Command, Migrate     string
	Features, Disabled            []string
	Settings                      settings
}

// settings are the keys of the manifest's settings that mean something here; others
// are left alone.
type settings struct {
	Theme, Accent               string
	Tagline, Announcement, Lang string
	BreakBuild                  bool
	BreakHealth                 string // the path that answers 500; "" none
}

// invalid is a refusal of a wish; its text is shown.
type invalid string

func (e invalid) Error() string { return string(e) }

// readSpec checks a deployment's attributes.
func readSpec(id string, w attrs, looks map[string]look) (spec, error) {
	s := spec{
		ID: id, Site: w.get("site"), Template: w.get("template"),
		Shop: clean(w.get("displayName"), maxWord), Ref: clean(w.get("ref"), maxWord),
		Install: clean(w.get("install"), maxText), Command: clean(w.get("command"), maxText), Migrate: clean(w.get("migrate"), maxText),
		Features: list(w.get("features")), Disabled: list(w.get("collections")),
	}
	if err := checkRepository(w.get("repository")); err != nil {
		return s, err
	}
	if _, ok := looks[s.Template]; !ok {
		return s, invalid(fmt.Sprintf("template %q is not built in; there are b2b, blog, corporate, ecommerce and portfolio", clean(s.Template, maxWord)))
	}
	if s.Shop == "" {
		s.Shop = "Untitled"
	}
	var err error
	s.Settings, err = readSettings(w.get("settings"))
	return s, err
}

func checkRepository(r string) error {
	if r == "" || r == Builtin {
		return nil
	}
	return invalid(fmt.Sprintf("repository %q cannot be built here: provider local builds only the built-in templates (repository: builtin)", clean(r, maxWord)))
}

var (
	hexColour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	language  = regexp.MustCompile(`^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8}){0,3}$`)
)

// readSettings reads a JSON object. A key of a wrong type is left out: settings
// belong to the site, and a site does not fail over a word it doesn't know.
func readSettings(text string) (settings, error) {
	s := settings{Theme: "light"}
	if text == "" {
		return s, nil
	}
	if len(text) > maxSettings {
		return s, invalid(fmt.Sprintf("settings are %d bytes; at most %d", len(text), maxSettings))
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return s, invalid("settings are not a JSON object")
	}
	switch t := m["theme"].(type) {
	case string:
		s.theme(t)
	case map[string]any:
		s.theme(word(t["mode"]))
		if c := word(t["primaryColor"]); hexColour.MatchString(c) {
			s.Accent = strings.ToLower(c)
		}
	}
	if l := word(m["locale"]); language.MatchString(l) {
		s.Lang = l
	}
	s.Tagline = clean(word(m["tagline"]), maxText)
	s.Announcement = clean(word(m["announcement"]), maxText)
	s.BreakBuild = truth(m["breakBuild"])
	if p := word(m["breakHealth"]); strings.HasPrefix(p, "/") {
		s.BreakHealth = p
	} else if truth(m["breakHealth"]) {
		s.BreakHealth = healthPath
	}
	return s, nil
}

func (s *settings) theme(t string) {
	if t == "dark" {
		s.Theme = "dark"
	}
}

func word(v any) string { t, _ := v.(string); return t }

func truth(v any) bool {
	switch t := v.(type) {
	case bool:
		return t
	case string:
		return t == "true" || t == "yes" || t == "on"
	}
	return false
}

// list reads a comma-separated list or a JSON array of strings: each word once, in
// its order, at most maxList.
func list(text string) []string {
	var words []string
	if strings.HasPrefix(text, "[") {
		if json.Unmarshal([]byte(text), &words) != nil {
			words = nil
		}
	} else {
		words = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	}
	seen := map[string]bool{}
	out := make([]string, 0, len(words))
	for _, w := range words {
		w = clean(w, maxWord)
		if w == "" || seen[w] || len(out) == maxList {
			continue
		}
		seen[w] = true
		out = append(out, w)
	}
	return out
}

// clean makes one line of untrusted text: valid UTF-8 without control and format
// characters (they can reorder what is read), at most limit runes.
func clean(s string, limit int) string {
	if len(s) > 4*limit+4 {
		s = s[:4*limit+4] // enough bytes for the runes that are kept and one more
	}
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// attrs are an object's attributes.
type attrs []provider.Input

func (a attrs) get(name string) string {
	for _, i := range a {
		if i.Name == name {
			return i.Reveal()
		}
	}
	return ""
}
