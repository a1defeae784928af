package review

import (
	"fmt"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// BenchmarkLook is one look at 200 open pull requests beside 10,000 that ended: when nothing
// moved, and when the branch moved away from all of them.
func BenchmarkLook(b *testing.B) {
	const open, ended = 200, 10_000
	fill := func(d *desk) {
		d.update(func(tx store.Tx) error {
			for n := range ended {
				p := state.Pull{Number: open + n + 1, Title: "One that ended", Author: "dana", Branch: "branch", Merged: true, Head: fmt.Sprintf("%040x", n), Planned: fmt.Sprintf("%040x", n), ClosedAt: d.time,
					Files: map[string]string{fmt.Sprintf("clients/s%d.yaml", n): fmt.Sprintf("%040x", n)}, Clients: []state.PullClient{{Name: fmt.Sprintf("s%d", n), Hosts: []string{fmt.Sprintf("s%d.example", n)}}},
					Shown: []string{"0123456789abcdef", "~0123456789abcdef"}, Accepted: []string{fmt.Sprintf("%040x", n+1)}}
				if err := store.PutPull(tx, p); err != nil {
					return err
				}
			}
			return nil
		})
		for n := range open {
			head := fmt.Sprintf("%040x", 1<<20+n)
			d.forge.pulls[n+1] = forge.Pull{Number: n + 1, Author: "dana", Head: head, HeadRef: "b", BaseRef: "main", Open: true}
			d.changes(head, fmt.Sprintf("o%d", n))
		}
		d.later(time.Minute)
		for range 2*open/maxPlans + 1 {
			d.sync()
		}
	}
	for _, moves := range []bool{false, true} {
		b.Run(fmt.Sprintf("base moves=%t", moves), func(b *testing.B) {
			d := newDesk(b)
			fill(d)
			d.changed = []string{"clients/else.yaml"}
			judged := len(d.judged)
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				if moves {
					d.head = fmt.Sprintf("%040x", 1<<30+i)
					for range open/maxPlans + 1 {
						d.sync()
					}
				} else {
					d.sync()
				}
			}
			b.StopTimer()
			if len(d.judged) != judged {
				b.Errorf("%d plans", len(d.judged)-judged)
			}
		})
	}
}
