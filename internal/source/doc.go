// Package source mirrors one branch of a Git repository and reads it.
//
// The mirror is a bare clone in a folder of its own: whole history, one branch, no
// tags, no work tree. Poll asks where the branch is and writes nothing; Fetch brings a
// commit; everything else reads the mirror. The area that is read is the clients folder
// and, beside it, templates/ and platform.yaml. Strays tells of YAML files that lie
// elsewhere, so that somebody is told of a manifest in the wrong place.
//
// Beside the branch it reads pull requests: Refs lists the references of a repository,
// FetchRef brings a commit that one of them names, Merge says what merging it would
// make of the area, without a work tree and without asking the repository.
//
// Apart from all that, a Resolver says which commits branches and tags of other repositories
// name: those that manifests deploy.
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
// What pull requests bring lies in a folder of its own beside the mirror, in one pack for
// each FetchRef, which holds all that the commit reaches and the mirror has not. The
// mirror is read first and never written: a stranger's commit is no ancestor of the
// branch, no revision that Resolve finds, and no reason to leave out a fetch of the
// branch. Blob, Diff, Strays, Files, Commits and what is about merges read both; all else
// reads the mirror alone. Packs go when there are more than maxPullPacks or maxPullsSize,
// the oldest first, or all at once when one of them is broken or the mirror was cloned
// anew; then what reads them gets ErrNotFound and FetchRef brings them again. What is
// missing in both is looked for in the mirror before it is called damage.
//
// A pack of a pull request is looked through before it is unpacked, since a few bytes can
// swell, and unpacked before the mirror is touched. The transfer and the unpacking, at
// most pullTime and maxPullBytes long, keep other pull requests waiting and nobody else;
// what is read under the mirror's gate is bounded by maxPullCommits, MaxEntries and
// maxListed.
//
// A merge is worked out for each file of the folders that differ, by line where both
// sides changed it (mergeLines). It would rather find a conflict than guess.
//
// A Resolver keeps no mirror: it reads a list of names line by line, keeps branches and tags,
// and lets one answer serve for answerTime, so that a fleet is one question. A failure, and a
// name that was missing, is believed for failTime only: whoever mended it is not kept waiting.
// An old answer never stands in for a new one. It speaks https alone, since a manifest can say
// nothing else, and dials through what it is given: its addresses come from manifests. A name
// that is a branch and a tag of two commits is refused; git, hosts and vendors don't agree on
// which it is.
//
// A token is sent over plain http too, when the URL says http: use https but on loopback.
package source
