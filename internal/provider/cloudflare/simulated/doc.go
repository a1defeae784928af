// Package simulated is a Cloudflare of our own: zones with their DNS records, spoken to over
// HTTP as Cloudflare is.
//
// # Model
//
// A Vendor is an http.Handler under /client/v4 with one token, several zones (of several
// accounts, active or not), and each zone's records. What the world would be answered by its
// name servers is Answers; what a person does in the dashboard is Edit, Add and Remove; what
// was purged from its cache is Purged.
//
//	GET    /user/tokens/verify
//	GET    /zones, /zones/ID
//	POST   /zones/ID/purge_cache
//	GET    /zones/ID/dns_records       filters on name, type, content, comment, proxied; pages
//	POST   /zones/ID/dns_records
//	GET, PUT, PATCH, DELETE            /zones/ID/dns_records/ID
//	POST   /zones/ID/dns_records/batch
//
// It promises to be no kinder than Cloudflare: a name outside of the zone gets the zone's
// name put behind it; texts come back in quotes, cut every 255 bytes; a proxied record loses
// its time to live, and takes the other addresses of its name with it; equal records, and a
// CNAME beside addresses, are refused with their codes; a comment has at most 100 characters,
// a Free zone no tags, a batch 200 records; a batch happens whole or not at all and tells only
// its first error; 1,200 calls in five minutes, then 429 until they are over; lists are as late
// as Options.Lag says.
//
// It refuses: Unicode names (Cloudflare folds them), custom hostnames, imports and exports,
// and all that has nothing to do with records.
//
// # Design
//
// The codes are those that users met (each is named where it is given). Where only the refusal
// is known, it is 1004 alone. The published description wants codes of at least 1000, which
// the real one of a rate limit is not; ours is.
package simulated
