package smtp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/smtp/smtptest"
	"github.com/compassdigital/reconciler/internal/state"
)

var mark = provider.Mark{Installation: "0a1b2c3d", Client: "demoshop-1a2b3c", Generation: 1}

func now() time.Time { return time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC) }

// open is a provider at a server. What o leaves out is what fits.
func open(t *testing.T, s *smtptest.Server, o Options) *Provider {
	t.Helper()
	o.Host, o.Port, o.From, o.Now = s.Host(), s.Port(), "Acmé Ops <ops@acme.example>", now
	if o.Roots == nil {
		o.Roots = s.Roots
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func welcome(name string) provider.Wish {
	return provider.Wish{Ref: state.Ref{Client: mark.Client, Kind: state.KindMail, Name: "welcome"}, Name: name, Mark: mark,
		Inputs: []provider.Input{{Name: "subject", Text: "Größe ☂ is ready"}, {Name: "text", Text: ".\nIt is at\nhttp://demoshop.example/\n.\n"}, {Name: "to", Text: "dana@demoshop.example"}}}
}

func wantKind(t *testing.T, err error, kind provider.ErrorKind) *provider.Error {
	t.Helper()
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("got %v, want an error of kind %s", err, kind)
	}
	return e
}

// P3: whatever is lost, one mail at most: what broke off before the dot is sent by the next
// try, and what broke off after it counts as sent, for a process that starts anew, too.
func TestP3ALostAnswerMailsOnce(t *testing.T) {
	for stage, c := range map[string]struct {
		fault smtptest.Fault
		kind  provider.ErrorKind
		sent  int // after the first try
		total int // after all
	}{
		"greeting":        {smtptest.Fault{Stage: smtptest.Greeting, Cut: true}, provider.Transient, 0, 1},
		"hello":           {smtptest.Fault{Stage: smtptest.EHLO, Cut: true}, provider.Transient, 0, 1},
		"sender":          {smtptest.Fault{Stage: smtptest.MAIL, Cut: true}, provider.Transient, 0, 1},
		"recipient":       {smtptest.Fault{Stage: smtptest.RCPT, Cut: true}, provider.Transient, 0, 1},
		"content":         {smtptest.Fault{Stage: smtptest.DATA, Cut: true}, provider.Transient, 0, 1},
		"the dot is lost": {smtptest.Fault{Stage: smtptest.Dot, Cut: true}, provider.Uncertain, 0, 0},
		"its answer is":   {smtptest.Fault{Stage: smtptest.Dot, Lose: true}, provider.Uncertain, 1, 1},
	} {
		t.Run(stage, func(t *testing.T) {
			s, dir := smtptest.Start(t, smtptest.Options{StartTLS: true}), t.TempDir()
			s.Fail(c.fault)
			_, err := open(t, s, Options{Dir: dir}).Create(t.Context(), welcome("shop-welcome"))
			_ = wantKind(t, err, c.kind)
			if got := len(s.Mails()); got != c.sent {
				t.Fatalf("%d mails", got)
			}
			p := open(t, s, Options{Dir: dir})
			w := welcome("shop-welcome")
			found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindMail, Name: w.Name, Wish: &w})
			if err != nil || len(found) != map[provider.ErrorKind]int{provider.Uncertain: 1}[c.kind] {
				t.Fatalf("found %v (%v)", found, err)
			}
			if _, err = p.Create(t.Context(), w); len(found) == 1 {
				_ = wantKind(t, err, provider.Conflict)
			} else if err != nil {
				t.Fatal(err)
			}
			if got := len(s.Mails()); got != c.total {
				t.Errorf("%d mails in the end", got)
			}
		})
	}
}

