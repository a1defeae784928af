package state

import "time"

// Pull is what we hold of a pull request into the tracked branch: what its plan was made
// of, what it showed, and what has been told of it.
type Pull struct {
	Number int    `json:"number"`
	Title  string `json:"title,omitempty"`
	Author string `json:"author,omitempty"` // login
	URL    string `json:"url,omitempty"`
	Branch string `json:"branch,omitempty"` // its own
	Fork   bool   `json:"fork,omitempty"`

	Open        bool      `json:"open,omitempty"`
	Merged      bool      `json:"merged,omitempty"`
	MergeCommit string    `json:"mergeCommit,omitempty"` // as the forge says: merge, squash or the last of a rebase
	Head        string    `json:"head"`                  // newest commit that was seen
	HeadAt      time.Time `json:"headAt,omitzero"`       // when that was seen first
	UpdatedAt   time.Time `json:"updatedAt,omitzero"`    // the forge's
	ClosedAt    time.Time `json:"closedAt,omitzero"`     // when we saw that it is not open any more

	// Asked is the commit of a fork that somebody with write access asked to plan.
	Asked string `json:"asked,omitempty"`

	// The last judgement: of Planned merged into Base.
	Planned   string    `json:"planned,omitempty"` // head
	Base      string    `json:"base,omitempty"`    // head of the branch
	PlannedAt time.Time `json:"plannedAt,omitzero"`
	Others    string    `json:"others,omitempty"` // digest of the overlaps with other pull requests that were told
	Said      string    `json:"said,omitempty"`   // digest of what was told: equal words are not told again
	Marked    bool      `json:"marked,omitempty"` // suggestions stand, or are to stand, in its files
	Told      bool      `json:"told,omitempty"`   // a comment was, or is to be, written
	Taken     string    `json:"taken,omitempty"`  // host names that others have, with whom
	// SinceBase is the head of the branch onto which the plan before was made, of the same
	// head: the two are compared. "": there is none.
	SinceBase string    `json:"sinceBase,omitempty"`
	Moving    bool      `json:"moving,omitempty"` // one of its clients was at work when it was planned
	Wanted    bool      `json:"wanted,omitempty"` // plan again, whatever the digests say
	Failures  int       `json:"failures,omitempty"`
	RetryAt   time.Time `json:"retryAt,omitzero"`
	// Files are the paths that the merge changes, with the blob they have after it ("": gone;
	// Unmerged: a conflict keeps it from being merged, and other files may not be here).
	Files map[string]string `json:"files,omitempty"`
	// Commits is how many commits Planned has that Base has not: as many, at most, does a rebase
	// make. 0: not known.
	Commits int `json:"commits,omitempty"`
	// Clients are those that it changes, by name.
	Clients []PullClient `json:"clients,omitempty"`
	// Shown are the prints of the steps that a plan of the pull request showed, of its newest
	// head. Static: the head was only checked, no plan was shown.
	Shown  []string `json:"shown,omitempty"`
	Static bool     `json:"static,omitempty"`
	// Sources are the commits that the plan was made of, by what they were resolved from
	// (Client.SourceSpec).
	Sources map[string]string `json:"sources,omitempty"`

	// New is how many new clients it brings, and Room how many more the guard would take in the
	// day after them; below zero: they are too many.
	New  int `json:"new,omitempty"`
	Room int `json:"room,omitempty"`

	// Waits are the fingerprints of what would wait as a whole for a person, and may be let go.
	Waits []string `json:"waits,omitempty"`

	// What the forge gave us, to find it again without a search; 0: not known.
	Comment int64 `json:"comment,omitempty"` // the plan
	Result  int64 `json:"result,omitempty"`  // the result
	// HeldBy is a head that waits as a whole and brought the pull request; "": none.
	HeldBy string `json:"heldBy,omitempty"`
	// ResultSaid is a digest of the result that was told.
	ResultSaid string `json:"resultSaid,omitempty"`
	// Heads that the branch accepted and that brought the pull request, newest last.
	Accepted []string `json:"accepted,omitempty"`
}

// PullClient is a client that a pull request changes.
type PullClient struct {
	Name    string   `json:"name"`
	Hosts   []string `json:"hosts,omitempty"` // host names that it would have
	Removed bool     `json:"removed,omitempty"`
}

// Review is what pull requests showed of a client's wish: which steps of a plan may run
// without anybody being asked again. It belongs to one wish, and ends when that is done.
type Review struct {
	Pulls []int    `json:"pulls"`
	Shown []string `json:"shown,omitempty"` // prints of steps
	// Sources are the commits that were shown, by what they were resolved from: a branch that
	// moves between a review and the merge is no change.
	Sources map[string]string `json:"sources,omitempty"`
	// Partial: not all that was merged was merged as it was planned. It stays so until the
	// wish is done, whatever is pushed meanwhile.
	Partial bool `json:"partial,omitempty"`
}

// Command is a comment that commanded, and what became of it: it is carried out once.
type Command struct {
	Comment int64     `json:"comment"`
	Pull    int       `json:"pull"`
	Head    string    `json:"head"` // of the pull request when it was carried out
	By      string    `json:"by"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"` // begun | done | refused
	Why     string    `json:"why,omitempty"`
}

// Unmerged stands for the blob of a file that a conflict keeps from being merged.
const Unmerged = "unmerged"
