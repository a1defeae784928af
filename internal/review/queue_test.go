package review

import (
	"context"
	"fmt"
	"testing"

	"github.com/compassdigital/reconciler/internal/forge"
)

// queueOf is a merge queue that counts how often each commit was brought.
type queueOf struct {
	all     []forge.Queued
	brought map[string]int
}

func (q *queueOf) Queued(context.Context) ([]forge.Queued, error) { return q.all, nil }

func (q *queueOf) BringQueued(_ context.Context, one forge.Queued) error {
	q.brought[one.Head]++
	return nil
}

// A queue that is longer than what one look judges is judged whole, and each commit of it once.
func TestLongMergeQueue(t *testing.T) {
	d := newDesk(t)
	q := &queueOf{brought: map[string]int{}}
	d.Queue = q
	add := func(name string) {
		head := commitID(name)
		d.changes(head, "bakery")
		q.all = append([]forge.Queued{{Branch: "gh-readonly-queue/main/" + name, Head: head}}, q.all...) // in front
	}
	for i := range maxQueued + 2 {
		add(fmt.Sprintf("%c", 'A'+i))
	}
	d.look()
	for i := range maxQueued + 1 { // more than one look judges, before those that are judged
		add(fmt.Sprintf("%c", 'a'+i))
	}
	d.look()
	for _, one := range q.all {
		if n := q.brought[one.Head]; n != 1 {
			t.Errorf("%s was judged %d times", one.Branch, n)
		}
		if s := d.status(one.Head, contextPlan); s.State == "" {
			t.Errorf("%s has no status of its plan", one.Branch)
		}
	}
}
