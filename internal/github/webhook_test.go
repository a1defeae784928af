package github

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

const (
	current = "current-0123456789abcdef0123456789abcdef"
	former  = "former-0123456789abcdef0123456789abcdef"
)

func hook(t testing.TB) *Hook {
	t.Helper()
	h, err := NewHook(state.NewSecret(current), state.NewSecret(former))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func sign(secret string, body []byte) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write(body)
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}

// delivery is a request as GitHub sends it.
func delivery(body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/github", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	r.Header.Set("X-Hub-Signature-256", sign(current, body))
	return r
}

// untouched is a body that must not be read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) { u.t.Error("the body was read"); return 0, io.EOF }

// Threat 7: a signature can't be got around: not by SHA-1, a form, two headers, another
// spelling or an empty secret. The vector is that of GitHub's documentation.
func TestThreat07Signatures(t *testing.T) {
	if got := sign("It's a Secret to Everybody", []byte("Hello, World!")); got != "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17" {
		t.Fatalf("the published vector is %s", got)
	}
	body := []byte(`{"ref":"refs/heads/main"}`)
	old := hmac.New(sha1.New, []byte(current))
	old.Write(body)
	sum := strings.TrimPrefix(sign(current, body), "sha256=")
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   error
	}{
		"as it is":          {func(*http.Request) {}, nil},
		"the former secret": {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign(former, body)) }, nil},
		"a charset":         {func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") }, nil},
		"another secret":    {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("x", body)) }, ErrSignature},
		"an empty secret":   {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("", body)) }, ErrSignature},
		"another body":      {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign(current, append(body, ' '))) }, ErrSignature},
		"none":              {func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, ErrSignature},
		"empty":             {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "") }, ErrSignature},
		"only sha1": {func(r *http.Request) {
			r.Header.Del("X-Hub-Signature-256")
			r.Header.Set("X-Hub-Signature", "sha1="+hex.EncodeToString(old.Sum(nil)))
		}, ErrSignature},
		"sha1 in its place": {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha1="+hex.EncodeToString(old.Sum(nil))) }, ErrSignature},
		"no algorithm":      {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sum) }, ErrSignature},
		"cut":               {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256="+sum[:62]) }, ErrSignature},
		"longer":            {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256="+sum+"00") }, ErrSignature},
		"with a blank":      {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256= "+sum[1:]) }, ErrSignature},
		"not hex":           {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("g", 64)) }, ErrSignature},
		"twice":             {func(r *http.Request) { r.Header.Add("X-Hub-Signature-256", sign(current, body)) }, ErrSignature},
		"a list": {func(r *http.Request) {
			r.Header.Set("X-Hub-Signature-256", sign(former, body)+", "+sign(current, body))
		}, ErrSignature},
		"a form":             {func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, ErrContent},
		"no type":            {func(r *http.Request) { r.Header.Del("Content-Type") }, ErrContent},
		"two types":          {func(r *http.Request) { r.Header.Add("Content-Type", "application/json") }, ErrContent},
		"compressed":         {func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, ErrContent},
		"GET":                {func(r *http.Request) { r.Method = http.MethodGet }, ErrMethod},
		"no event":           {func(r *http.Request) { r.Header.Del("X-GitHub-Event") }, ErrDelivery},
		"two events":         {func(r *http.Request) { r.Header.Add("X-GitHub-Event", "ping") }, ErrDelivery},
		"an event of a line": {func(r *http.Request) { r.Header["X-Github-Event"] = []string{"push\nx"} }, ErrDelivery},
		"a long id":          {func(r *http.Request) { r.Header.Set("X-GitHub-Delivery", strings.Repeat("a", 65)) }, ErrDelivery},
	} {
		r := delivery(body)
		c.change(r)
		got, err := hook(t).Read(httptest.NewRecorder(), r)
		if !errors.Is(err, c.want) || (err == nil) != (got.Event == "push" && bytes.Equal(got.Payload, body)) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	for _, secrets := range [][]string{nil, {""}, {current, ""}, {"short"}, {strings.Repeat(" ", 40)}, {current, former, current}} {
		var all []state.Secret
		for _, s := range secrets {
			all = append(all, state.NewSecret(s))
		}
		if h, err := NewHook(all...); !errors.Is(err, ErrSecret) || h != nil {
			t.Errorf("%d secrets: %v", len(secrets), err)
		}
	}
	for err, want := range map[error]int{ErrMethod: 405, ErrContent: 415, ErrTooLarge: 413, ErrSignature: 401, ErrDelivery: 400} {
		if got := Status(err); got != want {
			t.Errorf("%v answers %d", err, got)
		}
	}
}

