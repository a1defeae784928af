package stripe

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

const (
	oldSecret = "invented-endpoint-secret-old"
	newSecret = "invented-endpoint-secret-new"
)

func secrets(all ...string) (out []state.Secret) {
	for _, s := range all {
		out = append(out, state.NewSecret(s))
	}
	return out
}

const delivery = `{"id":"evt_1Invented","object":"event","type":"account.updated","account":"acct_1Shop","data":{"object":{"id":"acct_1Shop","object":"account","charges_enabled":true}}}`

// A signature that was computed apart from this program (openssl dgst -sha256 -hmac) is taken.
func TestVerifyKnownSignature(t *testing.T) {
	const header = "t=1795683600,v1=bb8734b1956f6fddd1bf452ca45b50a75370337fbb32f486ab609a6ede7d5909,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"
	e, err := Verify([]byte(delivery), header, secrets(newSecret), time.Unix(1795683600, 0))
	if err != nil || e != (Event{ID: "evt_1Invented", Type: AccountUpdated, Account: "acct_1Shop"}) {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestVerify(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	good := simulated.Sign([]byte(delivery), now, newSecret)
	stamp, _, _ := strings.Cut(good, ",")
	signed := func(body string, with ...string) string { return simulated.Sign([]byte(body), now, with...) }
	many := signed(delivery, append(make([]string, maxSigned), newSecret)...)
	for name, c := range map[string]struct {
		body, header string
		known        []string
		later        time.Duration
		want         error
	}{
		"good":                       {delivery, good, []string{newSecret}, 0, nil},
		"spaces":                     {delivery, strings.ReplaceAll(good, ",", ", "), []string{newSecret}, 0, nil},
		"five minutes old":           {delivery, good, []string{newSecret}, tolerance, nil},
		"a slow clock":               {delivery, good, []string{newSecret}, -tolerance, nil},
		"rotation, signed by both":   {delivery, signed(delivery, oldSecret, newSecret), []string{newSecret}, 0, nil},
		"rotation, both are known":   {delivery, good, []string{oldSecret, newSecret}, 0, nil},
		"older":                      {delivery, good, []string{newSecret}, tolerance + time.Second, ErrStale},
		"of the future":              {delivery, good, []string{newSecret}, -tolerance - time.Second, ErrStale},
		"long ago":                   {delivery, simulated.Sign([]byte(delivery), time.Unix(0, 0), newSecret), []string{newSecret}, 0, ErrStale},
		"another body":               {delivery + " ", good, []string{newSecret}, 0, ErrSignature},
		"another secret":             {delivery, good, []string{oldSecret}, 0, ErrSignature},
		"no secret":                  {delivery, good, nil, 0, ErrSignature},
		"an empty secret":            {delivery, signed(delivery, ""), []string{""}, 0, ErrSignature},
		"another time":               {delivery, strings.Replace(good, stamp, stamp+"0", 1), []string{newSecret}, 0, ErrSignature},
		"two times":                  {delivery, good + "," + stamp, []string{newSecret}, 0, ErrSignature},
		"no header":                  {delivery, "", []string{newSecret}, 0, ErrSignature},
		"no signature":               {delivery, stamp, []string{newSecret}, 0, ErrSignature},
		"another scheme":             {delivery, strings.Replace(good, "v1=", "v2=", 1), []string{newSecret}, 0, ErrSignature},
		"too many signatures":        {delivery, many, []string{newSecret}, 0, ErrSignature},
		"a long header":              {delivery, good + strings.Repeat(",x=y", maxHeader), []string{newSecret}, 0, ErrPayload},
		"a large body":               {strings.Repeat(" ", MaxEvent+1), "", []string{newSecret}, 0, ErrPayload},
		"no JSON":                    {"hello", signed("hello", newSecret), []string{newSecret}, 0, ErrPayload},
		"no event":                   {`{"id":"x","object":"account"}`, signed(`{"id":"x","object":"account"}`, newSecret), []string{newSecret}, 0, ErrPayload},
		"no account":                 {strings.ReplaceAll(delivery, "acct_1Shop", ""), signed(strings.ReplaceAll(delivery, "acct_1Shop", ""), newSecret), []string{newSecret}, 0, ErrPayload},
		"an odd account":             {strings.ReplaceAll(delivery, "acct_1Shop", "../x"), signed(strings.ReplaceAll(delivery, "acct_1Shop", "../x"), newSecret), []string{newSecret}, 0, ErrPayload},
		"an odd id":                  {strings.Replace(delivery, "evt_1", "evt 1", 1), signed(strings.Replace(delivery, "evt_1", "evt 1", 1), newSecret), []string{newSecret}, 0, ErrPayload},
		"the account is only inside": {strings.Replace(delivery, `"account":"acct_1Shop",`, "", 1), signed(strings.Replace(delivery, `"account":"acct_1Shop",`, "", 1), newSecret), []string{newSecret}, 0, nil},
	} {
		e, err := Verify([]byte(c.body), c.header, secrets(c.known...), now.Add(c.later))
		if !errors.Is(err, c.want) || err == nil != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if wanted := (Event{ID: "evt_1Invented", Type: AccountUpdated, Account: "acct_1Shop"}); err == nil && e != wanted || err != nil && e != (Event{}) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// A time that is no number can be signed, too.
func TestVerifyOddTime(t *testing.T) {
	for _, at := range []string{"soon", "-1", "99999999999999999999", "9223372036854775807", "1.5"} {
		header := resigned(at, []byte(delivery))
		if _, err := Verify([]byte(delivery), header, secrets(newSecret), time.Unix(0, 0)); !errors.Is(err, ErrSignature) && !errors.Is(err, ErrStale) {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// What the simulated Stripe delivers is verified, with two secrets while one is replaced.
func TestDeliveriesAreVerified(t *testing.T) {
	w := start(t)
	o := w.made(w.open(), 1)
	var got []Event
	endpoint := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, MaxEvent+1))
		e, verr := Verify(body, r.Header.Get("Stripe-Signature"), secrets(newSecret), w.clock.Now())
		if err != nil || verr != nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		got = append(got, e)
	}))
	defer endpoint.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range []struct {
		signers []string
		status  int
	}{{[]string{newSecret}, 200}, {[]string{oldSecret, newSecret}, 200}, {[]string{oldSecret}, 400}} {
		if status, err := w.vendor.Deliver(context.Background(), client, endpoint.URL, o.ID, c.signers...); status != c.status || err != nil {
			t.Errorf("signed by %d: %d, %v", len(c.signers), status, err)
		}
	}
	if len(got) != 2 || got[0].ID == got[1].ID || got[0].Account != o.ID || got[0].Type != AccountUpdated {
		t.Errorf("taken: %+v", got)
	}
}
