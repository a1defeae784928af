package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Limits of questions to repositories that manifests name.
const (
	// answerTime is how long an answer serves whoever asks about the same repository: three
	// hundred clients of one template are one question.
	answerTime = 10 * time.Second
	// failTime is how long a failure, or that a name was missing, is believed: whoever
	// mended it and asks again is answered anew.
	failTime = 2 * time.Second

	askTime       = 30 * time.Second // of one question, redirects included
	maxAsked      = 256              // repositories whose answers are kept
	maxTargetHops = 3                // redirects
)

// ResolverOptions are what a Resolver needs.
type ResolverOptions struct {
	// HTTP carries the questions. It decides which addresses may be asked.
	HTTP http.RoundTripper
	// Forbidden is what errors of HTTP wrap when it may not ask an address; nil: it asks all.
	Forbidden error
	// Token is what a host is shown, over https; empty: nothing. nil: never anything. It is
	// asked with the host and port of the manifest's address, in lower case.
	Token func(ctx context.Context, host string) state.Secret
	Now   func() time.Time
}

// Resolver says which commits branches and tags of other repositories name. It is safe for
// concurrent use, and has nothing to close.
type Resolver struct {
	o      ResolverOptions
	client *http.Client

	mu    sync.Mutex
	asked map[string]*asking // by the repository's address
}

// asking is what one repository answered last.
type asking struct {
	users int // with the resolver's mu held

	one   gate // held by who asks; the rest waits for the answer
	at    time.Time
	names map[string]string // of HEAD, branches and tags: the commit
	err   error
}

// Unresolved is why a name means no commit now.
type Unresolved struct {
	Text string
	// Act is what a person has to do; "": nobody has to, it may be otherwise later.
	Act string
}

func (u *Unresolved) Error() string { return u.Text }

// Lasting says that asking again changes nothing before somebody has done act.
func (u *Unresolved) Lasting() (act string, lasting bool) { return u.Act, u.Act != "" }

// NewResolver returns a resolver.
func NewResolver(o ResolverOptions) *Resolver {
	r := &Resolver{o: o, asked: map[string]*asking{}}
	// The limits of a body and of its pauses are those of the repository of manifests.
	r.client = &http.Client{Transport: bounded{o.HTTP}, CheckRedirect: sameHost}
	return r
}

// sameHost lets redirects pass on the same host: a repository that was renamed there.
func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Scheme != "https" || req.URL.Host != via[0].URL.Host || req.URL.User != nil || len(via) > maxTargetHops {
		return ErrMoved
	}
	return nil
}

// Commit returns the commit that a branch, a tag or a commit of a repository means now; ""
// is the repository's default branch. The error is an *Unresolved, or ctx's.
//
// A commit with all its digits is taken as it is, and nobody is asked. An annotated tag
// means the commit that it is of. A name that a branch and a tag bear means nothing, unless
// both are of one commit.
func (r *Resolver) Commit(ctx context.Context, repository, ref string) (string, error) {
	if full(ref) {
		return strings.ToLower(ref), nil
	}
	u, err := url.Parse(repository)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", &Unresolved{"its address is not one that can be asked", "write OWNER/NAME or an https URL"}
	}
	u.Host = strings.ToLower(u.Host)
	q := r.enter(u.String())
	defer r.leave(q)
	if err := q.one.enter(ctx); err != nil {
		return "", err
	}
	defer q.one.leave()
	age := r.o.Now().Sub(q.at)
	switch known := !q.at.IsZero() && age >= 0; {
	case known && q.err != nil && age < failTime:
		return "", q.err
	case known && q.err == nil && age < answerTime:
		if commit, err := named(q.names, u, ref); err == nil || age < failTime {
			return commit, err
		}
	}
	names, err := r.ask(ctx, u)
	if ctx.Err() != nil {
		return "", context.Cause(ctx) // of who asked, which says nothing of the repository
	}
	q.names, q.err, q.at = names, err, r.o.Now()
	if err != nil {
		return "", err
	}
	return named(names, u, ref)
}

// enter returns what is known of a repository, and forgets what nobody needs any more.
func (r *Resolver) enter(key string) *asking {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.asked[key]
	if q == nil {
		if len(r.asked) >= maxAsked {
			r.sweep(0)
		}
		q = &asking{one: newGate()}
		r.asked[key] = q
	}
	q.users++
	return q
}

func (r *Resolver) leave(q *asking) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q.users--
	r.sweep(answerTime)
}

// sweep is called with mu held.
func (r *Resolver) sweep(older time.Duration) {
	now := r.o.Now()
	for key, q := range r.asked {
		if q.users == 0 && now.Sub(q.at) >= older {
			delete(r.asked, key)
		}
	}
}

// full says that a name is a commit's whole id, of SHA-1 or SHA-256.
func full(ref string) bool {
	return (len(ref) == 40 || len(ref) == 64) && strings.Trim(strings.ToLower(ref), "0123456789abcdef") == ""
}