// Threat 6: what is too large, or has no signature that could hold, is not read; no more
// than the limit of the rest is.
func TestThreat06Bodies(t *testing.T) {
	r := delivery(nil)
	r.ContentLength, r.Body = 60<<20, io.NopCloser(untouched{t})
	if _, err := hook(t).Read(httptest.NewRecorder(), r); !errors.Is(err, ErrTooLarge) {
		t.Errorf("60 MB: %v", err)
	}
	r = delivery(nil)
	r.Header.Set("X-Hub-Signature-256", "sha256=")
	r.ContentLength, r.Body = -1, io.NopCloser(untouched{t})
	if _, err := hook(t).Read(httptest.NewRecorder(), r); !errors.Is(err, ErrSignature) {
		t.Errorf("without a signature: %v", err)
	}
	endless := &counted{}
	r = delivery(nil)
	r.ContentLength, r.Body = -1, io.NopCloser(endless)
	if _, err := hook(t).Read(httptest.NewRecorder(), r); !errors.Is(err, ErrTooLarge) || endless.n > 2*MaxPayload {
		t.Errorf("an endless body: %v after %d bytes", err, endless.n)
	}
	most := []byte(`"` + strings.Repeat("x", MaxPayload-2) + `"`)
	if d, err := hook(t).Read(httptest.NewRecorder(), delivery(most)); err != nil || len(d.Payload) != MaxPayload {
		t.Errorf("the largest: %v", err)
	}
	deep := []byte(strings.Repeat("[", 1<<20))
	if _, err := hook(t).Read(httptest.NewRecorder(), delivery(deep)); !errors.Is(err, ErrDelivery) {
		t.Errorf("a deep one: %v", err)
	}
}

type counted struct{ n int }

func (c *counted) Read(p []byte) (int, error) { c.n += len(p); return len(p), nil }

// FuzzWebhook: a request is taken if and only if it is a POST of JSON below the limit with
// one signature, which one of the secrets makes; and an error repeats nothing of it.
func FuzzWebhook(f *testing.F) {
	f.Add("POST", "application/json", sign(current, []byte("{}")), "push", []byte("{}"))
	f.Add("POST", "application/json;charset=utf-8", sign(former, []byte("[1]")), "ping", []byte("[1]"))
	f.Add("PUT", "application/x-www-form-urlencoded", "sha1=", "", []byte("payload={}"))
	f.Fuzz(func(t *testing.T, method, kind, claimed, event string, body []byte) {
		h := hook(t)
		for _, sum := range []string{claimed, sign(current, body)} {
			r := delivery(body)
			r.Method = method
			r.Header["Content-Type"], r.Header["X-Hub-Signature-256"], r.Header["X-Github-Event"] = []string{kind}, []string{sum}, []string{event}
			d, err := h.Read(httptest.NewRecorder(), r)
			right := sum == sign(current, body) || sum == sign(former, body)
			lower := strings.EqualFold(sum[min(len(sum), 7):], sign(current, body)[7:]) || strings.EqualFold(sum[min(len(sum), 7):], sign(former, body)[7:])
			if err == nil && (!right && !lower || method != "POST" || !json.Valid(body) || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(kind)), "application/json") || !word(event, "_")) {
				t.Fatalf("taken: %s %q %q %q", method, kind, sum, event)
			}
			if err == nil && (!bytes.Equal(d.Payload, body) || d.Event != event) {
				t.Fatalf("read as %+v", d)
			}
			if err != nil && right && method == "POST" && kind == "application/json" && word(event, "_") && json.Valid(body) {
				t.Fatalf("not taken: %v", err)
			}
			if err != nil && !slices.Contains([]error{ErrMethod, ErrContent, ErrTooLarge, ErrSignature, ErrDelivery}, err) {
				t.Fatalf("answered with %v", err)
			}
		}
	})
}
