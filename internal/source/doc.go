// Package source mirrors one branch of a Git repository and reads it.
//
// The mirror is a bare clone in a folder of its own: whole history, one branch, no
// tags, no work tree. Poll asks where the branch is and writes nothing; Fetch brings a
// commit; everything else reads the mirror. The area that is read is the clients folder
// and, beside it, templates/ and platform.yaml. Strays tells of YAML files that lie
// elsewhere, so that somebody is told of a manifest in the wrong place.
//
// It promises: what cannot be read is an error, never an absence; content is what its
// id says, or an error; a token goes to the repository's own host as basic
// authentication and is in no URL, file or error, and so does what a URL's userinfo
// holds; commits stay readable after the branch was rewritten. A Repository is safe for
// concurrent use.
//
// It refuses: redirects to another host, shallow clones, files over 1 MiB, more than
// 200,000 entries, listings that Git would not write. Links, submodules and executables
// are listed, with an id that Blob refuses; a folder that became one of them leaves its
// files unreadable and not gone.
//
// # Design
//
// Local paths and file:// are read as repositories, with no git binary: go-git's own
// file transport would run one.
//
// go-git's Remote is not used: its transports are global, it follows redirects, and it
// decides by references that may be outdated. A fetch here lists the references, asks
// for the branch's tip with the mirror's own history as what it has, and writes the
// pack beside the others. The pack becomes part of the mirror when its checksum is
// right, its index is made, and its commits, their parents and the tip's read area are
// found to be there; then the branch moves. So a commit that the mirror has is whole,
// and a crash leaves a file that the next Open removes. The storage is then opened anew,
// since an open one does not see new packs.
//
// go-git's DiffTree reads both sides of equal folders; the walk here does not. go-git
// does not compare what it reads with the id it was asked for; the reader here does.
//
// Each fetch that brings something adds a pack; nothing is collected. When there are
// more than maxPacks, they become one, so that old commits stay.
//
// A read that finds something missing or broken that the mirror must have clones anew
// beside the mirror, swaps the two and reads again; while the repository does not
// answer, reads fail with ErrDamaged. Only then are commits lost that the branch no
// longer reaches. A mirror of another URL or branch is replaced by the first Fetch.
//
// A token is sent over plain http too, when the URL says http: use https but on loopback.
package source
