package simulated

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

func getRate(c *call) (any, error) {
	rate := c.f.rate(c.login())
	return object{"resources": object{"core": rate, "search": rate}, "rate": rate}, nil
}

func getMeta(*call) (any, error) {
	return object{"verifiable_password_authentication": false, "hooks": []string{"127.0.0.0/8"}, "api": []string{"127.0.0.0/8"}, "git": []string{"127.0.0.0/8"}}, nil
}

// profile is an account by itself.
func (f *Forge) profile(login string) object {
	out := f.account(login)
	made := stamp(f.w.Created)
	for k, v := range (object{"name": nil, "company": nil, "blog": "", "location": nil, "email": nil, "hireable": nil, "bio": nil, "public_repos": 0, "public_gists": 0,
		"followers": 0, "following": 0, "created_at": made, "updated_at": made}) {
		out[k] = v
	}
	return out
}

func getMe(c *call) (any, error) {
	if c.grant.app || c.grant.jwt {
		return nil, fail(http.StatusForbidden, "Resource not accessible by integration")
	}
	out := c.f.profile(c.login())
	out["user_view_type"] = "public"
	return out, nil
}

func getUser(c *call) (any, error) {
	u := c.f.known(c.r.PathValue("login"))
	if u == nil {
		return nil, ErrNotFound
	}
	return c.f.profile(u.Login), nil
}

func getRepo(c *call) (any, error) {
	out := c.f.repository(c.f.o.Owner)
	out["subscribers_count"], out["network_count"] = 0, 0
	if !c.grant.app {
		out["permissions"] = c.f.user(c.login()).may()
	}
	return out, nil
}

// may is what somebody may do, one by one.
func (u *User) may() object {
	is := func(roles ...string) bool { return slices.Contains(roles, u.Permission) }
	return object{"admin": is("admin"), "maintain": is("admin", "maintain"), "push": is("admin", "maintain", "write"),
		"triage": is("admin", "maintain", "write", "triage"), "pull": u.Permission != "none"}
}

func getPermission(c *call) (any, error) {
	u := c.f.known(c.r.PathValue("login"))
	if u == nil {
		return nil, fail(http.StatusNotFound, c.r.PathValue("login")+" is not a user")
	}
	who := c.f.account(u.Login)
	who["role_name"] = u.Permission
	who["permissions"] = u.may()
	return object{"permission": u.level(), "role_name": u.Permission, "user": who}, nil
}

func getCollaborator(c *call) (any, error) {
	u := c.f.known(c.r.PathValue("login"))
	if u == nil || u.Permission == "none" {
		return nil, ErrNotFound
	}
	return answered{http.StatusNoContent, empty{}}, nil
}

// integration is the App as it stands in other answers; null without one.
func (f *Forge) integration() any {
	a := f.o.App
	if a == nil {
		return nil
	}
	made := stamp(f.w.Created)
	return object{"id": a.ID, "slug": a.Slug, "node_id": node("A", a.ID), "owner": f.account(f.o.Owner), "name": a.Slug, "description": nil, "external_url": f.o.BaseURL,
		"html_url": f.o.BaseURL + "/apps/" + a.Slug, "created_at": made, "updated_at": made, "permissions": a.permissions(), "events": []string{"push", "pull_request", "issue_comment"}}
}

func (a *App) permissions() map[string]string {
	out := map[string]string{"metadata": "read"}
	for k, v := range a.Permissions {
		out[k] = v
	}
	return out
}

func getApp(c *call) (any, error) {
	out := c.f.integration().(object)
	out["installations_count"] = 1
	return out, nil
}

func (f *Forge) installation() object {
	a, made := f.o.App, stamp(f.w.Created)
	id := strconv.FormatInt(a.InstallationID, 10)
	out := object{"id": a.InstallationID, "account": f.account(f.o.Owner), "repository_selection": "selected", "access_tokens_url": f.api("/app/installations/%s/access_tokens", id),
		"repositories_url": f.api("/installation/repositories"), "html_url": f.o.BaseURL + "/settings/installations/" + id, "app_id": a.ID, "app_slug": a.Slug,
		"target_id": f.user(f.o.Owner).ID, "target_type": "User", "permissions": a.permissions(), "events": []string{"push", "pull_request", "issue_comment"},
		"created_at": made, "updated_at": made, "single_file_name": nil, "suspended_by": nil, "suspended_at": nil}
	if f.suspended {
		out["suspended_by"], out["suspended_at"] = f.account(f.o.Owner), made
	}
	return out
}

