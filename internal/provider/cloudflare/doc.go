// Package cloudflare keeps clients' DNS records at Cloudflare.
//
// # Model
//
// An object is a record: A, AAAA, CAA, CNAME, MX, SRV or TXT. Its id is the zone's and the
// record's, with a slash between, so that it is found without its name (where a zone is
// configured, a person may name the record's alone). The zone is the one
// that is configured, or of those that the token sees (in however many accounts) the one with
// the longest name that holds the record's; the list of zones counts for ten minutes, and is
// read again for a name that it lacks. A zone that is not there, or not active, is an error.
//
// The ownership mark is a word of the record's comment, and behind it, where a name has
// several records of a type, the end of the Ref's name (#a1b2c3). What a person writes beside
// them stays through an update; who takes the mark away finds it there again after the next
// one, and the record is known by its id all the while. Two marks in one comment are none.
//
// Contents are compared in one spelling (state.RecordContent), which wishes come in, too:
// quotes, case, dots at the end, and whether the vendor says a SRV or CAA record as one text
// or as parts, are no difference. A time to live of 1 is automatic. A proxied record has the
// proxy's own, so that of these the ttl is sent as 1 and never reported.
//
//	Observe by id     that record; for many at once, from the zone's list (lists.go)
//	Observe by name   the zone's records of that name, now; reported are those of the type
//	Owned             a list of every zone, of the comments that name the installation
//	Create            POST; where a record of ours of another type has the name: one batch
//	Update            PATCH of all that a wish says; one that turns the proxy on or off looks
//	                  at the name first
//	Delete            DELETE; the absent is deleted
//
// Writes of one zone that come within 20 ms go as one batch (batch.go).
//
// # Promises
//
// Cloudflare-go makes the requests, without retries and limits of its own; what came of each
// is judged below it (httpapi.Noting), by status and by Cloudflare's codes. An absence is
// Cloudflare's own word, 404 with its code 81044: another 404 is an error. An absence is never
// taken from a list that was kept. A record that is not ours is never changed and never
// deleted, an equal one is reported without a mark; one in the way is a Conflict that says
// what to do. Where Cloudflare would change the proxying of somebody else's address by ours
// (it treats the addresses of a name alike), the look or the update says so, before anything
// is written.
// Answers are bounded and checked: a write whose answer is not about what was sent is
// Uncertain.
//
// A record that was just written is Progressing until the zone's own name servers answer with
// it, and then the resolvers, where some are configured; after half a minute it is Ready all
// the same, with a message. A look asks DNS at most once a second for one record, and for two
// seconds at most; a proxied record is Ready by the API alone.
//
// # Refusals
//
// To repeat a write; to look for a zone by anything but names; to take a name that is in no
// zone (Cloudflare would put the zone's name behind it); tags; NS records; types that carry
// data that nothing here writes.
//
// # Design
//
// Progressing is known to this process alone: after a restart a record is ready, for DNS has
// had its time. The engine waits for it in the step that made it, or with an Await step of
// the next plan; the limit above is what keeps a domain that is not delegated from failing
// its client, whose health check from outside says it better.
//
// Every request goes through cloudflare-go's Raw, none through its typed calls: these send a
// created_on of the year 1 with a create and tags: null with an update (which the published
// description refuses), make slices as long as an answer says, and list zones with a goroutine
// a page.
//
// Lists are taken to be a minute late, as Cloudflare says nothing. A batch that is refused is
// all or nothing and tells one error, so that its members are made one by one, once; one whose
// answer is lost leaves all of them Uncertain, and each is looked for by itself. That costs up
// to as many looks as it saved calls, in the rare case; in the usual one a client's records
// are one call of 1,200 in five minutes.
//
// A plan makes first and deletes last, and Cloudflare refuses a CNAME beside an address of the
// same name. So a create that is refused for that reason looks at what has the name, and
// where all of it bears the very mark of the wish, deletes and makes in one batch: the name
// is never without a record, and the delete that the plan has for later finds nothing to do.
// If the client then fails and is put back, the deleted one is a difference that drift finds.
//
// Check is for `doctor`.
package cloudflare
