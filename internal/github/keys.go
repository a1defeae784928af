package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/state"
)

// minRenewal is how long an installation's new token is believed in: a GitHub that refuses
// each is not asked for another one at every call.
const minRenewal = 10 * time.Second

// keys sends requests in our name.
type keys interface {
	// send returns the token that it used, too; "" when there was none to renew.
	send(r *http.Request, asApp bool) (*http.Response, string, error)
	// bearer is the token that a request would bear now.
	bearer(ctx context.Context) (string, error)
	// renew says whether there is another token than the one that was refused.
	renew(refused string) bool
}

// tokenKeys are those of a person or a machine user. The token is asked for each time, so
// that it can be changed while we run.
type tokenKeys struct {
	wire  http.RoundTripper
	token func() state.Secret
}

func (k *tokenKeys) send(r *http.Request, asApp bool) (*http.Response, string, error) {
	if asApp {
		return nil, "", &fault{kind: forge.ErrDenied, words: "only a GitHub App may"}
	}
	token := k.token().Reveal()
	if !sendable(token) {
		return nil, "", &fault{kind: forge.ErrDenied, words: "there is no token, or it is not one"}
	}
	a, err := bear(k.wire, r, token)
	return a, token, err
}

func (k *tokenKeys) bearer(context.Context) (string, error) { return k.token().Reveal(), nil }

func (k *tokenKeys) renew(refused string) bool {
	token := k.token().Reveal()
	return token != refused && sendable(token)
}

func bear(wire http.RoundTripper, r *http.Request, token string) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer "+token)
	return wire.RoundTrip(r)
}

