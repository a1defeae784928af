package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider/cloudflare"
	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/provider/vercel"
)

// actionScenes are those of actions that take vendors, or what people made there.
func actionScenes() []crashScene {
	at := func(host string, change func(*shop)) func(w *crashWorld) ([]string, error) {
		return func(w *crashWorld) ([]string, error) {
			s, err := w.oneAt(host)
			if err != nil {
				return nil, err
			}
			change(&s)
			w.shops[s.Name] = s
			return applyArgs, w.commit(s.Name)
		}
	}
	next := func(s *shop) {
		s.Currency = map[string]string{"EUR": "CHF"}[s.Currency]
		s.Currency = cmp.Or(s.Currency, "EUR")
	}
	return []crashScene{
		{name: "a name at Vercel", vendors: true, points: borders(plan.Secure), ready: func(w *crashWorld) ([]string, error) {
			if err := w.makeRoom(); err != nil {
				return nil, err
			}
			s := w.shopAt("vercel")
			return applyArgs, w.commit(s.Name)
		}},
		{name: "another release behind a proxy", vendors: true, points: borders(plan.Refresh), ready: at("proxied vercel", next)},
		{name: "names that go to Cloudflare and come back", vendors: true, points: borders(plan.Replace), ready: (*crashWorld).namesGo, after: (*crashWorld).namesBack},
		{name: "a client that is taken over", vendors: true, points: append(borders(plan.Adopt), borders(plan.Mark)...), ready: (*crashWorld).takeOver, after: (*crashWorld).takenOver},
		{name: "a client that was taken over goes", vendors: true, points: borders(plan.Forget), ready: func(w *crashWorld) ([]string, error) {
			if _, err := w.takeOver(); err != nil {
				return nil, err
			}
			if err := w.takenOver(); err != nil {
				return nil, err
			}
			for _, name := range w.alive() {
				if w.shops[name].Adopts.Site != "" {
					delete(w.shops, name)
					return applyArgs, w.commit(name)
				}
			}
			return nil, fmt.Errorf("nobody was taken over")
		}},
	}
}

// namesGo is a client whose names go to Cloudflare, where nobody is led to its site: they are put back.
func (w *crashWorld) namesGo() ([]string, error) {
	if err := w.makeRoom(); err != nil {
		return nil, err
	}
	w.names++
	s := shop{Name: fmt.Sprintf("shop%d", w.names), Currency: "EUR"}
	for _, s.DNS = range []string{"", "cloudflare"} {
		w.shops[s.Name] = s
		if err := w.commit(s.Name); err != nil {
			return nil, err
		}
		v, err := w.overview() // a name is gone for a moment, which waits for a person
		if err != nil {
			return nil, err
		}
		if err := w.obey(v); err != nil {
			return nil, err
		}
	}
	return applyArgs, nil // the last one is killed
}

// namesBack takes the commits back that asked for it.
func (w *crashWorld) namesBack() error {
	for _, name := range w.alive() {
		s := w.shops[name]
		if s.DNS != "cloudflare" {
			continue
		}
		s.DNS = ""
		w.shops[name] = s
		if err := w.commit(name); err != nil {
			return err
		}
	}
	return nil
}

// makeRoom removes whom a new client would make too many.
func (w *crashWorld) makeRoom() error {
	for _, name := range w.alive() {
		if len(w.shops) > crashFleet && name != keeper {
			delete(w.shops, name)
			if err := w.commit(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// shopAt is a new client at a vendor, not committed yet.
func (w *crashWorld) shopAt(host string) shop {
	w.names++
	s := shop{Name: fmt.Sprintf("shop%d", w.names), Currency: "EUR", At: "vercel"}
	switch host {
	case "ploi":
		s.At = host
	case "proxied vercel":
		s.Proxied = true
	}
	w.shops[s.Name] = s
	return s
}

// oneAt is an active client at a vendor that had two releases, made when there is none.
func (w *crashWorld) oneAt(host string) (shop, error) {
	for _, name := range w.alive() {
		if s := w.shops[name]; name != keeper && s.At != "" {
			return s, nil
		}
	}
	s := w.shopAt(host)
	for _, s.Currency = range []string{"EUR", "CHF"} {
		w.shops[s.Name] = s
		if err := w.commit(s.Name); err != nil {
			return s, err
		}
		if err := w.settle(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// hand is what a person made of a client: a site at Vercel, a database at Railway and a record
// at Cloudflare, by their ids.
type hand struct{ Site, Database, Record string }

// hand makes one, named by the question.
func (h *host) hand(w http.ResponseWriter, r *http.Request) {
	var name string
	if err := json.NewDecoder(r.Body).Decode(&name); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := h.vendors
	v.mu.Lock()
	defer v.mu.Unlock()
	host := name + ".localhost"
	var made hand
	var url string
	made.Database, url = v.set.railway.Seed("db of "+name, "since 2019", password(name))
	made.Site = v.set.vercel.Seed(name+"-by-hand", "compassdigital/storefront", []string{host}, map[string]string{"DATABASE_URL": url, "NEXT_PUBLIC_SERVER_URL": "https://" + host, "PAYLOAD_SECRET": password("payload of " + name), "STORE_CURRENCY": "EUR"})
	id, err := v.set.cloudflare.Add(cloudflaresim.Record{Zone: v.set.zone(), Type: "A", Name: host, Content: "76.76.21.21", TTL: 300})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	made.Record = v.set.zone() + "/" + id
	v.hand = append(v.hand, made)
	_ = json.NewEncoder(w).Encode(made)
}

// taken says what of that is gone: it is theirs.
func (v *hostedVendors) taken() (bad []string) {
	there := v.ids()
	for _, made := range v.hand {
		for id := range made.ids() {
			if !there[id] {
				bad = append(bad, "P5: "+id+", which a person made, is gone")
			}
		}
	}
	return bad
}

func (m hand) ids() map[string]bool {
	return map[string]bool{vercel.Name + " " + m.Site: true, "railway " + m.Database: true, cloudflare.Name + " " + m.Record: true}
}

// takeOver is a paused client that names what a person made, and is accepted.
func (w *crashWorld) takeOver() ([]string, error) {
	if err := w.makeRoom(); err != nil {
		return nil, err
	}
	s := w.shopAt("vercel")
	s.Paused = true
	if err := w.host.ask(context.Background(), "/hand", s.Name, &s.Adopts); err != nil {
		return nil, err
	}
	for id := range s.Adopts.ids() {
		w.byHand[id] = true
	}
	w.shops[s.Name] = s
	if err := w.commit(s.Name); err != nil {
		return nil, err
	}
	_, err := w.overview()
	return []string{"adopt", "--confirm", s.Name}, err
}

// takenOver confirms what was cut off, and ends the pause.
func (w *crashWorld) takenOver() error {
	for _, name := range w.alive() {
		s := w.shops[name]
		if !s.Paused {
			continue
		}
		if e, out, err := w.command("adopt", "--confirm", name); err != nil || e.code != 0 {
			return fmt.Errorf("the confirmation of %s ends with %d (%w): %s", name, e.code, err, out)
		}
		s.Paused = false
		w.shops[name] = s
		if err := w.commit(name); err != nil {
			return err
		}
	}
	_, err := w.overview()
	return err
}
