// Package stripe keeps the clients' own accounts for taking money, at Stripe Connect.
//
// # Model
//
// An account is one of the agency's Connect platform; its id is Stripe's (acct_…). Name and
// ownership mark are in its metadata, and so is the tier, which means nothing to Stripe:
//
//	reconciler             the mark (provider.Mark.Text)
//	reconciler_name        the deterministic name
//	reconciler_tier        the attribute tier
//	reconciler_onboarding  "begun" once a link was made
//
// The kind is state.KindPayments ("payments"), with the attributes
//
//	country  two letters, once and for all
//	tier     the pricing tier; "" for none
//	label, url, email   the shop's name, address and mail, told to Stripe beforehand
//
// and the output id. An account is Manual, with what its owner has to do, until Stripe enables
// charges and payouts; then it is Ready, and its Message says what will be wanted soon. The
// owner does it at Stripe, led there by Link. Verify reads Stripe's deliveries, and Handler is
// the place where they come in; they only say which account to look at.
//
// # Promises
//
// One account a name (P3): the Idempotency-Key of a create is made of the name alone, so that
// for a day at least (docs.stripe.com/api/idempotent_requests) Stripe itself makes no second
// one, whatever was lost; what it answers a second time, and a key that came with other
// parameters, is a Conflict. After that day the name is found in the metadata, by pages. A
// list that is not whole is an error.
//
// That an account is gone is concluded from Stripe's 404, from `deleted`, and from "no access"
// only where the key was seen to be the platform's own (Options.Platform): with another
// platform's key all would look gone.
//
// A link is a bearer token: a state.Secret, made anew by every call, kept nowhere.
//
// # What exists
//
// Existing lists all accounts, whoever made them, with country, business address and mail. Mark
// writes the entry reconciler into the metadata of one that was adopted, and nothing else: its
// owner sees nothing of it, a state that was lost finds the account again, and a way to Stripe is
// made for it from then on.
//
// # Refusals
//
// To delete an account: Delete calls nothing and succeeds, as external's does, and the account
// stays with its mark: a client that comes back in the same generation finds it, a later one
// can adopt it. It is its owner's, has a balance and must keep records. The engine calls no
// Delete of this kind either: it retains the account, without a date, and says so.
//
// To change the country, to write to an account that bears another client's mark, to onboard
// one that bears none. To write to the profile (label, url, email) from the first link on: it
// is its owner's then, Stripe refuses many such changes, and what is not ours is not reported
// as an attribute either.
//
// # Design
//
// No stripe-go, though it is at hand: its backend reads bodies without a bound and tells
// nobody whether a request was sent; that would have to be found out below it, in the
// transport, which is what httpapi does. And it brings 8 MB for five calls with forms.
//
// The account's controller: its owner has Stripe's whole dashboard and pays Stripe's fees;
// Stripe bears the losses and asks for what it must know. So the agency is liable for nobody's
// money. These can't be changed once an account is there.
//
// The keys of an update and a link are random. A deterministic one would make Stripe answer
// a wish that comes back within a day with its first answer, and do nothing; and an update
// sets values: sending it again does no harm.
//
// What Stripe's day of memory costs: a create that it answered with 500, or refused after it
// began (the platform's profile is not complete, say), gets that answer again until the day is
// over; the message says so. The same goes for an account that was closed by hand: its name is
// free after a day.
//
// The conformance suite wants objects that become Ready and that go: its accounts are born with
// nothing due, and a person in the test closes what Delete leaves.
//
// 429 with lock_timeout is Transient (somebody else is at that account), all others are
// RateLimited. Not known: how late lists are (a minute is assumed), whether Stripe gives an
// address back as it was told (if not, it is told again by each pass until the first link), and
// which fields of the profile it still takes once a person made a link in its dashboard; such a
// refusal is Invalid and told.
package stripe
