package simulated

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// Account is an account as a test or a person sees it.
type Account struct {
	ID, Country, Email, Label, URL string
	Metadata                       map[string]string
	Due                            []string
	Enabled                        bool
}

// Accounts are those that are there, the oldest first.
func (s *Stripe) Accounts() []Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Account
	for _, a := range s.world.Accounts.All() {
		out = append(out, Account{a.ID, a.Country, a.Email, a.Label, a.URL, maps.Clone(a.Metadata), slices.Clone(a.Due), a.enabled()})
	}
	return out
}

// Add puts an account there that somebody else made, and returns its id.
func (s *Stripe) Add(country string, metadata map[string]string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := account{ID: "acct_1" + s.world.IDs.Hex(15), Created: s.o.Now(), Country: country, Metadata: map[string]string{}, Fields: controllers(),
		Due: born(), Past: born()}
	maps.Copy(a.Metadata, metadata)
	s.world.Accounts.Put(a.ID, a)
	return a.ID
}

// Seed puts an account there as somebody else made it, and its owner was through if it is
// enabled. It returns its id; of a what is due and the id are not read.
func (s *Stripe) Seed(a Account) string {
	id := s.Add(a.Country, a.Metadata)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, _ := s.world.Accounts.Get(id)
	x.Email, x.Label, x.URL, x.Done = a.Email, a.Label, a.URL, a.Enabled
	if a.Enabled {
		x.Due, x.Past = nil, nil
	}
	s.world.Accounts.Put(id, x)
	return id
}

// Fulfil tells Stripe so much of what is due; without fields, all. Once nothing is due the
// account may take money.
func (s *Stripe) Fulfil(id string, fields ...string) error {
	return s.change(id, func(a *account) {
		told := func(field string) bool { return len(fields) == 0 || slices.Contains(fields, field) }
		a.Due, a.Past = slices.DeleteFunc(a.Due, told), slices.DeleteFunc(a.Past, told)
		a.Done = a.Done || len(a.Due) == 0
	})
}

// Demand makes fields due: an account that works goes on for now.
func (s *Stripe) Demand(id string, fields ...string) error {
	return s.change(id, func(a *account) { a.Due = append(a.Due, fields...) })
}

// Disable stops an account for a reason, such as rejected.fraud; "" lets it go on.
func (s *Stripe) Disable(id, reason string) error {
	return s.change(id, func(a *account) { a.Disabled = reason })
}

// Close is what a person does in the dashboard: there is no access to the account any more.
func (s *Stripe) Close(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.world.Accounts.Delete(id) {
		return fmt.Errorf("close %s: there is no such account", id)
	}
	return simulator.Save(s.o.File, &s.world)
}

func (s *Stripe) change(id string, f func(*account)) error {
	err := s.put(id, f)
	if err == nil {
		s.updated(id)
	}
	return err
}

func (s *Stripe) put(id string, f func(*account)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.world.Accounts.Get(id)
	if !ok {
		return fmt.Errorf("change %s: there is no such account", id)
	}
	a.Due, a.Past = slices.Clone(a.Due), slices.Clone(a.Past)
	f(&a)
	s.world.Accounts.Put(id, a)
	return simulator.Save(s.o.File, &s.world)
}

// Sign is the Stripe-Signature of a body, signed with each of the secrets.
func Sign(body []byte, at time.Time, secrets ...string) string {
	t := strconv.FormatInt(at.Unix(), 10)
	parts := []string{"t=" + t}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write([]byte(t + "." + string(body))) // a hash never fails
		parts = append(parts, "v1="+hex.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(append(parts, "v0="+strings.Repeat("0", 2*sha256.Size)), ",")
}

// Event is the body of an account.updated.
func (s *Stripe) Event(id string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.world.Accounts.Get(id)
	if !ok {
		return nil, fmt.Errorf("an event of %s: there is no such account", id)
	}
	return json.Marshal(map[string]any{
		"id": "evt_1" + s.world.IDs.Hex(23), "object": "event", "type": "account.updated", "account": id, "api_version": "2026-08-26.dahlia",
		"created": s.o.Now().Unix(), "livemode": false, "pending_webhooks": 1, "request": nil, "data": map[string]any{"object": a.shown()},
	})
}

// Deliver posts an account.updated to a URL, as Stripe does, with a signature of each secret
// (two while one is replaced), and returns the status that came back.
func (s *Stripe) Deliver(ctx context.Context, client *http.Client, to, id string, secrets ...string) (int, error) {
	body, err := s.Event(id)
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Stripe-Signature", Sign(body, s.o.Now(), secrets...))
	a, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = a.Body.Close() }() // read, or given up
	_, err = io.Copy(io.Discard, io.LimitReader(a.Body, maxBody))
	return a.StatusCode, err
}
