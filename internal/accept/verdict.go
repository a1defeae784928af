package accept

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

const (
	// maxReportText is the length of a commit status' text.
	maxReportText = 140
	// maxLanded is how many clients of a commit a verdict names.
	maxLanded = 100
	// MaxClientReports is up to how many clients of a head are reported one by one; of
	// more, none is: the verdict speaks of all.
	MaxClientReports = 20
)

// Conclude works out the state of a verdict from its clients: pending while one is
// pending, then failure when one failed, is invalid or is held (a person must act), or
// a file is invalid; else success. Nothing stays pending for ever: what is held goes on
// by an approval, or ends by a later head that touches the client and supersedes it.
func Conclude(v *state.Verdict, now time.Time) {
	v.State = "success"
	if len(v.Invalid) > 0 {
		v.State = "failure"
	}
	n := v.Tally()
	if n[FatePending] > 0 {
		v.State, v.Ended = "pending", time.Time{}
		return
	}
	if n[FateFailed]+n[FateInvalid]+n[FateHeld] > 0 {
		v.State = "failure"
	}
	if v.Ended.IsZero() {
		v.Ended = now
	}
}

// Open says that a client of the verdict is pending or held: it may still change.
func Open(v state.Verdict) bool {
	n := v.Tally()
	return n[FatePending]+n[FateHeld] > 0
}

// Superseded says that a later head took over what a fate was about.
func Superseded(fate string) bool { return strings.HasPrefix(fate, FateSuperseded+" ") }

// verdict begins the head's verdict and ends what it supersedes in older ones. A
// head that is judged once more keeps its verdict, and adds to it.
func (w *writer) verdict() {
	w.older()
	again := w.in.Baseline != nil && w.in.Baseline.Head == w.in.Head
	v, found := state.Verdict{Commit: w.in.Head, Seq: w.base.Seq, At: w.in.Now}, false
	for _, old := range w.in.Verdicts {
		if old.Commit == w.in.Head {
			v, found = old, true
		}
	}
	var invalid []state.FileProblem
	for _, q := range append(slices.Clone(v.Invalid), w.invalid...) {
		if len(w.problems[q.Path]) > 0 && !slices.Contains(invalid, q) {
			invalid = append(invalid, q)
		}
	}
	sort.SliceStable(invalid, func(i, j int) bool { return invalid[i].Path < invalid[j].Path })
	fates := maps.Clone(w.fate)
	for id, commit := range w.goesOn {
		if commit == w.in.Head {
			fates[id] = FatePending
		}
	}
	if again && len(fates) == 0 && (!found || slices.Equal(invalid, v.Invalid)) {
		return
	}
	v.Clients = copyFates(v.Clients)
	maps.Copy(v.Clients, fates)
	maps.DeleteFunc(v.Clients, func(_ state.ClientID, fate string) bool { return fate == "" })
	if !again {
		for _, c := range w.in.Commits {
			v.Commits = append(v.Commits, c.ID)
			if c.Paths != nil {
				v.Landed = append(v.Landed, w.landed(c))
			}
		}
	}
	v.Invalid = invalid
	Conclude(&v, w.in.Now)
	w.res.Verdict = &v
	w.report(v)
}

// landed is a commit with the clients whose files it touched.
func (w *writer) landed(c Commit) state.Landed {
	out := state.Landed{ID: c.ID, Parents: c.Parents}
	for _, path := range c.Paths {
		if w.layout.Classify(path) == manifest.ClassClient && !slices.Contains(out.Names, nameOf(path)) && len(out.Names) < maxLanded {
			out.Names = append(out.Names, nameOf(path))
		}
	}
	return out
}

