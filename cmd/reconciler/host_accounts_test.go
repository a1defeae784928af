package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/payload"
	payloadsim "github.com/compassdigital/reconciler/internal/provider/payload/simulated"
	"github.com/compassdigital/reconciler/internal/provider/resend"
	"github.com/compassdigital/reconciler/internal/provider/stripe"
	"github.com/compassdigital/reconciler/internal/state"
)

// What a host's vendors have of people: accounts at Stripe, first users of Payload sites, mails
// at Resend, by the vendors' own tables.

// accounts are those that bear somebody's mark.
func (v *hostedVendors) accounts() (out []ownedObject) {
	for _, a := range v.set.stripe.Accounts() {
		now, err := json.Marshal(a)
		if err != nil {
			now = []byte(err.Error())
		}
		out = append(out, ownedObject{Owner: stripe.Name, ID: a.ID, Kind: state.KindPayments, Name: a.Metadata["reconciler_name"], Mark: provider.ParseMark(a.Metadata["reconciler"]), Now: string(now)})
	}
	return out
}

// users are those of the databases that are there.
func (v *hostedVendors) users(installation string) (out []ownedObject) {
	for _, p := range v.set.railway.Projects() {
		mark := markOfName(p.Name, installation)
		if p.Deleted || mark.IsZero() {
			continue
		}
		name := provider.ObjectName(mark, state.Ref{Client: mark.Client, Kind: state.KindAdmin, Name: "main"})
		for _, u := range v.set.payload.usersOf(p.URL) {
			out = append(out, ownedObject{Owner: payload.Name, ID: u.ID, Kind: state.KindAdmin, Name: name, Mark: mark, Inside: p.ID})
		}
	}
	return out
}

// usersOf are those of one database.
func (s *payloadSites) usersOf(database string) []payloadsim.User {
	s.mu.Lock()
	defer s.mu.Unlock()
	if site := s.all[siteKey(database)]; site != nil {
		return site.Users()
	}
	return nil
}

// strangers puts a second first user into every site that has one, as two who come at once do.
func (h *host) strangers(w http.ResponseWriter, _ *http.Request) {
	s := h.vendors.set.payload
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, site := range s.all {
		if len(site.Users()) == 0 {
			continue
		}
		if err := site.Add("stranger@elsewhere.example", "as good as none", false); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	_, _ = fmt.Fprint(w, "{}") // who asked may be gone
}

// emptied deletes the users of a client's sites in their databases, as people do who are told that
// somebody else was there first.
func (h *host) emptied(w http.ResponseWriter, r *http.Request) {
	var who state.ClientID
	err := json.NewDecoder(r.Body).Decode(&who)
	s := h.vendors.set.payload
	for _, p := range h.vendors.set.railway.Projects() {
		if err != nil || p.Deleted || !strings.HasPrefix(p.Name, string(who)+"-") {
			continue
		}
		s.mu.Lock()
		if site := s.all[siteKey(p.URL)]; site != nil {
			err = site.Drop()
		}
		s.mu.Unlock()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = fmt.Fprint(w, "{}")
}

// mails are those that bear a client's tags.
func (v *hostedVendors) mails() (out []ownedObject) {
	for _, m := range v.set.resend.Sent() {
		out = append(out, ownedObject{Owner: resend.Name, ID: m.ID, Kind: state.KindMail, Name: m.Key, Mark: provider.Mark{Installation: m.Tags["reconciler"], Client: state.ClientID(m.Tags["client"]), Generation: 1}})
	}
	return out
}

// mailedOnce is how long nobody mails a name again: Resend knows its key for a day, and who
// lost an answer looks two days back.
const mailedOnce = 48 * time.Hour

// twice says which names were mailed again too soon.
func (v *hostedVendors) twice() (bad []string) {
	last := map[string]time.Time{}
	for _, m := range v.set.resend.Sent() {
		if at, is := last[m.Key]; is && m.At.Sub(at) < mailedOnce {
			bad = append(bad, fmt.Sprintf("I1: 2 times at resend: mail %s to %s, %s apart", m.Key, m.To, m.At.Sub(at)))
		}
		last[m.Key] = m.At
	}
	return bad
}

// closed says which accounts are gone: each is its owner's.
func (v *hostedVendors) closed() (bad []string) {
	there := map[string]bool{}
	for _, a := range v.set.stripe.Accounts() {
		there[a.ID], v.had[a.ID] = true, true
	}
	for _, id := range sortedKeys(v.had) {
		if !there[id] {
			bad = append(bad, "P5: the account "+id+" is gone")
		}
	}
	return bad
}

// userOf is the site's own id of a user in ours of him (package payload); "before" stays as it is.
func userOf(id string) string {
	parts := strings.Split(id, "/")
	if len(parts) != 6 {
		return id
	}
	return parts[4]
}

// atHost is the address of a host's sites, at which each is asked by its name.
type atHost string

// RoundTrip implements http.RoundTripper.
func (at atHost) RoundTrip(r *http.Request) (*http.Response, error) {
	to := r.Clone(r.Context())
	u, err := url.Parse(string(at) + r.URL.EscapedPath())
	if err != nil {
		return nil, err
	}
	u.RawQuery = r.URL.RawQuery
	to.URL, to.Host = u, r.URL.Hostname()
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(to)
}
