// Package desired turns one client's manifest into the resources that it wishes.
//
// A wish is a set of state.Resource with references between them: the environment
// refers to the database's url, the traffic to a deployment's id, a record to the
// site's address. Which providers there are is data that comes in; nothing is looked
// up.
//
// It promises: equal inputs give equal resources, sorted by Ref; what only describes a
// client (contact, billing, labels, notes) changes no resource that is deployed; a
// secret is named, never held; a release's name is a hash of all that it is made of,
// so that an earlier wish means an earlier release, and that name does not depend on
// the client's id, which is minted only when the manifest is accepted.
//
// It refuses to guess where an external site is: the manifest's own records say it, or
// it is a Problem; with external DNS a person is asked to point the name there.
//
// It refuses to guess: an unset secret or an unconfigured provider is a Problem with
// the way out, never a default.
//
// # Design
//
// Names of resources of the site carry the hosting provider, so that both sides of a
// switch can be on record at once. Records of types of which a name may have several
// carry a hash of their content: each is a resource of its own.
//
// What is deployed: the ref of a source is resolved by whoever has a network, once for
// each SourceSpec, and comes in with the client. The commit is an attribute of the
// release and part of its name. A source without a commit (builtin) has none.
//
// Adoption is a field, not an action: the resource that `adopt:` names bears AdoptID.
// What an adopted site's environment said is a secret of the client, Kept + NAME, that
// stays in the environment until the manifest names it or says {none: true}. It is no
// part of a release's name: the release that was there was built with it.
//
// Who makes the first user: the keeper of the database where it keeps users; else, where the
// template's administration is Payload's, the site itself, at its release's own address; else
// the host. An account for payments is asked for beside all else, with `stripe` where no
// provider is named; a manifest that takes payments has to say the country.
//
// A release says in `environment` what it was built with, secrets by name, and in
// `secrets` their versions: a review binds the first and not the second.
package desired
