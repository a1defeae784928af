package reconcile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/drift"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Row is one client as `status -o json` and GET /api/clients show it; scripts rely on
// the names.
type Row struct {
	ID              string    `json:"id,omitempty"` // empty: its file was never valid
	Name            string    `json:"name"`
	Status          string    `json:"status"`
	Health          string    `json:"health"`
	URL             string    `json:"url"`
	Commit          string    `json:"commit"`
	Deployment      string    `json:"deployment"`
	Because         string    `json:"because"`
	Next            string    `json:"next,omitempty"`
	Drift           []string  `json:"drift"`
	Domain          string    `json:"domain"`
	AdminURL        string    `json:"adminUrl"`
	Plan            string    `json:"plan"`
	Template        string    `json:"template"`
	Providers       []string  `json:"providers"`
	LastDeployedAt  time.Time `json:"lastDeployedAt"`    // null: never
	LastHealthCheck time.Time `json:"lastHealthCheck"`   // null: never
	LastLook        time.Time `json:"lastLook,omitzero"` // at the providers, by schedule, at all that is on record
	Uptime          float64   `json:"uptime"`            // share of good probes, 0 to 1
	PullRequest     string    `json:"pullRequest"`
	Payments        *Payments `json:"payments,omitempty"` // nil: it takes none
	Database        *Database `json:"database,omitempty"` // nil: it has none, or how much is in it is not known

	Advice []Part `json:"-"` // Next, taken apart
}

// Why is why a client is as it is; of one that is well what somebody changed outside, else
// what its account for payments wants of its owner.
func (r Row) Why() string {
	switch n := len(r.Drift); {
	case r.Because == "" && n == 0:
		return r.Payments.needs()
	case r.Because != "" || n == 0:
		return r.Because
	case n == 1:
		return "changed outside: " + r.Drift[0]
	default:
		return fmt.Sprintf("changed outside: %s and %d more", r.Drift[0], n-1)
	}
}

// Database is how much is in the database that a client uses, as the scheduled looks see it.
type Database struct {
	Provider string    `json:"provider"`
	ID       string    `json:"id"`
	Bytes    int64     `json:"bytes"` // about
	SeenAt   time.Time `json:"seenAt"`
}

// sizeOf says how much is in a database that is in use, nil where no look was told that.
func sizeOf(used []Database, known []state.Size) *Database {
	for _, d := range used {
		for _, s := range known {
			if s.ID == d.ID {
				return &Database{d.Provider, d.ID, s.Bytes, s.At}
			}
		}
	}
	return nil
}

// plainRow is a Row as its fields are; rowJSON as scripts see it: a time that never was
// is null.
type plainRow Row

type rowJSON struct {
	plainRow
	LastDeployedAt  *time.Time `json:"lastDeployedAt"`
	LastHealthCheck *time.Time `json:"lastHealthCheck"`
}

func (r Row) json() rowJSON {
	out := rowJSON{plainRow: plainRow(r)}
	if !r.LastDeployedAt.IsZero() {
		out.LastDeployedAt = &r.LastDeployedAt
	}
	if !r.LastHealthCheck.IsZero() {
		out.LastHealthCheck = &r.LastHealthCheck
	}
	return out
}

// MarshalJSON implements json.Marshaler.
func (r Row) MarshalJSON() ([]byte, error) { return json.Marshal(r.json()) }

// Overview is what people see first.
type Overview struct {
	Clients  []Row               `json:"clients"`
	Head     string              `json:"head,omitempty"`
	Problems []state.FileProblem `json:"problems,omitempty"`
	Holds    []state.Hold        `json:"holds,omitempty"`
	Verdict  string              `json:"verdict,omitempty"` // of the head
	Notices  []string            `json:"notices,omitempty"` // about the installation itself
}

