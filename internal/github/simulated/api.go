package simulated

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
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
		for i := range all {
			if all[i].match(r, path) {
				f.serve(w, r, &all[i])
				return
			}
		}
		say(w, fail(http.StatusNotFound, "Not Found"))
	})
}

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

// wait holds a call up; false when whoever asks has gone.
func (x Fault) wait(r *http.Request) bool {
	if x.Delay > 0 {
		t := time.NewTimer(x.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return false
		}
	}
	if x.Hold != nil {
		select {
		case <-x.Hold:
		case <-r.Context().Done():
			return false
		}
	}
	return true
}

// reply is a whole answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// answer does what a call asks for, unless a fault forbids it.
func (f *Forge) answer(rt *route, r *http.Request, body []byte, x Fault) reply {
	f.mu.Lock()
	c := &call{f: f, r: r, route: rt, body: body, header: http.Header{}}
	var out reply
	switch {
	case x.Cut:
	case x.Down:
		out = reply{http.StatusServiceUnavailable, http.Header{"Content-Type": {"text/html; charset=utf-8"}},
			[]byte("<!DOCTYPE html>\n<html><body><h1>Unicorn!</h1><p>This page is taking too long to load.</p></body></html>\n")}
	case x.Status > 0:
		out = c.reply(nil, fail(x.Status, http.StatusText(x.Status)))
	default:
		v, err := f.run(c, x)
		out = c.reply(v, err)
	}
	if rt.write {
		login := ""
		if c.grant != nil {
			login = c.grant.login
		}
		status := out.status
		if x.Cut || x.Lost {
			status = 0
		}
		if len(f.writes) < maxWrites {
			f.writes = append(f.writes, Write{rt.kind, login, f.o.Now(), status})
		}
	}
	f.mu.Unlock()
	if c.announce != nil {
		c.announce()
	}
	return out
}

// run checks who asks, the limits and the permission, and lets the route answer.
func (f *Forge) run(c *call, x Fault) (any, error) {
	if f.broken != nil {
		return nil, fail(http.StatusInternalServerError, "Server Error")
	}
	var p *problem
	if c.grant, p = f.who(c.r); p != nil {
		return nil, p
	}
	switch {
	case x.Primary:
		f.usageOf(c.login()).used = f.limits.Hour
		p = f.limited(c.route, c.login())
	case x.Secondary > 0:
		p = f.secondary(x.Secondary)
	case c.route.kind != "rate":
		p = f.limited(c.route, c.login())
	}
	if p == nil {
		p = f.allowed(c)
	}
	if p != nil {
		return nil, p
	}
	v, err := c.route.do(c)
	if err == nil && c.route.write {
		err = f.save()
	}
	return v, err
}

// allowed says whether whoever asks may see and do it.
func (f *Forge) allowed(c *call) *problem {
	rt, g := c.route, c.grant
	hidden := fail(http.StatusNotFound, "Not Found")
	if owner := c.r.PathValue("owner"); owner != "" && (!strings.EqualFold(owner, f.o.Owner) || !strings.EqualFold(c.r.PathValue("repo"), f.o.Repo)) {
		return hidden
	}
	if rt.need == "jwt" {
		if !g.jwt {
			return fail(http.StatusUnauthorized, "A JSON web token could not be decoded")
		}
		return nil
	}
	if g.jwt && rt.kind != "installation.of" && rt.kind != "user.get" {
		return fail(http.StatusForbidden, "Resource not accessible by integration")
	}
	if !g.app && !g.jwt && strings.Contains(rt.pattern, "{repo}") {
		u := f.user(g.login)
		if u.Permission == "none" || rt.write && !rt.anybody && u.Permission == "read" || strings.HasPrefix(rt.kind, "hook.") && u.Permission != "admin" {
			return hidden
		}
	}
	if g.jwt || g.may(rt.need) {
		return nil
	}
	p := fail(http.StatusForbidden, "Resource not accessible by personal access token")
	if g.app {
		p.message = "Resource not accessible by integration"
	}
	p.header = http.Header{"X-Accepted-Github-Permissions": {strings.NewReplacer(":", "=", " ", "; ").Replace(rt.need)}}
	return p
}

// reply turns an answer into bytes, with what every answer bears.
func (c *call) reply(v any, err error) reply {
	h := c.header
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	h.Set("X-GitHub-Request-Id", fmt.Sprintf("%X:%X", c.f.w.NextID, len(c.f.writes)))
	if c.grant != nil {
		c.f.rateHeaders(h, c.grant.login)
		if c.grant.classic {
			h.Set("X-OAuth-Scopes", "repo")
		}
	}
	status := c.route.status
	var p *problem
	switch {
	case err == nil:
	case errors.As(err, &p):
		for k, vs := range p.header {
			h[k] = vs
		}
		status, v = p.status, p.body()
	case notFound(err):
		p = fail(http.StatusNotFound, "Not Found")
		status, v = p.status, p.body()
	default:
		status, v = http.StatusInternalServerError, object{"message": "Server Error", "documentation_url": docs}
	}
	if a, ok := v.(answered); ok {
		status, v = a.status, a.body
	}
	if _, none := v.(empty); none {
		h.Del("Content-Type")
		return reply{status, h, nil}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return reply{http.StatusInternalServerError, h, []byte(`{"message":"Server Error"}`)}
	}
	if c.r.Method == http.MethodGet && status == http.StatusOK {
		sum := sha256.Sum256(append([]byte(h.Get("Link")), b.Bytes()...))
		tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
		h.Set("ETag", tag)
		h.Set("Cache-Control", "private, max-age=60, s-maxage=60")
		if c.r.Header.Get("If-None-Match") == tag {
			if u := c.f.usageOf(c.grant.login); u.used > 0 { // GitHub doesn't count it
				u.used--
			}
			c.f.rateHeaders(h, c.grant.login)
			h.Del("Content-Type")
			return reply{http.StatusNotModified, h, nil}
		}
	}
	return reply{status, h, b.Bytes()}
}

func (p *problem) body() object {
	out := object{"message": p.message, "documentation_url": p.doc, "status": strconv.Itoa(p.status)}
	if len(p.errors) > 0 {
		out["errors"] = p.errors
	}
	return out
}

// say answers outside of a call.
func say(w http.ResponseWriter, p *problem) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(p.body()) // whoever asked has gone
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