func listInstallations(c *call) (any, error) { return []any{c.f.installation()}, nil }

func getInstallation(c *call) (any, error) {
	if id := c.r.PathValue("id"); id != "" && c.number("id") != c.f.o.App.InstallationID {
		return nil, ErrNotFound
	}
	return c.f.installation(), nil
}

func createToken(c *call) (any, error) {
	if c.number("id") != c.f.o.App.InstallationID {
		return nil, ErrNotFound
	}
	if c.f.suspended {
		return nil, fail(http.StatusForbidden, "This installation has been suspended")
	}
	var in struct {
		Permissions  map[string]string
		Repositories []string
		IDs          []int64 `json:"repository_ids"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	have := c.f.o.App.permissions()
	if len(in.Permissions) > 0 {
		narrow := map[string]string{"metadata": "read"}
		for name, level := range in.Permissions {
			if have[name] != level && !(have[name] == "write" && level == "read") {
				return nil, fail(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			}
			narrow[name] = level
		}
		have = narrow
	}
	if slices.ContainsFunc(in.Repositories, func(name string) bool { return name != c.f.name() }) || slices.ContainsFunc(in.IDs, func(id int64) bool { return id != repoID }) {
		return nil, fail(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
	}
	g, text := c.f.mint(have)
	return object{"token": text, "expires_at": stamp(g.expires), "permissions": have, "repository_selection": "selected"}, nil
}

func listRepositories(c *call) (any, error) {
	if !c.grant.app {
		return nil, fail(http.StatusForbidden, "You must authenticate with an installation access token in order to list repositories for an installation.")
	}
	return object{"total_count": 1, "repository_selection": "selected", "repositories": []any{c.f.repository(c.f.o.Owner)}}, nil
}

func revokeToken(c *call) (any, error) {
	if !c.grant.app {
		return nil, fail(http.StatusForbidden, "Resource not accessible by personal access token")
	}
	c.f.grants = slices.DeleteFunc(c.f.grants, func(g *grant) bool { return g == c.grant })
	return empty{}, nil
}

// hookFor is the hook that the path names: one of the repository, or the App's.
func (c *call) hookFor() (*hook, error) {
	id := c.r.PathValue("hook")
	for _, h := range c.f.hooks {
		if id == "" && h.App || id != "" && !h.App && h.ID == c.number("hook") {
			return h, nil
		}
	}
	return nil, ErrNotFound
}

func getAppHook(c *call) (any, error) {
	h, err := c.hookFor()
	if err != nil {
		return nil, err
	}
	return h.config(), nil
}

func (h *hook) config() object {
	out := object{"url": h.URL, "content_type": h.ContentType, "insecure_ssl": "0"}
	if !h.Secret.Empty() {
		out["secret"] = "********"
	}
	return out
}

func (f *Forge) hook(h *hook) object {
	at := f.repoAPI("/hooks/%d", h.ID)
	var code, status any = nil, "unused"
	if h.LastStatus != "" {
		code, status = h.LastCode, h.LastStatus
	}
	return object{"type": "Repository", "id": h.ID, "name": "web", "active": h.Active, "events": h.Events, "config": h.config(), "updated_at": stamp(h.Updated), "created_at": stamp(h.Created),
		"url": at, "test_url": at + "/test", "ping_url": at + "/pings", "deliveries_url": at + "/deliveries", "last_response": object{"code": code, "status": status, "message": nil}}
}

func listHooks(c *call) (any, error) {
	var out []*hook
	for _, h := range c.f.hooks {
		if !h.App {
			out = append(out, h)
		}
	}
	return each(pageOf(c, out), c.f.hook), nil
}

func getHook(c *call) (any, error) {
	h, err := c.hookFor()
	if err != nil {
		return nil, err
	}
	return c.f.hook(h), nil
}

func createHook(c *call) (any, error) {
	in := struct {
		Active bool
		Events []string
		Config struct {
			URL         string
			ContentType string `json:"content_type"`
			Secret      string
		}
	}{Active: true, Events: []string{"push"}}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	f := c.f
	if u, err := url.Parse(in.Config.URL); err != nil || u.Host == "" {
		return nil, invalid("Hook", "url", "custom", "Config must contain URL for webhooks")
	}
	if in.Config.ContentType == "" {
		in.Config.ContentType = "form"
	}
	if slices.ContainsFunc(f.hooks, func(h *hook) bool { return !h.App && h.URL == in.Config.URL }) {
		p := invalid("Hook", "", "custom", "Hook already exists on this repository")
		delete(p.errors[0], "field")
		return nil, p
	}
	h := &hook{ID: f.id(), Active: in.Active, URL: in.Config.URL, ContentType: in.Config.ContentType, Events: in.Events, Created: f.now(), Updated: f.now(), Secret: state.NewSecret(in.Config.Secret)}
	f.hooks = append(f.hooks, h)
	return f.hook(h), f.ping(h, c.login())
}

func (f *Forge) ping(h *hook, by string) error {
	made := f.hook(h)
	delete(made, "last_response")
	payload := object{"zen": "Keep it logically awesome.", "hook_id": h.ID, "hook": made, "repository": f.hookRepo(f.o.Owner), "sender": f.account(by)}
	return f.tellOne(h, "ping", "", payload)
}

func deleteHook(c *call) (any, error) {
	h, err := c.hookFor()
	if err != nil {
		return nil, err
	}
	c.f.hooks = slices.DeleteFunc(c.f.hooks, func(x *hook) bool { return x == h })
	return empty{}, nil
}

func pingHook(c *call) (any, error) {
	h, err := c.hookFor()
	if err != nil {
		return nil, err
	}
	return empty{}, c.f.ping(h, c.login())
}

// deliveriesOf are a hook's that were sent and that GitHub still has, the newest first.
func (c *call) deliveriesOf(h *hook) (out []*Delivery) {
	for i := len(c.f.deliveries) - 1; i >= 0; i-- {
		if d := c.f.deliveries[i]; d.hook == h && d.Status != "" && c.f.o.Now().Sub(d.At) < kept {
			out = append(out, d)
		}
	}
	return out
}

func (d *Delivery) item(f *Forge) object {
	out := object{"id": d.ID, "guid": d.GUID, "delivered_at": stamp(d.At), "redelivery": d.Redelivery, "duration": d.took.Seconds(), "status": d.Status, "status_code": d.Code,
		"event": d.Event, "action": textOr(d.Action), "installation_id": nil, "repository_id": int64(firstID - 2), "throttled_at": nil}
	if d.hook.App {
		out["installation_id"] = f.o.App.InstallationID
	}
	return out
}

// listDeliveries pages by cursor: the id of the first that is wished.
func listDeliveries(c *call) (any, error) {
	h, err := c.hookFor()
	if err != nil {
		return nil, err
	}
	all := c.deliveriesOf(h)
	if cursor, err := strconv.ParseInt(c.query("cursor"), 10, 64); err == nil {
		all = slices.DeleteFunc(all, func(d *Delivery) bool { return d.ID > cursor })
	}
	if want := c.query("status"); want == "success" || want == "failure" {
		all = slices.DeleteFunc(all, func(d *Delivery) bool { return (d.Status == "OK") != (want == "success") })
	}
	size, err := strconv.Atoi(c.query("per_page"))
	if err != nil || size < 1 {
		size = perPage
	}
	if size = min(size, maxPerPage); len(all) > size {
		c.header.Set("Link", `<`+c.at(url.Values{"cursor": {strconv.FormatInt(all[size].ID, 10)}})+`>; rel="next"`)
		all = all[:size]
	}
	return each(all, func(d *Delivery) object { return d.item(c.f) }), nil
}

func (c *call) delivery() (*Delivery, error) {
	h, err := c.hookFor()
	if err != nil {
		return nil, err
	}
	for _, d := range c.deliveriesOf(h) {
		if d.ID == c.number("id") {
			return d, nil
		}
	}
	return nil, ErrNotFound
}

func getDelivery(c *call) (any, error) {
	d, err := c.delivery()
	if err != nil {
		return nil, err
	}
	flat := func(h http.Header) object {
		out := object{}
		for k, v := range h {
			out[k] = strings.Join(v, ", ")
		}
		return out
	}
	out := d.item(c.f)
	out["url"] = d.hook.URL
	out["request"] = object{"headers": flat(d.header), "payload": d.Payload}
	out["response"] = object{"headers": flat(d.response), "payload": d.answer}
	return out, nil
}

func retryDelivery(c *call) (any, error) {
	d, err := c.delivery()
	if err != nil {
		return nil, err
	}
	c.f.deliver(&Delivery{GUID: d.GUID, Event: d.Event, Action: d.Action, Payload: d.Payload, Redelivery: true, hook: d.hook})
	return object{}, nil
}
