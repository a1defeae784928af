// Package payload registers the first administrator of a Payload CMS site.
//
// # Model
//
// An object is the first user of a site's users collection, of kind admin. The site makes it,
// at its own address (input `url`: the deployment's, before DNS leads strangers there), under
// its API path (`api`, /api) in its collection (`collection`, users). Nobody has a credential
// at it but this user; there is no account and no token.
//
// Create asks `init`. A site without users gets one by `first-register`, sent once, and then
// sends him its mail for a forgotten password: the one that was made here nobody sees. That
// the mail could not be asked for is said in the object's Message, and is no failure: whoever
// has the mailbox asks for another one at the login. Whose a
// user is who is there already only his password tells, which was made here and which nobody
// else knows:
//
//	login answers 200     it is ours, by an earlier call
//	401                   a control login, with an address that nobody has, is asked, too:
//	  the same errors     somebody else's: that pair is not there, and it is not tried again for
//	                      ten minutes, since wrong passwords lock whoever is there
//	  other errors        the user is locked by wrong passwords: Transient, for ten minutes
//
// Payload answers a locked user with the status of a wrong password, in words that depend on
// the site's language. The words are not read: they are only compared with those that the
// same site has for what is wrong for certain. A look makes at most these two logins, one of
// them at our address, and while a user is locked it makes none.
//
// # Looks
//
// By wish, a look finds the user who answers to our address and password, and nobody else; none
// where there is no password yet, which is made before anything is sent. A
// stranger is not shown: without a login of his own nothing is known of him, not even an
// address, and an object that can bear no mark would be taken for what our own lost create
// has made. Create is refused then, with Conflict and a sentence that says what to do.
//
// A wish without any address (not with an empty one) is that of a deployment that is not on record
// any more: nobody is left to ask, and nothing is found. A user who was made after all lives in the
// site's database, stays or goes with it, and is found where that has an address again.
//
// An id holds what does not depend on a host: name, site, API path, collection, the user's id
// and his address. Addresses of deployments go, and then lead to whoever has them next. So by id
// a look knows only what was true when the user was made, until it has an address: of the
// query's wish, or of Options.Where. With one it asks `init`: a site without any user has lost
// ours; whether a user that is there is still ours it can't tell, since people change their
// password and their address, and should. With none nothing is asked and the user is said to
// be there. A site that does not answer is an error, never an absence. Owned lists nothing:
// there is no place for a mark.
//
// # Promises
//
// One first-register a Create, and none where a user is. An answer that was lost is looked into
// with one login; what that does not settle is Uncertain. No error is Denied or RateLimited:
// these stop a provider for all its clients, and here each client's site answers for itself.
// A site that is not up yet (no connection, a page in place of JSON, 404 of everything, 500 as
// without its database) is Transient; one that is up and has no `init` is Unsupported.
//
// A site is a stranger, and its address is one, too: http and https only, no user in it, no
// redirect followed, bodies bounded, cookies not kept, tokens not read. Of what it says only
// ids and names of fields in a plain alphabet are shown. Which addresses may be reached is the
// business of Options.HTTP, and nothing here refuses a private one: the wiring gives a client
// whose dialer resolves names and refuses what is private at the moment of dialling, as package
// health does. A dialer that refuses may return a *provider.Error, and its kind holds.
//
// What is sent goes the way that the host gives: by TLS at Vercel's addresses, without it at a
// test domain of Ploi's. Whoever listens there has the first password until its owner chose
// his own, which the site's mail asks him to do at once.
//
// # Refusals
//
// Changing the address or the password of a user: they are his. Update makes no login, because
// it could not tell a password that its owner changed from one that is to be changed.
// ForgotPassword lets the site send its owner a mail. Address, password and where the site
// answers count Once: what a manifest says of them later is no difference, so that another
// contact fails nobody.
// Deleting a user: he lives in the site's database, and goes and stays with it; Delete succeeds
// without a call.
// More than one user, roles, and collections whose users need more fields than these two.
//
// # Design
//
// Payload looks for a user and then creates one, without a lock. A stranger in that very moment
// is a second first user, whom no answer shows. Registering at the deployment's own address, at
// once when it is up, is all that can be done about it from here.
//
// A create may come to its end after its caller is gone: a minute is assumed (ListLag).
package payload
