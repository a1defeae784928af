package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// ports is how many ports are tried from the one that is asked for.
const ports = 50

// claim is an address that nobody else can listen at until it is taken or closed.
type claim struct {
	address string
	tcp     net.Listener
	udp     net.PacketConn
}

// Close gives the sockets back that were not taken.
func (c *claim) Close() {
	if c.tcp != nil {
		_ = c.tcp.Close() // nothing came over it
	}
	if c.udp != nil {
		_ = c.udp.Close()
	}
}

// claimAddress claims the address, or the next one with a port that is free for TCP and UDP.
func claimAddress(listen string) (*claim, error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, usageError{fmt.Sprintf("%q is no address: it is HOST:PORT, such as 127.0.0.1:8080", listen)}
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, usageError{fmt.Sprintf("%q is no address: its port is a number up to 65535", listen)}
	}
	var first error
	for n := range uint64(ports) {
		if port+n > 65535 {
			break
		}
		found, err := tryAddress(net.JoinHostPort(host, strconv.FormatUint(port+n, 10)))
		if err == nil {
			return found, nil
		}
		if first == nil {
			first = err
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, usageError{fmt.Sprintf("%s can't be listened at (%v); name another address with --listen or --dns", listen, first)}
}

func tryAddress(address string) (*claim, error) {
	var from net.ListenConfig
	l, err := from.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	address = l.Addr().String() // port 0 stands for any
	u, err := from.ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &claim{address: address, tcp: l, udp: u}, nil
}

// listener listens at an address: that of a claim takes its socket over.
func (p *program) listener(ctx context.Context, address string) (net.Listener, error) {
	for _, c := range p.claims {
		if c.address == address && c.tcp != nil {
			l := c.tcp
			c.tcp = nil
			return l, nil
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w\nstop what has this address, or set listen to another one", err)
	}
	return l, nil
}

// answerDNS begins to answer DNS at an address: that of a claim takes its sockets over.
func (p *program) answerDNS(address string) error {
	for _, c := range p.claims {
		if c.address == address && c.tcp != nil && c.udp != nil {
			packets, streams := c.udp, c.tcp
			c.udp, c.tcp = nil, nil
			return p.dns.Serve(packets, streams)
		}
	}
	return p.dns.Listen(address)
}
