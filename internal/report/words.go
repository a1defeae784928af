package report

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/state"
)

// span is a piece of a sentence: our words, their text, code, or an address to follow.
type span struct {
	kind spanKind
	text string
}

type spanKind int

const (
	ours spanKind = iota
	theirs
	code
	address
)

// follow is what may be a link, where it is not too long: a web address in plain characters, without
// a query.
var follow = regexp.MustCompile(`^https?://([a-z0-9.-]+)(?::[0-9]{1,5})?(?:/([A-Za-z0-9._/-]*))?$`)

// mayFollow says that an address may be a link: its host has 253 characters at most, its path 200 and a
// slash. (Counted in the pattern, that would take a tenth of every start to compile.)
func mayFollow(address string) bool {
	m := follow.FindStringSubmatch(address)
	return m != nil && len(m[1]) <= 253 && len(m[2]) <= 200
}

func say(s string) span   { return span{ours, s} }
func quote(s string) span { return span{theirs, s} }
func cmd(s string) span   { return span{code, s} }
func link(s string) span  { return span{address, s} }

// sentence is a row of spans; a strong one is what nobody may overlook.
type sentence struct {
	strong bool
	spans  []span
}

func (s sentence) terminal() string {
	var b strings.Builder
	for _, p := range s.spans {
		switch p.kind {
		case ours:
			b.WriteString(p.text)
		case theirs, address:
			b.WriteString(Line(p.text))
		case code:
			b.WriteString("`" + Line(p.text) + "`")
		}
	}
	return b.String()
}

func (s sentence) markdown() string {
	var b strings.Builder
	for _, p := range s.spans {
		switch p.kind {
		case ours:
			b.WriteString(p.text)
		case theirs:
			b.WriteString(Text(p.text))
		case address:
			if mayFollow(p.text) {
				b.WriteString("<" + p.text + ">")
			} else {
				b.WriteString(Text(p.text))
			}
		case code:
			b.WriteString(Code(p.text))
		}
	}
	if s.strong {
		return "**" + b.String() + "**"
	}
	return b.String()
}

// setting is the place where a plan is shown: when it runs, when what goes does, and what
// approves it there.
type setting struct{ when, goes, approve string }

// later is where what goes stays for a while: "1h after this is merged".
func (p Plan) later(at setting) setting {
	if p.RemoveAfter != "" {
		at.goes = p.RemoveAfter + " after" + strings.TrimPrefix(at.goes, "when")
	}
	return at
}

// external is the provider of what a person keeps elsewhere.
const external = "external"

// keeperErases is said of such a database that is not asked for any more.
const keeperErases = "whether it is erased is for its keeper to say"

// maxTold is how many holds, or resources of a kind, are told one by one.
const maxTold = 5

// consequences say what a change means for people: what goes offline, when, what stays
// and until when, what it takes to stop it.
func consequences(c Change, at setting) []sentence {
	var out []sentence
	add := func(strong bool, spans ...span) { out = append(out, sentence{strong, spans}) }
	f := factsOf(c)
	switch {
	case f.offline:
		add(true, quote(c.Client), say(" goes offline "+at.goes+"."))
	case f.live:
		add(false, quote(c.Client), say(" goes live "+at.when+"."))
	}
	for _, s := range f.returned[:min(maxTold, len(f.returned))] {
		with := " with its data."
		if kindOf(s.Ref) == state.KindPayments {
			with = " to use."
		}
		add(false, say("Its "+kindWord(s.Ref)+" returns"+with))
	}
	if !f.offline {
		for i, name := range f.stops {
			if i == maxTold {
				add(true, say(strconv.Itoa(len(f.stops)-maxTold)+" more stop answering."))
				break
			}
			add(true, quote(name), say(" stops answering "+at.goes+"."))
		}
	}
	for _, s := range f.retained[:min(maxTold, len(f.retained))] {
		if kindOf(s.Ref) == state.KindPayments {
			add(false, say("Its payments account stays as it is: it is its owner's."))
			continue
		}
		what := "Its " + kindWord(s.Ref)
		if !f.offline {
			what += " goes out of use and"
		}
		if s.Provider == external {
			add(false, say(what+" stays where it is: "+keeperErases+"."))
			continue
		}
		if s.PurgeAfter.IsZero() {
			add(false, say(what+" stays for ever."))
			continue
		}
		add(false, say(what+" stays until "+Day(s.PurgeAfter)+", then it is erased; "), cmd("retain: forever"), say(" keeps it."))
	}
	switch n := len(f.retained); {
	case f.offline && n == 1:
		add(false, say("Reverting brings both back."))
	case f.offline && n > 1:
		add(false, say("Reverting brings all of it back."))
	case f.offline || n > 0 || len(f.stops) > 0:
		add(false, say("Reverting brings it back."))
	}
	for _, s := range f.left[:min(maxTold, len(f.left))] {
		add(false, say("Its "+kindWord(s.Ref)+" stays where it is: it was there before us."))
	}
	for _, s := range f.purged[:min(maxTold, len(f.purged))] {
		add(true, say("Its "+kindWord(s.Ref)+" is erased "+at.goes+". Nothing brings it back."))
	}
	if f.mail {
		add(true, say("Mail may stop arriving."))
	}
	if f.gap {
		add(true, say("There is a time without service ("), quote(f.howLong()), say("); the step says why."))
	}
	for _, s := range f.moves[:min(maxTold, len(f.moves))] {
		add(true, say("Its "+kindWord(s.Ref)+" moves to "), quote(s.Provider), say(": writes fail while it is copied, and until the site was deployed anew; the step says more."))
		kept := "for ever"
		if !s.PurgeAfter.IsZero() {
			kept = "until " + Day(s.PurgeAfter)
		}
		add(false, say("All rows are compared before the new one serves. The old one stays "+kept+", read-only."))
	}
	if f.data && len(f.purged)+len(f.moves) == 0 {
		add(true, say("Data may become unreachable or be erased."))
	}
	for i, h := range f.holds {
		if i == maxTold {
			add(false, say("More of it waits."))
			break
		}
		add(false, say("Part of it waits; "), cmd(at.approve+" "+h), say(" lets it run."))
	}
	return out
}

