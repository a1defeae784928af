package source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// maxText is how much of a foreign error is kept.
const maxText = 300

// remoteError is what the repository's host or the way to it answered. Its text is
// clean; the foreign error is not kept, since it may hold what must not be shown.
type remoteError struct {
	text  string
	class error // nil or one of ours, or the context's
}

func (e *remoteError) Error() string { return e.text }

func (e *remoteError) Unwrap() error { return e.class }

// clean makes an error of a remote operation ours. secret is never in the text.
func clean(ctx context.Context, err error, secret string) error {
	if err == nil {
		return nil
	}
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	for _, own := range []error{ErrNoBranch, ErrEmpty, ErrTooLarge, ErrNotFound, ErrDamaged} {
		if errors.Is(err, own) {
			return err
		}
	}
	for foreign, own := range map[error]error{
		transport.ErrEmptyRemoteRepository:  ErrEmpty,
		transport.ErrAuthenticationRequired: ErrDenied,
		transport.ErrAuthorizationFailed:    ErrDenied,
		transport.ErrRepositoryNotFound:     ErrNoRepository,
	} {
		if errors.Is(err, foreign) {
			return own // the host's own words are not repeated
		}
	}
	var class error
	if errors.Is(err, context.DeadlineExceeded) {
		class = context.DeadlineExceeded
	}
	var unexpected *plumbing.UnexpectedError
	if errors.As(err, &unexpected) && unexpected.Err != nil {
		err = unexpected.Err
	}
	var u *url.Error
	if errors.As(err, &u) { // it repeats the URL
		err = u.Err
	}
	text := err.Error()
	if secret != "" {
		text = strings.ReplaceAll(text, secret, "(removed)")
		text = strings.ReplaceAll(text, url.QueryEscape(secret), "(removed)")
	}
	text = regexp.MustCompile(`(://)[^/\s"'@]*@`).ReplaceAllString(text, "$1")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return &remoteError{text: text, class: class}
}

// missing turns an object that a caller asked for by id and that is not there into
// ErrNotFound.
func missing(what, id string, err error) error {
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return fmt.Errorf("%s %.64q: %w", what, id, ErrNotFound)
	}
	return err
}
