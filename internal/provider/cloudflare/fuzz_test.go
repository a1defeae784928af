package cloudflare

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// hostile answers every call about records with the same thing.
type hostile struct {
	status int
	body   string
}

const theZone = `{"success":true,"errors":[],"messages":[],"result":[{"id":"` + shopID + `","name":"shops.example","status":"active"}],"result_info":{"total_count":1,"total_pages":1}}`

func (h hostile) RoundTrip(r *http.Request) (*http.Response, error) {
	a := &http.Response{StatusCode: h.status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r, Proto: "HTTP/1.1"}
	if strings.HasSuffix(r.URL.Path, "/zones") {
		a.StatusCode, h.body = 200, theZone
	}
	a.Body = io.NopCloser(strings.NewReader(h.body))
	return a, nil
}

// Whatever Cloudflare answers, the outcome is an error of a known kind that says nothing
// unclean and no token, or records that are of the zone, of the asked name, and marked only
// where their comment says so. A write's object is about what was sent.
func FuzzAnswers(f *testing.F) {
	one := `{"id":"372e67954025e0ba6aaa6d586b9e0b59","type":"A","name":"a.shops.example","content":"192.0.2.7","ttl":300,"proxied":false,"comment":"reconciler:0badcafe/bakery-1a2b/1"}`
	for _, s := range []string{`{"success":true,"errors":[],"messages":[],"result":` + one + `}`, `{"success":true,"errors":[],"messages":[],"result":[` + one + `],"result_info":{"page":1,"per_page":100,"count":1,"total_count":1,"total_pages":1}}`,
		`{"success":true,"result":[` + one + `,` + one + `],"result_info":{"total_count":2}}`, `{"success":true,"result":{"id":"../..","type":"A","name":"a.shops.example","ttl":-1}}`,
		`{"success":true,"result":[{"id":"a","type":"SRV","name":"a.shops.example","data":{"port":1e400,"weight":"x"}}],"result_info":{"total_count":1e12}}`,
		refusalBody(81058, "An identical record already exists."), refusalBody(81054, "\u202ealias"), refusalBody(81044, "gone"), `{"errors":[{"code":"x"}]}`, `[]`, `null`, ``, `{"success":"yes"}`, strings.Repeat(`{"errors":[`, 500)} {
		f.Add(200, s)
		f.Add(400, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		p, err := New(Options{Token: state.NewSecret(token), HTTP: httpapi.NewHTTP(hostile{status, body}, time.Minute), Now: func() time.Time { return time.Unix(1e9, 0) }, Moment: -1})
		if err != nil {
			t.Fatal(err)
		}
		wished := wish("A", "a.shops.example", "192.0.2.7")
		check := func(err error) {
			if err == nil {
				return
			}
			var e *provider.Error
			if !errors.As(err, &e) || e.Kind == "" || e.Op == "" || e.Message == "" || !utf8.ValidString(err.Error()) || strings.Contains(err.Error(), token) ||
				strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("unclean: %q", err)
			}
		}
		sound := func(o provider.Object) {
			zone, id, ok := split(o.ID)
			if !ok || zone != shopID || id == "" || o.Kind != state.KindRecord || o.Phase != provider.Ready || !o.Mark.IsZero() && !strings.Contains(body, "reconciler") {
				t.Fatalf("unsound: %+v", o)
			}
		}
		found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, Name: wished.Name, Wish: &wished})
		check(err)
		for _, o := range found {
			if sound(o); !strings.HasPrefix(o.Name, "A a.shops.example") {
				t.Fatalf("of another name: %+v", o)
			}
		}
		const asked = shopID + "/372e67954025e0ba6aaa6d586b9e0b59"
		found, err = p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, ID: asked})
		check(err)
		for _, o := range found {
			if sound(o); o.ID != asked {
				t.Fatalf("asked for %s: %+v", asked, o)
			}
		}
		owned, err := p.Owned(t.Context(), "0badcafe")
		check(err)
		for _, o := range owned {
			sound(o)
		}
		for _, write := range []func() (provider.Object, error){
			func() (provider.Object, error) { return p.Create(t.Context(), wished) },
			func() (provider.Object, error) {
				return p.Update(t.Context(), shopID+"/372e67954025e0ba6aaa6d586b9e0b59", wished)
			},
		} {
			o, err := write()
			if check(err); err == nil {
				if sound(o); !strings.HasPrefix(o.Name, wished.Name) {
					t.Fatalf("about another record: %+v", o)
				}
			}
		}
		check(p.Delete(t.Context(), state.KindRecord, shopID+"/372e67954025e0ba6aaa6d586b9e0b59"))
	})
}
