package github

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/compassdigital/reconciler/internal/forge"
)

// maxSaid is the most of GitHub's own words that an error repeats, in bytes.
const maxSaid = 160

// fault is why a call came to nothing. Its text is made here: of what GitHub said only
// what is plain and short, and nothing of what could hold a credential.
type fault struct {
	kind     error  // of package forge
	words    string // ours
	said     string // GitHub's, made harmless
	code     int    // of HTTP; 0: there was no answer
	tooLarge bool   // its answer was not read to the end
	location string // where a redirect leads
	unsent   bool   // nobody was reached
}

// nothing says that a write did nothing: it was refused, or never came there.
func (f *fault) nothing() bool { return f.unsent || f.code >= 400 }

func (f *fault) Error() string {
	var more []string
	if f.code != 0 {
		more = append(more, fmt.Sprint(f.code))
	}
	for _, s := range []string{f.words, f.said} {
		if s != "" {
			more = append(more, s)
		}
	}
	if len(more) == 0 {
		return f.kind.Error()
	}
	return f.kind.Error() + " (" + strings.Join(more, ", ") + ")"
}

func (f *fault) Unwrap() error { return f.kind }

func away(words string) *fault { return &fault{kind: forge.ErrAway, words: words} }

// fail is the error of an operation. What go-github returns holds addresses, requests and
// answers, and is never handed on.
func fail(ctx context.Context, op string, err error) error {
	var limited *forge.Limited
	var f *fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		return fmt.Errorf("%s: %w", op, &forge.Limited{Until: limited.Until})
	case errors.As(err, &f):
		return fmt.Errorf("%s: %w", op, f)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w: %w", op, forge.ErrAway, context.Cause(ctx))
	}
	return fmt.Errorf("%s: %w", op, away("its answer can't be read"))
}

// kindOf says what a status of HTTP means to whoever called.
func kindOf(code int) error {
	switch {
	case code == http.StatusNotFound || code == http.StatusGone:
		return forge.ErrNotFound
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusUnavailableForLegalReasons:
		return forge.ErrDenied
	case code == http.StatusRequestTimeout || code < 400 || code >= 500:
		return forge.ErrAway
	}
	return forge.ErrInvalid
}

// unreached is the fault of a request without an answer. The network's own errors name
// addresses of proxies and certificates' texts, so only their kind is told.
func unreached(err error) *fault {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var timeout net.Error
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return &fault{kind: forge.ErrAway, words: "its name can't be resolved", unsent: true}
	case errors.As(err, &op) && op.Op == "dial":
		return &fault{kind: forge.ErrAway, words: "the connection failed", unsent: true}
	case errors.As(err, &unknown):
		return away("its certificate is of an authority that is not known here")
	case errors.As(err, &host), errors.As(err, &invalid):
		return away("its certificate is not valid for it")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return away("it did not answer in time")
	case errors.Is(err, context.Canceled):
		return away("the call was given up")
	}
	return away("the connection failed")
}

// harmless makes GitHub's words fit to be repeated: plain, short, and without any piece of
// the credential that was sent, which a server on the way may have put there.
func harmless(said, secret string) string {
	const piece = 8
	if len(said) > maxSaid {
		said = said[:maxSaid]
	}
	for i := 0; i+piece <= len(secret); i++ {
		if strings.Contains(said, secret[i:i+piece]) {
			return ""
		}
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune("`<>[]()@", r) {
			return -1
		}
		return r
	}, said)
}
