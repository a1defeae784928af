package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// vendors are how providers stand, by key.
type vendors struct {
	d  *desk
	at map[string]Standing
}

func newVendors(d *desk) *vendors {
	v := &vendors{d: d, at: map[string]Standing{}}
	for _, name := range []string{"cloudflare", "ploi", "resend"} {
		for _, credentials := range []bool{false, true} {
			s := Standing{Provider: name, Credentials: credentials, Word: state.NoticeBack, Since: d.at}
			v.at[s.key()] = s
		}
	}
	v.begin()
	return v
}

// begin starts a notifier that knows of them.
func (v *vendors) begin() {
	v.d.begin("ops@acme.example")
	v.d.n.Mailer = "resend"
	v.d.n.Providers = func() (out []Standing) {
		for _, s := range v.at {
			out = append(out, s)
		}
		return out
	}
}

// restart begins anew, and knows nothing of anybody.
func (v *vendors) restart() {
	for key, s := range v.at {
		s.Word, s.Because, s.Since = "", "", time.Time{}
		v.at[key] = s
	}
	v.begin()
}

func (v *vendors) set(key string, word state.NoticeWord, because string) {
	s := v.at[key]
	s.Word, s.Because, s.Since = word, because, v.d.at
	v.at[key] = s
}

// S31, S33: that a provider is away is one mail, and that it is back another, across restarts;
// what is over within a minute, or in quiet hours, is none.
func TestS31OneMailAnOutage(t *testing.T) {
	d := newDesk(t)
	v := newVendors(d)
	d.run(5)
	v.set("provider/cloudflare", state.NoticeAway, "5 requests in a row failed")
	d.run(1)
	v.set("provider/cloudflare", state.NoticeBack, "")
	d.run(30)
	d.want() // it was over at once

	v.set("provider/cloudflare", state.NoticeAway, "5 requests in a row failed\nBcc: all@visitor.example hush")
	d.run(20)
	d.want("cloudflare does not answer")
	text := d.texts[0]
	for _, want := range []string{"What is online stays online. Clients that need it wait", "Why: since 26 November 09:36 UTC: 5 requests in a row failed Bcc: all@visitor.example ***\n", "What to do: ", "https://reconciler.acme.example/\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	v.restart()
	d.run(20)
	d.want("cloudflare does not answer") // nothing is known: it is neither told again nor over
	v.set("provider/cloudflare", state.NoticeAway, "5 requests in a row failed")
	d.run(20)
	d.want("cloudflare does not answer")
	v.restart()
	v.set("provider/cloudflare", state.NoticeBack, "")
	d.run(1)
	d.put("onda", failed) // another one's news does not make it forget
	d.run(30)
	d.want("cloudflare does not answer", "cloudflare is back", "onda failed")
	if back := d.texts[2]; !strings.Contains(back, "Why: it did not answer from 26 November 09:36 UTC to 26 November 10:36 UTC\n") {
		t.Errorf("%s", back)
	}

	v.set("credentials/ploi", state.NoticeShut, "Unauthenticated.")
	v.set("provider/cloudflare", state.NoticeAway, "5 requests in a row failed")
	d.run(30)
	v.set("provider/cloudflare", state.NoticeBack, "")
	d.run(30)
	v.set("credentials/ploi", state.NoticeBack, "")
	d.run(30)
	d.want("cloudflare does not answer", "cloudflare is back", "onda failed", "Providers: 1 away, 1 shut", "cloudflare is back", "ploi is back")

	d.n.Quiet = Quiet{0, 23 * time.Hour}
	for _, key := range []string{"credentials/ploi", "provider/resend"} {
		v.set(key, state.NoticeShut, "Unauthenticated.")
		d.run(60)
		v.set(key, state.NoticeBack, "")
		d.run(60)
	}
	d.n.Quiet = Quiet{}
	d.run(30)
	if n := len(d.got["ops@acme.example"]); n != 6 {
		t.Errorf("%d mails", n)
	}
}

// What ended while another one's news is told is told afterwards: its look was not over yet.
func TestAnEndIsNotForgottenOverOthers(t *testing.T) {
	d := newDesk(t)
	d.put("onda", failed)
	d.put("brio", nil)
	d.run(20)
	d.put("brio", failed)
	d.run(1)
	d.put("onda", nil)
	d.run(30)
	d.want("onda failed", "brio failed", "onda is well again")
}

// Who mails is away: that is one mail, when it is back, and what waited goes with it at once.
func TestWhoMailsIsAway(t *testing.T) {
	d := newDesk(t)
	v := newVendors(d)
	d.fail = func(string) error {
		return &provider.Error{Kind: provider.Transient, Provider: "resend", Op: "create", Message: "502"}
	}
	v.set("provider/resend", state.NoticeAway, "5 requests in a row failed")
	d.run(1)
	d.put("onda", failed)
	d.run(200)
	v.restart()
	d.run(10)
	d.want()
	d.fail = nil
	v.set("provider/resend", state.NoticeBack, "")
	d.run(3)
	d.want("onda failed", "resend is back")
	if text := d.texts[2]; !strings.Contains(text, "it did not answer from 26 November 09:00 UTC to 26 November 12:31 UTC; it sends the mails, so that nobody was told") {
		t.Errorf("%s", text)
	}
	d.run(60)
	d.want("onda failed", "resend is back")
}

// A provider that is not configured any more is forgotten.
func TestWhoIsNotConfiguredIsForgotten(t *testing.T) {
	d := newDesk(t)
	v := newVendors(d)
	v.set("provider/ploi", state.NoticeAway, "5 requests in a row failed")
	d.run(20)
	delete(v.at, "provider/ploi")
	v.set("provider/cloudflare", state.NoticeAway, "5 requests in a row failed")
	d.run(20)
	d.want("ploi does not answer", "cloudflare does not answer")
	err := d.store.View(func(tx store.Tx) error {
		is, _, err := store.Notices(tx)
		if _, known := is.Told["provider/ploi"]; known || len(is.Told) != 1 {
			t.Errorf("told: %+v", is.Told)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
