package simulated

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

// Webhooks is what becomes of webhooks.
type Webhooks int

// They arrive; they fail, which their list of deliveries shows; or they vanish, and nothing
// tells of them.
const (
	WebhooksArrive Webhooks = iota
	WebhooksFail
	WebhooksVanish
)

const (
	webhookTimeout = 10 * time.Second
	maxAnswer      = 64 << 10       // of a receiver that is kept
	maxPushed      = 2_048          // commits in a push event
	kept           = 72 * time.Hour // how long a delivery can be asked for again
)

// Delivery is one attempt to deliver an event.
type Delivery struct {
	ID            int64
	GUID          string // the same for each attempt of an event
	Event, Action string
	At            time.Time
	Redelivery    bool
	Code          int    // the receiver's; 0: it did not answer
	Status        string // OK, or what went wrong; "" before it was sent
	Payload       json.RawMessage

	hook     *hook
	header   http.Header
	response http.Header
	answer   string
	took     time.Duration
}

// SetWebhooks says what becomes of webhooks from now on.
func (f *Forge) SetWebhooks(w Webhooks) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.webhooks = w
}

// seedHook makes the hook that Options names.
func (f *Forge) seedHook() {
	if f.o.WebhookURL == "" {
		return
	}
	f.hooks = append(f.hooks, &hook{ID: f.id(), App: f.o.App != nil, Active: true, URL: f.o.WebhookURL, ContentType: "json",
		Events: []string{"push", "pull_request", "issue_comment"}, Created: f.w.Created, Updated: f.w.Created, Secret: f.o.WebhookSecret})
}

