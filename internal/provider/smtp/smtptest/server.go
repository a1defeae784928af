package smtptest

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Limits.
const (
	maxLine = 1000 // bytes: RFC 5321 section 4.5.3.1.6
	maxMail = 4 << 20
)

// Options say what kind of server it is. The zero value takes all mail in clear.
type Options struct {
	TLS                bool // from the first byte
	StartTLS           bool
	Username, Password string   // "": nobody has to log in
	Auth               []string // ways that are offered; nil: PLAIN
	// Heard is told of every mail that came whole, kept or not; nil: nobody is.
	Heard func(Mail)
}

// Stages of a talk, for Faults.
const (
	Greeting = "greeting"
	EHLO     = "EHLO"
	STARTTLS = "STARTTLS"
	AUTH     = "AUTH"
	MAIL     = "MAIL"
	RCPT     = "RCPT"
	DATA     = "DATA"
	Dot      = "dot" // the end of a mail
)

// Fault is what goes wrong once at a stage.
type Fault struct {
	Stage string
	Reply string // said in place of what would be; a mail is then not kept
	Cut   bool   // breaks off without a word, before anything is kept
	Lose  bool   // keeps the mail, and breaks off
	After string // said after the answer, unasked
}

// Mail is one that was taken.
type Mail struct {
	From, To string
	Data     []byte // as it was meant: dots unstuffed, lines end in CRLF
	Secure   bool   // came over TLS
	User     string
}

// Server is a mail server. Make it with Start.
type Server struct {
	o      Options
	listen net.Listener
	cert   tls.Certificate
	// Roots trust its certificate.
	Roots *x509.CertPool

	talks sync.WaitGroup

	mu     sync.Mutex
	faults []Fault
	mails  []Mail
	heard  []string
	open   map[net.Conn]bool
	closed bool
}

// Start starts a server, and ends it with the test.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	listen, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{o: o, listen: listen, Roots: x509.NewCertPool(), open: map[net.Conn]bool{}}
	if s.cert, err = s.certificate(); err != nil {
		tb.Fatal(err)
	}
	s.talks.Go(s.accept)
	tb.Cleanup(s.Close)
	return s
}

// Host and Port are where it listens.
func (s *Server) Host() string { return "127.0.0.1" }

// Port is the port.
func (s *Server) Port() int { return s.listen.Addr().(*net.TCPAddr).Port }

// Fail lets something go wrong from now on, each once.
func (s *Server) Fail(all ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, all...)
}

// Mails are those that were taken, oldest first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Heard are the words of all commands, in order.
func (s *Server) Heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.heard...)
}

// Close ends all talks and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		_ = c.Close()
	}
	s.mu.Unlock()
	_ = s.listen.Close()
	s.talks.Wait()
}

func (s *Server) certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	about := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.example"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, &about, &about, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	is, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	s.Roots.AddCert(is)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func (s *Server) accept() {
	for {
		c, err := s.listen.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			_ = c.Close()
		}
		s.open[c] = true
		s.mu.Unlock()
		s.talks.Go(func() {
			_ = (&talk{s: s}).run(c) // whoever breaks off breaks off
			_ = c.Close()
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
		})
	}
}

// take is the fault of a stage.
func (s *Server) take(stage string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, stage)
	for i, f := range s.faults {
		if f.Stage == stage {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			return f
		}
	}
	return Fault{}
}

// talk is one connection.
type talk struct {
	s      *Server
	conn   net.Conn
	in     *bufio.Reader
	secure bool
	user   string
	from   string
	to     string
}

var errCut = errors.New("broke off")

func (t *talk) over(c net.Conn) { t.conn, t.in = c, bufio.NewReaderSize(c, maxLine) }

// say answers a stage, or does what its fault says.
func (t *talk) say(stage, text string) error {
	f := t.s.take(stage)
	switch {
	case f.Cut:
		return errCut
	case f.Reply != "":
		text = f.Reply
	}
	if _, err := io.WriteString(t.conn, text+"\r\n"+f.After); err != nil {
		return err
	}
	if f.Reply != "" {
		return errCut // it has had enough
	}
	return nil
}