// older ends in older verdicts what this head asks for anew, and goes on with what
// waited.
func (w *writer) older() {
	olds := append([]state.Verdict(nil), w.in.Verdicts...)
	sort.Slice(olds, func(i, j int) bool {
		if olds[i].Seq != olds[j].Seq {
			return olds[i].Seq < olds[j].Seq
		}
		return olds[i].Commit < olds[j].Commit
	})
	for _, v := range olds {
		if v.Commit == w.in.Head {
			continue
		}
		was, changed, over := v.State, false, []state.ClientID{}
		v.Clients = copyFates(v.Clients)
		for id, fate := range v.Clients {
			anew := w.fate[id] != "" && w.fate[id] != FateInvalid
			switch {
			case anew && (fate == FatePending || fate == FateHeld):
				v.Clients[id] = FateSuperseded + " " + w.in.Head
				over = append(over, id)
			case w.goesOn[id] == v.Commit && fate == FateHeld:
				v.Clients[id] = FatePending
			case w.waitsNow[id] == v.Commit && fate == FatePending:
				v.Clients[id] = FateHeld
			default:
				continue
			}
			changed = true
		}
		if !changed {
			continue
		}
		Conclude(&v, w.in.Now)
		w.res.Verdicts = append(w.res.Verdicts, v)
		if len(v.Clients) > MaxClientReports {
			over = nil
		}
		slices.Sort(over)
		for _, id := range over { // by the name that it had then
			w.res.Reports = append(w.res.Reports, state.Report{Subject: "commit/" + v.Commit + "/client/" + w.clients.get(id).Name, State: "success", Text: clip("superseded by " + short(w.in.Head)), At: w.in.Now})
		}
		text := "superseded by " + short(w.in.Head)
		if v.State == "pending" { // what was let go of it goes on
			text = summary(v)
		}
		if v.State != "pending" || was != "pending" {
			w.res.Reports = append(w.res.Reports, state.Report{Subject: "commit/" + v.Commit, State: v.State, Text: clip(text), At: w.in.Now})
		}
	}
}

// report says what the head means, first of all and of each client.
func (w *writer) report(v state.Verdict) {
	w.note(state.Client{}, "accepted", short(w.in.Head)+": "+summary(v))
	w.res.Reports = append(w.res.Reports, state.Report{Subject: "commit/" + w.in.Head, State: v.State, Text: clip(summary(v)), At: w.in.Now})
	var ids []state.ClientID
	for id := range w.fate {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return w.get(ids[i]).Name < w.get(ids[j]).Name })
	if len(v.Clients) > MaxClientReports {
		ids = nil
	}
	for _, id := range ids {
		c := w.get(id)
		r := state.Report{Subject: "commit/" + w.in.Head + "/client/" + c.Name, State: "pending", Text: "accepted", At: w.in.Now}
		switch w.fate[id] {
		case FateHeld:
			r.State, r.Text, r.Detail = "failure", clip(orElse(c.Because, "held")), c.Because
		case FateInvalid:
			r.State, r.Text, r.Detail = "failure", clip(w.refused[id]), w.refused[id]
		case FateFailed:
			r.State, r.Text, r.Detail = "failure", clip(c.Because), c.Because
		case FateSucceeded, "":
			r.State, r.Text = "success", "its file is valid again; nothing changes"
		case FatePending:
			if c.InvalidBlob != "" {
				why := orElse(w.refused[id], c.Because)
				r.Text, r.Detail = clip(why), why
			}
		}
		w.res.Reports = append(w.res.Reports, r)
	}
}

// summary is a verdict in a few words.
func summary(v state.Verdict) string {
	n := map[string]int{}
	for _, fate := range v.Clients {
		n[fate]++
	}
	var parts []string
	for _, s := range []struct{ fate, noun string }{{FatePending, "client"}, {FateHeld, "held"}, {FateInvalid, "invalid"}, {FateFailed, "failed"}, {FateSucceeded, "succeeded"}} {
		switch {
		case n[s.fate] == 0, s.fate == FateInvalid && len(v.Invalid) > 0: // the files say it
		case s.fate == FatePending:
			parts = append(parts, count(n[s.fate], s.noun)+" to do")
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n[s.fate], s.noun))
		}
	}
	files := map[string]bool{}
	for _, q := range v.Invalid {
		files[q.Path] = true
	}
	if len(files) > 0 {
		parts = append(parts, "invalid: "+list(keys(files)))
	}
	if len(parts) == 0 {
		return "no client changes"
	}
	return strings.Join(parts, ", ")
}

// clip shortens a text to what a commit status takes.
func clip(text string) string { return state.ClipWords(text, maxReportText) }