// Overview returns every client, sorted by name, with what is held and invalid.
func (e *Engine) Overview() (Overview, error) {
	out := Overview{Clients: []Row{}}
	if e.Notices != nil {
		out.Notices = e.Notices()
	}
	if e.old() {
		text := "the state is an older copy that was put back, older than what the providers show; nothing is changed until the two are compared, which the next poll does"
		if lag := e.witness().lag(); lag > 0 {
			text += ". It waits " + report.Took(lag) + " first, as what providers list may be so late"
		}
		e.mu.Lock()
		if e.comparing != "" {
			text += ". Last, " + e.comparing
		}
		e.mu.Unlock()
		out.Notices = append(out.Notices, text)
	}
	wishes, base := e.resolver()
	e.showing.Lock()
	defer e.showing.Unlock()
	err := e.Store.View(func(tx store.Tx) error {
		out.Clients = out.Clients[:0]
		clients, err := store.Clients(tx)
		if err != nil {
			return err
		}
		looked, err := lookedBy(tx)
		if err != nil {
			return err
		}
		if out.Holds, err = e.holdsShown(tx); err != nil {
			return err
		}
		held := holdsOf(out.Holds)
		kept := make(map[state.ClientID]*shown, len(clients))
		for _, c := range clients {
			s := e.shown[c.ID]
			if s == nil {
				s = &shown{}
			}
			kept[c.ID] = s
			if err := e.overdue(tx, &c); err != nil {
				return err
			}
			record, err := s.recordShown(tx, c)
			if err != nil {
				return err
			}
			out.Clients = append(out.Clients, e.rowOf(c, looked[c.ID], record, s.wishShown(c, wishes), held[c.ID], out.Holds))
		}
		e.shown = kept
		if base != nil {
			out.Head, out.Problems = base.Head, base.Problems
			v, ok, err := store.Verdict(tx, base.Head)
			if err != nil {
				return err
			}
			if ok {
				out.Verdict = v.State + ": " + statusText(v, nameIn(tx))
			}
		}
		return nil
	})
	for _, p := range out.Problems {
		if p.Client != "" && !hasRow(out.Clients, p.Client) {
			out.Clients = append(out.Clients, invalidRow(p))
		}
	}
	sort.Slice(out.Clients, func(i, j int) bool { return out.Clients[i].before(out.Clients[j]) })
	return out, err
}

// holdsShown are the holds. One that is approved asks for no approval: it waits for the pass that takes that up.
func (e *Engine) holdsShown(tx store.Tx) ([]state.Hold, error) {
	holds, err := store.Holds(tx)
	if err != nil {
		return nil, err
	}
	for i := range holds {
		h := &holds[i]
		a, _, err := store.Approval(tx, h.Fingerprint)
		if err != nil {
			return nil, err
		}
		if h.Approvable && planned(h.Kind) && a.Client == h.Client && a.Counts(e.Now()) {
			h.Approvable, h.Act = false, state.ApprovedAlready+a.By+"; its next pass goes on with that."
		}
	}
	return holds, nil
}

// overdue says of a client that waited for a date which is past what it waits for by now: an older state carries nothing out
// before it is compared.
func (e *Engine) overdue(tx store.Tx, c *state.Client) error {
	const goes = "It goes at "
	if !strings.Contains(c.Because, "until ") && !strings.HasPrefix(c.Because, goes) {
		return nil
	}
	stones, err := store.Tombstones(tx, c.ID)
	if err != nil {
		return err
	}
	then := "its next pass"
	if e.old() {
		then = "this older state is compared with what the providers show"
	}
	for _, t := range stones {
		if !t.NotUntil.IsZero() && !t.NotUntil.After(e.Now()) {
			c.Because = strings.Replace(c.Because, "until "+dated(t.NotUntil), "until "+then, 1)
			c.Because = strings.Replace(c.Because, goes+t.NotUntil.UTC().Format("15:04 on 2 January 2006")+" UTC", "It waits until "+then, 1)
		}
	}
	return nil
}

// lookedBy is what scheduled looks know, by client.
func lookedBy(tx store.Tx) (map[state.ClientID]state.Looked, error) {
	all, err := store.AllLooked(tx)
	if err != nil {
		return nil, err
	}
	out := make(map[state.ClientID]state.Looked, len(all))
	for _, l := range all {
		out[l.Client] = l
	}
	return out, nil
}

// before sorts rows by name; who has the name now comes before who had it.
func (r Row) before(o Row) bool {
	gone, otherGone := r.Status == string(state.StatusRetained), o.Status == string(state.StatusRetained)
	switch {
	case r.Name != o.Name:
		return r.Name < o.Name
	case gone != otherGone:
		return otherGone
	}
	return r.ID < o.ID
}

// invalidRow is a client whose file was never valid.
func invalidRow(p state.FileProblem) Row {
	return Row{Name: p.Client, Status: string(state.StatusInvalid), Health: string(state.Unknown), Because: p.Text, Next: p.Hint, Advice: advice(p.Hint, nil), Drift: []string{}, Providers: []string{}}
}