// facts are what the sentences are made from.
type facts struct {
	offline, live, mail, gap, data bool
	retained, returned             []Step
	purged, left, moves            []Step
	stops                          []string // names that no longer answer
	holds                          []string
	long                           string // how long the gap is; "": not known
	waits                          string // why a step waits for something else than an approval; "": none does
}

// howLong is how long nobody serves, in the words of the step that says so.
func (f facts) howLong() string {
	if f.long == "" {
		return "nobody knows how long"
	}
	return f.long
}

func factsOf(c Change) facts {
	var f facts
	seen := map[string]bool{}
	for _, s := range c.Steps {
		kind := kindOf(s.Ref)
		switch plan.Action(s.Action) {
		case plan.Create:
			f.live = f.live || kind == state.KindSite && !hasAction(c, plan.Delete, state.KindSite)
		case plan.Delete:
			switch {
			case s.Risk != string(plan.RiskOffline):
			case kind == state.KindSite:
				f.offline = true
			default:
				if name := stoppedName(s.Ref); !slices.Contains(f.stops, name) { // its domain and its record are one name
					f.stops = append(f.stops, name)
				}
			}
		case plan.Retain:
			if kind != state.KindAdmin { // it stays with its database
				f.retained = append(f.retained, s)
			}
		case plan.Return:
			if kind != state.KindAdmin {
				f.returned = append(f.returned, s)
			}
		case plan.Transfer:
			f.moves = append(f.moves, s)
		case plan.Purge:
			f.purged = append(f.purged, s)
		case plan.Forget:
			if kind == state.KindSite || kind == state.KindDatabase {
				f.left = append(f.left, s)
			}
		}
		f.mail = f.mail || s.Risk == string(plan.RiskMail)
		if s.Risk == string(plan.RiskGap) {
			if f.gap && s.Gap != f.long {
				s.Gap = "" // two of different length: the longer one is not known
			}
			f.gap, f.long = true, s.Gap
		}
		f.data = f.data || s.Risk == string(plan.RiskData)
		if s.Blocked && f.waits == "" {
			f.waits = s.Reason
		}
		if s.Held != "" && !seen[s.Held] {
			seen[s.Held] = true
			f.holds = append(f.holds, s.Held)
		}
	}
	return f
}

func hasAction(c Change, a plan.Action, k state.Kind) bool {
	for _, s := range c.Steps {
		if s.Action == string(a) && kindOf(s.Ref) == k {
			return true
		}
	}
	return false
}

// stoppedName is the name that no longer answers without a domain or a record; else the Ref itself.
func stoppedName(ref string) string {
	_, name, _ := strings.Cut(ref, "/")
	switch kindOf(ref) {
	case state.KindDomain:
		name, _, _ = strings.Cut(name, "@")
	case state.KindRecord: // A shop.example
		if words := strings.Fields(name); len(words) > 1 {
			name = words[1]
		}
	default:
		return ref
	}
	if name == "" {
		return ref
	}
	return name
}

func kindOf(ref string) state.Kind { k, _, _ := strings.Cut(ref, "/"); return state.Kind(k) }

// kindWord is the kind of a Ref in our words: nothing of theirs gets into a sentence
// of ours by it.
func kindWord(ref string) string {
	switch k := kindOf(ref); k {
	case state.KindDatabase, state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindAdmin, state.KindTraffic, state.KindDomain, state.KindRecord, state.KindMail:
		return string(k)
	case state.KindPayments:
		return "payments account"
	}
	return "data"
}

// Day is a date as people write it, in UTC.
func Day(t time.Time) string { return t.UTC().Format("2 January 2006") }