// Every answer by its code and its place.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		stage, reply string
		kind         provider.ErrorKind
		says         string
	}{
		{smtptest.Greeting, "421 too busy", provider.Transient, "too busy"},
		{smtptest.Greeting, "554 we don't know you", provider.Denied, "refuses our connection"},
		{smtptest.EHLO, "500 what?", provider.Denied, ""},
		{smtptest.STARTTLS, "454 not now", provider.Transient, ""},
		{smtptest.AUTH, "454 4.7.0 not now", provider.Transient, ""},
		{smtptest.AUTH, "534 5.7.9 too weak", provider.Denied, "refuses our login"},
		{smtptest.MAIL, "553 not yours", provider.Denied, "refuses the sender ops@acme.example"},
		{smtptest.MAIL, "452 full", provider.Transient, ""},
		{smtptest.RCPT, "550 5.1.1 nobody\x1b[2J\u202e of that name", provider.Invalid, "refuses the recipient: 5.1.1 nobody[2J of that name"},
		{smtptest.RCPT, "530 log in", provider.Denied, ""},
		{smtptest.RCPT, "450 greylisted", provider.Transient, ""},
		{smtptest.RCPT, "299 perhaps", provider.Transient, ""},
		{smtptest.DATA, "554 no", provider.Invalid, ""},
		{smtptest.Dot, "554 5.7.1 spam", provider.Invalid, "refuses the mail: 5.7.1 spam"},
		{smtptest.Dot, "451 later", provider.Transient, ""},
		{smtptest.Dot, "354 and?", provider.Uncertain, "counts as sent"},
		{smtptest.Dot, "hello", provider.Uncertain, "counts as sent"},
		{smtptest.Greeting, "hello", provider.Transient, ""},
		{smtptest.EHLO, strings.TrimSuffix(strings.Repeat("250-"+strings.Repeat("x", 900)+"\r\n", 400), "\r\n"), provider.Transient, ""},
	} {
		t.Run(c.stage+c.reply[:min(len(c.reply), 5)], func(t *testing.T) {
			s := smtptest.Start(t, smtptest.Options{StartTLS: true, Username: "ops", Password: "invented-word-of-a-test"})
			s.Fail(smtptest.Fault{Stage: c.stage, Reply: c.reply})
			p := open(t, s, Options{Username: "ops", Password: state.NewSecret("invented-word-of-a-test")})
			_, err := p.Create(t.Context(), welcome("shop-welcome"))
			e := wantKind(t, err, c.kind)
			if !strings.Contains(e.Message, c.says) || strings.ContainsAny(err.Error(), "\n\x1b\u202e") || strings.Contains(err.Error(), "invented-word") {
				t.Errorf("%q", err)
			}
			found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindMail, Name: "shop-welcome"})
			if err != nil || (len(found) == 1) != (c.kind == provider.Uncertain) {
				t.Errorf("found %v (%v)", found, err)
			}
			if c.kind == provider.Uncertain {
				return
			}
			if _, err := p.Create(t.Context(), welcome("shop-welcome")); err != nil || len(s.Mails()) != 1 { // the fault was once
				t.Errorf("%d mails (%v)", len(s.Mails()), err)
			}
		})
	}
}

// What arrives is what was wished: one recipient, a text and the same as HTML, no header more.
func TestWhatArrives(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{TLS: true, Username: "ops", Password: "invented-word-of-a-test", Auth: []string{"LOGIN"}})
	p := open(t, s, Options{TLS: TLS, Username: "ops", Password: state.NewSecret("invented-word-of-a-test")})
	if _, err := p.Create(t.Context(), welcome("shop-welcome")); err != nil {
		t.Fatal(err)
	}
	got := s.Mails()[0]
	m, err := mail.ReadMessage(bytes.NewReader(got.Data))
	if err != nil {
		t.Fatal(err)
	}
	subject, _ := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if got.From != "ops@acme.example" || got.To != "dana@demoshop.example" || !got.Secure || got.User != "ops" || subject != "Größe ☂ is ready" || len(m.Header) != 8 ||
		m.Header.Get("Message-Id") != "<"+strings.TrimPrefix(idOf("shop-welcome"), "mail-")+"@acme.example>" || m.Header.Get("Date") != "Thu, 26 Nov 2026 09:00:00 +0000" {
		t.Errorf("%+v %v", got, m.Header)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	for _, want := range []string{".\nIt is at\nhttp://demoshop.example/\n.\n", `<a href="http://demoshop.example/">`} {
		part, err := r.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(part)
		if err != nil || !strings.Contains(strings.ReplaceAll(string(text), "\r\n", "\n"), want) {
			t.Errorf("%q (%v), want %q", text, err, want)
		}
	}
}

