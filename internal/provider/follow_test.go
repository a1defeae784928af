package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// vendorLog is a log with connections to it, in a bubble of its own.
type vendorLog struct {
	lines   []LogLine
	reads   []int64 // since when
	streams []int64
	ends    []func(take func(LogLine)) error // what each connection does; nil, or none more: it gives all, and lasts
	unread  error
}

func (v *vendorLog) since(at int64) (out []LogLine) {
	for _, l := range v.lines {
		if l.At >= at {
			out = append(out, l)
		}
	}
	return out
}

func (v *vendorLog) feed() Feed {
	return Feed{Most: 3, Now: time.Now,
		Read: func(_ context.Context, since int64) ([]LogLine, bool, error) {
			v.reads = append(v.reads, since)
			all := v.since(since)
			return all[:min(3, len(all))], v.unread != nil, nil
		},
		Stream: func(ctx context.Context, since int64, take func(LogLine)) error {
			n := len(v.streams)
			v.streams = append(v.streams, since)
			if n < len(v.ends) && v.ends[n] != nil {
				return v.ends[n](take)
			}
			for _, l := range v.since(since) {
				take(l)
			}
			<-ctx.Done()
			return &Error{Kind: Transient, Err: ctx.Err()}
		}}
}

func numbered(from, to int) (out []LogLine) {
	for n := from; n <= to; n++ {
		out = append(out, LogLine{ID: fmt.Sprint(n), At: int64(n) * 10_000, Text: fmt.Sprint("line ", n)})
	}
	return out
}

func texts(lines []LogLine) (out []string) {
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return out
}

var errBroken = &Error{Kind: Transient, Message: "it broke"}

// Lines are told once and in their order, however the connections end; it is seldom asked.
func TestFollow(t *testing.T) {
	gives := func(err error, lines ...LogLine) func(func(LogLine)) error {
		return func(take func(LogLine)) error {
			for _, l := range lines {
				take(l)
			}
			return err
		}
	}
	for _, c := range []struct {
		name    string
		lines   int
		ends    []func(func(LogLine)) error
		looks   int // five seconds from each other
		streams []int64
		reads   []int64 // before that of the end
		last    int64   // from when the end is read: all, unless it is more than one answer
	}{
		{"it lasts", 2, nil, 3, []int64{0}, nil, 0},
		{"it breaks, and is opened again at once", 5, []func(func(LogLine)) error{gives(errBroken, numbered(1, 2)...), gives(errBroken, numbered(1, 4)...)}, 1, []int64{0, 19_000, 39_000}, nil, 49_000},
		{"the vendor ends it: a look opens it again", 2, []func(func(LogLine)) error{gives(nil, numbered(1, 1)...)}, 2, []int64{0, 19_000}, []int64{0}, 0},
		{"it is refused", 2, []func(func(LogLine)) error{gives(&Error{Kind: NotFound})}, 3, []int64{0}, []int64{0, 0}, 0},
		{"it brings nothing", 2, []func(func(LogLine)) error{gives(errBroken), gives(nil)}, 4, []int64{0, 19_000}, []int64{0, 0, 0}, 0},
		{"it breaks for ever", 9, []func(func(LogLine)) error{gives(errBroken, numbered(1, 1)...), gives(errBroken, numbered(2, 2)...), gives(errBroken, numbered(3, 3)...), gives(errBroken, numbered(4, 4)...), gives(errBroken, numbered(5, 5)...)}, 3,
			[]int64{0, 9_000, 19_000, 29_000, 39_000}, []int64{49_000, 69_000}, 89_000},
		{"it is silent: a look reads now and then", 2, []func(func(LogLine)) error{gives(nil, numbered(1, 2)...), nil}, 8, []int64{0, 19_000}, []int64{0, 0, 0}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &vendorLog{lines: numbered(1, c.lines), ends: c.ends}
				var told []string
				ctx, f := Following(t.Context(), "id", func(l string) { told = append(told, l) })
				for range c.looks {
					if err := FollowOf(ctx, "id").Look(ctx, false, v.feed()); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					time.Sleep(5 * time.Second) // of a bubble's clock
				}
				if !slices.Equal(v.streams, c.streams) || !slices.Equal(v.reads, c.reads) {
					t.Errorf("followed from %v, read from %v; want %v and %v", v.streams, v.reads, c.streams, c.reads)
				}
				v.reads = nil
				if err := FollowOf(ctx, "id").Look(ctx, true, v.feed()); err != nil || !slices.Equal(v.reads, []int64{c.last}) {
					t.Errorf("at the end: %v, read from %v", err, v.reads)
				}
				f.End()
				if !slices.Equal(told, texts(v.lines)) {
					t.Errorf("told %q", told)
				}
			})
		})
	}
}

