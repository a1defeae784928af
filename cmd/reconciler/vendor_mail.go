package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/health"
	"github.com/compassdigital/reconciler/internal/notify"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/letter"
	"github.com/compassdigital/reconciler/internal/provider/resend"
	"github.com/compassdigital/reconciler/internal/provider/smtp"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// SMTPConfig is a mail server.
type SMTPConfig struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"` // 0: 587, 465 with tls
	Username     string `yaml:"username"`
	Password     sealed `yaml:"password"`
	PasswordFile string `yaml:"passwordFile"`
	From         string `yaml:"from"`
	TLS          string `yaml:"tls"` // tls | starttls | none; empty: tls at port 465, else starttls
}

// on says that mail goes through Resend. A key alone, as the .env of an application has it,
// says nothing of us.
func (r ResendConfig) on() bool { return !r.APIKey.Empty() && r.From != "" }

// checkMail says what is wrong with how mail goes out.
func (p ProvidersConfig) checkMail(blocks []string) (out []string) {
	bad := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	if r := p.Resend; slices.Contains(blocks, "resend") || r.From != "" {
		if r.APIKey.Empty() {
			bad("providers.resend.apiKey, or apiKeyFile, is missing: one with sending access is enough")
		}
		if _, err := letter.Sender(r.From); err != nil {
			bad("providers.resend.from: %v", err)
		}
		if u, err := url.Parse(r.APIURL); r.APIURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			bad("providers.resend.apiURL is not an address: leave it out for %s", resend.DefaultURL)
		}
	}
	if s := p.SMTP; slices.Contains(blocks, "smtp") || !reflect.ValueOf(s).IsZero() {
		if _, err := letter.Sender(s.From); err != nil {
			bad("providers.smtp.from: %v", err)
		}
		if err := s.options().Check(); err != nil {
			bad("%v", err)
		}
	}
	return out
}

func (s SMTPConfig) options() smtp.Options {
	return smtp.Options{Host: s.Host, Port: s.Port, Username: s.Username, Password: s.Password.Secret, From: s.From, TLS: s.TLS}
}

// mails makes a provider who sends mail, unless there is one: Resend comes before a server of
// one's own, and the embedded mailbox stands behind both.
func (p *program) mails(q provider.Provider) []provider.Provider {
	if p.mailer == "" {
		p.mailer = q.Name()
	}
	return []provider.Provider{q}
}

// openResend opens Resend where it is configured.
func (p *program) openResend(c Config) ([]provider.Provider, error) {
	r := c.Providers.Resend
	if !r.on() {
		return nil, nil
	}
	client, err := p.vendorHTTP(resend.Name, limit{most: resend.Most, window: resend.Window})
	if err != nil {
		return nil, err
	}
	q, err := resend.New(resend.Options{APIKey: r.APIKey.Secret, From: r.From, APIURL: r.APIURL, HTTP: client, Now: p.now})
	if err != nil {
		return nil, err
	}
	return p.mails(q), nil
}

// openSMTP opens the mail server that is configured.
func (p *program) openSMTP(c Config) ([]provider.Provider, error) {
	o, err := p.smtpOptions(c)
	if err != nil || o.Host == "" {
		return nil, err
	}
	q, err := smtp.New(o)
	if err != nil {
		return nil, err
	}
	return p.mails(q), nil
}

func (p *program) smtpOptions(c Config) (o smtp.Options, err error) {
	if c.Providers.SMTP.Host == "" {
		return o, nil
	}
	o = c.Providers.SMTP.options()
	o.Dir, o.Now = filepath.Join(filepath.Dir(c.State.Path), "mailed"), p.now
	if c.Network.CAFile != "" {
		o.Roots, err = health.Roots(c.Network.CAFile)
	}
	return o, err
}

// noticeTimeout is how long the mails of one run may take.
const noticeTimeout = 10 * time.Minute

// check says what is wrong with whom to tell.
func (n NotifyConfig) check() (out []string) {
	for _, to := range n.Mail {
		if err := letter.Address(to); err != nil {
			out = append(out, "notify.mail: "+err.Error())
		}
	}
	if _, err := notify.ParseQuiet(n.Quiet); err != nil {
		out = append(out, "notify.quiet: "+err.Error())
	}
	return out
}

// mails says that somebody is configured to send.
func (c *Config) mails() bool {
	return c.Providers.Resend.on() || c.Providers.SMTP.Host != "" || c.Providers.Embedded.Dir != ""
}

// openNotices makes who tells those who run this program; nobody where none is to be told.
func (p *program) openNotices(c Config, installation string, find func(string, state.Kind) (provider.Provider, bool), redact func(string) string) error {
	q, ok := find(p.mailer, state.KindMail)
	if len(c.Notify.Mail) == 0 || !ok {
		return nil
	}
	quiet, err := notify.ParseQuiet(c.Notify.Quiet)
	if err != nil {
		return err
	}
	p.notifier = &notify.Notifier{Store: p.store, Installation: installation, To: c.Notify.Mail, Quiet: quiet, Base: strings.TrimSuffix(c.PublicURL, "/"), Now: p.now, Redact: redact, Log: p.log,
		Providers: p.vendors.standings, Mailer: p.mailer,
		Send: func(ctx context.Context, name, to string, l report.Letter, looked bool) error {
			return sendNotice(ctx, q, name, to, l, looked)
		}}
	return nil
}

// sendNotice mails one letter. It is no client's: it bears no mark.
func sendNotice(ctx context.Context, q provider.Provider, name, to string, l report.Letter, looked bool) error {
	w := provider.Wish{Ref: state.Ref{Kind: state.KindMail, Name: "notice"}, Name: name,
		Inputs: []provider.Input{{Name: "html", Text: l.HTML}, {Name: "subject", Text: l.Subject}, {Name: "text", Text: l.Text}, {Name: "to", Text: to}}}
	if looked { // never again before a look
		if found, err := q.Observe(ctx, provider.Query{Kind: state.KindMail, Name: name, Wish: &w}); err != nil || len(found) > 0 {
			return err
		}
	}
	_, err := q.Create(ctx, w)
	return err
}

// tellPeople is the schedule of notices.
func (p *program) tellPeople(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, noticeTimeout, errors.New("mailing notices takes too long"))
	defer cancel()
	return p.notifier.Run(ctx)
}
