package main

import (
	"net"
	"regexp"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider/localdns"
)

// What is claimed is nobody else's before the program listens at it, and then the program's.
func TestClaimedAddress(t *testing.T) {
	web, err := claimAddress(lowAddress())
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	names, err := claimAddress(web.address)
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	if web.address == names.address {
		t.Fatalf("both claim %s", web.address)
	}
	for _, c := range []*claim{web, names} {
		if l, err := net.Listen("tcp", c.address); err == nil {
			_ = l.Close()
			t.Errorf("somebody else listens at %s", c.address)
		}
		if u, err := net.ListenPacket("udp", c.address); err == nil {
			_ = u.Close()
			t.Errorf("somebody else is asked at %s", c.address)
		}
	}

	p := &program{claims: []*claim{web, names}}
	if p.dns, err = localdns.New(localdns.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	if err := p.answerDNS(names.address); err != nil || p.dns.Addr() != names.address {
		t.Errorf("DNS at %q: %v", p.dns.Addr(), err)
	}
	if err := p.dns.Close(); err != nil {
		t.Error(err)
	}
	l, err := p.listener(t.Context(), web.address)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.listener(t.Context(), web.address); err == nil {
		_ = again.Close()
		t.Error("an address is taken twice")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if l, err = p.listener(t.Context(), web.address); err != nil {
		t.Fatalf("an address that was a claim's, and is free: %v", err)
	}
	_ = l.Close()
}

// The demo asked to be at one address with both gives the second one another, and says so.
func TestDemoAtOneAddress(t *testing.T) {
	at := lowAddress()
	d := startDemo(t, t.TempDir(), "--listen", at, "--dns", at)
	d.said(regexp.QuoteMeta(d.dns) + ` here`)
	if d.base == "http://"+d.dns {
		t.Errorf("pages and DNS are at %s", d.dns)
	}
	d.serves("demoshop", "Demo Shop")
}
