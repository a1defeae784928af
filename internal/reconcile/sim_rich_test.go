package reconcile_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// In one run of three manifests say more: how long data is kept, who may reach it, secrets of a client's own,
// records of other types; and where nobody reviews files lie in folders, and there is a second template.

// enrich decides whether manifests say more.
func (s *story) enrich() {
	s.rich = s.laterWorld() && !s.brief && !s.unled && !s.sparse && s.besidesN(2, "rich") == 2
	if s.rich && !s.pulls.on {
		s.tree.blog = blogTemplate("w1")
	}
}

// blogTemplate is the second template: another source, and nobody who administers.
func blogTemplate(ref string) string {
	return strings.NewReplacer("name: shop", "name: blog", "ref: v1", "ref: "+ref, "kind: payload, path: /admin", "kind: none").Replace(template)
}

var (
	richRetains = []string{"", "60d", "forever"}
	richRecords = []string{`{type: A, name: lb, content: 203.0.113.99}`, `{type: A, name: lb, content: 203.0.113.98}`, `{type: CNAME, name: lb, content: lb.example}`, `{type: TXT, name: lb, content: check}`}
)

// enriched says more in a manifest, or less.
func (s *story) enriched(x spec) spec {
	if !s.rich {
		return x
	}
	most := 3
	if !s.pulls.on {
		most = 5
	}
	switch s.besidesN(most, "what") {
	case 0:
		x.retain = richRetains[s.besidesN(len(richRetains)-1, "retain")]
	case 1:
		x.private = !x.private
	case 2:
		x.own = !x.own && !s.movers
	case 3:
		x.more = ""
		if n := s.besidesN(len(richRecords), "record"); n > 0 {
			x.more = richRecords[n-1]
		}
	case 4:
		x.folder = []string{"", "north/", "south/"}[s.besidesN(2, "folder")]
	case 5:
		x.blog = !x.blog && s.tree.blog != ""
	}
	return x
}

// keeps is for how long the data of a client is kept, as its file says.
func (x spec) keeps() time.Duration {
	switch x.retain {
	case "60d":
		return 2 * retention
	case "forever":
		return 100 * 365 * 24 * time.Hour
	}
	return retention
}

// keepsFor is for how long the data of a client is kept, as its last good file says.
func (s *story) keepsFor(id state.ClientID) time.Duration { return s.bySpec[s.client(id).Blob].keeps() }

// setOwn sets a client's own secret.
func (s *story) setOwn(c state.Client) {
	value := fmt.Sprintf("very-secret-own-%d", len(s.secrets))
	s.say("set the own secret of %s", c.Name)
	s.person(c.Name)
	s.secrets = append(s.secrets, value)
	if s.owns == nil {
		s.owns = map[state.ClientID]string{}
	}
	s.owns[c.ID] = value
	_, ids, err := s.engine.SetSecret(string(c.ID), "own", state.NewSecret(value), s.keys.Fingerprint, "dana")
	s.fine(err)
	s.wants(ids...)
}

// ownAgain sets the own secrets again that were set since an older copy was made: it can't know them, and a host that
// shows no values tells nobody.
func (s *story) ownAgain() {
	for _, c := range s.clients() {
		if value := s.owns[c.ID]; !c.Removed && value != "" && s.ownKey(c.ID) != value {
			s.knows(string(c.ID), "own", value)
		}
	}
}

// lackOwn sets the own secrets of those who ask for one that nobody set.
func (s *story) lackOwn() {
	if !s.rich {
		return
	}
	for _, c := range s.clients() {
		if x := s.tree.specs[c.Name]; !c.Removed && (x.own || s.bySpec[c.Blob].own) && s.ownKey(c.ID) == "" {
			s.setOwn(c)
		}
	}
}

// ownKey is the newest version of a client's own secret.
func (s *story) ownKey(id state.ClientID) (text string) {
	s.view(func(tx store.Tx) error {
		rec, _, err := store.Secret(tx, string(id), "own", 0)
		text = string(rec.Text)
		return err
	})
	return text
}

// record is a record of a manifest, of a client's domain.
func record(text, domain string) (kind, name, content string) {
	fields := map[string]string{}
	for _, f := range strings.Split(strings.Trim(text, "{}"), ", ") {
		key, value, _ := strings.Cut(f, ": ")
		fields[key] = strings.Trim(value, `"`)
	}
	name = label(domain)
	if n := fields["name"]; n != "@" {
		name = n + "." + name
	}
	return fields["type"], name, fields["content"]
}
