package github

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/state"
)

// DefaultURL is the API of github.com.
const DefaultURL = "https://api.github.com/"

// Bounds of lists. One that is longer is an error: what is missing in it would be taken
// for gone.
const (
	perPage  = 100
	maxItems = 5_000
	maxBytes = 64 << 20 // of texts in one list
)

// Options say which repository, in whose name, and how it is reached.
type Options struct {
	APIURL      string // "": DefaultURL; of GitHub Enterprise https://HOST/api/v3/
	Owner, Repo string
	// Webhook is the address at which deliveries arrive, for Redeliver; "": there is none.
	Webhook string

	// Token is asked at every request. Exactly one of it and App is set.
	Token func() state.Secret
	App   *App

	// Base sends requests; nil: a transport of our own, with the environment's proxy and
	// the authorities of CAFile (PEM) beside the system's.
	Base   http.RoundTripper
	CAFile string

	// Pause between writes; 0: a second, as GitHub advises; negative: none.
	Pause time.Duration
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error
	Log   *slog.Logger
}

// API is one repository at GitHub. Safe for concurrent use.
type API struct {
	owner, repo string
	webhook     string
	app         bool
	appID       int64
	// installation as it was set; 0: it is looked up.
	installation int64
	now          func() time.Time
	gate         *gate
	keys         keys
	client       *gh.Client
	idle         func()

	mu sync.Mutex
	me forge.Identity // once it is known
}

var _ forge.Forge = (*API)(nil)

