package reconcile

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// SecretRow is one line of `secret list`: what is known of a secret, but its value.
type SecretRow struct {
	state.SecretRef        // the newest version
	Client          string `json:"client,omitempty"` // whose it is; of everybody's, nobody's
	// Source is where the value came from: set, generated, output, adopted, lost, or the
	// source outside that it was read from.
	Source string    `json:"source"`
	At     time.Time `json:"at"`    // when this version was stored
	Users  []string  `json:"users"` // clients whose manifests name it, sorted
}

// Secrets lists the newest version of every secret, sorted by owner and name, never its
// value. client limits it to one client's own.
func (e *Engine) Secrets(client string) ([]SecretRow, error) {
	wishes, _ := e.resolver()
	e.showing.Lock()
	defer e.showing.Unlock()
	var out []SecretRow
	err := e.Store.View(func(tx store.Tx) error {
		out = nil
		scope := ""
		if client != "" {
			c, err := e.clientByName(tx, client)
			if err != nil {
				return err
			}
			scope = string(c.ID)
		}
		heads, err := store.SecretHeads(tx, scope)
		if err != nil {
			return err
		}
		clients, err := store.Clients(tx)
		if err != nil {
			return err
		}
		names, users := map[string]string{}, map[string][]string{}
		for _, c := range clients {
			names[string(c.ID)] = c.Name
			if c.Removed {
				continue
			}
			s := e.shown[c.ID]
			if s == nil {
				s = &shown{}
			}
			for _, name := range s.wishShown(c, wishes).secrets {
				key := string(c.ID) + "/" + name
				if bare, shared := sharedName(name); shared {
					key = sharedScope + "/" + bare
				}
				users[key] = append(users[key], c.Name)
			}
		}
		for _, h := range heads {
			row := SecretRow{SecretRef: h.Ref, Client: names[h.Ref.Scope], Source: h.From, At: h.At, Users: users[h.Ref.Scope+"/"+h.Ref.Name]}
			if coming, is := strings.CutPrefix(h.Ref.Scope, Coming); is {
				row.Client = coming
			}
			if h.From == store.SecretSourced {
				row.Source = h.Source
			}
			slices.Sort(row.Users)
			row.Users = list(row.Users)
			out = append(out, row)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b SecretRow) int {
		return cmp.Or(strings.Compare(a.Client, b.Client), strings.Compare(a.Scope, b.Scope), strings.Compare(a.Name, b.Name))
	})
	return list(out), err
}