// P10: nothing secret goes out in clear: no password, and no mail where TLS was asked for.
func TestP10NothingInClear(t *testing.T) {
	password := state.NewSecret("invented-word-of-a-test")
	for name, c := range map[string]struct {
		server smtptest.Options
		fault  smtptest.Fault
		roots  bool
		says   string
	}{
		"no STARTTLS":           {smtptest.Options{}, smtptest.Fault{}, true, "offers no STARTTLS"},
		"a word before TLS":     {smtptest.Options{StartTLS: true}, smtptest.Fault{Stage: smtptest.STARTTLS, After: "250 ok\r\n"}, true, "may before TLS"},
		"another's certificate": {smtptest.Options{StartTLS: true}, smtptest.Fault{}, false, "certificate"},
		"no way to log in":      {smtptest.Options{StartTLS: true, Username: "ops", Password: "x", Auth: []string{"GSSAPI"}}, smtptest.Fault{}, true, "takes no login"},
	} {
		t.Run(name, func(t *testing.T) {
			s := smtptest.Start(t, c.server)
			s.Fail(c.fault)
			o := Options{Username: "ops", Password: password, Roots: s.Roots}
			if !c.roots {
				o.Roots = x509.NewCertPool()
			}
			_, err := open(t, s, o).Create(t.Context(), welcome("shop-welcome"))
			if e := wantKind(t, err, provider.Denied); !strings.Contains(e.Message, c.says) {
				t.Errorf("%v", err)
			}
			for _, word := range s.Heard() {
				if word == smtptest.AUTH || word == smtptest.MAIL {
					t.Errorf("heard %v", s.Heard())
				}
			}
		})
	}
	dir := t.TempDir()
	for _, o := range []Options{
		{Host: "mail.example", Port: 25, TLS: NoTLS, Username: "ops", Password: password}, {Host: "mail.example", Username: "ops"}, {Host: "mail.example", Password: password},
		{Host: "a b"}, {Host: ""}, {Host: "mail.example", Port: 70000}, {Host: "mail.example", TLS: "maybe"},
	} {
		o.From, o.Now, o.Dir = "ops@acme.example", now, dir
		if _, err := New(o); err == nil || strings.Contains(err.Error(), password.Reveal()) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := New(Options{Host: "mail.example", From: "ops", Now: now, Dir: dir}); err == nil {
		t.Error("a sender without an address")
	}
}

// A server that says nothing is given up when the caller does; nobody is left behind.
func TestGivenUp(t *testing.T) {
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends with the listener or the first caller
		if c, err := listen.Accept(); err == nil {
			cancel()
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	p, err := New(Options{Host: "127.0.0.1", Port: listen.Addr().(*net.TCPAddr).Port, TLS: NoTLS, From: "ops@acme.example", Now: now, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Create(ctx, welcome("shop-welcome"))
	_ = wantKind(t, err, provider.Transient)
	if found, _ := p.Observe(t.Context(), provider.Query{Kind: state.KindMail, Name: "shop-welcome"}); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}

// Records of mails that are no client's go after a while; a client's stay.
func TestRecordsOfNoticesGo(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{StartTLS: true})
	p := open(t, s, Options{})
	notice := welcome("notice")
	notice.Mark = provider.Mark{}
	at := now()
	p.o.Now = func() time.Time { return at }
	for _, w := range []provider.Wish{notice, welcome("shop-welcome")} {
		if _, err := p.Create(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	at = at.Add(keepOurs + time.Hour)
	if _, err := p.Create(t.Context(), welcome("other-welcome")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"notice": 0, "shop-welcome": 1, "other-welcome": 1} {
		if found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindMail, Name: name}); err != nil || len(found) != want {
			t.Errorf("%s: found %v (%v)", name, found, err)
		}
	}
}

// Whatever a server says is a reply of bounded size or an error.
func FuzzReply(f *testing.F) {
	f.Add([]byte("250-a\r\n250 b\r\n"))
	f.Add([]byte("250"))
	f.Add([]byte("99 x\r\n\xff"))
	f.Fuzz(func(t *testing.T, said []byte) {
		r, err := readReply(bufio.NewReader(bytes.NewReader(said)))
		if err == nil && (r.code < 100 || r.code > 999 || len(r.text) > len(said)) {
			t.Errorf("%+v", r)
		}
		e := (&talk{p: &Provider{o: Options{Host: "mail.example"}}}).refused("recipient", r)
		if !utf8.ValidString(e.Error()) || strings.ContainsAny(e.Error(), "\n\r\x1b") || len(e.Error()) > 4096 {
			t.Errorf("%q", e)
		}
	})
}
