package state

import (
	"fmt"
	"strings"
	"time"
)

// Status is where a client stands.
type Status string

// The statuses; scripts rely on these words.
const (
	StatusPending      Status = "pending"
	StatusProvisioning Status = "provisioning"
	StatusDeploying    Status = "deploying"
	StatusActive       Status = "active"
	StatusHeld         Status = "held"
	StatusFailed       Status = "failed"
	StatusInvalid      Status = "invalid"
	StatusPaused       Status = "paused"
	StatusDeleting     Status = "deleting"
	StatusRetained     Status = "retained"
)

// HealthState is what the last probes say.
type HealthState string

// The health states; scripts rely on these words.
const (
	Healthy     HealthState = "healthy"
	Progressing HealthState = "progressing"
	Degraded    HealthState = "degraded"
	Unknown     HealthState = "unknown"
)

// Client is what we hold of one client, apart from its resources, which are
// records of their own.
type Client struct {
	ID         ClientID `json:"id"`
	Generation int      `json:"generation"` // 1, raised when a new client takes a former name afresh
	Name       string   `json:"name"`
	Former     []string `json:"former,omitempty"` // recorded former names, oldest first

	// The accepted wish: the file at its last good version.
	Path     string `json:"path,omitempty"`
	Blob     string `json:"blob,omitempty"`     // of the last good version
	Manifest []byte `json:"manifest,omitempty"` // its bytes
	Commit   string `json:"commit,omitempty"`   // the accepted head at which the wish last changed
	Accepted string `json:"accepted,omitempty"` // sequence-bearing head that the wish was read at (see Baseline.Seq)
	Seq      uint64 `json:"seq,omitempty"`      // Baseline.Seq at the wish's last change: newest wins
	// TemplateBlob and PlatformBlob are the versions that the wish was resolved with.
	TemplateBlob string `json:"templateBlob,omitempty"`
	PlatformBlob string `json:"platformBlob,omitempty"`
	WishHash     string `json:"wishHash,omitempty"` // canonical hash of the effective manifest: formatting changes nothing

	// The file at the head does not parse or breaks a rule: the last good version stays.
	InvalidBlob string `json:"invalidBlob,omitempty"`
	Because     string `json:"because,omitempty"` // one sentence for people: why the status is what it is

	Waits string `json:"waits,omitempty"` // the provider that the last pass had to wait for

	Next string `json:"next,omitempty"` // the one thing that a person can do about it

	Removed   bool      `json:"removed,omitempty"` // the manifest is gone (a tombstone says by what)
	RemovedAt time.Time `json:"removedAt,omitzero"`
	// LivedOn says that an older state, which was put back, has it as removed, and that it was deployed
	// since: it came back, and a file of its name is its own, whatever that says of reuse by now.
	LivedOn bool `json:"livedOn,omitempty"`

	Status       Status    `json:"status"`
	Paused       bool      `json:"paused,omitempty"`    // by command; the manifest's own `paused` is in the wish
	Converged    string    `json:"converged,omitempty"` // WishHash (+ secret versions) that was fully applied and healthy
	Settled      bool      `json:"settled"`             // nothing is due: the next pass needs a new cause
	EverDeployed bool      `json:"everDeployed,omitempty"`
	Failures     int       `json:"failures,omitempty"` // passes that failed in a row
	RetryAt      time.Time `json:"retryAt,omitzero"`   // next try of a failed pass; zero: waits for `retry` or a commit
	Attempts     int       `json:"attempts,omitempty"` // passes begun and not ended: counts crashes
	// Panics counts passes in a row that ran into an error of this program; Crashes, how often
	// in a row the program died while it was at work on the client. Quarantined is since when
	// it is left alone because of them; zero: it is not.
	Panics  int `json:"panics,omitempty"`
	Crashes int `json:"crashes,omitempty"`
	// Deaths counts how often in a row the program died at other work on the client: look, probe.
	Deaths      map[string]int `json:"deaths,omitempty"`
	Quarantined time.Time      `json:"quarantined,omitzero"`
	FailedStep  string         `json:"failedStep,omitempty"` // where the last pass stopped
	Health      HealthState    `json:"health,omitempty"`
	HealthAt    time.Time      `json:"healthAt,omitzero"`
	HealthBad   int            `json:"healthBad,omitempty"` // failed probes in a row
	Probes      int            `json:"probes,omitempty"`
	ProbesGood  int            `json:"probesGood,omitempty"`
	URL         string         `json:"url,omitempty"`
	AdminURL    string         `json:"adminUrl,omitempty"`
	Deployment  string         `json:"deployment,omitempty"` // id of the last Deployment (audit record)
	DeployedAt  time.Time      `json:"deployedAt,omitzero"`
	// LookWanted asks the next pass to look at the world even when the record says that nothing is due.
	LookWanted bool `json:"lookWanted,omitempty"`
	// Review is what pull requests showed of this wish, until it is done; nil: none brought it.
	Review *Review `json:"review,omitempty"`
	// Wakes counts who asked for a pass: one that was under way then is not the one.
	Wakes uint64 `json:"wakes,omitempty"`
	// Run is the pass that is under way (or was, when the program was cut off); a failed first
	// provisioning takes back what bears it.
	Run string `json:"run,omitempty"`
	// Undo is what the pass under way changed of what serves, in order; taken back in
	// reverse. RollingBack says why it is being taken back; a restart goes on with it.
	Undo        []Undo `json:"undo,omitempty"`
	RollingBack string `json:"rollingBack,omitempty"`
	// Fault says that what it failed by is an error of this program: nothing that a
	// manifest could mend, or somebody at a provider.
	Fault bool `json:"fault,omitempty"`
	// Unplanned: it failed before any step, as something that its wish needs is not there: a provider is not
	// configured, say. The next start tries again.
	Unplanned bool `json:"unplanned,omitempty"`
	// RollingSeq is the Seq of the wish that failed, while it is being taken back: a newer one
	// was not tried. 0: not known.
	RollingSeq uint64 `json:"rollingSeq,omitempty"`
	// Lived are adopted objects that were taken off the record ("provider/kind/id"): our mark
	// on them says nothing, and whatever finds them again must not delete them.
	Lived []string `json:"lived,omitempty"`
	// SourceSpec is the repository and ref that SourceCommit was resolved from: a branch
	// that moves later is no change.
	SourceSpec   string `json:"sourceSpec,omitempty"`
	SourceCommit string `json:"sourceCommit,omitempty"`
	// Taken is since when all that `adopt:` names is on record and marked, as TakenWish (a
	// WishHash) has it; TakenAsked, when somebody asked for that last.
	Taken      time.Time `json:"taken,omitzero"`
	TakenWish  string    `json:"takenWish,omitempty"`
	TakenAsked time.Time `json:"takenAsked,omitzero"`
	CreatedAt  time.Time `json:"createdAt,omitzero"`
	UpdatedAt  time.Time `json:"updatedAt,omitzero"`
}

