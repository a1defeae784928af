package simulated

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gh "github.com/google/go-github/v60/github"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/compassdigital/reconciler/internal/github/githubtest"
)

// schemas are those of GitHub's webhooks, by event; nil where the description is not there.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	dir := githubtest.Specs(t)
	if dir == "" {
		return nil
	}
	file, err := os.Open(filepath.Join(dir, "webhooks.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("webhooks.json", doc); err != nil {
		t.Fatal(err)
	}
	c.AssertFormat()
	// It refuses GitHub's own …/events{/privacy} (specs/README.md).
	c.RegisterFormat(&jsonschema.Format{Name: "uri-template", Validate: func(any) error { return nil }})
	out := map[string]*jsonschema.Schema{}
	for event, name := range map[string]string{"push": "push$event", "ping": "ping$event", "pull_request": "pull_request_event", "issue_comment": "issue_comment_event"} {
		if out[event], err = c.Compile("webhooks.json#/definitions/" + name); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func fits(schema *jsonschema.Schema, body []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// same compares by what is said of both.
func same(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

func TestWebhooksAreSignedAndOfTheDescribedShape(t *testing.T) {
	for _, as := range []string{"repository", "app"} {
		t.Run(as, func(t *testing.T) {
			s := newScene(t, func(o *Options) {
				if as == "app" {
					theApp(o)
				}
			})
			n := s.proposed("plan", "starter") // opened, and a push of a new branch
			if _, err := s.Push("plan", map[string]*string{"clients/bakery.yaml": nil, "x": text("x")}, "Remove\n", "dana"); err != nil {
				t.Fatal(err)
			}
			first := s.branch("main")
			if _, err := s.ForcePush("plan", first, map[string]*string{"y": text("y")}, "Anew\n", "dana"); err != nil {
				t.Fatal(err)
			}
			id, err := s.Comment("erik", n, "/reconciler plan")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.EditComment(id, "never mind", "erik"); err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteComment(id, "erik"); err != nil {
				t.Fatal(err)
			}
			if err := s.Retitle(n, "Another title", "", "dana"); err != nil {
				t.Fatal(err)
			}
			for _, draft := range []bool{true, false} {
				if err := s.SetDraft(n, draft, "dana"); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.ClosePull(n, "dana"); err != nil {
				t.Fatal(err)
			}
			if err := s.Reopen(n, "dana"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Merge(n, Squash, "erik"); err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteBranch("plan", "erik"); err != nil {
				t.Fatal(err)
			}
			s.AddUser("robot", "admin")
			if _, _, err := s.client.Repositories.CreateHook(ctx, owner, repoN, &gh.Hook{Name: ptr("web"), Config: &gh.HookConfig{URL: ptr(s.url + "/hook?second"), ContentType: ptr("json")}, Events: []string{"push"}}); err != nil {
				t.Fatal(err)
			}
			s.judgeHooks(s.webhooks(), as == "app")
		})
	}
}

func (s *scene) judgeHooks(got []received, app bool) {
	s.t.Helper()
	all, judged := schemas(s.t), 0
	var names []string
	for _, h := range got {
		mac := hmac.New(sha256.New, []byte("hush"))
		mac.Write(h.Body)
		if h.Event != "ping" && h.Signature != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			s.t.Errorf("%s is signed %q", h.Event, h.Signature)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(h.Body))
		if err != nil {
			s.t.Fatal(err)
		}
		o := v.(map[string]any)
		name := h.Event
		if a, ok := o["action"].(string); ok {
			name += "." + a
		}
		names = append(names, name)
		if _, there := o["installation"]; there != app && h.Event != "ping" {
			s.t.Errorf("%s names an installation: %v", name, there)
		}
		if all == nil {
			continue
		}
		judged++
		if err := all[h.Event].Validate(v); err != nil {
			s.t.Errorf("%s does not fit: %v", name, err)
		}
	}
	want := "push pull_request.opened push pull_request.synchronize push pull_request.synchronize issue_comment.created issue_comment.edited issue_comment.deleted pull_request.edited pull_request.converted_to_draft pull_request.ready_for_review pull_request.closed pull_request.reopened pull_request.closed push push ping"
	if strings.Join(names, " ") != want {
		s.t.Errorf("webhooks:\n%s\nwant\n%s", strings.Join(names, " "), want)
	}
	s.t.Logf("%d webhooks held against their description", judged)
	if all != nil && judged == 0 {
		s.t.Error("none was held against the description")
	}
}

func TestAWebhookIsSentOnceAndCanBeAskedForAgain(t *testing.T) {
	s := newScene(t, nil)
	s.AddUser("robot", "admin")
	s.answer = http.StatusServiceUnavailable
	s.proposed("plan", "starter")
	if got := s.webhooks(); len(got) != 2 {
		t.Fatalf("%d webhooks, want 2", len(got))
	}
	s.SetWebhooks(WebhooksFail)
	if _, err := s.Push("plan", map[string]*string{"x": text("x")}, "x\n", "dana"); err != nil {
		t.Fatal(err)
	}
	s.Settle()
	s.SetWebhooks(WebhooksVanish)
	if _, err := s.Comment("dana", 1, "unheard"); err != nil {
		t.Fatal(err)
	}
	s.SetWebhooks(WebhooksArrive)
	s.answer = http.StatusAccepted
	hooks, _, err := s.client.Repositories.ListHooks(ctx, owner, repoN, nil)
	if err != nil || len(hooks) != 1 {
		t.Fatalf("%v %v", hooks, err)
	}
	id := hooks[0].GetID()
	list, res, err := s.client.Repositories.ListHookDeliveries(ctx, owner, repoN, id, &gh.ListCursorOptions{PerPage: 3})
	if err != nil || len(list) != 3 || res.Cursor == "" {
		t.Fatalf("%v %v %q", list, err, res.Cursor)
	}
	more, _, err := s.client.Repositories.ListHookDeliveries(ctx, owner, repoN, id, &gh.ListCursorOptions{PerPage: 3, Cursor: res.Cursor})
	if err != nil || len(more) != 1 {
		t.Fatalf("%v %v", more, err)
	}
	list = append(list, more...)
	if got := s.webhooks(); len(got) != 2 {
		t.Errorf("GitHub sent something again by itself: %d", len(got))
	}
	slices.Reverse(list)
	for _, d := range list {
		if d.GetStatusCode()/100 == 2 {
			t.Errorf("%v was delivered", d)
		}
		_, _, err := s.client.Repositories.RedeliverHookDelivery(ctx, owner, repoN, id, d.GetID())
		var accepted *gh.AcceptedError
		if err != nil && !asError(err, &accepted) {
			t.Error(err)
		}
	}
	got := s.webhooks()
	if len(got) != 6 || got[2].Delivery != got[0].Delivery || !bytes.Equal(got[2].Body, got[0].Body) {
		t.Errorf("%d webhooks after asking again", len(got))
	}
	one, _, err := s.client.Repositories.GetHookDelivery(ctx, owner, repoN, id, list[0].GetID())
	if err != nil || one.GetStatusCode() != 503 || !json.Valid(*one.Request.RawPayload) {
		t.Errorf("%v %v", one, err)
	}
}