// sendable says that a token can stand in a header; nothing is assumed of its form.
func sendable(token string) bool {
	return token != "" && strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// App is a GitHub App's identity.
type App struct {
	ID             int64
	InstallationID int64        // 0: the repository's is looked up
	Key            state.Secret // PEM
}

// appKeys are a GitHub App's: its own, and its installation's token, which lasts an hour.
type appKeys struct {
	wire        http.RoundTripper
	api         *url.URL
	owner, repo string
	app         App
	now         func() time.Time

	// itself signs as the App. It is not shared with installed, which writes to the one
	// that it is made of.
	itself *ghinstallation.AppsTransport

	mu           sync.Mutex
	installation int64
	number       int64                     // the repository's, where its name is a former one; 0: it is asked for by name
	installed    *ghinstallation.Transport // nil: to be made
	token        string                    // the last that it gave
	renewed      time.Time
}

func newAppKeys(wire http.RoundTripper, api *url.URL, o Options) (*appKeys, error) {
	k := &appKeys{wire: wire, api: api, owner: o.Owner, repo: o.Repo, app: *o.App, now: o.Now, installation: o.App.InstallationID}
	itself, err := k.signer()
	k.itself = itself
	return k, err
}

func (k *appKeys) signer() (*ghinstallation.AppsTransport, error) {
	s, err := ghinstallation.NewAppsTransport(k.wire, k.app.ID, []byte(k.app.Key.Reveal()))
	if err != nil { // its text may hold parts of the key
		return nil, errors.New("the App's private key is not an RSA key in PEM")
	}
	s.BaseURL = strings.TrimSuffix(k.api.String(), "/") // else tokens are asked for at api.github.com
	return s, nil
}

func (k *appKeys) send(r *http.Request, asApp bool) (*http.Response, string, error) {
	if asApp {
		a, err := k.itself.RoundTrip(r)
		return a, "", asItself(err)
	}
	token, err := k.current(r.Context())
	if err != nil {
		return nil, "", err
	}
	a, err := bear(k.wire, r, token)
	return a, token, err
}

// asItself says more of the refusal of an App's own signature.
func asItself(err error) error {
	var f *fault
	if errors.As(err, &f) && f.code == http.StatusUnauthorized {
		f.words = "GitHub does not take the App's key; is its ID right, and the clock of this machine?"
	}
	return err
}

// current is the installation's token. It is renewed a minute before it expires.
func (k *appKeys) current(ctx context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.installed == nil {
		if err := k.install(ctx); err != nil {
			return "", k.uninstalled(err)
		}
	}
	token, err := k.installed.Token(ctx)
	if k.renamed(ctx, err) {
		if err = k.install(ctx); err == nil {
			token, err = k.installed.Token(ctx)
		}
	}
	if err != nil {
		return "", k.uninstalled(err)
	}
	if !sendable(token) {
		k.installed = nil
		return "", away("it gave no token")
	}
	k.token = token
	return token, nil
}

func (k *appKeys) bearer(ctx context.Context) (string, error) { return k.current(ctx) }

// install makes what gives the installation's tokens, for this repository only.
func (k *appKeys) install(ctx context.Context) error {
	if k.installation == 0 {
		id, err := k.find(ctx)
		if err != nil {
			return err
		}
		k.installation = id
	}
	s, err := k.signer()
	if err != nil {
		return err
	}
	k.installed = ghinstallation.NewFromAppsTransport(s, k.installation)
	k.installed.InstallationTokenOptions = &gh.InstallationTokenOptions{Repositories: []string{k.repo}}
	if k.number != 0 {
		k.installed.InstallationTokenOptions = &gh.InstallationTokenOptions{RepositoryIDs: []int64{k.number}}
	}
	return nil
}

// renamed says whether a token was refused as the repository has another name by now: GitHub leads whoever
// reads by the former one to the repository's number, and makes a token for that.
func (k *appKeys) renamed(ctx context.Context, err error) bool {
	var f *fault
	if !errors.As(err, &f) || f.code != http.StatusUnprocessableEntity || k.number != 0 {
		return false
	}
	id, err := k.find(ctx)
	return err == nil && id == k.installation && k.number != 0
}

// find is the repository's installation. It notes the repository's number, if that is where GitHub leads.
func (k *appKeys) find(ctx context.Context) (int64, error) {
	to := k.api.JoinPath("repos", k.owner, k.repo, "installation")
	for redirects := 0; ; redirects++ {
		id, err := k.installationAt(ctx, to)
		if err == nil {
			k.number = numberIn(k.api, to)
			return id, nil
		}
		var f *fault
		if !errors.As(err, &f) || f.location == "" || redirects == maxRedirects {
			return 0, err
		}
		next, bad := to.Parse(f.location)
		if bad != nil || !below(k.api, next) {
			return 0, err
		}
		to = next
	}
}

// numberIn is the number that an address below the API's names a repository by; 0: by its name.
func numberIn(api, at *url.URL) int64 {
	rest, is := strings.CutPrefix(at.Path, api.Path+"repositories/")
	digits, _, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !is || err != nil || n <= 0 {
		return 0
	}
	return n
}

func (k *appKeys) installationAt(ctx context.Context, at *url.URL) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return 0, errors.New("ask for the installation")
	}
	a, err := k.itself.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	var in gh.Installation
	if err := json.NewDecoder(io.LimitReader(a.Body, maxAnswer)).Decode(&in); err != nil || in.GetID() <= 0 {
		return 0, away("its answer can't be read")
	}
	return in.GetID(), nil
}

// uninstalled is the error of a token that was not to be had. What is not found then is
// the installation, not what the call was about.
func (k *appKeys) uninstalled(err error) error {
	var f *fault
	var l *forge.Limited
	switch {
	case errors.As(err, &l):
		return l
	case !errors.As(err, &f):
		return away("its token can't be read")
	case errors.Is(f, forge.ErrNotFound) || f.code == http.StatusUnprocessableEntity:
		k.installed, k.installation, k.number = nil, k.app.InstallationID, 0 // it may have been installed anew
		return &fault{kind: forge.ErrDenied, code: f.code, words: fmt.Sprintf("the GitHub App is not installed for %s/%s", k.owner, k.repo)}
	}
	return asItself(f)
}

func (k *appKeys) renew(refused string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if refused == "" {
		return false
	}
	if k.token != refused {
		return true // somebody did
	}
	now := k.now()
	if age := now.Sub(k.renewed); age >= 0 && age < minRenewal {
		return false
	}
	k.installed, k.renewed = nil, now
	return true
}