// Waiting says that a client is in the middle of a change and goes on by itself later: no pass of it is under way.
func (c Client) Waiting() bool {
	return (c.Status == StatusProvisioning || c.Status == StatusDeploying) && !c.Settled && !c.RetryAt.IsZero()
}

// NotPutBack stands in why a client failed, before what keeps its old version from being what runs.
const NotPutBack = "what it changed can't be put back: "

// RunsUnnamed is what the failure of a client says first whose version runs, and to which no name leads:
// one that comes back while others have taken its names, say.
const RunsUnnamed = "Your site still runs the old version, and answers by no name."

// RunsApart is the same of one whose version was built with an address that its database does not have any more.
const RunsApart = "Your site still runs the old version, and can't reach its data: its database has another address by now."

// Through says that a client has come to all that it wishes, and that nothing of it goes back any more.
func (c Client) Through() bool {
	return c.Settled && c.Run == "" && (c.Status == StatusActive || c.Status == StatusRetained)
}

// Undo is one thing to put back.
type Undo struct {
	Ref   Ref      `json:"ref"`
	From  Ref      `json:"from,omitzero"` // it was moved from there
	Prior Resource `json:"prior"`
	// Kept: the other client that had it came to its end without it since, and does not get it back.
	Kept bool `json:"kept,omitempty"`
	// Replaced: it was taken away at its provider, to be made at another one.
	Replaced bool `json:"replaced,omitempty"`
}

// Had says that something which would be put back was that other client's.
func (u Undo) Had(id ClientID) bool { return u.Prior.Ref.Client == id && u.Ref.Client != id && !u.Kept }

