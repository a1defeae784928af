// Command reconciler brings clients' sites to what Git says.
//
// # Model
//
// A command line becomes a daemon.Ask, and its answer becomes text or JSON. Where a
// daemon runs, the Ask goes over its socket; else the command opens the state and
// carries it out itself. So every command does the same with and without a daemon.
//
//	main.go        the command tree, exit codes, usage
//	ask.go         who is asked; which client may be meant; completion
//	show.go        status, why, history, retained   drift.go   drift   logs.go   logs
//	plan.go        plan       act.go   what a person decides
//	secret.go      secrets    secretsources.go   where they are read from, beside the state
//	run.go         run, apply        demo.go   demo
//	demosim.go     the demo's simulated vendors, demosim_page.go   their page and faults,
//	demosim_sites.go   Payload's users at their sites, and what Stripe delivers
//	doctor.go      what is looked at, side by side: doctor_here.go on this machine, doctor_there.go elsewhere
//	backup.go, restore.go, rebuild.go   copies of the state, and a lost one made anew
//	lines.go       progress as lines        live.go   and what is under way, on a terminal
//	config.go      what reconciler.yaml has           configfile.go   how it is read
//	wire.go        where concrete types meet: the only place       repo.go, pages.go
//
// # Promises
//
// Exit codes: 0 done, 1 failed or problems found, 2 wrong usage (64 for plan
// --detailed-exitcode, where 2 says that there are changes), 3 held. Results go to
// stdout; progress, logs, questions and errors to stderr. With -o json stdout is exactly
// one document, for an error {"error", "exitCode"}, and no list in it is null. Colour is
// for terminals, and repeats what words say. Wrong configuration is told all at once.
//
// # Design notes
//
// doctor opens nothing as the daemon does: opening a state counts its epoch up, a mirror is
// made where there is none, so is a key. It has looks of its own that change nothing
// (bolt.Look, source.Tip, smtp.NewChecker, provider.Checker) and asks a running daemon for
// what only that knows. With a GitHub App a token is asked for, which lapses by itself. What
// keeps nothing from running is a warning, and warnings end with 0.
//
// The demo's simulated vendors live in its process and on its address, below /simulated/, and
// keep their objects in files of their own: state, configuration and commands are those of a
// real installation, and a kill loses nothing. Names, refs of repositories and probes are
// answered from them too, and clients of vendors are refused every address that is not this
// machine's: so nothing leaves it by construction. A site at them is a Payload site, whose users
// belong to its database; Stripe delivers to the demo's own address. Names below localhost and example have a
// zone there; others have none, and are refused as at the vendor.
//
// # Refusals
//
// No secret comes from the command line, and none is printed. What comes from files and
// vendors reaches a terminal through package report, as text that does nothing.
package main
