// Package localdns is an authoritative DNS server that keeps records the way a DNS
// vendor does.
//
// # Model
//
// A record is an object: type, name, content, ttl, priority. Objects are kept on disk
// (package objectstore) and held in memory by name, from where questions are answered
// over UDP and TCP. A record is found by its id, or, as everywhere in DNS, by its name
// and type; the mark that says whose it is is kept with it.
//
//	A, AAAA       an address
//	CNAME, NS     a host name; a CNAME is alone at its name
//	MX            a host name, with priority ("." with 0: no mail)
//	TXT           a text of any length, or quoted strings: "one" "two"
//	SRV           weight port target, with priority
//	CAA           flags tag value: 0 issue "ca.example"
//
// # Promises
//
// It answers what is recorded and nothing else: what is not there is NXDOMAIN, a name
// without the type is NODATA, both with a start of authority. Names are compared
// without case and a record named * answers for names that aren't there, as the
// protocol says. An answer that does not fit is cut and marked, and complete over
// TCP. A record that was created is answered before Create returns, and after a
// restart. What somebody edits or removes in the records' files is seen by the next look
// and the next question (edited.go).
//
// # Refusals
//
// To listen beyond loopback unless told to; zone transfers, ANY, updates, classes
// other than the internet's; recursion: a CNAME that leads away is answered as it is.
// A record that could not be served as it is written is Invalid.
//
// # Design
//
// It is the authority for every name, because a client's host may be any: the start of
// authority is the root's. NS records are data; they delegate nothing. `proxied` is
// kept and means nothing here. A plan makes first and deletes last: an address that is made where a CNAME
// is, or the other way round, takes the place of the one that bears its very mark. Two records that answer the same are a Conflict,
// because a zone can't hold both.
package localdns
