package source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"golang.org/x/crypto/ssh/knownhosts"
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

// clean makes an error of a remote operation ours. No secret is in the text.
func clean(ctx context.Context, err error, secrets []string) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var unexpected *plumbing.UnexpectedError
	if errors.As(err, &unexpected) && unexpected.Err != nil {
		err = unexpected.Err
	}
	for _, own := range []error{ErrNoBranch, ErrEmpty, ErrTooLarge, ErrTooMany, ErrNotFound, ErrDamaged, ErrMoved, ErrBadPack} {
		if errors.Is(err, own) {
			return own // what stands around it may repeat the URL
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
	var key *knownhosts.KeyError
	if errors.As(err, &key) {
		return ErrHostKey
	}
	var status *githttp.Err
	if errors.As(err, &status) && status.Response != nil {
		return &remoteError{text: fmt.Sprintf("the repository's host answered %d: it is asked again", status.StatusCode())}
	}
	if errors.Is(err, pktline.ErrInvalidPktLen) || errors.Is(err, pktline.ErrInvalidErrorLine) {
		return ErrNotGit
	}
	var class error
	if errors.Is(err, context.DeadlineExceeded) {
		class = context.DeadlineExceeded
	}
	var u *url.Error
	if errors.As(err, &u) { // it repeats the URL
		err = u.Err
	}
	text := err.Error()
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "(removed)")
			text = strings.ReplaceAll(text, url.QueryEscape(secret), "(removed)")
			text = strings.ReplaceAll(text, url.PathEscape(secret), "(removed)")
		}
	}
	text = regexp.MustCompile(`(://)[^/\s"'@]*@`).ReplaceAllString(text, "$1")
	return &remoteError{text: line(text, maxText), class: class}
}

// line is a foreign text as one line of valid UTF-8 without control characters.
func line(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.TrimSpace(text)
}
