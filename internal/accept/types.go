package accept

import (
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// Window is the time over which removals and creates are counted.
const Window = 24 * time.Hour

// HostPart is the kind in a tombstone's part ("host/shop.example") that says
// that a client let a host name go. No resource bears it.
const HostPart = "host"

// Commit is one commit of the range.
type Commit struct {
	ID, Author, Subject string
	Parents             []string
	Reviewed            bool // a plan of a pull request was made of what it does
	// Paths are the files in which it differs from any of its parents, not the first
	// alone: a merge can drop what its second parent had. nil: not known, it may be any
	// file of the range.
	Paths []string
	// Own are the files of a merge that are not what Git makes of its parents: somebody
	// settled a conflict, or changed something on the way. Of a commit that a plan was made
	// of they are those that the plan is not about.
	Own []string
}

// Review is a pull request that the range brought, and what it showed.
type Review struct {
	Pull    int
	Paths   []string          // files that it changed
	Shown   []string          // prints of the steps that it showed
	Sources map[string]string // commits that it showed, by what they were resolved from
	Whole   bool              // what was merged is what its plan was made of
}

// File is a file's content at the head.
type File struct {
	Path, Blob string
	Data       []byte
	Err        string // it can't be read or is not a regular file: an error, never an absence
}

// Change is one file that differs between baseline and head. Old and New are
// blob ids, "" where the file is absent.
type Change struct{ Path, Old, New string }

// Guard are the daemon's limits, all of them set: 0 means none at all. The
// platform file may tighten them, never loosen them.
type Guard struct {
	MaxDeletes       int           // clients that lose something within Window
	MaxDeletePercent int           // of the fleet, likewise
	MaxChanged       int           // active clients that one template, platform file or default may touch at once
	MaxCreates       int           // new clients within Window
	ReviewedOnly     bool          // removals that no pull request showed are held
	RemoveAfter      time.Duration // a removal waits this long
}

// Input is all that Head reads. Equal inputs give equal results, whatever the
// order of the slices.
type Input struct {
	Now                      time.Time
	Head, Root               string
	Repository, Branch, Path string // URL without credentials; branch; the clients' folder
	Program                  string // version of this program

	Baseline  *state.Baseline // nil: the first head
	Descends  bool            // the head descends from the baseline's (true when they are equal)
	HeadEmpty bool            // no manifest in the whole tree
	Commits   []Commit        // of the range, oldest first
	// Changes from the baseline's head to this one. Where the two can't be
	// compared (another repository), Whole says that Changes lists every file of
	// the head instead; on the first head that is always so.
	Changes []Change
	Whole   bool
	// Files by path: every changed file of a class that is read, every path that
	// is there but not regular, and every path of Retry.
	Files map[string]File

	// Last are what manifests said last that the range took away, by path, where that was accepted by no
	// head: a file can be changed and removed between two looks. And of templates and a platform file that can't be read at
	// the head, the newest versions that can be, where an older state, which was put back, may not know them.
	Last map[string]File

	Reviews []Review // of pull requests that the range brought, by number
	// Shown are the paths at which the head has just what the plan of a pull request was made
	// of, be it nothing.
	Shown map[string]bool

	Clients    []state.Client
	Claims     []state.Claim
	Tombstones []state.Tombstone // done ones too, at least for Window
	Holds      []state.Hold
	Approvals  []state.Approval
	Verdicts   []state.Verdict // those that are Open, this head's, and those of heads that a history hold is about

	Guard    Guard
	Defaults manifest.Defaults
	// Retained says that a removed client has a retained database, or one that its removal did not come to.
	Retained func(state.ClientID) bool
	// Parts names what a wish has, as "kind/name". Pure.
	Parts      func(c state.Client, e manifest.Effective) []string
	NewID      func(name string) state.ClientID
	EmptyState bool // no client is known: first start
}

// Result is what to write, in one transaction. Slices are sorted.
type Result struct {
	Baseline       *state.Baseline // nil: it stays (Held)
	Clients        []state.Client  // to put
	Tombstones     []state.Tombstone
	VoidTombstones []state.Tombstone // to delete, by Client and Part; before Tombstones are put
	Holds          []state.Hold      // to put
	LiftHolds      []string          // to delete, by fingerprint; before Holds are put
	Claims         []state.Claim     // to put
	FreeClaims     []string          // to delete, by key; before Claims are put
	UsedApprovals  []state.Approval  // to put, with Used set
	Verdict        *state.Verdict    // of the head; nil: no head was accepted
	Verdicts       []state.Verdict   // older ones that changed
	History        []state.Entry     // to append
	Reports        []state.Report    // to append to the outbox
	// Wishes are the effective manifests of clients to put whose wish was read here, so
	// that nobody has to read it again.
	Wishes  map[state.ClientID]manifest.Effective
	Touched []state.ClientID // that need a pass; what a hold binds is not among them
	Held    bool             // the whole head waits (history): nothing of it was accepted
	// New is how many new clients of the range the guard counts, and Room how many more it
	// would take within Window after them; below zero: they are too many. Without new ones
	// Room says nothing.
	New, Room int
	Again     bool // of Release only: it is Head that has to be called again
}

// ReleaseInput is all that Release reads.
type ReleaseInput struct {
	Now        time.Time
	Hold       state.Hold
	Approval   state.Approval
	Clients    []state.Client
	Claims     []state.Claim
	Tombstones []state.Tombstone
	Verdicts   []state.Verdict // those that are Open
}
