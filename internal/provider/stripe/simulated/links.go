package simulated

import (
	"cmp"
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
// buttons tell Stripe all that is due, or all but the bank account. It returns the account of
// which something was told; "" for none.
func (s *Stripe) visit(w http.ResponseWriter, r *http.Request) (told string) {
	id, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, linkPath), "/")
	one, ok := s.world.Links[name]
	a, there := s.world.Accounts.Get(id)
	to, page := "", ""
	switch {
	case !ok || !there || one.Account != id:
		http.NotFound(w, r)
		return ""
	case r.Method == http.MethodPost && one.Used:
		told, to = id, one.Return
		s.world.Accounts.Put(id, a.tell(r.PostFormValue("part") == ""))
	case one.Used || !s.o.Now().Before(one.Until):
		to = one.Refresh
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return ""
	default:
		one.Used = true
		s.world.Links[name] = one
		page = a.page()
	}
	if err := simulator.Save(s.o.File, &s.world); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return ""
	}
	w.Header().Set("Cache-Control", "no-store")
	if to != "" {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return told
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(page)) // who asked may be gone
	return told
}

// bankAccount is what is left when its owner tells a part.
const bankAccount = "external_account"

// tell is the account once its owner told all that is due, or all but the bank account.
func (a account) tell(all bool) account {
	known := func(field string) bool { return all || field != bankAccount }
	a.Due, a.Past = slices.DeleteFunc(slices.Clone(a.Due), known), slices.DeleteFunc(slices.Clone(a.Past), known)
	a.Done = a.Done || len(a.Due) == 0
	return a
}

// page is what the account's owner sees.
func (a account) page() string {
	said, form := "<p>It may take money, and Stripe wants to know nothing more.</p>", `<form method="post"><button>Go back</button></form>`
	if len(a.Due) > 0 {
		said = "<p>Stripe wants to know:</p><ul>"
		for _, field := range a.Due {
			said += "<li><code>" + html.EscapeString(field) + "</code></li>"
		}
		said += "</ul><p>Nothing is asked for here. One of these stands for all that the owner would fill in:</p>"
		form = `<form method="post"><button>Finish</button><button name="part" value="1">Save a part, the bank account later</button></form>`
	}
	return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Simulated Stripe</title>` +
		`<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}button{font:inherit;padding:.4rem 1rem;margin-right:.6rem}</style>` +
		"<h1>" + html.EscapeString(cmp.Or(a.Label, a.ID)) + " at the simulated Stripe</h1>" + said + form + "</html>"
}
