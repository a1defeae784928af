package plan

import (
	"slices"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Action is what a step does.
type Action string

// The actions. Those that write at a provider: create, update, move, replace,
// transfer, secure, delete, purge.
const (
	Create  Action = "create"
	Update  Action = "update"
	Move    Action = "move"    // update of an object that changes its owner or its name: From's record becomes Ref's
	Replace Action = "replace" // delete, then create, of the same Ref
	// Transfer moves a database's content to another provider and puts that in its place: From is
	// where it is filled. The old one is frozen meanwhile, and out of use afterwards.
	Transfer Action = "transfer"
	Secure   Action = "secure" // of a host name that DNS leads to its site now: what it is served with is asked for
	Delete   Action = "delete"
	Retain   Action = "retain"  // data out of use, kept until PurgeAfter; nothing is called
	Return   Action = "return"  // retained data back in use; nothing is called
	Purge    Action = "purge"   // delete of retained data after its date
	Adopt    Action = "adopt"   // an object that exists is recorded; nothing is written
	Mark     Action = "mark"    // an adopted object gets our mark, and nothing else: no plan has it, a person asks for it
	Forget   Action = "forget"  // the record goes, the object stays (it was found, not made)
	Await    Action = "await"   // until a deployment is ready or failed, or a person has done what is asked
	Probe    Action = "probe"   // a health check, before promotion or outside in
	Refresh  Action = "refresh" // copies of pages that another release answers now are forgotten; its failure changes nothing
	Record   Action = "record"  // the audit record and the client's status
)

// Ends says that the action comes after all that is wished was proved: what was replaced
// goes, and the pass is recorded.
func (a Action) Ends() bool { return a == Delete || a == Forget || a == Record }

// Writes says that the action calls a provider to change something.
func (a Action) Writes() bool {
	switch a {
	case Create, Update, Move, Replace, Transfer, Secure, Delete, Purge, Mark:
		return true
	}
	return false
}

// The eight steps in the order in which they are shown.
const (
	StepDatabase    = 1
	StepProject     = 2
	StepDNS         = 3
	StepEnvironment = 4
	StepDeploy      = 5
	StepMonitor     = 6
	StepHealth      = 7
	StepRecord      = 8
)

// stepNames are the words of the eight steps, by number.
var stepNames = [...]string{"", "database", "project", "dns", "environment", "deploy", "monitor", "health", "record"}

// StepName returns the word of a numbered step.
func StepName(n int) string {
	if n < 1 || n >= len(stepNames) {
		return "step"
	}
	return stepNames[n]
}

// Risk is what may go wrong for a client's users. Ordered by Rank.
type Risk string

// The risks.
const (
	RiskNone    Risk = ""        // reversible, nobody notices
	RiskTraffic Risk = "traffic" // a different version or address serves afterwards
	RiskOffline Risk = "offline" // something stops answering
	RiskLeft    Risk = "left"    // something stays that nobody here can take away any more; always held
	RiskMail    Risk = "mail"    // mail may stop arriving; always held
	RiskGap     Risk = "gap"     // a stated time without service; always held
	RiskData    Risk = "data"    // data may become unreachable or be erased; held
)

// Rank orders risks; a higher one is riskier.
func (r Risk) Rank() int {
	switch r {
	case RiskTraffic:
		return 1
	case RiskOffline:
		return 2
	case RiskLeft:
		return 3
	case RiskMail:
		return 4
	case RiskGap:
		return 5
	case RiskData:
		return 6
	}
	return 0
}

// Field is one difference of a step. Secrets show as name and keyed fingerprint.
type Field struct {
	Name   string `json:"name"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Secret bool   `json:"secret,omitempty"`
}

// Step is one thing to do. It is data: it can be stored, compared, fingerprinted,
// resumed.
type Step struct {
	Number     int             `json:"number"` // 1 to 8, as shown
	Action     Action          `json:"action"`
	Ref        state.Ref       `json:"ref"`
	Client     string          `json:"client,omitempty"` // the client's name: what fingerprints bind, for the id is minted late
	Provider   string          `json:"provider,omitempty"`
	Wish       *state.Resource `json:"wish,omitempty"`  // create, update, move, replace, adopt, return
	Prior      *state.Resource `json:"prior,omitempty"` // as recorded (or observed) before
	From       state.Ref       `json:"from,omitzero"`   // move: the Ref that had it
	FromClient string          `json:"fromClient,omitempty"`
	// Release is a print of the release that the step is about (deploy, await, probe,
	// promote, a name that is led here from another site), secrets by name: the Ref's own
	// name knows their versions.
	Release    string    `json:"release,omitempty"`
	Fields     []Field   `json:"fields,omitempty"`
	Reason     string    `json:"reason"` // a sentence part: "manifest is new", "env STORE_CURRENCY changed"
	Risk       Risk      `json:"risk,omitempty"`
	Gap        string    `json:"gap,omitempty"`  // of a RiskGap, how long it is; "": nobody knows
	Undo       string    `json:"undo,omitempty"` // a sentence: how it is taken back
	Calls      int       `json:"calls"`
	Needs      []string  `json:"needs,omitempty"`     // Keys of steps that must be done first; sorted
	URL        string    `json:"url,omitempty"`       // probe: "" is the client's public address, else an output Value's text at run time
	Outside    bool      `json:"outside,omitempty"`   // probe: through the public name
	PurgeAfter time.Time `json:"purgeAfter,omitzero"` // retain, transfer; zero: for ever
	// Keep is how long that is from when it is carried out: see Until.
	Keep time.Duration `json:"keep,omitempty"`
	// NotBefore is of a step that comes later: then, or where it is zero, After the names have
	// moved, which the same plan does.
	NotBefore time.Time     `json:"notBefore,omitzero"`
	After     time.Duration `json:"after,omitempty"`
	// Led is why a step that comes later does not come yet, and what a person is to do before: DNS leads
	// people still to what it takes away.
	Led string `json:"led,omitempty"`
	// Held is the fingerprint of the hold that the step waits for; a step that
	// needs a held one waits too, with the same Held and Blocked set.
	Held    string `json:"held,omitempty"`
	Blocked bool   `json:"blocked,omitempty"`
	// Waits is the provider that a blocked step waits for, which could not be looked at.
	Waits string `json:"-"`
	// Approved are the fingerprints of the approvals that let the step run: each is
	// used with this plan, and never again.
	Approved []string `json:"approved,omitempty"`
}

// WaitFor blocks a step until a provider can be looked at.
func (s *Step) WaitFor(provider, why string) {
	s.Blocked, s.Waits, s.Reason = true, provider, "waiting for "+provider+": "+why
}

// Key identifies a step within plans of the same client over time: action and Ref.
func (s Step) Key() string {
	r := s.Ref // as its String, put together at once
	return string(s.Action) + " " + string(r.Client) + "/" + string(r.Kind) + "/" + r.Name + s.suffix()
}

func (s Step) suffix() string {
	if s.Action == Probe && s.Outside {
		return " outside"
	}
	return ""
}

// Problem is why a client cannot be planned; nothing of it runs.
type Problem struct {
	Client state.ClientID `json:"client,omitempty"`
	Name   string         `json:"name"`
	Text   string         `json:"text"`
	Act    string         `json:"act,omitempty"`  // what to do
	Hold   state.HoldKind `json:"hold,omitempty"` // the client is held for this reason; empty: invalid
}

// Plan is what would happen to one group of clients (usually one): steps in an
// order that satisfies Needs, deterministic for equal inputs.
type Plan struct {
	Commit   string    `json:"commit,omitempty"`
	Steps    []Step    `json:"steps"`
	Problems []Problem `json:"problems,omitempty"`
	// Later are the steps that end what this plan begins, or an earlier one began, and have
	// to wait for a time: the side of a site that was replaced goes. Nothing of this plan
	// waits for them, they are no part of what a review binds, and alone they are no change:
	// when their time comes, they are planned.
	Later []Step `json:"later,omitempty"`
	// Warnings are for people to read before they merge; nothing waits for them.
	Warnings []Warning `json:"warnings,omitempty"`
	LookedAt time.Time `json:"lookedAt,omitzero"` // age of the look that it rests on; zero: the record
}

// Warning is something that may not be meant.
type Warning struct {
	Client state.ClientID `json:"client,omitempty"`
	Name   string         `json:"name"`
	Text   string         `json:"text"`
	Act    string         `json:"act,omitempty"` // what to do if it isn't
}

// Calls is how many provider calls the plan costs.
func (p Plan) Calls() int {
	n := 0
	for _, s := range p.Steps {
		n += s.Calls
	}
	return n
}

// Adopting says that the plan is the client's first pass over what `adopt:` names, or
// over what the adopted site has beside it: it only records. When it is done the client is planned anew.
func (p Plan) Adopting(client state.ClientID) bool {
	for _, s := range p.Steps {
		if s.Ref.Client == client && s.Action == Adopt && s.Wish != nil && s.Wish.Adopted {
			return true
		}
	}
	return false
}

// Of is what of a plan is about these clients, calculated with all the others that it is about.
func (p Plan) Of(ids []state.ClientID) Plan {
	other := func(s Step) bool { return !slices.Contains(ids, s.Ref.Client) }
	p.Steps, p.Later = slices.DeleteFunc(slices.Clone(p.Steps), other), slices.DeleteFunc(slices.Clone(p.Later), other)
	p.Problems = slices.DeleteFunc(slices.Clone(p.Problems), func(q Problem) bool { return !slices.Contains(ids, q.Client) })
	p.Warnings = slices.DeleteFunc(slices.Clone(p.Warnings), func(q Warning) bool { return !slices.Contains(ids, q.Client) })
	return p
}

// Empty says that there is nothing to do and nothing wrong.
func (p Plan) Empty() bool { return len(p.Steps) == 0 && len(p.Problems) == 0 }
