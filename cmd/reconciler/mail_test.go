package main

import (
	"bytes"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/resend/simulated"
	"github.com/compassdigital/reconciler/internal/provider/smtp/smtptest"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// resendWorld is an installation whose mail goes through a simulated Resend.
func resendWorld(t *testing.T, files map[string]string, o simulated.Options) (*world, *simulated.Resend, *simulator.Faults) {
	t.Helper()
	const apiKey = "invented-resend-key-7f3a9c"
	w, faults := newWorld(t, files), &simulator.Faults{}
	o.Now, o.Faults, o.Token = w.now, faults, apiKey
	vendor, err := simulated.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.hearsMail(underContract(t, "resend", vendor)))
	t.Cleanup(server.Close)
	w.plant("the key of Resend", apiKey)
	w.env["RESEND_API_KEY"] = apiKey
	w.env["RECONCILER_PROVIDERS_RESEND_API_URL"] = server.URL
	w.env["RECONCILER_PROVIDERS_RESEND_FROM"] = "Acme <ops@acme.example>"
	return w, vendor, faults
}

// hearsMail stands before a Resend, and hears what is mailed, whatever becomes of it.
func (w *world) hearsMail(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // who sent it is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.Method != http.MethodGet {
			w.hear("mail", r.URL.String()+"\n"+string(body))
		}
		next.ServeHTTP(rw, r)
	})
}

// smtpWorld is an installation whose mail goes through a mail server, where it is heard.
func smtpWorld(t *testing.T, files map[string]string, o smtptest.Options) (*world, *smtptest.Server) {
	t.Helper()
	w := newWorld(t, files)
	o.Heard = func(m smtptest.Mail) {
		w.hear("mail", m.From+"\n"+m.To+"\n"+string(m.Data))
		text, _ := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(m.Data))) // as much of it as is
		w.hear("mail", string(text))
	}
	s := smtptest.Start(t, o)
	set := map[string]string{"HOST": s.Host(), "PORT": fmt.Sprint(s.Port()), "FROM": "ops@acme.example", "TLS": "none"}
	if o.Username != "" {
		w.plant("the password of the mail server", o.Password)
		set["USERNAME"], set["PASSWORD"] = o.Username, o.Password
	}
	for k, v := range set {
		w.env["RECONCILER_PROVIDERS_SMTP_"+k] = v
	}
	return w, s
}

// P10, the control of what is mailed: what a mail repeats is found, through either way, though the
// mail is refused.
func TestP10LeaksInMailsAreFound(t *testing.T) {
	leak := invented("leak in a mail")
	named := map[string]string{"clients/onda.yaml": strings.Replace(manifestOf("onda"), "Shop onda", "Shop "+leak, 1)}
	resend, _, faults := resendWorld(t, named, simulated.Options{})
	faults.Add(simulator.Fault{Method: http.MethodPost, Times: -1, Do: simulator.Refuse(403, nil, simulated.Refusal(403, "validation_error", "not to them"))})
	mailed, server := smtpWorld(t, named, smtptest.Options{})
	server.Fail(smtptest.Fault{Stage: smtptest.Dot, Reply: "550 5.7.1 not to them"})
	for name, w := range map[string]*world{"Resend": resend, "a mail server": mailed} {
		w.ears.leaky = true // as planned
		w.plant("the leak", leak)
		w.apply()
		if found := w.heardLeaks(); !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, "mail holds the leak (") }) {
			t.Errorf("%s: not found; but %q", name, found)
		}
	}
}

// P10: no test of the program has a Resend or a mail server that nobody hears.
func TestP10EveryMailIsHeard(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no tests", err)
	}
	// Where each is opened: there it is heard, too.
	opened := map[string]string{"mail_test.go": "hearsMail(", "vendors_set_test.go": "apis()", "doctor_test.go": "hearsMail("}
	for _, file := range files {
		text := readAll(t, file)
		opens := strings.Contains(text, "provider/resend/simulated\"") || strings.Contains(text, "provider/smtp/smtptest\"")
		if opens && (opened[file] == "" || !strings.Contains(text, opened[file])) {
			t.Errorf("%s opens a way to mail", file)
		}
	}
	for _, served := range []string{"vendors_world_test.go", "host_vendors_test.go"} { // who serve a set
		if text := readAll(t, served); !strings.Contains(text, "hearsMail(") && !strings.Contains(text, "keepMail(") {
			t.Errorf("%s serves a set of vendors, and hears no mail", served)
		}
	}
}

