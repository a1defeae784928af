package review

import (
	"encoding/json"
	"slices"

	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// openPulls are the pull requests that are open in one look, by number: each is compared
// with all of them.
type openPulls struct {
	all []state.Pull
}

// beside are those of a list that are open.
func beside(all []state.Pull) *openPulls {
	var o openPulls
	for _, p := range all {
		if p.Open {
			o.all = append(o.all, p)
		}
	}
	slices.SortFunc(o.all, func(a, b state.Pull) int { return a.Number - b.Number })
	return &o
}

// again reads one that was planned.
func (o *openPulls) again(tx store.Tx, number int) error {
	i := slices.IndexFunc(o.all, func(p state.Pull) bool { return p.Number == number })
	if i < 0 {
		return nil
	}
	p, ok, err := store.Pull(tx, number)
	if ok {
		o.all[i] = p
	}
	return err
}

// others are the others that touch the same client, or claim the same host name for
// another one.
func (o *openPulls) others(p state.Pull) []report.Other {
	var out []report.Other
	for _, q := range o.all {
		if q.Number == p.Number {
			continue
		}
		if out = append(out, overlap(p, q)...); len(out) >= maxOthers {
			return out[:maxOthers]
		}
	}
	return out
}

// overlap is what two pull requests share.
func overlap(p, q state.Pull) []report.Other {
	var out []report.Other
	for _, a := range p.Clients {
		for _, b := range q.Clients {
			if a.Name == b.Name {
				out = append(out, report.Other{Number: q.Number, URL: q.URL, Title: q.Title, Client: a.Name})
				continue
			}
			if touches(q, a.Name) || touches(p, b.Name) { // it is renamed, or gives the name away there: that it changes is told
				continue
			}
			for _, h := range a.Hosts {
				if slices.Contains(b.Hosts, h) {
					out = append(out, report.Other{Number: q.Number, URL: q.URL, Title: q.Title, Host: h})
				}
			}
		}
	}
	return out
}

// touches says that a pull request changes a client of that name.
func touches(p state.Pull, name string) bool {
	return slices.ContainsFunc(p.Clients, func(c state.PullClient) bool { return c.Name == name })
}

// digestOf tells equal overlaps.
func digestOf(others []report.Other) string {
	if len(others) == 0 {
		return ""
	}
	text, err := json.Marshal(others)
	if err != nil {
		return "unknown"
	}
	return digest(string(text))
}
