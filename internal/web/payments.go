package web

import (
	"net/http"
	"net/url"
)

// Unable is why no way to the keeper of an account can be made now, in words for people.
type Unable string

// Error implements error.
func (u Unable) Error() string { return string(u) }

// payments leads to where the owner of a client's account for payments goes on: to an address
// that is made anew for each click, lets in whoever has it, and so is in no page, log or cache.
//
// It is made for clicks on our own pages and for addresses that somebody entered. Whoever
// comes from elsewhere (from Stripe, too, when an address had expired) is asked to click
// first: no other page may lead people on through us, or use up what is made once. A browser
// that fetches ahead, or asks for the head only, gets none.
func (s *server) payments(w http.ResponseWriter, r *http.Request) {
	name, err := bounded(r.PathValue("name"))
	if err != nil {
		s.page(w, "", nil, err)
		return
	}
	site := r.Header.Get("Sec-Fetch-Site")
	switch {
	case r.Method == http.MethodHead, r.Header.Get("Sec-Purpose") != "", r.Header.Get("Purpose") != "":
		w.WriteHeader(http.StatusNoContent)
		return
	case site != "" && site != "same-origin" && site != "none":
		d, err := s.Read.Detail(name)
		if err == nil && d.Payments == nil {
			err = errNothingHere
		}
		s.page(w, "payments.html", d, err)
		return
	}
	link, err := s.Onboard(r.Context(), name)
	if err != nil {
		s.page(w, "", nil, err)
		return
	}
	to, err := url.Parse(link.Reveal())
	if err != nil || to.Host == "" || mayLink(link.Reveal()) == "" {
		s.page(w, "", nil, Unable("what should lead there is no address of the web"))
		return
	}
	// Not by http.Redirect, which would write the address into a page, too.
	w.Header().Set("Location", link.Reveal())
	w.WriteHeader(http.StatusSeeOther)
}