// P3: a client is welcomed once, though the answers of the first tries are lost.
func TestP3AWelcomeThroughResendIsMailedOnce(t *testing.T) {
	w, vendor, faults := resendWorld(t, map[string]string{"clients/onda.yaml": manifestOf("onda")}, simulated.Options{Lag: time.Minute, Domains: map[string]string{"acme.example": "verified"}})
	faults.Add(simulator.Fault{Method: http.MethodPost, Do: simulator.LoseAnswer()}, simulator.Fault{Method: http.MethodPost, Do: simulator.LoseAnswer()})
	w.active("onda")
	w.commit(map[string]string{"clients/onda.yaml": manifestOf("onda", "notes: changed")})
	w.active("onda")
	sent := vendor.Sent()
	if len(sent) != 1 || fmt.Sprint(sent[0].To) != "[dana@onda.example]" || sent[0].Subject != "Shop onda is ready" || !strings.Contains(sent[0].Text, "http://onda.localhost:") || !strings.Contains(sent[0].HTML, "<a href=") {
		t.Errorf("sent %+v", sent)
	}
	if faults.Happened()["answer lost"] == 0 {
		t.Error("no answer was lost")
	}
}

// The .env of an application has a key of Resend, too: by itself it changes nothing.
func TestAKeyOfResendAloneSaysNothing(t *testing.T) {
	w, vendor, _ := resendWorld(t, map[string]string{"clients/onda.yaml": manifestOf("onda")}, simulated.Options{})
	delete(w.env, "RECONCILER_PROVIDERS_RESEND_FROM")
	delete(w.env, "RECONCILER_PROVIDERS_RESEND_API_URL")
	w.active("onda")
	if got := vendor.Sent(); len(got) != 0 {
		t.Errorf("sent %+v", got)
	}
}

// P3: the same through a mail server, whose answer is lost for good: the mail counts as sent.
func TestP3AWelcomeOverSMTPIsMailedOnce(t *testing.T) {
	w, s := smtpWorld(t, map[string]string{"clients/onda.yaml": manifestOf("onda"), "clients/brio.yaml": manifestOf("brio")}, smtptest.Options{Username: "ops", Password: "invented-smtp-word-51c"})
	s.Fail(smtptest.Fault{Stage: smtptest.Dot, Lose: true}, smtptest.Fault{Stage: smtptest.RCPT, Reply: "450 greylisted"})
	w.active("onda", "brio")
	to := map[string]int{}
	for _, m := range s.Mails() {
		to[m.To]++
	}
	if len(to) != 2 || to["dana@onda.example"] != 1 || to["dana@brio.example"] != 1 {
		t.Errorf("mailed %v", to)
	}
}

