package health

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// never are addresses that no probe goes to, by the registries' special-purpose lists; an
// address inside of another one counts as what it leads to.
func never() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range strings.Fields(`0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.168.0.0/16
		198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 ::/128 ::1/128 64:ff9b:1::/48 100::/64 2001::/32 2001:2::/48 2001:db8::/32 fc00::/7 fe80::/10 fec0::/10 ff00::/8`) {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// leadsTo is the address that a packet for a ends at.
func leadsTo(a netip.Addr) netip.Addr {
	a = a.WithZone("").Unmap()
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6]))
	case a.String() != "::" && a.String() != "::1" && strings.Trim(string(b[:12]), "\x00") == "", netip.MustParsePrefix("64:ff9b::/96").Contains(a):
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// Threat 11: what passes for public is on no list.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001::1", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "93.184.216.34", "2606:2800:220:1::1", "::7f00:1"} {
		a := netip.MustParseAddr(s)
		f.Add(a.AsSlice())
	}
	p, lists := New(Options{}), never()
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		for _, a := range []netip.Addr{a, a.Unmap(), a.WithZone("eth0"), netip.AddrFrom16(a.As16())} {
			to := leadsTo(a)
			for _, l := range lists {
				if l.Contains(to) && p.public(a) {
					t.Errorf("%s leads to %s and passes for public", a, to)
				}
			}
			if p.public(a) && to.Is6() && !netip.MustParsePrefix("2000::/3").Contains(to) {
				t.Errorf("%s is given to nobody and passes for public", a)
			}
			if p.public(a) != p.public(netip.AddrFrom16(a.As16())) {
				t.Errorf("%s counts otherwise when it is written otherwise", a)
			}
		}
	})
}

// Threat 11: whatever a manifest's path is, the probe goes to the site's own host and port.
func FuzzWhere(f *testing.F) {
	f.Add("https://shop.example", "/api/health")
	f.Add("https://shop.example:8443/sites/x/", "//evil.example/x")
	f.Add("http://[::1]", "/\\evil.example")
	f.Add("https://shop.example", "/..//evil.example@x?a=b#c")
	f.Add("https://shop.example@evil.example", "/%2f%2fevil.example")
	f.Add("http://shop.example/%2e", "/%2e%2e/\t")
	f.Fuzz(func(t *testing.T, site, path string) {
		got, err := where(Check{URL: site, Path: path})
		if err != nil {
			if len(path) > 8 && strings.Contains(err.Error(), path) {
				t.Errorf("the error repeats the path: %v", err)
			}
			return
		}
		base, err := url.Parse(site)
		if err != nil || got.Host != base.Host || got.Scheme != base.Scheme || got.User != nil || got.Fragment != "" {
			t.Fatalf("%q below %q is %q", path, site, got)
		}
		again, err := url.Parse(got.String())
		if err != nil || again.Host != base.Host || !strings.HasPrefix(again.RequestURI(), "/") {
			t.Errorf("%q below %q is sent as %q: %v", path, site, got, err)
		}
		if s := shown(got); len(s) > maxURL+len("…") || got.RawQuery != "" && strings.Contains(s, "?"+got.RawQuery) {
			t.Errorf("%q is shown as %q", got, s)
		}
	})
}
