// Package vercel keeps clients' sites at Vercel.
//
// # Model
//
// A site is a project. What hangs on it is read from it or asked for beside it:
//
//	site         a project, named by provider.ObjectName            id prj_…
//	environment  its variables for production, as one set           id prj_… of the project
//	deployment   a production deployment that is created staged     id dpl_…
//	traffic      which deployment production is pointed at          id prj_… of the project
//	domain       a host name on the project                         id prj_…/HOST
//
// Whose a project is, its variable RECONCILER_MARK proves, which is written in the call that
// makes the project. The name only finds it: anybody may give a project any name. Names carry
// the installation, and Vercel lists projects with their names and without their variables, so
// that Owned reads the pages of projects, and asks on only for those whose name ends with the
// installation: their variables (one call) and, where these prove it, their deployments (one
// more). An adopted project keeps its name: it is in Owned only where Vercel lists variables with
// projects, which the description allows and nobody promises; its id is in the manifest.
// RECONCILER_ENVIRONMENT is the same proof for the set of variables, a deployment's
// meta for the deployment; traffic is as much ours as its project is. These are for development, of
// which nothing is built here: a team may have all that is for production kept as sensitive, and
// never given back, whatever it is sent as. Mark writes the first alone: what hangs on an adopted
// project is as much ours as that is. A domain has no place for a mark: that one is ours only our
// own intent can say.
//
//	RECONCILER_SITE     label, repository and runtime as they were wished
//	RECONCILER_KEYS     the variables that we set, with * behind secrets: of what nobody can read it says which are ours
//	RECONCILER_RELEASE  what a deployment hands to its build: name, template, features, settings
//
// # Promises
//
// One call of the contract makes the calls that its Traits name, in the order of the files in
// testdata/calls. A project refuses a second one of its name (409); everything else that is
// made alone is found again by name, or by what it hangs on, after a lost answer: deployments
// by their meta, for Vercel has no idempotency key. What leads up to a deployment (staged by
// default, RECONCILER_RELEASE) may be repeated, and a failure there says that no deployment
// was made.
//
// Secrets are sent as `sensitive` variables, which Vercel never gives back: they are left out
// of what is observed, but for ours that somebody deleted, which are empty. Those that a person set stay. All others are `plain`. `encrypted` ones of an adopted project are read
// decrypted, as secrets. Variables for previews, of branches, of integrations and of Vercel
// itself are not part of the set; they are never touched. A variable that holds for production
// and for something else, too (an environment of the project's own among it), is changed in place, with its targets as they are.
//
// Limits are for each endpoint: one that asked for a pause is not called before its end, while
// the others are, so that nothing needs provider.Heed around it.
//
// Enumerations are open: a readyState that nobody here knows is Progressing, and the message
// names it. BLOCKED is Manual: a person lets such a build go. What a project's retention took away keeps its state, and
// is gone by deletedAt. The team's id goes with every call. An answer without the list that belongs in it is no empty one.
//
// # Refusals
//
// Files of one's own: what is deployed is a Git ref, so that a commit says what serves; from files
// comes only the builtin source, for first steps. Repositories that are not at GitHub, GitLab or
// Bitbucket (a manifest that asks for that is invalid already); a site with a server; a start
// command (Vercel has none, it is ignored); `migrate` without a build command of one's own, for
// the migration runs in front of it in the build, which is before the promotion.
//
// # Design
//
// The tree of a commit of any repository could be uploaded file by file and deployed (POST
// /v2/files, then `files`). It isn't: a commit of a storefront has thousands of files, each a
// call of its own below the limits of an account; Vercel would know nothing of the commit, so
// that its own dashboard could not say what serves; and our resolver reads names of commits of
// other repositories, not their trees. Who keeps a repository elsewhere mirrors it to GitHub, or
// deploys it with another host.
//
// A build's log is followed over one connection (follow=1, application/stream+json), by what who waits
// hands down in the context (provider.Follow): it counts as one call, takes none of the transport's
// places once its answer has begun, and lives for half an hour at most, two minutes without a line, 4 MiB.
// It never says how far a build is: Vercel's own command asks for the state beside it, too, and whether
// the stream ends with the build nobody promises. So a look at the end reads the log once more, and tells what
// the stream did not bring; events are told apart by their ids. Whether `since` includes its
// moment is not documented: a connection goes on a second before the last line. limit=-1 is all
// lines, by the description; Vercel's command sends none. Who only looks (nobody waits) reads a log with the
// look, as it is then.
//
// Deployments are staged by a setting of the project (autoAssignCustomDomains: false), which a
// person can change, and which ending a pause changes. So every deployment sets it first. The
// body of a deployment has no field for it that is published.
//
// Taking traffic away pauses the project: Vercel has no other way to serve nothing.
//
// New projects are made without Vercel Authentication: a deployment has to be proved on its
// own address before traffic goes there.
// An adopted one keeps its protection: where that is for more than previews, nothing is built, and people are told.
//
// A domain that is in use by another account has to be verified. Message says which TXT record
// it takes, and to press Refresh at Vercel: to look changes nothing, so that Observe can't ask
// Vercel to verify. Create and Update do.
//
// A domain that is bound is Unreached while Vercel says that it is misconfigured: "Whether or not
// the domain is configured AND we can automatically generate a TLS certificate". A look does
// not ask that, which would double the calls of every drift. Vercel can make a certificate
// beforehand, in its dashboard and its command (vercel certs issue --challenge-only), by calls
// that it does not publish; so that is left to a person, and the plan of a switch states the gap.
//
// The site's `address` and `host` are those that Vercel documents for every project; the ones
// that it recommends for a name are known only once the name is added. A site is pointed at
// with an A record, since that is right for the top of a zone, too.
package vercel
