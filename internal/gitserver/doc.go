// Package gitserver serves Git repositories over smart HTTP without a git binary.
//
// Repositories are bare, one folder NAME.git each. Ordinary git clients clone,
// fetch and push (forced pushes, new and deleted branches, tags); the program itself
// makes repositories, commits, reverts and forks, and through View and Edit reads a
// repository and moves any of its references: merges, refs/pull/1/head.
//
// It promises: a reference moves only when everything it reaches is there, and only
// from the value the client saw; updates of one repository happen one after another;
// OnPush is called after every update, with no lock held (after an Edit, when its caller
// holds none). Merge merges files as Git does, line by line, but knows no renames.
//
// It refuses: shallow clones, hooks, access control. Whoever reaches it may read and
// write everything: it is for a demonstration and for tests, on loopback.
//
// # Design
//
// It speaks protocol version 0 and 1 over HTTP, advertises ofs-delta for reading and
// report-status, delete-refs, ofs-delta for writing, and answers with ACK or NAK
// without multi_ack. Pushed packs may be thin: their objects are unpacked and stored
// one by one, so that no reader holds an outdated list of packs. A wanted object need
// not be the tip of a branch any more, since it may have moved between the two requests
// of a fetch.
package gitserver
