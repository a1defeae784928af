package local

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"

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
		Shop: provider.Line(w.get("displayName"), maxWord), Ref: provider.Line(w.get("ref"), maxWord),
		Install: provider.Line(w.get("install"), maxText), Command: provider.Line(w.get("command"), maxText), Migrate: provider.Line(w.get("migrate"), maxText),
		Features: list(w.get("features")), Disabled: list(w.get("collections")),
	}
	if err := checkRepository(w.get("repository")); err != nil {
		return s, err
	}
	if _, ok := looks[s.Template]; !ok {
		return s, invalid(fmt.Sprintf("template %q is not built in; there are b2b, blog, corporate, ecommerce and portfolio", provider.Line(s.Template, maxWord)))
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
	return invalid(fmt.Sprintf("repository %q cannot be built here: provider local builds only the built-in templates (repository: builtin)", provider.Line(r, maxWord)))
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
	s.Tagline = provider.Line(word(m["tagline"]), maxText)
	s.Announcement = provider.Line(word(m["announcement"]), maxText)
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
		w = provider.Line(w, maxWord)
		if w == "" || seen[w] || len(out) == maxList {
			continue
		}
		seen[w] = true
		out = append(out, w)
	}
	return out
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