// New returns the API of a repository. It asks nothing yet: see Check.
func New(o Options) (*API, error) {
	api, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("github: %w", err)
	}
	o.fill()
	base, idle := o.Base, func() {}
	if base == nil {
		own, err := newBase(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("github: %w", err)
		}
		base, idle = own, own.CloseIdleConnections
	}
	g := &gate{now: o.Now, sleep: o.Sleep, pause: max(o.Pause, 0), slots: make(chan struct{}, maxAtOnce), log: o.Log}
	w := &wire{base: base, gate: g}
	var k keys = &tokenKeys{wire: w, token: o.Token}
	if o.App != nil {
		if k, err = newAppKeys(w, api, o); err != nil {
			return nil, fmt.Errorf("github: %w", err)
		}
	}
	client := gh.NewClient(&http.Client{
		Transport:     &transport{api: api, gate: g, keys: k, sleep: o.Sleep},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	client.BaseURL, client.UploadURL, client.UserAgent = api, api, "reconciler"
	a := &API{owner: o.Owner, repo: o.Repo, webhook: o.Webhook, now: o.Now, gate: g, keys: k, client: client, idle: idle}
	if o.App != nil {
		a.app, a.appID, a.installation = true, o.App.ID, o.App.InstallationID
	}
	return a, nil
}

// Close lets go of connections that nobody uses.
func (a *API) Close() { a.idle() }

// GitToken is what reads the repository with git, as the user x-access-token: our token, or
// the App's of this hour. It is empty where there is none to be had now.
func (a *API) GitToken(ctx context.Context) state.Secret {
	token, err := a.keys.bearer(ctx)
	if err != nil {
		return state.Secret{} // git then says that it was refused
	}
	return state.NewSecret(token)
}

// Usage is how much of GitHub's limits is used.
func (a *API) Usage() Usage { return a.gate.usage() }

// check says everything that is wrong at once, and returns the API's address.
func (o Options) check() (*url.URL, error) {
	var wrong []error
	api, err := apiURL(o.APIURL)
	if err != nil {
		wrong = append(wrong, err)
	}
	if !name(o.Owner) || !name(o.Repo) {
		wrong = append(wrong, errors.New("owner and repo are letters, digits, '-', '_' and '.'"))
	}
	if (o.Token == nil) == (o.App == nil) {
		wrong = append(wrong, errors.New("set a token or an app, one of them"))
	}
	if o.App != nil && (o.App.ID <= 0 || o.App.InstallationID < 0) {
		wrong = append(wrong, errors.New("an app has an ID, as its settings page shows it"))
	}
	if o.Base != nil && o.CAFile != "" {
		wrong = append(wrong, errors.New("a transport of yours knows its own authorities"))
	}
	return api, errors.Join(wrong...)
}

func (o *Options) fill() {
	if o.Pause == 0 {
		o.Pause = writePause
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// sleep waits until a time has passed or the context ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// apiURL reads the API's address: https, or this machine.
func apiURL(s string) (*url.URL, error) {
	if s == "" {
		s = DefaultURL
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, errors.New("apiURL is an address like https://HOST/api/v3/")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, errors.New("apiURL begins with https:// (http:// only on this machine)")
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// name says that a text can be an owner or a repository, and stand in a path.
func name(s string) bool {
	return s != "" && len(s) <= 100 && s != "." && s != ".." && strings.Trim(s, letters+"-_.") == ""
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// isCommit says that a text is a commit's whole name, SHA-1 or SHA-256.
func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// newBase is the transport of our own.
func newBase(caFile string) (*http.Transport, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read the authorities: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", caFile)
		}
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  maxAttempt,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           maxAtOnce,
		MaxIdleConnsPerHost:    maxAtOnce,
		MaxConnsPerHost:        maxAtOnce,
		ForceAttemptHTTP2:      true,
	}, nil
}

// Me is who we write as. Comments by an App are by SLUG[bot], whose ID is another than the
// App's. It is asked once.
func (a *API) Me(ctx context.Context) (forge.Identity, error) {
	a.mu.Lock()
	me := a.me
	a.mu.Unlock()
	if me.ID != 0 {
		return me, nil
	}
	const op = "ask GitHub who we are"
	login := "" // whoever the token is of
	if a.app {
		app, _, err := a.client.Apps.Get(with(ctx, call{asApp: true}), "")
		if err != nil {
			return me, fail(ctx, op, err)
		}
		if !name(app.GetSlug()) {
			return me, fail(ctx, op, away("its answer can't be read"))
		}
		login = app.GetSlug() + "[bot]"
	}
	user, _, err := a.client.Users.Get(ctx, login)
	if err != nil {
		return me, fail(ctx, op, err)
	}
	if user.GetID() <= 0 || !isLogin(user.GetLogin()) {
		return me, fail(ctx, op, away("its answer can't be read"))
	}
	me = forge.Identity{Login: user.GetLogin(), ID: user.GetID(), App: a.app}
	a.mu.Lock()
	a.me = me
	a.mu.Unlock()
	return me, nil
}

// isLogin says that a text can be somebody's login, and stand in a path.
func isLogin(s string) bool {
	return s != "" && len(s) <= 100 && strings.Trim(strings.TrimSuffix(s, "[bot]"), letters+"-_") == ""
}

// Permission asks, at this moment, what a login may do. Whoever GitHub doesn't know may
// nothing.
func (a *API) Permission(ctx context.Context, login string) (forge.Permission, error) {
	op := "ask GitHub for a permission"
	if !isLogin(login) {
		return forge.None, fail(ctx, op, &fault{kind: forge.ErrInvalid, words: "that is no login"})
	}
	level, _, err := a.client.Repositories.GetPermissionLevel(ctx, a.owner, a.repo, login)
	if err = fail(ctx, op, err); errors.Is(err, forge.ErrNotFound) {
		// GitHub answers so, too, while it hides the repository: then nobody was asked about.
		if _, _, hidden := a.client.Repositories.Get(ctx, a.owner, a.repo); hidden != nil {
			return forge.None, fail(ctx, op, away("it shows neither that login nor the repository"))
		}
		return forge.None, nil
	}
	if err != nil {
		return forge.None, err
	}
	// An answer about somebody else is none: a login may have been renamed and taken.
	if !strings.EqualFold(level.GetUser().GetLogin(), login) {
		return forge.None, nil
	}
	// The base that a role builds on: GitHub maps maintain to write and triage to read, and
	// so do the roles of an organisation.
	switch level.GetPermission() {
	case "admin":
		return forge.Admin, nil
	case "write", "maintain":
		return forge.Write, nil
	case "read", "triage":
		return forge.Read, nil
	}
	return forge.None, nil
}

// list collects a list page by page. A page that is too large is asked for again in
// smaller ones: whoever comments could make one of a hundred larger than is read.
func list[T, U any](get func(gh.ListOptions) ([]T, *gh.Response, error), of func(T) (U, int, error)) ([]U, error) {
	for _, size := range []int{perPage, perPage / 4, perPage / 20} {
		out, err := listBy(size, get, of)
		var f *fault
		if err == nil || !errors.As(err, &f) || !f.tooLarge {
			return out, err
		}
	}
	return nil, away("its answer is larger than 4 MiB")
}

// noList is an answer that has no list where one was asked for: not the same as an empty one.
func noList() *fault { return away("its answer can't be read: there is no list in it") }

func listBy[T, U any](size int, get func(gh.ListOptions) ([]T, *gh.Response, error), of func(T) (U, int, error)) ([]U, error) {
	var out []U
	total := 0
	for page, turned := 1, 0; ; turned++ {
		items, r, err := get(gh.ListOptions{Page: page, PerPage: size})
		if err == nil && items == nil {
			err = noList()
		}
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			u, n, err := of(item)
			if err != nil {
				return nil, err
			}
			out, total = append(out, u), total+n
		}
		if len(out) > maxItems || total > maxBytes || turned > maxItems/size {
			return nil, &fault{kind: forge.ErrInvalid, words: "the list is longer than is read"}
		}
		if r.NextPage <= page { // 0 at the end; never back
			return out, nil
		}
		page = r.NextPage
	}
}
