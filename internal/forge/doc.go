// Package forge is the contract of the place where pull requests live.
//
// A Forge holds what people see of a repository beside its commits: pull requests,
// comments, commit statuses, deployments, checks. GitHub is one (package github); its
// simulator in github/simulated is spoken to over HTTP like the real one.
//
// It promises: every value here is data of the moment and may be outdated when it is
// read; nothing of it decides what is wished (Git does, see package source). A write that
// is repeated is harmless: whoever writes first looks for what it wrote before, by marker
// and author.
//
// It refuses to be trusted: every text (titles, names, bodies, logins) is somebody
// else's. Implementations bound it; whoever shows it passes it through package report.
package forge
