package review

import (
	"encoding/json"
	"slices"

	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// othersOf are the other open pull requests that touch the same client, or claim the same
// host name for another one.
func (r *Reviewer) othersOf(p state.Pull) ([]report.Other, error) {
	var all []state.Pull
	if err := r.Store.View(func(tx store.Tx) (err error) { all, err = store.Pulls(tx); return err }); err != nil {
		return nil, err
	}
	var out []report.Other
	for _, q := range all {
		if q.Number == p.Number || !q.Open {
			continue
		}
		out = append(out, overlap(p, q)...)
	}
	return out[:min(len(out), maxOthers)], nil
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
			for _, h := range a.Hosts {
				if slices.Contains(b.Hosts, h) {
					out = append(out, report.Other{Number: q.Number, URL: q.URL, Title: q.Title, Host: h})
				}
			}
		}
	}
	return out
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
