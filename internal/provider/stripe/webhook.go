package stripe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// AccountUpdated is the type of the event that an account changed.
const AccountUpdated = "account.updated"

// Limits of a delivery. Events of accounts have some 10 KB.
const (
	MaxEvent   = 1 << 20         // bytes of a body; whoever reads it stops there
	maxHeader  = 4 << 10         // bytes of Stripe-Signature
	maxSigned  = 16              // signatures that are looked at; during a rotation there are two
	maxSecrets = 8               // that are tried
	tolerance  = 5 * time.Minute // between the signature's time and now, as Stripe's libraries have it
)

// The refusals of Verify. All are answered alike: who sends has nothing to learn.
var (
	// ErrSignature: nobody who has one of the secrets signed this.
	ErrSignature = errors.New("the delivery is not signed by a known secret")
	// ErrStale: it was signed, but long ago or for later: somebody may be repeating it.
	ErrStale = errors.New("the delivery's signature is too old or of the future")
	// ErrPayload: it was signed and is no event that is understood.
	ErrPayload = errors.New("the delivery is no event")
)

// Event is what is taken from a delivery: that something is to be looked at.
type Event struct {
	ID      string // the same for each try of one delivery: who keeps it sees repeats
	Type    string // account.updated
	Account string // whose account; "" for the platform's own events
}

// Verify reads a delivery of Stripe's: payload is the body as it came, header its
// Stripe-Signature, secrets those of the endpoint, two while one is replaced
// (docs.stripe.com/webhooks/signature). Of what is signed, too, no more is believed than which
// account to look at: events come late, twice and out of order. Errors are ErrSignature,
// ErrStale or ErrPayload, wrapped.
func Verify(payload []byte, header string, secrets []state.Secret, now time.Time) (Event, error) {
	if len(payload) > MaxEvent || len(header) > maxHeader {
		return Event{}, fmt.Errorf("verify a delivery: it is too large: %w", ErrPayload)
	}
	at, signatures, ok := signatureHeader(header)
	if !ok || !signed(payload, at, signatures, secrets) {
		return Event{}, fmt.Errorf("verify a delivery: %w", ErrSignature)
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return Event{}, fmt.Errorf("verify a delivery: its time is no number: %w", ErrSignature)
	}
	// As seconds: a time that is far off would overflow a Duration.
	if off := now.Unix() - seconds; seconds < 0 || off > int64(tolerance/time.Second) || off < -int64(tolerance/time.Second) {
		return Event{}, fmt.Errorf("verify a delivery: %w", ErrStale)
	}
	return event(payload)
}

// signatureHeader reads t=…,v1=…,v1=…; other schemes (v0 is of test mode) are none.
func signatureHeader(header string) (at string, signatures [][]byte, ok bool) {
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			if at != "" {
				return "", nil, false
			}
			at = value
		case "v1":
			if one, err := hex.DecodeString(value); err == nil && len(one) == sha256.Size && len(signatures) < maxSigned {
				signatures = append(signatures, one)
			}
		}
	}
	return at, signatures, at != "" && len(signatures) > 0
}

// signed compares all with all, in constant time. An empty secret signs nothing: anybody has it.
func signed(payload []byte, at string, signatures [][]byte, secrets []state.Secret) bool {
	found := false
	for _, s := range secrets[:min(len(secrets), maxSecrets)] {
		if s.Empty() {
			continue
		}
		mac := hmac.New(sha256.New, []byte(s.Reveal()))
		_, _ = mac.Write([]byte(at + ".")) // a hash never fails
		_, _ = mac.Write(payload)
		want := mac.Sum(nil)
		for _, one := range signatures {
			found = hmac.Equal(one, want) || found
		}
	}
	return found
}

// event reads a signed body.
func event(payload []byte) (Event, error) {
	var got struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Type    string `json:"type"`
		Account string `json:"account"` // of Connect: whose event it is
		Data    struct {
			Object struct {
				ID     string `json:"id"`
				Object string `json:"object"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(payload, &got); err != nil {
		return Event{}, fmt.Errorf("verify a delivery: %w", ErrPayload)
	}
	e := Event{ID: got.ID, Type: got.Type, Account: got.Account}
	if e.Account == "" && got.Data.Object.Object == "account" {
		e.Account = got.Data.Object.ID
	}
	switch {
	case got.Object != "event", !isWord(e.ID), !isWord(e.Type):
		return Event{}, fmt.Errorf("verify a delivery: %w", ErrPayload)
	case e.Account != "" && !isAccount(e.Account), e.Type == AccountUpdated && e.Account == "":
		return Event{}, fmt.Errorf("verify a delivery: its account is none: %w", ErrPayload)
	}
	return e, nil
}

// isWord says that a text is fit to be kept and shown as it is.
func isWord(s string) bool {
	if s == "" || len(s) > maxShown {
		return false
	}
	for _, c := range []byte(s) {
		if c != '.' && c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
