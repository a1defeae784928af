package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// happened keeps the truth after a write.
func (h *host) happened(p *hosted, c wireCall, found []provider.Object, err error, late bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.Wish != nil {
		h.truth.Of[string(c.Wish.Mark.Client)]++
	} else {
		h.truth.Of[h.whose[p.Name()+" "+c.ID]]++
	}
	switch {
	case err != nil:
	case c.Verb == "create" && len(found) == 1:
		h.made(p, c, found[0])
		h.whose[p.Name()+" "+found[0].ID] = string(found[0].Mark.Client)
		if late {
			h.late[p.Name()+" "+found[0].ID] = true
		}
	case c.Verb == "delete" && h.byID[c.ID] != "":
		h.erased = append(h.erased, h.byID[c.ID])
		delete(h.byID, c.ID)
	}
}

// made looks, at the create itself, whether something is there twice now.
func (h *host) made(p *hosted, c wireCall, o provider.Object) {
	bad := func(format string, a ...any) { h.truth.Bad = append(h.truth.Bad, fmt.Sprintf(format, a...)) }
	all, err := h.marked(p, o.Mark.Installation)
	if err != nil {
		bad("look for what %s has: %v", p.Name(), err)
	}
	same := 0
	for _, x := range all {
		if x.Kind == o.Kind && x.Name == o.Name && x.Mark == o.Mark {
			same++
		}
	}
	if same > 1 {
		bad("I1: %d times at %s: %s %s", same, p.Name(), o.Kind, o.Name)
	}
	if o.Kind != state.KindDatabase || o.Mark.IsZero() {
		return
	}
	h.byID[o.ID] = string(c.Wish.Mark.Client)
	if err := h.fill(o); err != nil {
		bad("write a row into %s: %v", o.ID, err)
	}
}

func (h *host) row(id string) string { return "the first row of " + id }

// fill writes a row into a new database; it is looked for as long as the database is there.
func (h *host) fill(o provider.Object) error {
	if h.world != nil {
		h.world.Write(o.ID, h.row(o.ID))
		return nil
	}
	return h.inside(o, "CREATE TABLE kept (row TEXT); INSERT INTO kept VALUES ('"+h.row(o.ID)+"')", nil)
}

// filled says that the row of a database is there.
func (h *host) filled(o provider.Object) bool {
	if h.world != nil {
		return slices.Contains(h.world.Rows(o.ID), h.row(o.ID))
	}
	var row string
	err := h.inside(o, "SELECT row FROM kept", &row)
	return err == nil && row == h.row(o.ID)
}

// inside works in a real database.
func (h *host) inside(o provider.Object, statement string, row *string) error {
	for _, out := range o.Outputs {
		if out.Name != "url" {
			continue
		}
		u, err := url.Parse(provider.Input(out).Reveal())
		if err != nil {
			return err
		}
		db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: u.Path, RawQuery: "_pragma=busy_timeout(10000)"}).String())
		if err != nil {
			return err
		}
		defer db.Close()
		if row != nil {
			return db.QueryRow(statement).Scan(row)
		}
		_, err = db.Exec(statement)
		return err
	}
	return errors.New("it shows no address")
}

// tell waits for calls that are under way, and says what is true.
func (h *host) tell(w http.ResponseWriter, r *http.Request) {
	for end := time.Now().Add(patience); h.flying.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	installation := r.URL.Query().Get("installation")
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.truth
	t.Objects, t.Bad, t.Erased, h.erased = nil, slices.Clone(t.Bad), h.erased, nil
	for _, p := range h.all {
		objects, err := h.marked(p, installation)
		if err != nil {
			t.Bad = append(t.Bad, err.Error())
		}
		for _, o := range objects {
			x := ownedObject{Owner: p.Name(), ID: o.ID, Kind: o.Kind, Name: o.Name, Mark: o.Mark, Late: h.late[p.Name()+" "+o.ID]}
			for _, a := range o.Attributes {
				if a.Name == "database" && o.Kind == state.KindAdmin {
					x.Inside = a.Text
				}
			}
			t.Objects = append(t.Objects, x)
			if o.Kind == state.KindDatabase && !h.filled(o) {
				t.Bad = append(t.Bad, "data: the rows of "+o.ID+" are gone")
			}
		}
	}
	if h.vendors != nil {
		h.vendors.tell(&t, installation)
	}
	for _, l := range h.likes {
		if now, err := h.look(l); err != nil || now != l.was {
			t.Bad = append(t.Bad, fmt.Sprintf("I5: the look-alike %s %s was %s and is %s (%v)", l.kind, l.id, l.was, now, err))
		}
	}
	_ = json.NewEncoder(w).Encode(t)
}

// marked are a provider's objects with an installation's mark, as they are now: lists that
// callers see may be late.
func (h *host) marked(p *hosted, installation string) ([]provider.Object, error) {
	if h.world == nil {
		return p.Owned(context.Background(), installation)
	}
	var out []provider.Object
	for _, o := range h.world.Objects(p.Name()) {
		if _, its := p.Traits()[o.Kind]; its && o.Mark.Installation == installation && installation != "" {
			out = append(out, o)
		}
	}
	return out, nil
}

// serves says what answers at a host name: STORE_CURRENCY of its deployment's environment,
// or the page.
func (h *host) serves(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("host")
	if h.vendors != nil {
		currency, is, err := h.vendors.serves(name)
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		case is:
			_ = json.NewEncoder(w).Encode(currency)
			return
		}
	}
	if h.world != nil {
		if d, ok := h.world.Serves(name); ok {
			_ = json.NewEncoder(w).Encode(h.world.BuiltWith(d)["STORE_CURRENCY"])
			return
		}
		http.Error(w, "nothing answers at "+name, http.StatusNotFound)
		return
	}
	at := h.sites.Addr().String()
	for range maxHops {
		page, to, err := h.page(r.Context(), at, name)
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		case to == "":
			_ = json.NewEncoder(w).Encode(page)
			return
		}
		name = to
	}
	http.Error(w, "it redirects and redirects", http.StatusNotFound)
}

// maxHops is how many redirects are followed.
const maxHops = 5

// page asks the real sites for a host's page: its text, or the host that it redirects to.
func (h *host) page(ctx context.Context, at, name string) (text, to string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/", nil)
	if err != nil {
		return "", "", err
	}
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		return "", "", err
	}
	req.Host = net.JoinHostPort(name, port)
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || res.StatusCode == http.StatusOK {
		return string(body), "", err
	}
	if u, err := res.Location(); err == nil {
		return "", u.Hostname(), nil
	}
	return "", "", fmt.Errorf("%s: %s", name, res.Status)
}
