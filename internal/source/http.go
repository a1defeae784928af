package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// stallTime is how long an answer may pause.
const stallTime = 60 * time.Second

// minSecret is how long a user name must be to be taken for a token.
const minSecret = 8

// errStalled says that an answer paused for too long.
var errStalled = errors.New("the host stopped answering")

// httpTransport returns a client of its own and what closes its idle connections.
func httpTransport(pool *x509.CertPool) (transport.Transport, func()) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTime}).DialContext,
		TLSHandshakeTimeout:   dialTime,
		ResponseHeaderTimeout: headerTime,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          4,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}
	c := &http.Client{
		Transport: bounded{t},
		// go-git asks this after its own rule: follow only when references are listed.
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if req.URL.Host != via[0].URL.Host || req.URL.User != nil {
				return ErrMoved
			}
			return nil
		},
	}
	return githttp.NewClientWithOptions(c, &githttp.ClientOptions{RedirectPolicy: githttp.FollowInitialRedirects}), t.CloseIdleConnections
}

// basicAuth asks for the token at each use, since it may be renewed. Without a token
// the credentials of the URL count. It returns what must not be shown, too.
func basicAuth(token func() state.Secret, a address) func() (transport.AuthMethod, []string) {
	return func() (transport.AuthMethod, []string) {
		if token != nil {
			if t := token(); !t.Empty() {
				return &githttp.BasicAuth{Username: "x-access-token", Password: t.Reveal()}, []string{t.Reveal()}
			}
		}
		if a.user.Empty() && a.password.Empty() {
			return nil, nil
		}
		secrets := []string{a.password.Reveal()}
		if len(a.user.Reveal()) >= minSecret && a.password.Empty() { // some hosts take the token as the user
			secrets = []string{a.user.Reveal()}
		}
		return &githttp.BasicAuth{Username: a.user.Reveal(), Password: a.password.Reveal()}, secrets
	}
}

// bounded limits the size of answers and how long they pause.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	res, err := b.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	body := &answer{in: res.Body, cancel: cancel, left: maxPack}
	switch {
	case res.StatusCode < 200 || res.StatusCode > 299:
		body.left, body.cut = maxRefusal, true
	case req.Method == http.MethodGet:
		body.left = maxRefs
	}
	res.Body = body
	return res, nil
}

// answer is a body with a limit of size and of time between two reads.
type answer struct {
	in      io.ReadCloser
	cancel  context.CancelFunc
	left    int64
	cut     bool // end at the limit instead of failing
	stalled atomic.Bool
}

func (a *answer) Read(p []byte) (int, error) {
	if a.left <= 0 {
		if a.cut {
			return 0, io.EOF
		}
		// The limit may be exactly the end.
		if n, err := a.in.Read(make([]byte, 1)); n == 0 && err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("the host's answer: %w", ErrTooLarge)
	}
	if int64(len(p)) > a.left {
		p = p[:a.left]
	}
	t := time.AfterFunc(stallTime, func() {
		a.stalled.Store(true)
		a.cancel()
	})
	n, err := a.in.Read(p)
	t.Stop()
	a.left -= int64(n)
	if err != nil && a.stalled.Load() {
		err = errStalled
	}
	return n, err
}

func (a *answer) Close() error {
	defer a.cancel()
	return a.in.Close()
}
