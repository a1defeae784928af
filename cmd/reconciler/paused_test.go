package main

import (
	"strings"
	"testing"
)

// What a command does not do for now it does not claim: who is paused by its manifest is not resumed
// by `resume`, and nothing of who is paused is tried by `retry`.
func TestPausedIsNotCalledResumedOrTriedAgain(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/asleep.yaml": manifestOf("asleep", "paused: true"), "clients/bakery.yaml": manifestOf("bakery")})
	w.start()
	w.active("bakery")
	w.until("asleep is paused", func() bool { return w.why("asleep").Status == "paused" })
	if next := w.why("asleep").Next; strings.Contains(next, "reconciler resume") || !strings.Contains(next, "`paused: true`") {
		t.Errorf("asleep is told: %s", next)
	}
	for _, x := range []struct{ command, name, says, not string }{
		{"resume", "asleep", "it stays paused", "is resumed"},
		{"retry", "asleep", "before `paused: true` is out of its manifest", "is tried again"},
		{"retry", "bakery", "bakery is tried again.", "paused"},
	} {
		if r := w.must(0, x.command, x.name); !strings.Contains(r.out, x.says) || strings.Contains(r.out, x.not) {
			t.Errorf("%s %s: %s", x.command, x.name, r.out)
		}
	}
	w.must(0, "pause", "bakery")
	w.until("bakery is paused", func() bool { return w.why("bakery").Status == "paused" })
	if r := w.must(0, "retry", "bakery"); !strings.Contains(r.out, "before `reconciler resume bakery`") {
		t.Error(r.out)
	}
	if r := w.must(0, "resume", "bakery"); r.out != "bakery is resumed.\n" {
		t.Error(r.out)
	}
	w.active("bakery")
}

// Nor is anything tried by `retry` of who waits in a hold of many.
func TestWhoWaitsInAHoldIsNotCalledTriedAgain(t *testing.T) {
	w := newWorld(t, map[string]string{"platform.yaml": "apiVersion: reconciler/v1\nkind: Platform\nguard: {maxCreates: 1}\n", "clients/bakery.yaml": manifestOf("bakery")})
	w.start()
	w.active("bakery")
	w.commit(map[string]string{"clients/one.yaml": manifestOf("one"), "clients/two.yaml": manifestOf("two")})
	w.apply()
	if r := w.must(0, "retry", "two"); strings.Contains(r.out, "is tried again") || !strings.Contains(r.out, "reconciler approve ") {
		t.Error(r.out)
	}
}