// tell sends an event to the hooks that want it. The lock is held.
func (f *Forge) tell(event, action string, payload object) error {
	for _, h := range f.hooks {
		wants := slices.Contains(h.Events, event) || slices.Contains(h.Events, "*") || event == "ping"
		if h.Active && wants && f.webhooks != WebhooksVanish {
			if err := f.tellOne(h, event, action, payload); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Forge) tellOne(h *hook, event, action string, payload object) error {
	if h.App && f.o.App != nil {
		payload["installation"] = object{"id": f.o.App.InstallationID, "node_id": node("MDIz", f.o.App.InstallationID)}
	} else {
		delete(payload, "installation")
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("make the webhook %s: %w", event, err)
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	f.deliver(&Delivery{GUID: fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), Event: event, Action: action, Payload: body, hook: h})
	return nil
}

func (f *Forge) deliver(d *Delivery) {
	d.ID, d.At = f.id(), f.now()
	f.deliveries = append(f.deliveries, d)
	if extra := len(f.deliveries) - maxDeliveries; extra > 0 {
		f.deliveries = slices.Delete(f.deliveries, 0, extra)
	}
	f.later(task{deliver: d})
}

// send sends a delivery, once.
func (f *Forge) send(ctx context.Context, d *Delivery) {
	f.mu.Lock()
	fail, at, secret := f.webhooks != WebhooksArrive, d.hook.URL, d.hook.Secret
	f.mu.Unlock()
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("Accept", "*/*")
	header.Set("User-Agent", "GitHub-Hookshot/"+d.GUID[:7])
	header.Set("X-GitHub-Delivery", d.GUID)
	header.Set("X-GitHub-Event", d.Event)
	header.Set("X-GitHub-Hook-ID", fmt.Sprint(d.hook.ID))
	if !secret.Empty() {
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write(d.Payload)
		header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	began := time.Now()
	code, status, response, answer := 0, "failed to connect to host", http.Header(nil), ""
	if !fail {
		code, status, response, answer = f.attempt(ctx, at, header, d.Payload)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d.header, d.Code, d.Status, d.response, d.answer, d.took = header, code, status, response, answer, time.Since(began)
	d.hook.LastCode, d.hook.LastStatus = code, status
}

func (f *Forge) attempt(ctx context.Context, at string, header http.Header, body []byte) (int, string, http.Header, string) {
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return 0, "failed to connect to host", nil, ""
	}
	r.Header = header
	res, err := f.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return 0, "timed out", nil, ""
		}
		return 0, "failed to connect to host", nil, ""
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // what came is what is shown
	status := "OK"
	if res.StatusCode/100 != 2 {
		status = "Invalid HTTP Response: " + fmt.Sprint(res.StatusCode)
	}
	return res.StatusCode, status, res.Header, string(answer)
}

// Deliveries are the attempts to deliver webhooks, the oldest first.
func (f *Forge) Deliveries() (out []Delivery) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.deliveries {
		out = append(out, *d)
	}
	return out
}

// common is what every event bears.
func (f *Forge) common(by string) object {
	return object{"repository": f.hookRepo(f.o.Owner), "sender": f.account(by)}
}

// hookRepo is the repository as webhooks have it.
func (f *Forge) hookRepo(owner string) object {
	repo := f.repository(owner)
	repo["custom_properties"] = object{}
	return repo
}

// hookPull is a pull request as webhooks have it.
func (f *Forge) hookPull(p *Pull) object {
	out := f.pullFull(p)
	for _, side := range []string{"head", "base"} {
		part := out[side].(object)
		owner := f.o.Owner
		if side == "head" && p.Fork != "" {
			owner = p.Fork
		}
		part["repo"] = f.hookRepo(owner)
	}
	return out
}

// tellPull sends a pull_request event.
func (f *Forge) tellPull(action string, p *Pull, by string, more object) error {
	payload := f.common(by)
	payload["action"], payload["number"], payload["pull_request"] = action, p.Number, f.hookPull(p)
	for k, v := range more {
		payload[k] = v
	}
	return f.tell("pull_request", action, payload)
}

// tellComment sends an issue_comment event.
func (f *Forge) tellComment(action string, c *Comment, by string, changes object) error {
	p, err := f.pull(c.Pull)
	if err != nil {
		return err
	}
	at, site := f.repoAPI("/issues/%d", p.Number), f.page("/pull/%d", p.Number)
	payload := f.common(by)
	payload["action"], payload["comment"] = action, f.issueComment(c)
	payload["issue"] = object{"url": at, "repository_url": f.repoAPI(""), "labels_url": at + "/labels{/name}", "comments_url": at + "/comments", "events_url": at + "/events",
		"html_url": site, "id": p.ID, "node_id": node("PR", p.ID), "number": p.Number, "title": p.Title, "user": f.account(p.Author), "labels": f.labels(p), "state": p.State,
		"locked": false, "assignee": nil, "assignees": []any{}, "milestone": nil, "comments": len(f.commentsOf(p.Number)), "created_at": stamp(p.Created), "updated_at": stamp(p.Updated),
		"closed_at": stampOr(p.Closed), "author_association": f.association(p.Author), "active_lock_reason": nil, "draft": p.Draft,
		"pull_request": object{"url": f.repoAPI("/pulls/%d", p.Number), "html_url": site, "diff_url": site + ".diff", "patch_url": site + ".patch", "merged_at": stampOr(p.MergedAt)},
		"body":         textOr(p.Body), "reactions": f.rollup(0, at), "timeline_url": at + "/timeline", "performed_via_github_app": nil, "state_reason": nil}
	if changes != nil {
		payload["changes"] = changes
	}
	return f.tell("issue_comment", action, payload)
}

// tellPush sends a push event.
func (f *Forge) tellPush(m move, by string) error {
	payload := f.common(by)
	zero := strings.Repeat("0", 40)
	or := func(s string) string {
		if s == "" {
			return zero
		}
		return s
	}
	commits := []any{}
	var last any
	forced := false
	if m.after != "" {
		err := f.git.View(f.o.Repo, func(r *gitserver.Repository) error {
			fresh, err := r.Between(m.before, m.after)
			if err != nil {
				return err
			}
			if m.before != "" {
				in, err := r.Reaches(m.after, m.before)
				if err != nil {
					return err
				}
				forced = !in
			} else if own, err := r.Default(); err == nil && own != m.branch { // a new branch brings what no other has
				if fresh, err = r.Between(f.w.Branches[f.o.Repo][own], m.after); err != nil {
					return err
				}
			}
			for _, c := range fresh[max(0, len(fresh)-maxPushed):] {
				o, err := f.pushedCommit(r, c)
				if err != nil {
					return err
				}
				commits = append(commits, o)
			}
			tip, err := r.Commit(m.after)
			if err != nil {
				return err
			}
			last, err = f.pushedCommit(r, tip)
			return err
		})
		if err != nil {
			return err
		}
	}
	for k, v := range (object{"ref": heads + m.branch, "before": or(m.before), "after": or(m.after), "created": m.before == "", "deleted": m.after == "", "forced": forced, "base_ref": nil,
		"compare": f.page("/compare/%s...%s", or(m.before), or(m.after)), "commits": commits, "head_commit": last, "pusher": object{"name": by, "email": by + noreply}}) {
		payload[k] = v
	}
	return f.tell("push", "", payload)
}

// pushedCommit is a commit in a push event.
func (f *Forge) pushedCommit(r *gitserver.Repository, c gitserver.Commit) (object, error) {
	before := ""
	if len(c.Parents) > 0 {
		p, err := r.Commit(c.Parents[0])
		if err != nil {
			return nil, err
		}
		before = p.Tree
	}
	changes, err := r.Changes(before, c.Tree)
	if err != nil {
		return nil, err
	}
	files := map[string][]string{"added": {}, "removed": {}, "modified": {}}
	for _, ch := range changes[:min(len(changes), maxDiffFiles)] {
		kind := fileDiff{Change: ch}.Status()
		files[kind] = append(files[kind], ch.Path)
	}
	who := func(p gitserver.Person) object {
		out := object{"name": p.Name, "email": p.Email}
		if login := f.loginOf(p); login != "" {
			out["username"] = login
		}
		return out
	}
	return object{"id": c.ID, "tree_id": c.Tree, "distinct": true, "message": strings.TrimSuffix(c.Message, "\n"), "timestamp": stamp(c.Committer.When), "url": f.page("/commit/%s", c.ID),
		"author": who(c.Author), "committer": who(c.Committer), "added": files["added"], "removed": files["removed"], "modified": files["modified"]}, nil
}
