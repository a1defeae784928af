package reconcile_test

import (
	"fmt"
	"slices"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/state"
)

// oldHost is a name of the site that was there before us.
const oldHost = "www.f.example"

// oldDomain is the id of that name there.
func (s *story) oldDomain() string {
	if s.bare {
		return memory.DomainID("site-1", oldHost)
	}
	return "dom-1"
}

// plant puts a site and its database there that lived before us. A client f may adopt
// them; whatever happens, nobody deletes them.
func (s *story) plant() {
	s.planted = map[string]bool{}
	if !s.odds(3, "lived before") {
		return
	}
	url := state.NewSecret("postgres://" + memory.PasswordPrefix + "data-1@old.example/app")
	seed := func(owner, id string, k state.Kind, outputs []provider.Output, pairs ...string) {
		o := provider.Object{ID: id, Kind: k, Name: "old " + id, Outputs: outputs}
		for i := 0; i < len(pairs); i += 2 {
			o.Attributes = append(o.Attributes, provider.Input{Name: pairs[i], Text: pairs[i+1]})
		}
		s.vendors.world.Seed(owner, o)
		s.planted[id] = true
	}
	seed("railway", "data-1", state.KindDatabase, []provider.Output{{Name: "url", Secret: &url}})
	s.vendors.world.Write("data-1", "an old row")
	seed("vercel", "site-1", state.KindSite, []provider.Output{{Name: "id", Text: "site-1"}, {Name: "url", Text: "https://old.example"}, {Name: "address", Text: "203.0.113.7"}, {Name: "host", Text: "old.example"}}, "label", "old-shop", "repository", "agency/shop")
	seed("vercel", "env-1", state.KindEnvironment, nil, "site", "site-1", "env.DATABASE_URL", "postgres://hidden", "env.LEGACY", "kept")
	seed("vercel", "rel-1", state.KindDeployment, nil, "site", "site-1", "ref", "v1", "template", "shop")
	seed("vercel", "tra-1", state.KindTraffic, nil, "site", "site-1", "deployment", "rel-1")
	seed("vercel", s.oldDomain(), state.KindDomain, nil, "site", "site-1", "host", oldHost, "redirect", "")
	seed("cloudflare", "rec-1", state.KindRecord, nil, "type", "A", "name", oldHost, "content", "203.0.113.7", "ttl", "300")
	if s.odds(2, "adopted at once") {
		s.adopt()
	}
}

// adopt writes a client f that names what lived before, or takes it out.
func (s *story) adopt() {
	if len(s.planted) == 0 {
		return
	}
	x, there := s.tree.specs["f"]
	switch {
	case !there:
		x = s.fresh("f")
		x.domain, x.host, x.db, x.reuse, x.byHand = "f", "vercel", "railway", "", false
		if x.adopts = s.one([]string{"database", "both", "both"}, "adopts"); x.adopts == "both" {
			x.aliases = []string{oldHost}
		}
	case s.odds(3, "not any more"):
		x.adopts = ""
	default:
		delete(s.tree.specs, "f")
		return
	}
	s.tree.specs["f"] = x
}

// plantedStay: what lived before us stays, whoever adopted it, and its data with it.
func (s *story) plantedStay() {
	for id := range s.planted {
		if _, ok := s.vendors.world.Object(id); !ok {
			if s.losing[id] || !s.purges[id].IsZero() {
				delete(s.planted, id) // a person said so
				continue
			}
			s.Fatalf("P3: %s lived before us and is gone", id)
		}
	}
	if got := s.vendors.world.Rows("data-1"); s.planted["data-1"] && !slices.Equal(got, []string{"an old row"}) {
		s.Fatalf("P5: data-1 has the rows %v", got)
	}
}

// adoptable mends what can't be adopted: the client has another one, or has it no more.
func (s *story) adoptable() {
	x, ok := s.tree.specs["f"]
	if len(s.planted) == 0 {
		return
	}
	has := map[string]bool{}
	lives, kept := false, false // for a client that was removed, and doesn't come back while f is another one
	for _, c := range s.clients() {
		lives = lives || c.Name == "f" && !c.Removed
		for _, r := range s.resources(c.ID) {
			kept = kept || c.Removed && r.ID == "data-1"
			if c.Name == "f" { // one that goes may return in time
				has[string(r.Ref.Kind)] = true
				has[r.ID] = true
			}
		}
	}
	if ok {
		if has["database"] && !has["data-1"] || has["site"] && !has["site-1"] || !s.planted["data-1"] || lives && kept {
			x.adopts = ""
		}
		s.tree.specs["f"] = x
	}
	for n, y := range s.tree.specs { // its old name is nobody else's
		if n != "f" || !has[s.oldDomain()] && y.adopts != "both" {
			y.aliases = slices.DeleteFunc(slices.Clone(y.aliases), func(a string) bool { return a == oldHost })
			s.tree.specs[n] = y
		}
	}
	s.say("f adopts %q; has %v", x.adopts, fmt.Sprint(has["data-1"], has["site-1"], has[s.oldDomain()]))
}
