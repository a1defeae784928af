package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Limits of a talk.
const (
	connectTimeout = 10 * time.Second
	talkTimeout    = 2 * time.Minute // until the dot
	dotTimeout     = 3 * time.Minute // from the dot to its answer; servers look at a mail before they take it
	maxSaid        = 256 << 10       // bytes that a server may say
	maxQuoted      = 200             // characters of its words in an error
)

// delivery is one message to one recipient. before is called when all but the dot was sent;
// its error ends the talk without one.
type delivery struct {
	to      string
	message []byte
	before  func() error
}

// talk is a connection to a server.
type talk struct {
	p      *Provider
	conn   net.Conn
	in     *bufio.Reader
	left   *io.LimitedReader
	offers map[string]string
	secret bool // over TLS
	dotted bool // the dot is out: from here on, silence is uncertain
}

// deliver sends one mail. nil: the server took it.
func (p *Provider) deliver(parent context.Context, d delivery) error {
	ctx, cancel := context.WithTimeoutCause(parent, talkTimeout, errors.New("the mail server is too slow"))
	defer cancel()
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", net.JoinHostPort(p.o.Host, strconv.Itoa(p.o.Port)))
	if err != nil {
		return fail(provider.Transient, "create", "no connection to "+p.o.Host+" came about", err)
	}
	t := &talk{p: p}
	t.over(conn)
	defer func() { _ = t.conn.Close() }() // all was said
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := t.begin(ctx); err != nil {
		return err
	}
	if err := t.envelope(d.to); err != nil {
		return err
	}
	if err := t.content(d); err != nil {
		return err
	}
	if !stop() { // given up while the last line went out: no dot
		return fail(provider.Transient, "create", "the talk was given up before the mail was complete", context.Cause(ctx))
	}
	last, end := context.WithTimeoutCause(parent, dotTimeout, errors.New("the mail server did not answer in time"))
	defer end()
	defer context.AfterFunc(last, func() { _ = conn.Close() })()
	if err := t.dot(d); err != nil {
		return err
	}
	_, _ = t.say("QUIT") // it was taken, whatever comes now
	return nil
}

// over makes c the connection; what was read ahead of it is forgotten.
func (t *talk) over(c net.Conn) {
	t.conn, t.left = c, &io.LimitedReader{R: c, N: maxSaid}
	t.in = bufio.NewReader(t.left)
}

// begin goes as far as to be logged in.
func (t *talk) begin(ctx context.Context) error {
	o := t.p.o
	if o.TLS == TLS {
		if err := t.seal(ctx); err != nil {
			return err
		}
	}
	if err := t.expect("greeting", 220, ""); err != nil {
		return err
	}
	if err := t.hello(); err != nil {
		return err
	}
	if o.TLS == StartTLS {
		if _, ok := t.offers["STARTTLS"]; !ok {
			return fail(provider.Denied, "create", o.Host+" offers no STARTTLS, and mail is not sent in clear: set providers.smtp.tls to tls if it has another port for that", nil)
		}
		if err := t.expect("STARTTLS", 220, "STARTTLS"); err != nil {
			return err
		}
		if t.in.Buffered() > 0 {
			return fail(provider.Denied, "create", o.Host+" said more than it may before TLS: somebody may be in between", nil)
		}
		if err := t.seal(ctx); err != nil {
			return err
		}
		if err := t.hello(); err != nil {
			return err
		}
	}
	return t.login()
}

// seal puts TLS over the connection.
func (t *talk) seal(ctx context.Context) error {
	c := tls.Client(t.conn, &tls.Config{ServerName: t.p.o.Host, RootCAs: t.p.o.Roots, MinVersion: tls.VersionTLS12})
	if err := c.HandshakeContext(ctx); err != nil {
		var bad *tls.CertificateVerificationError
		if errors.As(err, &bad) {
			return fail(provider.Denied, "create", "the certificate of "+t.p.o.Host+" is not one that we can trust for that name; network.caFile names a root of your own", err)
		}
		return fail(provider.Transient, "create", "no TLS with "+t.p.o.Host+" came about", err)
	}
	t.over(c)
	t.secret = true
	return nil
}

// hello asks what the server offers.
func (t *talk) hello() error {
	text, err := t.ask("EHLO", 250, "EHLO "+t.p.host)
	if err != nil {
		return err
	}
	t.offers = map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		if word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); i > 0 {
			t.offers[strings.ToUpper(word)] = strings.ToUpper(rest)
		}
	}
	return nil
}

