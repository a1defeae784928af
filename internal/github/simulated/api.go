package simulated

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const docs = "https://docs.github.com"

// problem is an answer that says no. It is never stored.
type problem struct {
	status  int
	message string
	doc     string
	errors  []object
	header  http.Header
}

func (p *problem) Error() string { return fmt.Sprintf("%d %s", p.status, p.message) }

func fail(status int, message string) *problem {
	return &problem{status: status, message: message, doc: docs + "/rest"}
}

// invalid is a 422 about one field of a resource.
func invalid(resource, field, code, message string) *problem {
	p := fail(http.StatusUnprocessableEntity, "Validation Failed")
	e := object{"resource": resource, "field": field, "code": code}
	if message != "" {
		e["message"] = message
	}
	p.errors = []object{e}
	return p
}

// call is one request while it is answered, with the lock held.
type call struct {
	f      *Forge
	r      *http.Request
	grant  *grant
	route  *route
	body   []byte
	header http.Header
	// announce is called when the lock is released; it may be nil.
	announce func()
}

func (c *call) login() string { return c.grant.login }

// number is a number in the path; 0 of what is none, which names nothing.
func (c *call) number(name string) int64 {
	n, err := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

// decode reads the body.
func (c *call) decode(into any) error {
	if len(c.body) == 0 {
		return nil
	}
	var syntax *json.SyntaxError
	err := json.Unmarshal(c.body, into)
	if errors.As(err, &syntax) {
		return fail(http.StatusBadRequest, "Problems parsing JSON")
	}
	if err != nil {
		return fail(http.StatusUnprocessableEntity, "Invalid request.\n\nFor a property the type is wrong.")
	}
	return nil
}

// empty is an answer without a body.
type empty struct{}

// handler answers a call: what to say, with the route's status, or a problem.
type handler func(*call) (any, error)

// answered is an answer with a status of its own.
type answered struct {
	status int
	body   any
}

// API answers GitHub's REST API, at the root or below /api/v3, under any prefix that was
// stripped.
func (f *Forge) API() http.Handler {
	all := routes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.UserAgent() == "" {
			http.Error(w, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.", http.StatusForbidden)
			return
		}
		path := r.URL.EscapedPath()
		if rest, ok := strings.CutPrefix(path, "/api/v3/"); ok {
			path = "/" + rest
		}
		path = f.named(path)
		for i := range all {
			if all[i].match(r, path) {
				f.serve(w, r, &all[i])
				return
			}
		}
		say(w, fail(http.StatusNotFound, "Not Found"))
	})
}

// repoID is the repository's number, and byID where it is found by that.
const (
	repoID = firstID - 2
	byID   = "/repositories/"
)

// named is a path in which the repository is called by its name, not by its number.
func (f *Forge) named(path string) string {
	rest, is := strings.CutPrefix(path, fmt.Sprintf("%s%d", byID, int64(repoID)))
	if !is || rest != "" && rest[0] != '/' {
		return path
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return "/repos/" + f.o.Owner + "/" + f.name() + rest
}

// name is what the repository is called now.
func (f *Forge) name() string { return cmp.Or(f.called, f.o.Repo) }

// match says that a route is the request's, and sets the values of its path. ServeMux
// can't hold GitHub's: pulls/{number}/files and pulls/comments/{id} contradict there.
func (rt *route) match(r *http.Request, path string) bool {
	method, pattern, _ := strings.Cut(rt.pattern, " ")
	if method != r.Method && !(method == http.MethodGet && r.Method == http.MethodHead) {
		return false
	}
	want, have := strings.Split(pattern, "/"), strings.Split(strings.TrimSuffix(path, "/"), "/")
	values := map[string]string{}
	for i, w := range want {
		name, isValue := strings.CutPrefix(w, "{")
		name = strings.TrimSuffix(name, "}")
		if rest, all := strings.CutSuffix(name, "..."); all && isValue {
			tail, err := url.PathUnescape(strings.Join(have[min(i, len(have)):], "/"))
			if err != nil || len(have) < i {
				return false
			}
			values[rest] = tail
			have = want
			break
		}
		if i >= len(have) || !isValue && have[i] != w {
			return false
		}
		if isValue {
			v, err := url.PathUnescape(have[i])
			if err != nil || v == "" || strings.Contains(numbers, " "+name+" ") && strings.Trim(v, "0123456789") != "" {
				return false
			}
			values[name] = v
		}
	}
	if len(have) != len(want) {
		return false
	}
	for name, v := range values {
		r.SetPathValue(name, v)
	}
	return true
}

// numbers are the values of paths that are numbers.
const numbers = " number id reaction status hook "

func (f *Forge) serve(w http.ResponseWriter, r *http.Request, rt *route) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		say(w, fail(http.StatusRequestEntityTooLarge, "Payload too large"))
		return
	}
	f.mu.Lock()
	x := f.faultOf(rt)
	f.mu.Unlock()
	if !x.wait(r) {
		panic(http.ErrAbortHandler)
	}
	out := f.answer(rt, r, body, x)
	if x.Cut || x.Lost || x.Truncated && len(out.body) == 0 {
		panic(http.ErrAbortHandler) // nothing more is said: the connection is cut
	}
	for k, v := range out.header {
		w.Header()[k] = v
	}
	if x.Truncated {
		w.Header().Set("Content-Length", strconv.Itoa(len(out.body)))
		out.body = out.body[:len(out.body)/2]
	}
	w.WriteHeader(out.status)
	_, _ = w.Write(out.body) // whoever asked has gone
}

// Pages of a list.
const (
	perPage    = 30
	maxPerPage = 100
)

// pageOf is the part of a list that the query asks for, and sets Link.
func pageOf[T any](c *call, all []T) []T {
	size, err := strconv.Atoi(c.query("per_page"))
	if err != nil || size < 1 {
		size = perPage
	}
	size = min(size, maxPerPage)
	n, err := strconv.Atoi(c.query("page"))
	if err != nil || n < 1 {
		n = 1
	}
	last := max(1, (len(all)+size-1)/size)
	var links []string
	link := func(page int, rel string) {
		links = append(links, fmt.Sprintf(`<%s>; rel="%s"`, c.at(url.Values{"page": {strconv.Itoa(page)}}), rel))
	}
	if n > 1 {
		link(min(n-1, last), "prev")
	}
	if n < last {
		link(n+1, "next")
		link(last, "last")
	}
	if n > 1 {
		link(1, "first")
	}
	if len(links) > 0 {
		c.header.Set("Link", strings.Join(links, ", "))
	}
	from := min((n-1)*size, len(all))
	return all[from:min(from+size, len(all))]
}

// at is the address that was asked for, with other values in its query.
func (c *call) at(change url.Values) string {
	u, err := url.ParseRequestURI(c.r.RequestURI)
	if err != nil {
		u = c.r.URL
	}
	q := u.Query()
	for k, v := range change {
		q[k] = v
	}
	scheme := "http"
	if c.r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.r.Host + u.Path + "?" + q.Encode()
}

// each renders a list.
func each[T any](all []T, render func(T) object) []any {
	out := []any{}
	for _, x := range all {
		out = append(out, render(x))
	}
	return out
}
