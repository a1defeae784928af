package simulated

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

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
	if f.broken != nil || f.closed {
		return nil, fail(http.StatusInternalServerError, "Server Error")
	}
	var p *problem
	if c.grant, p = f.who(c.r); p != nil {
		return nil, p
	}
	switch {
	case x.Primary:
		p = f.primary(c.login())
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
	if owner := c.r.PathValue("owner"); owner != "" && (!strings.EqualFold(owner, f.o.Owner) || !strings.EqualFold(c.r.PathValue("repo"), f.name())) {
		if f.called != "" && strings.EqualFold(owner, f.o.Owner) && strings.EqualFold(c.r.PathValue("repo"), f.o.Repo) {
			return c.moved()
		}
		return hidden
	}
	if g.app && f.suspended {
		return fail(http.StatusForbidden, "This installation has been suspended")
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
		level := f.user(g.login).level()
		if level == "none" || rt.write && !rt.anybody && level == "read" || strings.HasPrefix(rt.kind, "hook.") && level != "admin" {
			return hidden
		}
	}
	if f.archived && rt.write && strings.Contains(rt.pattern, "{repo}") && !g.jwt {
		return fail(http.StatusForbidden, "Repository was archived so is read-only.")
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

// moved leads who asks by the repository's former name to its number, as GitHub does.
func (c *call) moved() *problem {
	p := fail(http.StatusMovedPermanently, "Moved Permanently")
	if c.r.Method != http.MethodGet {
		p = fail(http.StatusTemporaryRedirect, "Temporary Redirect")
	}
	before, rest, _ := strings.Cut(c.r.RequestURI, "/repos/")
	if parts := strings.SplitN(rest, "/", 3); len(parts) == 3 {
		rest = "/" + parts[2]
	} else {
		rest = ""
	}
	p.header = http.Header{"Location": {fmt.Sprintf("http://%s%s%s%d%s", c.r.Host, before, byID, int64(repoID), rest)}}
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
	case errors.Is(err, gitserver.ErrName):
		p = fail(http.StatusUnprocessableEntity, "The name is not well formed.")
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