// Baseline is the last accepted head of the tracked branch.
type Baseline struct {
	Repository string    `json:"repository"` // URL without credentials
	Branch     string    `json:"branch"`
	Path       string    `json:"path"`
	Head       string    `json:"head"`
	Root       string    `json:"root,omitempty"` // root commit, pinned at first sight
	Seq        uint64    `json:"seq"`            // raised by one with each accepted head
	At         time.Time `json:"at"`
	Platform   *File     `json:"platform,omitempty"`  // last good version
	Templates  []File    `json:"templates,omitempty"` // last good versions, sorted by path
	// Problems of files that were never valid, or are invalid at the head (path, line, text), for verdicts and status.
	Problems []FileProblem `json:"problems,omitempty"`
	Version  string        `json:"version,omitempty"` // of the program that accepted it
	// Kept are earlier versions of templates and the platform file that some client is still
	// resolved with, because its manifest breaks a rule of the newer one; sorted by path and blob.
	Kept []File `json:"kept,omitempty"`
	// Defaults of the configuration that the wishes were resolved with, by field.
	Defaults map[string]string `json:"defaults,omitempty"`
}

// File is a file of the repository at one version.
type File struct {
	Path string `json:"path"`
	Blob string `json:"blob"`
	Data []byte `json:"data"`
}

// FileProblem is one line of what is wrong with a file at the head.
type FileProblem struct {
	Path   string `json:"path"`
	Blob   string `json:"blob,omitempty"`
	Client string `json:"client,omitempty"` // its name, where known
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Rule   string `json:"rule,omitempty"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`
	// Review is what pull requests showed of the file: it may become valid by what others do.
	Review *Review `json:"review,omitempty"`
}

// ItsRemoval begins what a file's problem says of a name that it asks for, and that is still another client's.
const ItsRemoval = ": its removal "

// AsksInVain says that a reason speaks of a name that is still another client's: nothing of the file is to be mended,
// and what it asks for waits.
func AsksInVain(because string) bool { return strings.Contains(because, ItsRemoval) }

// Place is the file, with line and column where one of its lines is meant.
func (p FileProblem) Place() string {
	if p.Line == 0 {
		return p.Path
	}
	return fmt.Sprintf("%s:%d:%d", p.Path, p.Line, p.Column)
}

// Tombstone is proof that an accepted commit's range removed a client or a part
// of one. Deleting reads tombstones, never a diff and never an absence.
type Tombstone struct {
	Client   ClientID  `json:"client"`
	Name     string    `json:"name"`
	Part     string    `json:"part,omitempty"` // "" the whole client; else a Ref's kind/name
	Commit   string    `json:"commit"`         // accepted head whose range removed it
	Blob     string    `json:"blob,omitempty"` // last good version of the manifest
	At       time.Time `json:"at"`
	NotUntil time.Time `json:"notUntil,omitzero"` // guard.removeAfter
	Waits    string    `json:"waits,omitempty"`   // path of an invalid file of the same range
	Held     string    `json:"held,omitempty"`    // hold that it waits for (Hold.Fingerprint)
	Reviewed bool      `json:"reviewed,omitempty"`
	Retain   string    `json:"retain,omitempty"` // effective retention of the last good version ("30d", "forever")
	Done     bool      `json:"done,omitempty"`
}

// HoldKind is why something waits for a person.
type HoldKind string

// Kinds of hold.
const (
	HoldHistory HoldKind = "history" // rewritten, emptied, moved
	HoldGuard   HoldKind = "guard"   // too many removals
	HoldCreates HoldKind = "creates" // too many new clients
	HoldFleet   HoldKind = "fleet"   // template or platform change that failed or is too wide
	HoldRisk    HoldKind = "risk"    // riskier than reviewed
	HoldMail    HoldKind = "mail"
	HoldLeft    HoldKind = "left" // what can't be taken away: what holds it is another account's
	HoldData    HoldKind = "data" // database gone at the vendor, changed provider, ambiguous reuse
	HoldReuse   HoldKind = "reuse"
	HoldFreeze  HoldKind = "freeze"
	HoldParked  HoldKind = "parked"  // two objects found; conflict; foreign mark
	HoldRebuild HoldKind = "rebuild" // what a rebuild, or a look after a restore, is not sure of
	HoldUpgrade HoldKind = "upgrade"
)

