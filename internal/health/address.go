package health

import "net/netip"

// reserved are the ranges that netip has no word for: shared (carrier NAT), IETF,
// documentation, benchmarking, future use, relays, discard.
func reserved() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10"} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// public says whether an address belongs to the world. An address that carries another
// one (mapped, 6to4, NAT64) is as public as that one.
func (p *Prober) public(a netip.Addr) bool {
	a = plain(a)
	if inner, ok := carried(a); ok {
		return p.public(inner)
	}
	if a.Is6() && !netip.MustParsePrefix("2000::/3").Contains(a) {
		return false // all that is given to the public yet
	}
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
		return false
	}
	for _, r := range p.reserved {
		if r.Contains(a) {
			return false
		}
	}
	return true
}

// plain is an address without zone, and IPv4 where it is that.
func plain(a netip.Addr) netip.Addr { return a.WithZone("").Unmap() }

// carried returns the IPv4 address that an IPv6 address leads to.
func carried(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return netip.Addr{}, false
	}
	b := a.As16()
	switch {
	case b[0] == 0x20 && b[1] == 0x02: // 6to4
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a): // NAT64
		return netip.AddrFrom4([4]byte(b[12:16])), true
	}
	return netip.Addr{}, false
}