// named finds a name as git rev-parse does, but for names that mean two things.
func named(names map[string]string, u *url.URL, ref string) (string, error) {
	if ref == "" {
		if c := names["HEAD"]; c != "" {
			return c, nil
		}
		return "", &Unresolved{shown(u) + " has no commit in its default branch", "push one, or name a branch or a tag"}
	}
	tag, branch := names["refs/tags/"+ref], names["refs/heads/"+ref]
	switch {
	case tag != "" && branch != "" && tag != branch:
		return "", &Unresolved{fmt.Sprintf("%s has a branch %s and a tag %s, of two commits", shown(u), ref, ref), fmt.Sprintf("write refs/tags/%s or refs/heads/%s", ref, ref)}
	case tag != "":
		return tag, nil
	case branch != "":
		return branch, nil
	}
	for _, name := range []string{ref, "refs/" + ref} {
		if c := names[name]; c != "" && strings.HasPrefix(name, "refs/") {
			return c, nil
		}
	}
	act := "push it, or name another one"
	if len(ref) >= 7 && strings.Trim(strings.ToLower(ref), "0123456789abcdef") == "" {
		act = "push it, name another one, or write a commit with all its 40 digits"
	}
	return "", &Unresolved{fmt.Sprintf("%s has no branch and no tag %s", shown(u), ref), act}
}

// shown is a repository in an error: where it is, short.
func shown(u *url.URL) string {
	return line(strings.TrimSuffix(u.Host+u.Path, ".git"), maxText)
}

// ask lists a repository's names.
func (r *Resolver) ask(ctx context.Context, u *url.URL) (map[string]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, errSlow)
	defer cancel()
	var token state.Secret
	if r.o.Token != nil {
		token = r.o.Token(ctx, u.Host)
	}
	target := *u
	target.Path = strings.TrimSuffix(u.Path, "/") + "/info/refs"
	target.RawPath, target.RawQuery = "", "service="+uploadPack
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, &Unresolved{"its address is not one that can be asked", "write OWNER/NAME or an https URL"}
	}
	req.Header.Set("User-Agent", "git/2.0 (reconciler)") // some hosts show others a page
	req.Header.Set("Accept", "application/x-"+uploadPack+"-advertisement")
	if !token.Empty() {
		req.SetBasicAuth("x-access-token", token.Reveal())
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, r.failed(ctx, u, err, token)
	}
	defer res.Body.Close()
	if err := refused(u, res, !token.Empty()); err != nil {
		return nil, err
	}
	names, err := advertised(res.Body)
	if err != nil {
		return nil, r.failed(ctx, u, err, token)
	}
	return names, nil
}

// refused says what an answer that is none means.
func refused(u *url.URL, res *http.Response, known bool) error {
	credentials := "a private repository is read with github.token, or github.app, at the GitHub of github.apiURL only: give it the right to read this one, or name a commit with all its digits, which needs no question"
	switch code := res.StatusCode; {
	case code == http.StatusOK && strings.HasPrefix(res.Header.Get("Content-Type"), "application/x-"+uploadPack+"-advertisement"):
		return nil
	case code == http.StatusOK:
		return &Unresolved{shown(u) + " is not a Git repository", "look at its spelling"}
	case (code == http.StatusUnauthorized || code == http.StatusForbidden) && known:
		return &Unresolved{fmt.Sprintf("%s refuses our credentials (%d)", shown(u), code), credentials}
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return &Unresolved{fmt.Sprintf("%s is not there, or wants credentials (%d)", shown(u), code), "look at its spelling; " + credentials}
	case code == http.StatusNotFound || code == http.StatusGone:
		return &Unresolved{fmt.Sprintf("%s is not there, or may not be read (%d)", shown(u), code), "look at its spelling; " + credentials}
	}
	return &Unresolved{fmt.Sprintf("%s answered %d: it is asked again", shown(u), res.StatusCode), ""}
}

// failed says why there is no answer. What a foreign host says is not repeated.
func (r *Resolver) failed(ctx context.Context, u *url.URL, err error, token state.Secret) error {
	var inURL *url.Error
	if errors.As(err, &inURL) { // it repeats the address of a redirect
		err = inURL.Err
	}
	switch {
	case r.o.Forbidden != nil && errors.Is(err, r.o.Forbidden):
		return &Unresolved{shown(u) + " may not be asked: " + line(err.Error(), maxText), "name a repository that is public, or list its address in network.allowPrivate"}
	case errors.Is(err, ErrMoved):
		return &Unresolved{shown(u) + " sends us to another host, or on and on, which is not followed", "name the repository where it is now"}
	case errors.Is(err, ErrNotGit):
		return &Unresolved{shown(u) + " does not answer as a Git repository", "look at its spelling"}
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrTooMany):
		return &Unresolved{fmt.Sprintf("%s lists more names than are read (%d branches and tags, %d MiB)", shown(u), MaxRefs, maxRefs>>20), "name a commit with all its digits, which needs no question"}
	}
	return &Unresolved{fmt.Sprintf("%s can't be asked: %v", shown(u), clean(ctx, err, []string{token.Reveal()})), ""}
}