// Hold is something that waits until someone acknowledges it. It belongs to a
// client and a step (or to the repository) and outlives later commits.
type Hold struct {
	Fingerprint string     `json:"fingerprint"` // what `approve` takes
	Kind        HoldKind   `json:"kind"`
	Client      ClientID   `json:"client,omitempty"` // empty: the repository
	Clients     []ClientID `json:"clients,omitempty"`
	Steps       []string   `json:"steps,omitempty"` // step keys (plan.Step.Key) that approve would let run
	Commit      string     `json:"commit,omitempty"`
	OldHead     string     `json:"oldHead,omitempty"`
	NewHead     string     `json:"newHead,omitempty"`
	Reason      string     `json:"reason"`         // a sentence: what waits, why
	Act         string     `json:"act"`            // a sentence: what to do
	Until       time.Time  `json:"until,omitzero"` // ends by itself (freeze, removeAfter)
	Approvable  bool       `json:"approvable"`     // false: only a change of the manifest helps
	File        string     `json:"file,omitempty"` // a manifest that can't be accepted: approvable while that is not at the head
	At          time.Time  `json:"at"`
	// Removals are those that it holds and that are not accepted yet: their clients take names that others
	// of the hold let go.
	Removals []string `json:"removals,omitempty"`
	// Waves is how far a fleet's change has come (HoldFleet only); Clients are then
	// those that still wait, in the order in which they follow.
	Waves *Waves `json:"waves,omitempty"`
}

// NotAccepted ends the reason of a hold that waits for its File.
const NotAccepted = " can't be accepted as its manifest."

// Waves is a change that many clients inherit on its way: one, a tenth, the rest.
// It is all that is needed to go on with it after a restart.
type Waves struct {
	What   string     `json:"what"`             // what changed, for people
	Total  int        `json:"total"`            // clients that it touches
	Stage  int        `json:"stage"`            // 1: one at a time until one went well; 2: a tenth; 3: the rest
	Out    []ClientID `json:"out,omitempty"`    // let go, and not ended yet
	Good   int        `json:"good"`             // ended well
	Well   []ClientID `json:"well,omitempty"`   // those of Good that are watched: one that degrades has failed
	Failed []ClientID `json:"failed,omitempty"` // ended badly
	Halted bool       `json:"halted,omitempty"` // too many failed: only approve goes on
}

// Approval binds exact steps; it is used once, within ApprovalLife.
type Approval struct {
	Fingerprint string    `json:"fingerprint"`
	By          string    `json:"by"`
	At          time.Time `json:"at"`
	Used        time.Time `json:"used,omitzero"`
	// Client is whose hold it was given for; "": it was given before there was one.
	Client ClientID `json:"client,omitempty"`
	// Ended: that client was removed since, or came back. It lets nothing run any more.
	Ended bool `json:"ended,omitempty"`
	// Removed are the names of clients that were removed since it was given, before there was a
	// hold: of who bears one now it lets nothing run, but the removal that it may be about.
	Removed []string `json:"removed,omitempty"`
	// Removals are the hold's: they are let go when they are accepted, at the head Head and at no other.
	Removals []string `json:"removals,omitempty"`
	Head     string   `json:"head,omitempty"`
}

// Counts says that it can still let something run.
func (a Approval) Counts(now time.Time) bool {
	return a.Fingerprint != "" && a.Used.IsZero() && !a.Ended && now.Sub(a.At) < ApprovalLife
}

// ApprovedAlready begins what there is to do about a hold that is approved, until a pass took that up.
const ApprovedAlready = "Approved by "

// ApprovalLife is how long an approval waits to be used.
const ApprovalLife = 24 * time.Hour

// Claim is one line of the ledger of shared keys: who owns a host name or a
// vendor-wide name.
type Claim struct {
	Key    string   `json:"key"`             // host:shop.example
	Client ClientID `json:"client"`          // "": nobody's any more, and those in From still pass as one group
	Since  string   `json:"since,omitempty"` // commit
	// From are those who had it before and have it still, or records that move with it, until that
	// has moved: all pass as one group. A name may be given on before it has arrived.
	From []ClientID `json:"from,omitempty"`
}

// Joins says that the claim lets clients pass together.
func (c Claim) Joins() bool {
	return c.Client != "" && len(c.From) > 0 || len(c.From) > 1
}

