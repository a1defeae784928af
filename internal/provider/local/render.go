package local

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	texttemplate "text/template"
	"unicode"
)

//go:embed templates
var files embed.FS

// page is what a template of the folder templates gets.
type page struct {
	Root        string // relative way to the front page: "./" or "../"
	Title       string
	Shop        string
	Initial     string
	Kind        string
	Template    string
	Theme, Lang string
	Headline    string
	Lead        string
	Action      string
	Version     string
	Release     string
	Current     string // slug of the page; "" at home
	Home        bool

	Announcement string
	Collections  []collection
	First        *collection
	Listing      *collection
	Features     []feature
	Facts        []fact
}

// fact is a variable that the page shows.
type fact struct{ Name, Value string }

// file is one rendered file; Path is what is asked for.
type file struct {
	Path, Type string
	Body       []byte
}

// renderer holds the parsed templates. It has no state.
type renderer struct {
	pages *template.Template
	style *texttemplate.Template
	looks map[string]look
	known map[string]feature
}

func newRenderer() (*renderer, error) {
	pages, err := template.ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse pages: %w", err)
	}
	style, err := texttemplate.ParseFS(files, "templates/style.css")
	if err != nil {
		return nil, fmt.Errorf("parse style: %w", err)
	}
	return &renderer{pages: pages, style: style, looks: looks(), known: known()}, nil
}

const (
	typeHTML = "text/html; charset=utf-8"
	typeCSS  = "text/css; charset=utf-8"
	typeSVG  = "image/svg+xml"
	typeText = "text/plain; charset=utf-8"
)

// missingPath is the page for what there is no page for; it can't be asked for.
const missingPath = "404"

// render makes every file of a release. Equal inputs give equal bytes.
func (r *renderer) render(s spec, env variables) ([]file, error) {
	base := r.base(s, env)
	var out []file
	add := func(path string, p page) error {
		var b bytes.Buffer
		if err := r.pages.ExecuteTemplate(&b, "page", p); err != nil {
			return fmt.Errorf("render %s: %w", path, err)
		}
		out = append(out, file{path, typeHTML, b.Bytes()})
		return nil
	}
	home := base
	home.Home, home.Root = true, "./"
	if len(base.Collections) > 0 {
		home.First = &base.Collections[0]
	}
	if err := add("/", home); err != nil {
		return nil, err
	}
	for i := range base.Collections {
		p := base
		p.Root, p.Listing = "../", &base.Collections[i]
		p.Current, p.Title = p.Listing.Slug, p.Listing.Title
		if err := add("/"+p.Current+"/", p); err != nil {
			return nil, err
		}
	}
	admin := base
	admin.Root, admin.Current, admin.Title = "../", "admin", "Administration"
	if err := add("/admin/", admin); err != nil {
		return nil, err
	}
	missing := base
	missing.Current, missing.Title = "missing", "Nothing here"
	missing.Root = rootMark
	if err := add(missingPath, missing); err != nil {
		return nil, err
	}
	accent := s.Settings.Accent
	if accent == "" {
		accent = r.looks[s.Template].Accent
	}
	var css bytes.Buffer
	if err := r.style.Execute(&css, map[string]string{"Accent": accent, "OnAccent": readable(accent)}); err != nil {
		return nil, fmt.Errorf("render style: %w", err)
	}
	return append(out,
		file{"/style.css", typeCSS, css.Bytes()},
		file{"/favicon.svg", typeSVG, []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="` + accent + `"/></svg>` + "\n")},
		file{"/robots.txt", typeText, []byte("User-agent: *\nDisallow: /admin/\n")},
	), nil
}

// rootMark stands in the page for what is missing, whose depth is known only when it
// is served.
const rootMark = "/__root__/"

// base is what all pages of a release have in common.
func (r *renderer) base(s spec, env variables) page {
	l := r.looks[s.Template]
	p := page{
		Shop: s.Shop, Initial: initial(s.Shop), Kind: l.Kind, Template: s.Template,
		Theme: s.Settings.Theme, Lang: s.Settings.Lang, Headline: l.Headline, Lead: l.Lead, Action: l.Action,
		Version: s.Ref, Release: s.ID, Announcement: s.Settings.Announcement, Facts: env.facts(),
	}
	if p.Lang == "" {
		p.Lang = "en"
	}
	if s.Settings.Tagline != "" {
		p.Headline = s.Settings.Tagline
	}
	currency := env.shown("STORE_CURRENCY")
	for _, c := range l.Collections {
		if slices.Contains(s.Disabled, c.Slug) || c.Feature != "" && !slices.Contains(s.Features, c.Feature) {
			continue
		}
		c.Items = slices.Clone(c.Items)
		for i := range c.Items {
			if c.Items[i].Price != "" {
				c.Items[i].Price = price(c.Items[i].Price, currency)
			}
		}
		p.Collections = append(p.Collections, c)
	}
	for _, slug := range s.Features {
		f, ok := r.known[slug]
		if !ok {
			f = feature{Title: humanise(slug), Text: "Switched on for this site."}
		}
		f.Slug = anchor(slug)
		p.Features = append(p.Features, f)
	}
	return p
}

var currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)

func price(amount, currency string) string {
	if !currencyCode.MatchString(currency) {
		return amount
	}
	return currency + " " + amount
}

func initial(shop string) string {
	for _, r := range shop {
		return string(unicode.ToUpper(r))
	}
	return ""
}

// humanise makes words of multiLanguage and press-releases.
func humanise(slug string) string {
	var b strings.Builder
	for i, r := range slug {
		switch {
		case i == 0:
			b.WriteRune(unicode.ToUpper(r))
		case r == '-' || r == '_':
			b.WriteByte(' ')
		case unicode.IsUpper(r):
			b.WriteByte(' ')
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// anchor makes an id attribute's value.
func anchor(slug string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-') {
			return r
		}
		return '-'
	}, slug)
}

// readable is black or white, whichever has more contrast on the colour (WCAG 2
// relative luminance).
func readable(hex string) string {
	channel := func(s string) float64 {
		v, _ := strconv.ParseUint(s, 16, 8) // the colour was matched before
		c := float64(v) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	l := 0.2126*channel(hex[1:3]) + 0.7152*channel(hex[3:5]) + 0.0722*channel(hex[5:7])
	if (l+0.05)/0.05 > 1.05/(l+0.05) {
		return "#000"
	}
	return "#fff"
}
