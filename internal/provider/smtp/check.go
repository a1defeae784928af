package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/letter"
)

var _ provider.Checker = (*Provider)(nil)

// NewChecker makes what looks at a server and keeps no records of mails: it can do nothing
// else.
func NewChecker(o Options) (provider.Checker, error) {
	from, err := letter.Sender(o.From)
	if err != nil {
		return nil, fmt.Errorf("providers.smtp.from: %w", err)
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	return &Provider{o: o, from: from, host: from.Address[strings.LastIndexByte(from.Address, '@')+1:]}, nil
}

// Check implements provider.Checker: it talks to the server until the sender is taken, and
// sends nothing.
func (p *Provider) Check(parent context.Context) []provider.Finding {
	server := net.JoinHostPort(p.o.Host, strconv.Itoa(p.o.Port))
	if err := p.greet(parent, server); err != nil {
		return []provider.Finding{provider.LookFailed("the mail server "+server, err, "see providers.smtp: host, port, tls, username and passwordFile, from")}
	}
	how := map[string]string{TLS: "over TLS", StartTLS: "over TLS, after STARTTLS", NoTLS: "in clear"}[p.o.TLS]
	return []provider.Finding{provider.Well("the mail server %s takes mail from %s, %s", server, p.from.Address, how)}
}

func (p *Provider) greet(parent context.Context, server string) error {
	ctx, cancel := context.WithTimeoutCause(parent, talkTimeout, errors.New("the mail server is too slow"))
	defer cancel()
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", server)
	if err != nil {
		return fail(provider.Transient, "observe", "no connection came about", err)
	}
	t := &talk{p: p}
	t.over(conn)
	defer func() { _ = t.conn.Close() }() // all was said
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := t.begin(ctx); err != nil {
		return err
	}
	if err := t.expect("sender", 250, "MAIL FROM:<"+p.from.Address+">"); err != nil {
		return err
	}
	_, _ = t.say("QUIT") // it takes the sender; how the talk ends says nothing more
	return nil
}
