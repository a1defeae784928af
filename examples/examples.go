// Package examples holds a repository of clients that works as it is.
//
// # Model
//
// clients, templates and platform.yaml lie here as they lie in a repository of
// clients. `reconciler demo` begins with them; the README, the schemas and the
// tests use them as samples. They ask only for the embedded providers, for no
// secret and for no account.
//
// It promises: every file is valid, and a demo brings every client that is not
// paused to active. It refuses: anything that would need the network.
package examples

import "embed"

// Files are clients, templates and platform.yaml at the paths that they have in a
// repository. An embedded file system can only be a package variable; it is the one
// exception to the rule against them, and nobody can write to it.
//
//go:embed clients templates platform.yaml
var Files embed.FS
