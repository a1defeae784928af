package stripe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// resigned is a header with any time, rightly signed.
func resigned(at string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(newSecret))
	_, _ = mac.Write([]byte(at + "."))
	_, _ = mac.Write(body)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// The law: what is not signed with the secret is never an event; what is, is an event of plain
// words or an error.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(delivery), "t=1795683600,v1=00", "1795683600")
	f.Add([]byte("{}"), "t=,v1=", "")
	f.Add([]byte(strings.Replace(delivery, "acct_1Shop", "", 1)), "v1=,v1=,t=1", "-1")
	now := time.Unix(1795683600, 0)
	f.Fuzz(func(t *testing.T, body []byte, header, at string) {
		if e, err := Verify(body, header, secrets(newSecret), now); err == nil {
			t.Fatalf("a forgery: %+v", e)
		}
		e, err := Verify(body, resigned(at, body), secrets(newSecret), now)
		if err != nil {
			if e != (Event{}) {
				t.Errorf("an error and an event: %+v", e)
			}
			return
		}
		if !isWord(e.ID) || !isWord(e.Type) || e.Account != "" && !isAccount(e.Account) || e.Type == AccountUpdated && e.Account == "" {
			t.Errorf("an odd event: %+v", e)
		}
	})
}

// The law: whatever an account's JSON is, its object is bounded, clean text, and only Ready
// where both charges and payouts are enabled.
func FuzzAccount(f *testing.F) {
	f.Add([]byte(`{"id":"acct_1A","object":"account","country":"NL","metadata":{"reconciler":"reconciler:a/b/1"},"charges_enabled":true,"payouts_enabled":true}`))
	f.Add([]byte(`{"id":"acct_1A","object":"account","requirements":{"currently_due":["a.b","\u202e"],"past_due":null,"disabled_reason":"x"}}`))
	f.Add([]byte(`{"id":7}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a account
		if json.Unmarshal(data, &a) != nil || !a.good() {
			return
		}
		o := a.object()
		if (o.Phase == provider.Ready) != (a.ChargesEnabled && a.PayoutsEnabled) || o.ID != a.ID || o.Phase == provider.Manual && o.Message == "" {
			t.Errorf("%+v of %+v", o, a)
		}
		texts := []string{o.Message, o.Name}
		for _, i := range o.Attributes {
			texts = append(texts, i.Text)
		}
		for _, text := range texts {
			if len(text) > 8<<10 || !utf8.ValidString(text) || strings.ContainsAny(text, "\n\r\x00\u202e") {
				t.Errorf("unclean: %.80q", text)
			}
		}
		if !o.Mark.IsZero() && o.Mark.Text() != a.Metadata[keyMark] {
			t.Errorf("mark %v of %q", o.Mark, a.Metadata[keyMark])
		}
	})
}

// The law: no body decides by its words: without a type of Stripe's a status alone gives the kind.
func FuzzClassify(f *testing.F) {
	f.Add(404, []byte(said(badRequest, "resource_missing", "No such account")))
	f.Add(403, []byte(`{"error":"account_invalid"}`))
	f.Add(500, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := classify(httpapi.Answer{Status: status, Header: http.Header{}, Body: body})
		if e != nil && e.Kind == provider.NotFound && e.Code != "account_invalid" && e.Code != "resource_missing" {
			t.Errorf("%d %q is NotFound", status, body)
		}
	})
}

// stripeAnswers is a Stripe that answers by what is asked for: the list of accounts, one account,
// and the key's own.
type stripeAnswers struct {
	status              int
	list, one, own, key string
	calls               int
}

func (a *stripeAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.calls++
	if r.Body != nil {
		_ = r.Body.Close()
	}
	body, status := a.one, a.status
	switch {
	case r.URL.Path == "/v1/account":
		body, status = a.own, http.StatusOK
	case r.URL.Path == accountsPath && r.Method == http.MethodGet:
		body = a.list
	}
	body = strings.ReplaceAll(body, "KEY", a.key)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}, "Request-Id": {"req_1"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// Law: whatever Stripe answers, with the key in it, every look, list and write ends in an error of
// ours, clean, bounded and without the key, or in objects of who was asked for. An account is absent
// only by words of Stripe's that say so, and with a key that is the platform's; and the calls end.
func FuzzAnswers(f *testing.F) {
	const (
		fuzzID   = "acct_1Shop"
		platform = "acct_1Platform"
		mine     = `{"id":"` + platform + `","object":"account"}`
	)
	one := `{"id":"` + fuzzID + `","object":"account","country":"NL","metadata":{"reconciler":"` + wanted(1).Mark.Text() + `","reconciler_name":"` + wanted(1).Name + `"}}`
	list := `{"object":"list","has_more":false,"data":[` + one + `]}`
	f.Add(200, list, one, mine)
	f.Add(200, strings.Replace(list, "false", "true", 1), one, mine)
	f.Add(200, `{"object":"list","data":null,"has_more":false}`, `{"id":"`+fuzzID+`","deleted":true}`, mine)
	f.Add(200, `{"object":"list","has_more":false,"data":[{"id":"KEY","object":"account","country":"KEY"}]}`, strings.Replace(one, "Shop", "Other", 1), mine)
	f.Add(200, `[]`, `null`, ``)
	f.Add(404, `{"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such account for KEY"}}`, `{"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such account"}}`, mine)
	f.Add(403, list, `{"error":{"type":"invalid_request_error","code":"account_invalid","message":"The key KEY has no access"}}`, mine)
	f.Add(403, list, `{"error":{"type":"invalid_request_error","code":"account_invalid","message":"x"}}`, strings.Replace(mine, "Platform", "Another", 1))
	f.Add(401, `{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: KEY"}}`, `{"error":{"type":"\u202e","code":"KEY","message":"\u001b[2J"}}`, mine)
	f.Add(404, `<html>`, `<html>KEY`, mine)
	f.Add(500, ``, `{"error":`, `7`)
	f.Add(429, `{"error":{"type":"invalid_request_error","code":"lock_timeout","message":"x"}}`, `{"error":"x"}`, mine)
	f.Fuzz(func(t *testing.T, status int, list, one, own string) {
		if status < 200 || status > 599 {
			return // no answer has this
		}
		vendor := &stripeAnswers{status: status, list: list, one: one, own: own, key: testKey}
		now := time.Unix(1795683600, 0)
		p, err := New(Options{Key: state.NewSecret(testKey), URL: "https://stripe.example", Platform: platform, HTTP: httpapi.NewHTTP(vendor, time.Minute), Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		w := wanted(1)
		byID, errID := p.Observe(t.Context(), provider.Query{Kind: KindPayments, ID: fuzzID})
		byName, errName := p.Observe(t.Context(), provider.Query{Kind: KindPayments, Name: w.Name})
		owned, errOwned := p.Owned(t.Context(), ours)
		made, errMade := p.Create(t.Context(), w)
		changed, errChanged := p.Update(t.Context(), fuzzID, w)
		for op, err := range map[string]error{"by id": errID, "by name": errName, "owned": errOwned, "create": errMade, "update": errChanged} {
			var pe *provider.Error
			if err != nil && (!errors.As(err, &pe) || pe.Message == "" || len(pe.Message) > 2<<10 || !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\n\r\x00\x1b\u202e")) {
				t.Errorf("%s: an error that is none of ours: %q", op, err)
			}
			if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), testKey) {
				t.Errorf("%s: the key is in %v", op, err)
			}
		}
		if errID != nil && len(byID) > 0 || errName != nil && len(byName) > 0 || errOwned != nil && len(owned) > 0 {
			t.Error("objects beside an error")
		}
		if len(byID) > 1 || len(byID) == 1 && byID[0].ID != fuzzID || errChanged == nil && changed.ID != fuzzID || errMade == nil && !isAccount(made.ID) {
			t.Errorf("of one id: %+v; changed %+v, made %+v", byID, changed, made)
		}
		if (errName == nil || errOwned == nil) && (status/100 != 2 || !saysList(list)) {
			t.Errorf("a list of %d %s", status, list)
		}
		for _, o := range owned {
			if o.Mark.Installation != ours {
				t.Errorf("owned: %+v", o)
			}
		}
		if gone := errID == nil && len(byID) == 0; gone && !saysGone(status, one, fuzzID) {
			t.Errorf("absent by %d %s", status, one)
		}
		if provider.KindOf(errMade) == provider.NotFound && status/100 == 2 {
			t.Errorf("nothing is there to create at: %v", errMade)
		}
		if vendor.calls > 5*maxPages {
			t.Errorf("%d calls were made", vendor.calls)
		}
	})
}

// saysList says that an answer is one of Stripe's lists.
func saysList(body string) bool {
	var page struct {
		Object string
		Data   []json.RawMessage
	}
	return json.Unmarshal([]byte(body), &page) == nil && page.Object == "list" && page.Data != nil
}

// saysGone says that an answer says of an account that it is not there: that it is deleted, or that
// there is none of this id, or none for the key.
func saysGone(status int, body, id string) bool {
	var said struct {
		ID      string
		Deleted bool
		Error   struct{ Type, Code string }
	}
	if json.Unmarshal([]byte(body), &said) != nil {
		return false
	}
	if status/100 == 2 {
		return said.Deleted && said.ID == id
	}
	return said.Error.Type != "" && (said.Error.Code == "account_invalid" || said.Error.Code == "resource_missing" && status == http.StatusNotFound || status == http.StatusGone)
}