// StepRun is one step of a Deployment as it went.
type StepRun struct {
	Number   int       `json:"number"`
	Step     string    `json:"step"`
	Action   string    `json:"action"`
	Ref      Ref       `json:"ref"`
	Provider string    `json:"provider,omitempty"`
	State    string    `json:"state"` // pending | running | done | failed | waiting | skipped | undone | unknown
	Attempt  int       `json:"attempt,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	Note     string    `json:"note,omitempty"`
	Error    string    `json:"error,omitempty"`
	// Approved are the fingerprints of the approvals that let it run, of a pass that is under way
	// or was cut off.
	Approved []string `json:"approved,omitempty"`
}

// Deployment is the audit record of one pass that changed something. Append-only
// but for its own progress.
type Deployment struct {
	ID          string    `json:"id"` // time-ordered
	Client      ClientID  `json:"client"`
	Name        string    `json:"name"`
	Commit      string    `json:"commit"`
	Cause       string    `json:"cause"` // commit | retry | approve | secret | drift | schedule | start
	By          string    `json:"by,omitempty"`
	Fingerprint string    `json:"fingerprint"`
	State       string    `json:"state"` // running | succeeded | failed | superseded | rolled back | held | waiting | interrupted
	Started     time.Time `json:"started"`
	Ended       time.Time `json:"ended,omitzero"`
	Steps       []StepRun `json:"steps"`
	Error       string    `json:"error,omitempty"`
	Next        string    `json:"next,omitempty"`   // the one thing to do
	Source      string    `json:"source,omitempty"` // deployed source commit/ref
	// ContinuedBy is, of one that was interrupted, the ID of its client's next, which went on.
	ContinuedBy string `json:"continuedBy,omitempty"`
}

// LogLine is one line of a deployment's progress.
type LogLine struct {
	Deployment string    `json:"deployment"`
	Seq        uint64    `json:"seq"`
	At         time.Time `json:"at"`
	Step       string    `json:"step,omitempty"`
	Text       string    `json:"text"`
}

// Entry is one line of a client's history, for `history` and the audit trail.
type Entry struct {
	Seq    uint64    `json:"seq"`
	At     time.Time `json:"at"`
	Client ClientID  `json:"client,omitempty"`
	Name   string    `json:"name,omitempty"`
	Commit string    `json:"commit,omitempty"`
	By     string    `json:"by,omitempty"`
	What   string    `json:"what"` // accepted, planned, held, approved, succeeded, failed, retained, purged, superseded, invalid …
	Text   string    `json:"text"`
}

// Report is one thing that people are to be told: stored with the state change,
// delivered at least once in order per subject, idempotently.
type Report struct {
	Seq       uint64    `json:"seq"`
	Subject   string    `json:"subject"` // commit/SHA, commit/SHA/client/NAME, client/NAME/drift
	State     string    `json:"state"`   // pending | success | failure | error
	Text      string    `json:"text"`    // at most 140 characters
	Detail    string    `json:"detail,omitempty"`
	URL       string    `json:"url,omitempty"`
	At        time.Time `json:"at"`
	Delivered time.Time `json:"delivered,omitzero"`
	Tries     int       `json:"tries,omitempty"`
}

// Verdict is the state of one accepted head: which clients it touched and what
// became of each. It ends when every one of them has.
type Verdict struct {
	Commit  string    `json:"commit"`
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	Commits []string  `json:"commits,omitempty"` // of the range, oldest first
	// Landed are the commits of the range whose files are known: the first hundred.
	Landed  []Landed            `json:"landed,omitempty"`
	Clients map[ClientID]string `json:"clients,omitempty"` // pending | succeeded | failed | held | superseded by SHA | invalid
	// Fates counts Clients by their word. Stores keep it beside them, so that one client's
	// end does not cost as much as all clients' of a bulk commit: see Tally.
	Fates   map[string]int `json:"fates,omitempty"`
	Invalid []FileProblem  `json:"invalid,omitempty"`
	Waits   string         `json:"waits,omitempty"` // a provider that was told as what keeps pending clients
	State   string         `json:"state"`           // pending | success | failure
	Ended   time.Time      `json:"ended,omitzero"`
}

// Landed is a commit of an accepted range: what it was made on, and whose files it touched.
type Landed struct {
	ID      string   `json:"id"`
	Parents []string `json:"parents,omitempty"`
	Names   []string `json:"names,omitempty"` // of clients
}

// Tally is how many clients met each fate, by its first word: counted where Clients is
// at hand, else as it was kept.
func (v Verdict) Tally() map[string]int {
	if v.Clients == nil {
		return v.Fates
	}
	n := make(map[string]int, 4)
	for _, fate := range v.Clients {
		n[FateWord(fate)]++
	}
	return n
}

// FateWord is a fate without what follows its first word.
func FateWord(fate string) string {
	word, _, _ := strings.Cut(fate, " ")
	return word
}

// Installation identifies this state: it is part of every ownership mark.
type Installation struct {
	ID        string    `json:"id"` // 8 hex digits
	CreatedAt time.Time `json:"createdAt"`
	Epoch     int       `json:"epoch"`
}
