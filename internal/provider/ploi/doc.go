// Package ploi keeps sites on servers that are managed at Ploi.
//
// # Model
//
// An account has servers, which the configuration names; a wish's `server` chooses one. A
// site is made with a root domain of ours, NAME.reconciler.internal, which it keeps: NAME
// says whose it is (provider.ObjectName), one site of the name can be on a server, and a page
// of the vendor's list tells 50 of them. Host names are aliases of it. Ids carry the server:
//
//	site         1/48211                     its root domain says whose it is
//	environment  1/48211/env                 RECONCILER_MARK and RECONCILER_KEYS in its .env
//	deployment   1/48211/release/NAME        the first lines of its deploy script
//	traffic      1/48211/traffic             a line of them
//	domain       1/48211/domain/HOST         one of its aliases; it bears no mark
//
// What is on a server that the configuration names no more is not gone: every call about it is refused, until the
// server is named again. Nor is anything where the token sees none of the servers: it is another account's. A server that is
// not there while another one is was deleted, with its sites.
//
// Everything at the vendor is done in the background and told by `status`. A word that is
// new means that something goes on. A site that was made by others (adopted) is marked by
// RECONCILER_MARK in its .env; until then all of its .env is its environment, and what
// serves it is release/adopted. Mark writes that variable and RECONCILER_KEYS, which names all
// that stood there, so that they stay the environment.
//
// A name that is the root domain of another site on the server is refused: one of the two would answer. Of a site that
// somebody suspended, traffic leads to nothing.
//
// # Environment
//
// A .env is replaced as a whole and written late. So it is read, only the statements of
// variables that are ours are changed (dotenv.go), it is written, and looked at until it
// shows. RECONCILER_KEYS names the variables that we set, with * behind secret ones: what is
// not named there stays byte for byte, and is no part of the environment. A variable that
// stood there before and is wished becomes ours where it stands. Writes at one site wait for
// each other; a .env that shows neither what was nor what was written is Uncertain. A file that is
// not shown may be on its way: of a site that holds anything, that is believed after a minute.
//
// # Deployments
//
// A deployment has no id, a site one script. The script is written whole for each release:
// its first lines name the release, what it was asked to be, and the site's last_deploy_at
// and status of that moment; it prints the release's name. A release is there if the script
// names it and ran: one of both is another, or the log has what it prints. So after a lost
// answer a look can tell, and a second deployment is never begun while the first may run. The
// script checks out one commit: whoever presses the vendor's button deploys the same again. A
// release that has just ended is Progressing for some seconds more, until its log is there.
//
// It is built where it serves (not Promotable). If building fails, the script builds again
// what was there before, and fails. An earlier release is deployed again to serve again. One
// that the script does not name any more is not there. Traffic is the statement that the
// site serves: it always leads to what was built last.
//
// # Certificates
//
// Let's Encrypt looks a name up, so that there is no certificate before DNS leads to the
// server. A domain that is bound is therefore Unreached, with the attribute certificate saying
// none; where DNS leads to the server already, when it is bound or at an update, one is asked
// for, for it and the site's other names that lead there; then it is Progressing until that
// is active. A certificate is one site's (PerSite): a name that moves to another site has none
// there at first. Renewals are the vendor's. A name that is proxied elsewhere stays Unreached: DNS
// answers with the proxy.
//
// # Promises
//
// A site of ours has an address of its own, the vendor's test domain, before its first release
// is built, whatever became of the calls that made it; where the vendor gives none, what is done
// at the release's own address waits for a person, or for DNS.
//
// What provider.Provider says. 503 is the vendor's maintenance, before anything else: it is
// RateLimited until Retry-After (a minute without one), so that the provider is left alone
// and no client fails by it. A toggle is pressed after a look only. What is waited for inside
// a call is bounded: a little more than a minute for a file, three for what is installed.
//
// # Refusals
//
// Tenants: no description of them was had, and an alias does what a client needs. A redirect
// of one host to another: the vendor's redirects are paths of a site; such a name serves the
// site itself, which sees to it. Databases, PHP versions, suspending. To stop a deployment:
// the vendor can't.
//
// # Design
//
// The mark of a site that is made here is its root domain, not a variable in its .env: a
// site whose create's answer was lost has no .env yet, and a list shows names.
//
// UniqueName of all but the site is our own doing: a site has one .env and one script, writes
// of one process at a site wait for each other, and each looks first.
//
// Where the vendor's pages leave two possibilities open, both are lived with; simulated.Doubts
// lists them. `search` of a list is a hope: what comes is filtered here.
package ploi
