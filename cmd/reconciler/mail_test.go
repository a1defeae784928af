package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider/resend/simulated"
	"github.com/compassdigital/reconciler/internal/provider/smtp/smtptest"
	"github.com/compassdigital/reconciler/internal/simulator"
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
	server := httptest.NewServer(vendor)
	t.Cleanup(server.Close)
	w.plant("the key of Resend", apiKey)
	w.env["RESEND_API_KEY"] = apiKey
	w.env["RECONCILER_PROVIDERS_RESEND_API_URL"] = server.URL
	w.env["RECONCILER_PROVIDERS_RESEND_FROM"] = "Acme <ops@acme.example>"
	return w, vendor, faults
}

// P3: a client is welcomed once, though the answers of the first tries are lost.
func TestP3AWelcomeThroughResendIsMailedOnce(t *testing.T) {
	w, vendor, faults := resendWorld(t, map[string]string{"clients/onda.yaml": manifestOf("onda")}, simulated.Options{Domains: map[string]string{"acme.example": "verified"}})
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
	s := smtptest.Start(t, smtptest.Options{Username: "ops", Password: "invented-smtp-word-51c"})
	w := newWorld(t, map[string]string{"clients/onda.yaml": manifestOf("onda"), "clients/brio.yaml": manifestOf("brio")})
	w.plant("the password of the mail server", "invented-smtp-word-51c")
	for k, v := range map[string]string{"HOST": s.Host(), "PORT": fmt.Sprint(s.Port()), "USERNAME": "ops", "PASSWORD": "invented-smtp-word-51c", "FROM": "ops@acme.example", "TLS": "none"} {
		w.env["RECONCILER_PROVIDERS_SMTP_"+k] = v
	}
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