// Those who run it are told what failed and that it is over, once each, and the words hold no
// secret.
func TestThoseWhoRunItAreToldByMail(t *testing.T) {
	w, vendor, faults := resendWorld(t, map[string]string{"clients/onda.yaml": manifestOf("onda"), "clients/brio.yaml": manifestOf("brio")}, simulated.Options{})
	w.configure("publicURL: https://reconciler.acme.example\nnotify: {mail: [ops@acme.example, kim@acme.example]}\n")
	var broken atomic.Bool
	w.calls.interfere(func(x call) error {
		if broken.Load() && x.Verb == "create" && x.Kind == state.KindDeployment && strings.Contains(x.Name, "onda") {
			return refuse(provider.Invalid, x, "no such version")
		}
		return nil
	}, nil)
	w.start()
	w.active("onda", "brio")
	told := func() (out []string) {
		for _, m := range vendor.Sent() {
			if strings.Contains(m.Key, "notice-") {
				out = append(out, m.To[0]+": "+m.Subject)
			}
		}
		return out
	}
	later := func(minutes int) {
		t.Helper()
		for range minutes {
			w.clock.add(time.Minute)
			_ = w.daemon.program.tellPeople(t.Context()) // what fails is tried again
		}
	}
	later(3)
	if got := told(); len(got) != 0 {
		t.Fatalf("told %q of what is well", got)
	}
	broken.Store(true)
	change := manifestOf("onda", "env: {COLOUR: blue}")
	w.commit(map[string]string{"clients/onda.yaml": change})
	w.apply()
	if got := w.why("onda").Status; got != "failed" {
		t.Fatalf("onda is %q", got)
	}
	faults.Add(simulator.Fault{Method: http.MethodPost, Do: simulator.LoseAnswer()}, simulator.Fault{Method: http.MethodPost, Do: simulator.Refuse(429, nil, simulated.Refusal(429, "daily_quota_exceeded", "no more"))})
	later(200)
	broken.Store(false)
	w.must(0, "retry", "onda")
	w.active("onda", "brio")
	later(30)
	want := []string{"kim@acme.example: onda failed", "kim@acme.example: onda is well again", "ops@acme.example: onda failed", "ops@acme.example: onda is well again"}
	got := told()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	for _, m := range vendor.Sent() {
		if m.Subject == "onda failed" && (!strings.Contains(m.Text, "Your site still runs the old version.\nWhy: ") || !strings.Contains(m.Text, "https://reconciler.acme.example/clients/onda")) {
			t.Errorf("%s", m.Text)
		}
	}
}

// Resend itself does not answer for hours: one mail tells so when it is back, and what waited
// goes out with it.
func TestThoseWhoRunItAreToldWhenTheMailIsBack(t *testing.T) {
	w, vendor, faults := resendWorld(t, map[string]string{"clients/onda.yaml": manifestOf("onda")}, simulated.Options{})
	w.configure("notify: {mail: [ops@acme.example]}\n")
	var broken atomic.Bool
	w.calls.interfere(func(x call) error {
		if broken.Load() && x.Verb == "create" && x.Kind == state.KindDeployment {
			return refuse(provider.Invalid, x, "no such version")
		}
		return nil
	}, nil)
	w.start()
	w.active("onda")
	told := func() (out []string) {
		for _, m := range vendor.Sent() {
			if strings.Contains(m.Key, "notice-") {
				out = append(out, m.Subject)
			}
		}
		return out
	}
	later := func(minutes int) {
		for range minutes {
			w.clock.add(time.Minute)
			_ = w.daemon.program.tellPeople(t.Context()) // what fails is tried again
		}
	}
	later(3)
	faults.Add(simulator.Fault{Times: -1, Do: simulator.Refuse(503, nil, "<html>503</html>")})
	broken.Store(true)
	w.commit(map[string]string{"clients/onda.yaml": manifestOf("onda", "env: {COLOUR: blue}")})
	w.apply()
	later(400)
	if v := w.status(); len(v.Notices) != 1 || !strings.HasPrefix(v.Notices[0], "resend does not answer since ") || len(told()) > 0 {
		t.Errorf("notices %q, told %q", v.Notices, told())
	}
	faults.Clear()
	w.until("it is back", func() bool { later(5); return len(told()) > 1 }) // it is asked again after a real moment
	later(30)
	if got := told(); !slices.Equal(got, []string{"onda failed", "resend is back"}) {
		t.Errorf("told %q", got)
	}
}

// A mail that is refused takes no site back: the client is there, and its next change mails
// to the address that was mended.
func TestARefusedMailTakesNothingBack(t *testing.T) {
	w, s := smtpWorld(t, map[string]string{"clients/onda.yaml": manifestOf("onda")}, smtptest.Options{})
	s.Fail(smtptest.Fault{Stage: smtptest.RCPT, Reply: "550 5.1.1 nobody of that name"})
	w.active("onda")
	if got := s.Mails(); len(got) != 0 {
		t.Fatalf("mailed %v", got)
	}
	w.commit(map[string]string{"clients/onda.yaml": manifestOf("onda", "admin: {email: dana.de.vries@onda.example}")})
	w.active("onda")
	if got := s.Mails(); len(got) != 1 || got[0].To != "dana.de.vries@onda.example" {
		t.Errorf("mailed %v", got)
	}
}
