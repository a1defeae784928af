// Package health asks a site from outside whether it works.
//
// A probe is one GET of a site's health path. It resolves the host's name, connects to
// one of the addresses, and compares the status and, when asked, a text in the body.
//
// It promises: the address that was checked is the address that is dialled, so that a
// name that changes its mind between the two gains nothing; nothing private is reached
// (loopback, private, link-local, multicast, reserved, and what embeds such an address
// in IPv6) unless Allow says so for that port; an error is a sentence for whoever runs the site, and
// repeats nothing of the answer but its status; a probe ends within its timeout and
// leaves no connection and no goroutine.
//
// Whoever else follows an address that a manifest names dials through Dial, or asks Permits
// where a proxy dials.
//
// It refuses: proxies of the environment, redirects to another host, from https to http,
// and after the third; bodies over MaxBody, of which the rest is not looked at; URLs with
// a user, or of another scheme than http and https.
//
// # Design
//
// Each probe has a connection of its own. A kept one would say that the site is well
// while nobody new can reach it, and would hold on to the old server when a name moves.
package health
