package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// Limits of a delivery.
const (
	// MaxPayload is the most bytes of a delivery that are read. GitHub sends up to 25 MB;
	// the poll sees what a larger push brought.
	MaxPayload = 2 << 20
	// MinSecret is the shortest secret, in bytes.
	MinSecret = 32

	maxSecrets = 2  // the one and, while it is changed, the other
	maxWord    = 64 // bytes of an event's name and of a delivery's id
)

// What is wrong with a request. Errors of Read are one of them.
var (
	ErrMethod    = errors.New("a webhook is a POST")
	ErrContent   = errors.New("a webhook is sent as application/json, uncompressed")
	ErrTooLarge  = errors.New("the delivery is larger than 2 MiB")
	ErrSignature = errors.New("the signature is missing or wrong")
	ErrDelivery  = errors.New("the delivery is not as GitHub sends it")
	// ErrSecret says that no delivery could be told from anybody's request.
	ErrSecret = errors.New("a webhook needs a secret of 32 bytes or more (openssl rand -hex 32)")
)

// Hook tells deliveries from other requests. Safe for concurrent use.
type Hook struct{ secrets []state.Secret }

// Delivery is a request that GitHub sent: its sender knew the secret.
type Delivery struct {
	ID      string // the same when it is sent again
	Event   string // push, ping, issue_comment …
	Payload []byte // JSON
}

// NewHook returns a hook that takes deliveries signed with one of the secrets: one, or the
// new and the old one. Errors are ErrSecret.
func NewHook(secrets ...state.Secret) (*Hook, error) {
	if len(secrets) == 0 || len(secrets) > maxSecrets {
		return nil, ErrSecret
	}
	for _, s := range secrets {
		if len(strings.TrimSpace(s.Reveal())) < MinSecret {
			return nil, ErrSecret
		}
	}
	return &Hook{secrets: append([]state.Secret(nil), secrets...)}, nil
}

// Read reads a delivery. Nothing of the body is parsed before its signature holds.
func (h *Hook) Read(w http.ResponseWriter, r *http.Request) (Delivery, error) {
	claimed, err := h.head(r)
	if err != nil {
		return Delivery{}, err
	}
	return h.body(w, r, claimed)
}

// head says whether a body is worth reading, and which signature it claims.
func (h *Hook) head(r *http.Request) (claimed [sha256.Size]byte, err error) {
	if r.Method != http.MethodPost {
		return claimed, ErrMethod
	}
	if kind, _, err := mime.ParseMediaType(only(r.Header, "Content-Type")); err != nil || kind != "application/json" || r.Header.Get("Content-Encoding") != "" {
		return claimed, ErrContent
	}
	if r.ContentLength > MaxPayload {
		return claimed, ErrTooLarge
	}
	claimed, ok := signature(only(r.Header, "X-Hub-Signature-256"))
	if !ok {
		return claimed, ErrSignature
	}
	return claimed, nil
}

// body reads the rest of a delivery whose head was.
func (h *Hook) body(w http.ResponseWriter, r *http.Request, claimed [sha256.Size]byte) (Delivery, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxPayload))
	var most *http.MaxBytesError
	switch {
	case errors.As(err, &most):
		return Delivery{}, ErrTooLarge
	case err != nil:
		return Delivery{}, fmt.Errorf("%w: it broke off", ErrDelivery)
	case !h.signed(body, claimed):
		return Delivery{}, ErrSignature
	}
	d := Delivery{ID: only(r.Header, "X-GitHub-Delivery"), Event: only(r.Header, "X-GitHub-Event"), Payload: body}
	if !word(d.ID, "-") || !word(d.Event, "_") || !json.Valid(body) {
		return Delivery{}, ErrDelivery
	}
	return d, nil
}

// Status is what an error of Read answers with.
func Status(err error) int {
	switch {
	case errors.Is(err, ErrMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(err, ErrContent):
		return http.StatusUnsupportedMediaType
	case errors.Is(err, ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrSignature):
		return http.StatusUnauthorized
	}
	return http.StatusBadRequest
}

// only is the value of a header that is there once, "" otherwise.
func only(h http.Header, name string) string {
	if v := h.Values(name); len(v) == 1 {
		return v[0]
	}
	return ""
}

// signature reads "sha256=" and 64 hex digits.
func signature(s string) (sum [sha256.Size]byte, ok bool) {
	digits, ok := strings.CutPrefix(s, "sha256=")
	if !ok || len(digits) != hex.EncodedLen(len(sum)) {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(digits))
	return sum, err == nil
}

// signed compares with every secret's signature, whichever fits.
func (h *Hook) signed(body []byte, claimed [sha256.Size]byte) bool {
	fits := false
	for _, s := range h.secrets {
		m := hmac.New(sha256.New, []byte(s.Reveal()))
		_, _ = m.Write(body) // a hash never fails
		if hmac.Equal(m.Sum(nil), claimed[:]) {
			fits = true
		}
	}
	return fits
}

// word says that a text is short and made of letters, digits and the one other character.
func word(s, other string) bool {
	return s != "" && len(s) <= maxWord && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"+other) == ""
}