func hasRow(rows []Row, name string) bool {
	for _, r := range rows {
		if r.Name == name {
			return true
		}
	}
	return false
}

// rowOf shows what the manifest says in its own words; what needs the effective
// values comes from them.
func (e *Engine) rowOf(c state.Client, looked state.Looked, record shownRecord, wish shownWish, prints []string, holds []state.Hold) Row {
	r := Row{ID: string(c.ID), Name: c.Name, Status: string(c.Status), Health: string(c.Health), URL: c.URL, Commit: c.Commit, Deployment: c.Deployment, Because: c.Because, Next: c.Next,
		Drift: []string{}, LastLook: looked.At, AdminURL: c.AdminURL, Providers: slices.Clone(record.providers), Payments: record.payments, Database: sizeOf(record.databases, looked.Sizes), Domain: wish.host, Plan: wish.plan, Template: wish.template, LastDeployedAt: c.DeployedAt, LastHealthCheck: c.HealthAt}
	if e.Here != nil {
		r.URL, r.AdminURL = e.Here(r.URL), e.Here(r.AdminURL)
	}
	for _, row := range drift.Open(looked.Rows) {
		r.Drift = append(r.Drift, drift.Short(row))
	}
	for _, h := range holds {
		if strings.HasPrefix(h.Act, state.ApprovedAlready) && strings.Contains(r.Next, "`reconciler approve "+h.Fingerprint+"`") {
			r.Next = h.Act
		}
	}
	if r.Next != "" {
		r.Advice = advice(r.Next, typed(c, prints, wish.secrets))
	}
	if r.Health == "" {
		r.Health = string(state.Unknown)
		if c.Status == state.StatusProvisioning || c.Status == state.StatusDeploying {
			r.Health = string(state.Progressing)
		}
	}
	if c.Probes > 0 {
		r.Uptime = float64(c.ProbesGood) / float64(c.Probes)
	}
	return r
}

// Detail is one client with all that is known of it.
type Detail struct {
	Row
	Facts
}

// MarshalJSON implements json.Marshaler.
func (d Detail) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		rowJSON
		Facts
	}{d.json(), d.Facts})
}

// Facts are what a Detail adds to its row.
type Facts struct {
	Resources  []state.Resource   `json:"resources"`
	Holds      []state.Hold       `json:"holds"`
	Intents    []string           `json:"intents"`
	LookAt     time.Time          `json:"lookAt,omitzero"` // when the last of the intents is looked for again; zero: now
	History    []state.Entry      `json:"history"`
	Last       *state.Deployment  `json:"last,omitempty"`
	Tombstones []state.Tombstone  `json:"tombstones"`
	RetryAt    time.Time          `json:"retryAt,omitzero"`
	Problem    *state.FileProblem `json:"problem,omitempty"`
	DriftRows  []DriftRow         `json:"driftRows,omitempty"`  // ignored ones with them
	LookFailed string             `json:"lookFailed,omitempty"` // why the last look saw not all
	Described  []Described        `json:"described,omitempty"`  // what its manifest only describes
	// HealthBecause is what a probe of a site that is degraded found, as it came to be, and HealthSince when.
	HealthBecause string    `json:"healthBecause,omitempty"`
	HealthSince   time.Time `json:"healthSince,omitzero"`
}

// Described is a field of a manifest that nothing is made of.
type Described struct {
	Field string `json:"field"`
	Text  string `json:"text"`
}

// describedIn are these fields of a manifest, as far as they say something.
func describedIn(eff manifest.Effective) (out []Described) {
	add := func(field, text string) {
		if text != "" {
			out = append(out, Described{field, text})
		}
	}
	if b := eff.Billing; b != nil {
		add("billing.status", b.Status)
		add("billing.monthlyFee", strings.TrimSpace(b.MonthlyFee+" "+b.Currency))
		add("billing.nextDate", b.NextDate)
	}
	for _, name := range slices.Sorted(maps.Keys(eff.Labels)) {
		add("labels."+name, eff.Labels[name])
	}
	add("notes", eff.Notes)
	return out
}

