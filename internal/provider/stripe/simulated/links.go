package simulated

import (
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// linkPath is below what links lead to.
const linkPath = "/setup/s/"

// link is one account link.
type link struct {
	Account string    `json:"account"`
	Refresh string    `json:"refresh"`
	Return  string    `json:"return"`
	Until   time.Time `json:"until"`
	Used    bool      `json:"used"`
}

func (c call) link() (any, *trouble) {
	for _, name := range slices.Sorted(maps.Keys(c.form)) {
		switch name {
		case "account", "type", "refresh_url", "return_url", "collection_options[fields]", "collection_options[future_requirements]":
		default:
			return nil, bad("parameter_unknown", name, "Received unknown parameter: "+name)
		}
	}
	for _, name := range []string{"account", "type", "refresh_url", "return_url"} {
		if c.form.Get(name) == "" {
			return nil, bad("parameter_missing", name, "Missing required param: "+name+".")
		}
	}
	if kind := c.form.Get("type"); kind != "account_onboarding" {
		return nil, bad("", "type", "You cannot create account_update type Account Links for this account.")
	}
	for _, name := range []string{"refresh_url", "return_url"} {
		if u, err := url.Parse(c.form.Get(name)); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, bad("url_invalid", name, "Not a valid URL")
		}
	}
	a, t := c.find(c.form.Get("account"))
	if t != nil {
		return nil, t
	}
	if t := c.began(); t != nil {
		return nil, t
	}
	a.Linked = true
	c.world.Accounts.Put(a.ID, a)
	now, name := c.o.Now(), c.world.IDs.Hex(24)
	one := link{Account: a.ID, Refresh: c.form.Get("refresh_url"), Return: c.form.Get("return_url"), Until: now.Add(linkLife)}
	c.world.Links[name] = one
	base := c.o.URL
	if base == "" {
		base = "http://" + c.r.Host
	}
	return map[string]any{"object": "account_link", "created": now.Unix(), "expires_at": one.Until.Unix(), "url": base + linkPath + a.ID + "/" + name}, nil
}

// visit is a person's browser at a link. The first look uses it up and shows a page; its
// button tells Stripe all that is due.
func (s *Stripe) visit(w http.ResponseWriter, r *http.Request) {
	id, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, linkPath), "/")
	one, ok := s.world.Links[name]
	a, there := s.world.Accounts.Get(id)
	to, page := "", ""
	switch {
	case !ok || !there || one.Account != id:
		http.NotFound(w, r)
		return
	case r.Method == http.MethodPost && one.Used:
		a.Due, a.Past, a.Done = nil, nil, true
		s.world.Accounts.Put(id, a)
		to = one.Return
	case one.Used || !s.o.Now().Before(one.Until):
		to = one.Refresh
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	default:
		one.Used = true
		s.world.Links[name] = one
		page = "<!doctype html><title>Simulated Stripe</title><h1>" + html.EscapeString(a.Label) + " at the simulated Stripe</h1><p>It wants to know: " +
			html.EscapeString(strings.Join(a.Due, ", ")) + "</p><form method=post><button>Tell it all</button></form>"
	}
	if err := simulator.Save(s.o.File, &s.world); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if to != "" {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(page)) // who asked may be gone
}