// login says who we are, in a way that the server offers.
func (t *talk) login() error {
	o := t.p.o
	if o.Username == "" {
		return nil
	}
	if !t.secret && !loopback(o.Host) {
		return fail(provider.Denied, "create", "a password goes out over TLS only", nil)
	}
	in64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	ways := strings.Fields(t.offers["AUTH"])
	has := func(way string) bool {
		for _, w := range ways {
			if w == way {
				return true
			}
		}
		return false
	}
	switch {
	case has("PLAIN"):
		return t.expect("login", 235, "AUTH PLAIN "+in64("\x00"+o.Username+"\x00"+o.Password.Reveal()))
	case has("LOGIN"):
		if err := t.expect("login", 334, "AUTH LOGIN"); err != nil {
			return err
		}
		if err := t.expect("login", 334, in64(o.Username)); err != nil {
			return err
		}
		return t.expect("login", 235, in64(o.Password.Reveal()))
	}
	return fail(provider.Denied, "create", o.Host+" takes no login by name and password (AUTH PLAIN or LOGIN)", nil)
}

// envelope says who sends to whom.
func (t *talk) envelope(to string) error {
	if err := t.expect("sender", 250, "MAIL FROM:<"+t.p.from.Address+">"); err != nil {
		return err
	}
	return t.expect("recipient", 25, "RCPT TO:<"+to+">")
}

// content sends the message, without the dot that ends it.
func (t *talk) content(d delivery) error {
	if err := t.expect("content", 354, "DATA"); err != nil {
		return err
	}
	var out strings.Builder
	for _, line := range strings.SplitAfter(string(d.message), "\r\n") {
		if strings.HasPrefix(line, ".") { // RFC 5321 section 4.5.2
			out.WriteByte('.')
		}
		out.WriteString(line)
	}
	if _, err := io.WriteString(t.conn, out.String()); err != nil {
		return t.silent("content", err)
	}
	return nil
}

// dot ends the message, once it is on record that this may have happened.
func (t *talk) dot(d delivery) error {
	if err := d.before(); err != nil {
		return fail(provider.Transient, "create", "that the mail is about to be sent could not be put on record, so it was not sent", err)
	}
	t.dotted = true
	return t.expect("message", 250, ".")
}

// say sends a line, and reads what is answered.
func (t *talk) say(line string) (said reply, err error) {
	if line != "" {
		if _, err := io.WriteString(t.conn, line+"\r\n"); err != nil {
			return said, err
		}
	}
	return readReply(t.in)
}

// reply is what a server answers.
type reply struct {
	code int
	text string // lines
}

// readReply reads an answer of one or more lines.
func readReply(in *bufio.Reader) (reply, error) {
	code, text, err := textproto.NewReader(in).ReadResponse(0)
	var odd textproto.ProtocolError
	if errors.As(err, &odd) {
		return reply{}, errors.New("its answer is not SMTP")
	}
	return reply{code, text}, err
}

func (t *talk) expect(stage string, code int, line string) error {
	_, err := t.ask(stage, code, line)
	return err
}

// ask says a line and wants a code, or one that begins with it.
func (t *talk) ask(stage string, want int, line string) (string, error) {
	is, err := t.say(line)
	if err != nil {
		return "", t.silent(stage, err)
	}
	if is.code == want || want < 100 && is.code/10 == want || t.dotted && is.code/100 == 2 {
		return is.text, nil
	}
	return "", t.refused(stage, is)
}

// silent is a talk that broke off.
func (t *talk) silent(stage string, err error) error {
	if t.dotted {
		return fail(provider.Uncertain, "create", "the connection to "+t.p.o.Host+" broke off before it said whether it took the mail; it counts as sent", err)
	}
	return fail(provider.Transient, "create", "the connection to "+t.p.o.Host+" broke off ("+stage+"); nothing was sent", err)
}

// refused is an answer that was not wanted.
func (t *talk) refused(stage string, is reply) error {
	e := &provider.Error{Provider: Name, Op: "create", Code: fmt.Sprint(is.code), Kind: kindOf(stage, is.code, t.dotted)}
	about := map[string]string{"greeting": "our connection", "EHLO": "our greeting", "STARTTLS": "STARTTLS", "login": "our login", "sender": "the sender " + t.p.from.Address,
		"recipient": "the recipient", "content": "the mail", "message": "the mail"}[stage]
	e.Message = fmt.Sprintf("%s refuses %s: %s", t.p.o.Host, about, provider.Line(is.text, maxQuoted))
	if e.Kind == provider.Uncertain {
		e.Message = t.p.o.Host + " answered the mail with a code that says neither yes nor no; it counts as sent"
	}
	return e
}

// kindOf is what a code means where it comes.
func kindOf(stage string, code int, dotted bool) provider.ErrorKind {
	switch {
	case code >= 400 && code < 500:
		return provider.Transient
	case code >= 500 && code < 600:
		switch code {
		case 530, 534, 535, 538: // RFC 4954 section 6: who we are
			return provider.Denied
		}
		if stage == "recipient" || stage == "content" || stage == "message" {
			return provider.Invalid
		}
		return provider.Denied
	case dotted:
		return provider.Uncertain
	}
	return provider.Transient
}
