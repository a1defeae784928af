package railway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// answers is a Railway that answers operations with given bodies.
type answers map[string]string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	var asked struct{ OperationName string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return nil, err
	}
	body := a[asked.OperationName]
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func answered(t testing.TB, a answers) *Provider {
	at := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	p, err := New(Options{Token: state.NewSecret(testToken), HTTP: httpapi.NewHTTP(a, time.Minute), Now: func() time.Time { return at },
		Sleep: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const fuzzID = "11111111-2222-4333-a444-555555555555"

const (
	goodToken = `{"data":{"apiToken":{"workspaces":[{"id":"w","name":"W"}]}}}`
	goodList  = `{"data":{"projects":{"edges":[{"node":{"id":"` + fuzzID + `","name":"n","description":"reconciler:0badcafe/c00001/1","deletedAt":null}}],"pageInfo":{"hasNextPage":false,"endCursor":null}}}}`
	goodLook  = `{"data":{"apiToken":{"workspaces":[{"id":"w"}]},"projectsByIds":[{"id":"` + fuzzID + `","name":"n","description":"reconciler:0badcafe/c00001/1","createdAt":"2026-11-26T08:00:00Z","deletedAt":null,"primaryEnvironmentId":"e",` +
		`"services":{"edges":[{"node":{"id":"s","name":"postgres","deletedAt":null}}],"pageInfo":{"hasNextPage":false}},"environments":{"edges":[{"node":{"id":"e",` +
		`"serviceInstances":{"edges":[{"node":{"serviceId":"s","deletedAt":null,"source":{"image":"i"},"latestDeployment":{"id":"d","status":"SUCCESS","createdAt":"2026-11-26T08:00:00Z"}}}]},` +
		`"volumeInstances":{"edges":[{"node":{"id":"v","serviceId":"s","currentSizeMB":1.5,"isPendingDeletion":false,"deletedAt":null}}]}}}]}}]}}`
	goodVars = `{"data":{"v0":{"DATABASE_URL":"postgresql://u:p@postgres.railway.internal:5432/railway","RECONCILER_ATTRIBUTES":"{\"disabled\":\"a\",\"schema\":\"b\"}"},"t0":[]}}`
)

// Laws of what is read: whatever Railway answers, an object is the one that was asked for, and
// what it says and gives is bounded, clean and whole; and nothing is only said to be absent by
// a list that is one.
func FuzzAnswers(f *testing.F) {
	f.Add(goodList, goodLook, goodVars)
	f.Add(goodList, goodLook, `{"data":{"v0":{"DATABASE_URL":"x"},"t0":[]}}`)
	f.Add(goodList, goodLook, `{"data":{"v0":null,"t0":null}}`)
	f.Add(`{"data":{"projects":{"edges":[],"pageInfo":{"hasNextPage":true,"endCursor":"x"}}}}`, `{"data":{"apiToken":{"workspaces":[{"id":"w"}]},"projectsByIds":[]}}`, `{}`)
	f.Add(`{"data":{"projects":{"edges":null}}}`, `{"data":{"apiToken":{"workspaces":null},"projectsByIds":null}}`, `{"errors":[{"message":"x"}]}`)
	f.Add(`null`, `{"data":{"apiToken":{"workspaces":[]},"projectsByIds":[null]}}`, `[]`)
	f.Fuzz(func(t *testing.T, list, look, variables string) {
		p := answered(t, answers{"token": goodToken, "projects": list, "databases": look, "rendered": variables})
		byID, errID := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: fuzzID})
		owned, errOwned := p.Owned(context.Background(), ours)
		for _, err := range []error{errID, errOwned} {
			var pe *provider.Error
			if err != nil && (!errors.As(err, &pe) || pe.Message == "" || len(pe.Message) > 4*400 || strings.ContainsAny(pe.Message, "\n\x00\u202e")) {
				t.Fatalf("an error that is none of ours: %q", err)
			}
		}
		if errID != nil && len(byID) > 0 || errOwned != nil && len(owned) > 0 {
			t.Fatal("objects beside an error")
		}
		if len(byID) > 1 {
			t.Fatal("one id, two objects")
		}
		if errID == nil && len(byID) == 0 && !saysGone(look) {
			t.Fatalf("absent by %s", look)
		}
		if len(byID) == 1 && byID[0].ID != fuzzID {
			t.Fatalf("asked for %s: %+v", fuzzID, byID[0])
		}
		for _, o := range append(byID, owned...) {
			lawful(t, o)
		}
	})
}

func saysGone(look string) bool {
	var got struct {
		Data struct {
			APIToken struct {
				Workspaces []json.RawMessage `json:"workspaces"`
			} `json:"apiToken"`
			Projects []struct {
				ID        string `json:"id"`
				DeletedAt any    `json:"deletedAt"`
			} `json:"projectsByIds"`
		} `json:"data"`
		Errors []json.RawMessage `json:"errors"`
	}
	if json.Unmarshal([]byte(look), &got) != nil || len(got.Data.APIToken.Workspaces) == 0 || got.Data.Projects == nil || len(got.Errors) > 0 {
		return false
	}
	for _, x := range got.Data.Projects {
		if x.ID == fuzzID {
			return x.DeletedAt != nil && x.DeletedAt != ""
		}
	}
	return true
}

func lawful(t *testing.T, o provider.Object) {
	if !plainID(o.ID) || o.Kind != state.KindDatabase || output(o, "id") != o.ID {
		t.Fatalf("an object: %+v", o)
	}
	if len(o.Message) > 4*400 || strings.ContainsAny(o.Message, "\n\x00\u202e") {
		t.Fatalf("a message: %q", o.Message)
	}
	url := output(o, "url")
	if (url != "") != (o.Phase == provider.Ready) || (o.Phase == provider.Ready) != (len(o.Attributes) > 0) {
		t.Fatalf("what is ready has a URL, and nothing else has: %s", o.Phase)
	}
	if host, ok := connection(url); url != "" && (!ok || host != output(o, "host")) {
		t.Fatalf("a URL that nothing connects with, of host %q", output(o, "host"))
	}
}

// Lists that lead in circles, or nowhere, or are no lists, are errors.
func TestHostileLists(t *testing.T) {
	page := func(edges, end string, more bool) string {
		b, _ := json.Marshal(more)
		return `{"data":{"projects":{"edges":` + edges + `,"pageInfo":{"hasNextPage":` + string(b) + `,"endCursor":` + end + `}}}}`
	}
	for name, list := range map[string]string{
		"in circles": page("[]", `"x"`, true), "nowhere": page("[]", `null`, true), "no list": page("null", `null`, false), "a text": page(`"x"`, `null`, false),
	} {
		p := answered(t, answers{"token": goodToken, "projects": list, "databases": goodLook, "rendered": goodVars})
		if found, err := p.Owned(context.Background(), ours); provider.KindOf(err) != provider.Transient || len(found) > 0 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	twice := strings.Replace(goodList, `"edges":[`, `"edges":[{"node":{"id":"`+fuzzID+`","name":"n","description":"reconciler:0badcafe/c00001/1","deletedAt":null}},`, 1)
	p := answered(t, answers{"token": goodToken, "projects": twice, "databases": goodLook, "rendered": goodVars})
	if found, err := p.Owned(context.Background(), ours); err != nil || len(found) != 1 || found[0].Phase != provider.Ready {
		t.Errorf("listed twice: %v, %v", found, err)
	}
}

// URLs of hostile answers.
func TestConnection(t *testing.T) {
	for text, host := range map[string]string{
		"postgresql://u:p@h.example:5432/d": "h.example", "postgres://u:p@[2001:db8::1]:5432/d": "2001:db8::1",
		"": "", "postgresql://u:p@:5432/d": "", "postgresql://u:p@h.example/d": "", "https://u:p@h.example:5432/d": "", "postgresql://h.example:5432/d": "",
		"postgresql://u:${{PGPASSWORD}}@h.example:5432/d": "", "postgresql://u:p@h.example:5432/d\nx": "", "postgresql://u:p@h.example:5432/" + strings.Repeat("x", maxText): "", "://": "",
	} {
		if got, ok := connection(text); got != host || ok != (host != "") {
			t.Errorf("%.60q: %q, %v", text, got, ok)
		}
	}
}

// The mark in a description is its last line, whatever people write above.
func FuzzMark(f *testing.F) {
	mark := wish(1, public).Mark
	f.Add("", false)
	f.Add("our shop\nask Dana", true)
	f.Add(mark.Text(), true)
	f.Add(mark.Text()+making+"\n", false)
	f.Fuzz(func(t *testing.T, description string, unfinished bool) {
		text := marked(description, mark, unfinished)
		got, is := markIn(text)
		if got != mark || is != unfinished {
			t.Fatalf("%q: %v, %v", text, got, is)
		}
		if again := marked(text, mark, unfinished); again != text {
			t.Fatalf("marked twice: %q, %q", text, again)
		}
		old, _ := markIn(description)
		if old.IsZero() && !strings.HasPrefix(text, strings.TrimRight(description, "\n")) {
			t.Fatalf("what people wrote is gone: %q", text)
		}
	})
}
