package localdns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"
)

// Limits on serving.
const (
	udpWorkers     = 4  // read and answer in turn: no packet starts a goroutine
	maxConnections = 64 // over TCP; more wait
	maxQueries     = 128
	idleTimeout    = 5 * time.Second
	stepTimeout    = 2 * time.Second // to read a question or take an answer over TCP
	closeTimeout   = 5 * time.Second
	maxUDPRequest  = 4 << 10
	maxFailures    = 1000 // reads of a socket that fail in a row: it is broken
	portTries      = 10   // for a port that is free for UDP and TCP
)

// server is the two sockets and those who wait on them.
type server struct {
	packets net.PacketConn
	streams *dns.Server
	addr    string
	wg      sync.WaitGroup
}

// Listen begins to answer at a host:port, over UDP and TCP. Port 0 takes a free one.
func (p *Provider) Listen(addr string) error {
	if err := p.allowed(addr); err != nil {
		return err
	}
	packets, streams, err := sockets(addr)
	if err != nil {
		return fmt.Errorf("listen for DNS at %s: %w; set providers.embedded.dns (for the demo: --dns) to another address, as 127.0.0.1:PORT", clean(addr), err)
	}
	return p.Serve(packets, streams)
}

// Serve begins to answer at sockets that are open, and are the provider's from here on: it closes them, here too where it fails.
func (p *Provider) Serve(packets net.PacketConn, streams net.Listener) error {
	p.listening.Lock()
	defer p.listening.Unlock()
	err := p.allowed(packets.LocalAddr().String())
	switch {
	case p.closed:
		err = errors.New("listen for DNS: closed")
	case p.server != nil:
		err = fmt.Errorf("listen for DNS: already at %s", p.server.addr)
	}
	if err != nil {
		return errors.Join(err, packets.Close(), streams.Close())
	}
	s := &server{packets: packets, addr: packets.LocalAddr().String()}
	started := make(chan struct{})
	s.streams = &dns.Server{Listener: netutil.LimitListener(streams, maxConnections), Handler: dns.HandlerFunc(p.overTCP), MaxTCPQueries: maxQueries,
		ReadTimeout: stepTimeout, WriteTimeout: stepTimeout, IdleTimeout: func() time.Duration { return idleTimeout },
		MsgAcceptFunc: accept, NotifyStartedFunc: func() { close(started) }}
	s.wg.Add(1 + udpWorkers)
	go func() {
		defer s.wg.Done()
		_ = s.streams.ActivateAndServe() // ends when the listener does
	}()
	for range udpWorkers {
		go func() {
			defer s.wg.Done()
			p.overUDP(packets)
		}()
	}
	<-started
	p.server = s
	return nil
}

// allowed refuses what is not loopback.
func (p *Provider) allowed(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen for DNS: %q is not host:port", clean(addr))
	}
	if ip := net.ParseIP(host); p.o.Anywhere || host == "localhost" || (ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("listen for DNS: %q is not loopback, and this server answers only this machine", clean(addr))
}

// sockets opens both at the same port.
func sockets(addr string) (net.PacketConn, net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, err
	}
	for try := 1; ; try++ {
		packets, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", addr)
		if err != nil {
			return nil, nil, err
		}
		_, took, err := net.SplitHostPort(packets.LocalAddr().String())
		if err != nil {
			return nil, nil, errors.Join(err, packets.Close())
		}
		streams, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(host, took))
		if err == nil {
			return packets, streams, nil
		}
		if err = errors.Join(err, packets.Close()); port != "0" || try == portTries {
			return nil, nil, err
		}
	}
}

// Addr is the address at which it answers, "" before Listen.
func (p *Provider) Addr() string {
	p.listening.Lock()
	defer p.listening.Unlock()
	if p.server == nil {
		return ""
	}
	return p.server.addr
}

// Close stops answering and waits for those who do. It may be called twice.
func (p *Provider) Close() error {
	p.listening.Lock()
	defer p.listening.Unlock()
	p.closed = true
	s := p.server
	if s == nil {
		return nil
	}
	p.server = nil
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := errors.Join(s.packets.Close(), s.streams.ShutdownContext(ctx))
	s.wg.Wait()
	if err != nil {
		return fmt.Errorf("close DNS: %w", err)
	}
	return nil
}

// overUDP answers packets until the socket is closed.
func (p *Provider) overUDP(c net.PacketConn) {
	in := make([]byte, maxUDPRequest)
	for failures := 0; failures < maxFailures; {
		n, from, err := c.ReadFrom(in)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			failures++ // some systems report here that an earlier answer was not delivered
			continue
		}
		failures = 0
		if out := p.reply(in[:n]); out != nil {
			_, _ = c.WriteTo(out, from) // who asked asks again
		}
	}
}

// reply answers one packet; nil: not at all.
func (p *Provider) reply(in []byte) []byte {
	q := new(dns.Msg)
	m := new(dns.Msg)
	if err := q.Unpack(in); err == nil {
		m = p.answer(q, true)
	} else if len(in) < 12 || q.Response { // not even a header
		return nil
	} else {
		m.SetRcodeFormatError(&dns.Msg{MsgHdr: q.MsgHdr})
	}
	if m == nil {
		return nil
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}

// overTCP answers one question of a connection.
func (p *Provider) overTCP(w dns.ResponseWriter, q *dns.Msg) {
	if m := p.answer(q, false); m != nil {
		_ = w.WriteMsg(m) // who asked asks again
	}
}

// accept lets everything through that is a question; answer says what is wrong with it.
func accept(h dns.Header) dns.MsgAcceptAction {
	const response = 1 << 15
	if h.Bits&response != 0 {
		return dns.MsgIgnore
	}
	return dns.MsgAccept
}
