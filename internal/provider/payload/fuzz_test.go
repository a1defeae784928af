package payload

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// answers is a site that answers a path's last word with a body and status 200, or with what
// is before a bar.
type answers map[string]string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body, status := a[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]], http.StatusOK
	for text, code := range map[string]int{"400|": 400, "401|": 401, "403|": 403, "500|": 500} {
		if rest, ok := strings.CutPrefix(body, text); ok {
			body, status = rest, code
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// Laws of what is read: whatever a site answers, an object is the user who was asked for, with
// an id that is read again; an error is one of ours, bounded and clean, and stops no other
// site; absence is only said by a site that has no user or by a login that is refused.
func FuzzAnswers(f *testing.F) {
	wrong := `401|{"errors":[{"message":"The email or password provided is incorrect."}]}`
	f.Add(`{"initialized":false}`, `{"user":{"id":7,"email":"dana@demoshop.example"}}`, wrong)
	f.Add(`{"initialized":true}`, `403|{}`, `{"user":{"id":"665f1c2e9b1d8a0012345678"}}`)
	f.Add(`{"initialized":false}`, `400|{"errors":[{"data":{"errors":[{"path":"email"}]}}]}`, wrong)
	f.Add(`{"initialized":null}`, `{"user":{"id":{}}}`, `500|`)
	f.Add(`[true]`, `{"user":{"id":1e400,"email":7}}`, `401|{"errors":[]}`)
	f.Add(`{"initialized":true}`, ``, `{"user":{"id":"a/b\u0000"}}`)
	f.Fuzz(func(t *testing.T, initial, registered, entered string) {
		at := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
		p, err := New(Options{HTTP: &http.Client{Transport: answers{"init": initial, "first-register": registered, "login": entered}}, Now: func() time.Time { return at }})
		if err != nil {
			t.Fatal(err)
		}
		secret := state.NewSecret(testPassword)
		wish := provider.Wish{Ref: state.Ref{Client: "c", Kind: state.KindAdmin, Name: "main"}, Name: "c-0badcafe",
			Inputs: []provider.Input{input("email", testEmail), {Name: "password", Secret: &secret}, input("site", "s/1"), input("url", "https://shop.example")}}
		made, createErr := p.Create(context.Background(), wish)
		found, lookErr := p.Observe(context.Background(), provider.Query{Kind: state.KindAdmin, Name: wish.Name, Wish: &wish})
		for _, err := range []error{createErr, lookErr} {
			lawfulError(t, err)
		}
		if lookErr != nil && len(found) > 0 || len(found) > 1 {
			t.Fatalf("%v beside %v", found, lookErr)
		}
		if createErr == nil {
			found = append(found, made)
		}
		for _, o := range found {
			id, ok := parseID(o.ID)
			if !ok || id.name != wish.Name || id.site != "s/1" || id.email != testEmail || o.Name != wish.Name || !o.Mark.IsZero() || strings.Contains(o.ID, testPassword) {
				t.Fatalf("an object: %+v", o)
			}
		}
	})
}

func lawfulError(t *testing.T, err error) {
	var pe *provider.Error
	if err == nil {
		return
	}
	if !errors.As(err, &pe) || pe.Message == "" || len(pe.Message) > 4*400 || strings.ContainsAny(pe.Message, "\n\x00\u202e") || strings.Contains(err.Error(), testPassword) {
		t.Fatalf("an error that is none of ours: %q", err)
	}
	if pe.Kind == provider.Denied || pe.Kind == provider.RateLimited {
		t.Fatalf("one site stops all: %v", err)
	}
}

// What parses as an id is written as the same id, and is asked for nowhere else than in a
// plain path.
func FuzzID(f *testing.F) {
	f.Add("c-0badcafe/site-1/api/users/7/dana@demoshop.example")
	f.Add("c/a%2Fb/cms%2Fapi/users/665f1c2e9b1d8a0012345678/Dana@shop.example")
	f.Add("c/s/..%2F..%2Fetc/users/7/dana@demoshop.example")
	f.Add("//////")
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := parseID(text)
		if !ok {
			return
		}
		if id.text() != text || id.object().ID != text {
			t.Fatalf("%q becomes %q", text, id.text())
		}
		if strings.Contains(id.api+"/", "/../") || strings.ContainsAny(id.api+id.collection, "%?# ") || !strings.HasPrefix(id.api, "/") {
			t.Fatalf("%q asks at %q", text, id.api+"/"+id.collection)
		}
	})
}