// Detail returns one client: what is recorded, what waits, what happened last.
func (e *Engine) Detail(name string) (Detail, error) {
	var d Detail
	wishes, base := e.resolver()
	d.Holds, d.Intents = []state.Hold{}, []string{}
	err := e.Store.View(func(tx store.Tx) error {
		c, err := e.clientByName(tx, name)
		if err != nil {
			return err
		}
		if err := e.overdue(tx, &c); err != nil {
			return err
		}
		d = Detail{Facts: Facts{RetryAt: c.RetryAt, Holds: []state.Hold{}, Intents: []string{}}}
		if d.Resources, err = store.Resources(tx, c.ID); err != nil {
			return err
		}
		var s shown
		looked, _, err := store.Looked(tx, c.ID)
		if err != nil {
			return err
		}
		holds, err := e.holdsShown(tx)
		if err != nil {
			return err
		}
		for _, row := range looked.Rows {
			r := rowOfDrift(c.Name, row, looked.At)
			r.Advice = advice(r.Next, typed(c, nil, nil))
			d.DriftRows = append(d.DriftRows, r)
		}
		d.LookFailed = looked.Failed
		eff, _ := wishes.Client(c)
		d.Described = describedIn(eff)
		d.Row = e.rowOf(c, looked, shownRecord{providers: providersOf(d.Resources), payments: paymentsOf(d.Resources), databases: databasesOf(d.Resources)}, s.wishShown(c, wishes), holdsOf(holds)[c.ID], holds)
		if d.Tombstones, err = store.Tombstones(tx, c.ID); err != nil {
			return err
		}
		for _, h := range holds {
			mine := h.Client == c.ID
			for _, id := range h.Clients {
				mine = mine || id == c.ID
			}
			if mine {
				d.Holds = append(d.Holds, h)
			}
		}
		open, err := store.Intents(tx, c.ID)
		if err != nil {
			return err
		}
		for _, i := range open {
			d.Intents = append(d.Intents, string(i.Op)+" "+i.Ref.String())
			if i.LookAt.After(d.LookAt) && i.LookAt.After(e.Now()) {
				d.LookAt = i.LookAt
			}
		}
		if d.History, err = store.History(tx, c.ID, 50); err != nil {
			return err
		}
		if i := slices.IndexFunc(d.History, func(x state.Entry) bool { return x.What == "degraded" }); i >= 0 && c.Health == state.Degraded {
			d.HealthBecause, d.HealthSince = d.History[i].Text, d.History[i].At
		}
		if c.Deployment != "" {
			last, ok, err := store.Deployment(tx, c.Deployment)
			if err != nil {
				return err
			}
			if ok {
				d.Last = &last
			}
		}
		return nil
	})
	d.Resources, d.Tombstones, d.History = list(d.Resources), list(d.Tombstones), list(d.History)
	if base != nil {
		for _, p := range base.Problems {
			if p.Client == name {
				d.Problem = &p
			}
		}
	}
	if errors.Is(err, ErrNoClient) && d.Problem != nil { // its file was never valid
		return Detail{Row: invalidRow(*d.Problem), Facts: d.Facts}, nil
	}
	return d, err
}

// list is never null: scripts go over it.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// History returns what happened to a client, newest first.
func (e *Engine) History(name string, limit int) ([]state.Entry, error) {
	var out []state.Entry
	err := e.Store.View(func(tx store.Tx) error {
		id := state.ClientID("")
		if name != "" {
			c, err := e.clientByName(tx, name)
			if err != nil {
				return err
			}
			id = c.ID
		}
		var err error
		out, err = store.History(tx, id, limit)
		return err
	})
	return list(out), err
}

// Log returns a deployment's lines after a number, and whether it has ended.
func (e *Engine) Log(deployment string, after uint64, limit int) (lines []state.LogLine, ended bool, err error) {
	e.writeLogs(deployment)
	err = e.Store.View(func(tx store.Tx) error {
		d, ok, err := store.Deployment(tx, deployment)
		if err != nil {
			return err
		}
		if !ok {
			return ErrNoDeployment
		}
		ended = !d.Ended.IsZero()
		lines, err = store.Logs(tx, deployment, after, limit)
		return err
	})
	return list(lines), ended, err
}

// Deployments returns the newest audit records; name "" for everybody's.
func (e *Engine) Deployments(name string, limit int) ([]state.Deployment, error) {
	var out []state.Deployment
	err := e.Store.View(func(tx store.Tx) error {
		id := state.ClientID("")
		if name != "" {
			c, err := e.clientByName(tx, name)
			if err != nil {
				return err
			}
			id = c.ID
		}
		var err error
		out, err = store.Deployments(tx, id, limit)
		return err
	})
	return list(out), err
}
