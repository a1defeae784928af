package stripe

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Limits of the place where deliveries come in. Anybody may knock there.
const (
	maxReading = 8                // bodies that are read at once
	readTime   = 10 * time.Second // that one may take
	minSecret  = 16               // bytes of an endpoint's secret; Stripe's have 38
)

// HandlerOptions are what a Handler needs.
type HandlerOptions struct {
	Secrets []state.Secret // of the endpoint at Stripe; two while one is replaced
	Now     func() time.Time
	// Note is told of an account that Stripe says has changed. It must not block.
	Note func(account string)
}

// Handler takes Stripe's deliveries. What it answers tells nobody why.
type Handler struct {
	o     HandlerOptions
	slots chan struct{}
}

// NewHandler returns one.
func NewHandler(o HandlerOptions) (*Handler, error) {
	if len(o.Secrets) == 0 || o.Now == nil || o.Note == nil {
		return nil, errors.New("open the endpoint of stripe: secrets, a clock and somebody who takes hints are needed")
	}
	for _, s := range o.Secrets {
		if err := CheckSecret(s); err != nil {
			return nil, fmt.Errorf("open the endpoint of stripe: %w", err)
		}
	}
	return &Handler{o: o, slots: make(chan struct{}, maxReading)}, nil
}

// CheckSecret says whether a text can be an endpoint's secret.
func CheckSecret(s state.Secret) error {
	if len(s.Reveal()) < minSecret {
		return fmt.Errorf("an endpoint's secret has %d characters or more: Stripe shows it (whsec_…) where the endpoint is", minSecret)
	}
	return nil
}

// ServeHTTP answers 200, or 400 to whatever is not a delivery that Stripe signed lately.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	signature := r.Header.Get("Stripe-Signature")
	switch _, _, ok := signatureHeader(signature); {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "only deliveries are taken here", http.StatusMethodNotAllowed)
		return
	case !ok || len(signature) > maxHeader || r.ContentLength > MaxEvent: // nothing of it is worth reading
		refuse(w)
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		w.Header().Set("Retry-After", "60")
		http.Error(w, "too many deliveries at once", http.StatusServiceUnavailable)
		return
	}
	// Where a connection has no deadline the slots are the limit.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxEvent))
	if err != nil {
		refuse(w)
		return
	}
	e, err := Verify(body, signature, h.o.Secrets, h.o.Now())
	if err != nil {
		refuse(w)
		return
	}
	if e.Account != "" && e.Type == AccountUpdated {
		h.o.Note(e.Account)
	}
	w.WriteHeader(http.StatusOK)
}

func refuse(w http.ResponseWriter) {
	http.Error(w, "this is no delivery", http.StatusBadRequest)
}