// What is between us and a vendor may keep a stream back: what a look reads is told, and after two
// such connections nobody opens a third. After End nobody is asked.
func TestFollowKeptBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendorLog{}
		var told []string
		ctx, f := Following(t.Context(), "id", func(l string) { told = append(told, l) })
		feed := v.feed()
		feed.Stream = func(ctx context.Context, since int64, _ func(LogLine)) error {
			v.streams = append(v.streams, since)
			<-ctx.Done()
			return errBroken
		}
		look := func(over bool) {
			if err := f.Look(ctx, over, feed); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			time.Sleep(5 * time.Second)
		}
		for n := range 20 {
			v.lines = numbered(1, n)
			look(false)
		}
		if len(v.streams) != 2 || len(told) != 19 {
			t.Errorf("%d connections, told %q", len(v.streams), told)
		}
		f.End()
		before := len(v.reads)
		v.lines = numbered(1, 30)
		look(false)
		look(true)
		if len(v.reads) != before || len(v.streams) != 2 || len(told) != 19 {
			t.Errorf("after the end: %d reads more, %d connections, told %q", len(v.reads)-before, len(v.streams), told)
		}
	})
}

// Nobody follows for others; a log that can't be read opens no connection; an error is the
// reader's.
func TestFollowIsOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if FollowOf(t.Context(), "id") != nil {
			t.Error("nobody waits")
		}
		ctx, f := Following(t.Context(), "id", func(string) {})
		defer f.End()
		if FollowOf(ctx, "other") != nil {
			t.Error("nobody waits for the other one")
		}
		v := &vendorLog{unread: errBroken, ends: []func(func(LogLine)) error{func(func(LogLine)) error { return nil }}}
		feed := v.feed()
		for range 3 {
			if err := f.Look(ctx, false, feed); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if len(v.streams) != 1 || len(v.reads) != 2 {
			t.Errorf("%d connections, %d reads", len(v.streams), len(v.reads))
		}
		feed.Read = func(context.Context, int64) ([]LogLine, bool, error) { return nil, true, errBroken }
		if err := f.Look(ctx, false, feed); !errors.Is(err, errBroken) {
			t.Errorf("%v", err)
		}
	})
}

// telling is a provider whose build says what it should not.
type telling struct {
	Provider
	lines []LogLine
}

func (p telling) Observe(ctx context.Context, q Query) ([]Object, error) {
	return nil, FollowOf(ctx, q.ID).Look(ctx, true, Feed{Now: time.Now, Most: 10, Read: func(context.Context, int64) ([]LogLine, bool, error) { return p.lines, false, nil }})
}

// words takes secrets out.
type words struct{ all []string }

func (w *words) Add(s state.Secret) { w.all = append(w.all, s.Reveal()) }
func (w *words) Redact(text string) string {
	for _, x := range w.all {
		text = strings.ReplaceAll(text, x, "[redacted]")
	}
	return text
}

// P10: a line that is followed is told without secrets, however many stand in between.
func TestP10FollowedLinesAreConcealed(t *testing.T) {
	var told []string
	ctx, f := Following(t.Context(), "id", func(l string) { told = append(told, l) })
	defer f.End()
	p := Conceal(Conceal(telling{lines: []LogLine{{ID: "1", Text: "KEY=pssst-one and pssst-two"}, {ID: "2"}}}, &words{[]string{"pssst-one"}}), &words{[]string{"pssst-two"}})
	if _, err := p.Observe(ctx, Query{ID: "id"}); err != nil || !slices.Equal(told, []string{"KEY=[redacted] and [redacted]"}) {
		t.Errorf("%v, told %q", err, told)
	}
}