func (t *talk) run(c net.Conn) error {
	t.over(c)
	if t.s.o.TLS {
		t.seal()
	}
	if err := t.say(Greeting, "220 mail.example at your service"); err != nil {
		return err
	}
	for {
		line, err := t.line()
		if err != nil {
			return err
		}
		word, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(word) {
		case "EHLO":
			err = t.say(EHLO, t.offers())
		case "STARTTLS":
			if err = t.say(STARTTLS, "220 go on"); err == nil {
				t.seal()
			}
		case "AUTH":
			err = t.auth(rest)
		case "MAIL":
			if t.s.o.Username != "" && t.user == "" {
				_, err = io.WriteString(t.conn, "530 5.7.0 Authentication required\r\n")
				break
			}
			t.from = address(rest)
			err = t.say(MAIL, "250 ok")
		case "RCPT":
			t.to = address(rest)
			err = t.say(RCPT, "250 ok")
		case "DATA":
			err = t.data()
		case "QUIT":
			_, _ = io.WriteString(t.conn, "221 bye\r\n")
			return nil
		default:
			_, err = io.WriteString(t.conn, "502 what?\r\n")
		}
		if err != nil {
			return err
		}
	}
}

func (t *talk) seal() {
	t.over(tls.Server(t.conn, &tls.Config{Certificates: []tls.Certificate{t.s.cert}, MinVersion: tls.VersionTLS12}))
	t.secure = true
}

// line reads one line, without its end, which is CRLF.
func (t *talk) line() (string, error) {
	raw, err := t.in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	line, ok := bytes.CutSuffix(raw, []byte("\r\n"))
	if !ok || bytes.ContainsAny(line, "\r\n") {
		return "", errors.New("a bare line end")
	}
	return string(line), nil
}

func (t *talk) offers() string {
	out := "250-mail.example greets you\r\n"
	if t.s.o.StartTLS && !t.secure {
		out += "250-STARTTLS\r\n"
	}
	if ways := t.s.o.Auth; t.s.o.Username != "" {
		if ways == nil {
			ways = []string{"PLAIN"}
		}
		out += "250-AUTH " + strings.Join(ways, " ") + "\r\n"
	}
	return out + "250 8BITMIME"
}

func address(text string) string {
	_, at, _ := strings.Cut(text, "<")
	at, _, _ = strings.Cut(at, ">")
	return at
}

func (t *talk) auth(rest string) error {
	way, sent, _ := strings.Cut(rest, " ")
	user, password := "", ""
	ask := func(prompt string) (string, error) {
		if _, err := fmt.Fprintf(t.conn, "334 %s\r\n", base64.StdEncoding.EncodeToString([]byte(prompt))); err != nil {
			return "", err
		}
		line, err := t.line()
		text, _ := base64.StdEncoding.DecodeString(line)
		return string(text), err
	}
	switch way {
	case "PLAIN":
		text, _ := base64.StdEncoding.DecodeString(sent)
		if parts := strings.Split(string(text), "\x00"); len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	case "LOGIN":
		var err error
		if user, err = ask("Username:"); err != nil {
			return err
		}
		if password, err = ask("Password:"); err != nil {
			return err
		}
	}
	if user != t.s.o.Username || password != t.s.o.Password {
		_, err := io.WriteString(t.conn, "535 5.7.8 Authentication credentials invalid\r\n")
		return err
	}
	t.user = user
	return t.say(AUTH, "235 welcome")
}

// data takes a mail.
func (t *talk) data() error {
	if err := t.say(DATA, "354 go on"); err != nil {
		return err
	}
	var data bytes.Buffer
	for {
		line, err := t.line()
		if err != nil {
			return err
		}
		if line == "." {
			break
		}
		if data.Len() > maxMail {
			return errCut
		}
		data.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
	m := Mail{From: t.from, To: t.to, Data: data.Bytes(), Secure: t.secure, User: t.user}
	if t.s.o.Heard != nil {
		t.s.o.Heard(m)
	}
	t.s.mu.Lock()
	keep, lose := true, false
	for _, f := range t.s.faults {
		if f.Stage == Dot {
			keep, lose = f.Lose, f.Lose
			break
		}
	}
	if keep {
		t.s.mails = append(t.s.mails, m)
	}
	t.s.mu.Unlock()
	if lose {
		t.s.take(Dot)
		return errCut
	}
	return t.say(Dot, "250 2.0.0 taken")
}
