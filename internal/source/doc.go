// Package source mirrors one branch of a Git repository and reads it.
//
// The mirror is a bare clone in a folder of its own: whole history, one branch, no
// tags, no work tree. Poll asks where the branch is and writes nothing; Fetch brings a
// commit; everything else reads the mirror. The area that is read is the clients folder
// and, beside it, templates/ and platform.yaml.
//
// It promises: what cannot be read is an error, never an absence; a token goes to the
// repository's own host as basic authentication and is in no URL, file or error; an
// error never repeats a URL's userinfo; commits stay readable after the branch was
// rewritten. A Repository is safe for concurrent use.
//
// It refuses: URLs with a user and password (ssh may name its user), redirects to
// another host, shallow clones, links and submodules (listed as not regular), files
// over 1 MiB, more than 200,000 entries.
//
// # Design
//
// Local paths and file:// are read as repositories, with no git binary: go-git's own
// file transport would run one.
//
// go-git's Remote is not used: its transports are global, it follows redirects, and it
// decides by references that may be outdated. A fetch here lists the references, asks
// for the branch's tip with the mirror's own history as what it has, writes the pack
// and its index to temporary files, syncs and renames them. Then the storage is opened
// anew, since an open one does not see new packs.
//
// Each fetch that brings something adds a pack; nothing is collected. When there are
// more than maxPacks, the next fetch first writes all objects into one, so that old
// commits stay. Objects are cached up to cacheSize.
//
// When a read finds that something the mirror must have is missing or broken, the next
// Fetch clones anew beside the mirror and swaps the two; until then reads fail. Only
// then are commits lost that the branch no longer reaches.
//
// A token is sent over plain http too, when the URL says http: use https but on loopback.
package source
