package stripe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
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
