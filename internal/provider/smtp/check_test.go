package smtp

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider/smtp/smtptest"
	"github.com/compassdigital/reconciler/internal/state"
)

// A check talks to the server as far as the sender, sends nothing, and keeps no record.
func TestCheck(t *testing.T) {
	server := smtptest.Options{StartTLS: true, Username: "ops", Password: "invented-word"}
	for name, c := range map[string]struct {
		fault    smtptest.Fault
		password string
		gone     bool
		want     string
	}{
		"well":              {want: "takes mail from ops@acme.example, over TLS, after STARTTLS"},
		"a wrong password":  {password: "another-invented-word", want: "refuses our login"},
		"another sender":    {fault: smtptest.Fault{Stage: smtptest.MAIL, Reply: "553 5.7.1 not your address"}, want: "refuses the sender ops@acme.example: 5.7.1 not your address"},
		"it breaks off":     {fault: smtptest.Fault{Stage: smtptest.EHLO, Cut: true}, want: "does not answer as it should"},
		"it has no time":    {fault: smtptest.Fault{Stage: smtptest.Greeting, Reply: "421 4.3.2 busy"}, want: "does not answer as it should"},
		"nobody is there":   {gone: true, want: "no connection came about"},
		"it speaks no SMTP": {fault: smtptest.Fault{Stage: smtptest.Greeting, Reply: "HTTP/1.1 400 Bad Request"}, want: "does not answer as it should"},
	} {
		t.Run(name, func(t *testing.T) {
			s := smtptest.Start(t, server)
			if c.fault.Stage != "" {
				s.Fail(c.fault)
			}
			if c.password == "" {
				c.password = server.Password
			}
			if c.gone {
				s.Close()
			}
			p, err := NewChecker(Options{Host: s.Host(), Port: s.Port(), From: "Acme Ops <ops@acme.example>", Roots: s.Roots, Username: server.Username, Password: state.NewSecret(c.password)})
			if err != nil {
				t.Fatal(err)
			}
			found := p.Check(t.Context())
			if len(found) != 1 || found[0].OK != (name == "well") || found[0].OK == (found[0].Hint != "") || !strings.Contains(found[0].Text, c.want) || strings.Contains(found[0].Text, c.password) {
				t.Errorf("%+v; want %q", found, c.want)
			}
			if m := s.Mails(); len(m) != 0 {
				t.Errorf("%d mails", len(m))
			}
		})
	}
	for _, o := range []Options{{Host: "mail.acme.example", From: "nobody"}, {From: "Acme Ops <ops@acme.example>"}} {
		if _, err := NewChecker(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
