package provider

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

// Limits of following a build's log.
const (
	maxFollows  = 5                // connections for one build
	maxBarren   = 2                // of those in a row that brought nothing new: then it is read with each look
	quietFor    = 15 * time.Second // a connection says nothing for so long: a look reads, too
	overlap     = 1000             // milliseconds before the newest line, from which is gone on
	maxFollowed = 10_000           // lines of one build that are told apart
)

// Follow is how the log of one object that is being built reaches who waits for it: line by
// line, each once, as the vendor writes it. Who waits makes it (Following) and ends it; the
// provider finds it in its context (FollowOf) and tells it of each look. Safe for concurrent use.
type Follow struct {
	*followed
	clean func(string) string // takes out what may not be told; nil: nothing
}

// followed is the one thing that all Follows of a context share.
type followed struct {
	id   string
	tell func(line string)

	mu     sync.Mutex
	told   map[[sha256.Size]byte]bool // lines, by the vendor's ids
	newest int64
	tries  int
	barren int // connections in a row that brought nothing
	gained int // lines of the connection
	live   bool
	lame   bool      // it is not followed any more: looks read
	heard  time.Time // the last line, or look that read
	ended  bool
	cancel context.CancelFunc // of the connection; nil: there was none yet
	wg     sync.WaitGroup
}

// LogLine is one line of a build's log as a vendor that can be followed gives it.
type LogLine struct {
	ID   string // the vendor's, never twice in a build
	At   int64  // epoch milliseconds, by the vendor's clock
	Text string // one bounded line; "": nothing that a person reads
}

// Feed is where the lines of one build come from.
type Feed struct {
	// Read gives the lines since a time (epoch milliseconds; 0: from the beginning), at most Most.
	// failed says that they could not be read, whether or not that is worth an error.
	Read func(ctx context.Context, since int64) (lines []LogLine, failed bool, err error)
	Most int
	// Stream hands on lines since a time as they are written. It returns nil where the vendor
	// ended it, and an error of kind Transient where it broke; any other: it is refused.
	Stream func(ctx context.Context, since int64, take func(LogLine)) error
	Now    func() time.Time
}

type followKey struct{}

// Following returns a context by which a provider may follow the log of the object that is
// built under an id, and hand on its lines. tell is called by one goroutine at a time, and may
// call no provider. End must be called: nothing is told after it.
func Following(ctx context.Context, id string, tell func(line string)) (context.Context, *Follow) {
	f := &Follow{followed: &followed{id: id, tell: tell, told: map[[sha256.Size]byte]bool{}}}
	return context.WithValue(ctx, followKey{}, f), f
}

// FollowOf returns who wants to know the log of an object; nil: nobody does.
func FollowOf(ctx context.Context, id string) *Follow {
	f, _ := ctx.Value(followKey{}).(*Follow)
	if f == nil || f.id != id {
		return nil
	}
	return f
}

// cleaned is a context whose Follow tells lines as clean leaves them.
func cleaned(ctx context.Context, clean func(string) string) context.Context {
	f, _ := ctx.Value(followKey{}).(*Follow)
	if f == nil {
		return ctx
	}
	if inner := f.clean; inner != nil {
		outer := clean
		clean = func(line string) string { return outer(inner(line)) }
	}
	return context.WithValue(ctx, followKey{}, &Follow{f.followed, clean})
}

// End ends the connection, and waits for it.
func (f *Follow) End() {
	f.mu.Lock()
	f.ended = true
	if f.cancel != nil {
		f.cancel()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// Look is called at each look at the object. While it is built, its log is followed over one
// connection, that lives until End; ctx has to live as long. One that breaks is followed again
// from its last line on. Where following is refused, brings nothing, or was broken too often, each look
// reads what is new; so does one at the end (over), and one after a silence. An error is Read's.
func (f *Follow) Look(ctx context.Context, over bool, feed Feed) error {
	now := feed.Now()
	f.mu.Lock()
	begins := !over && !f.live && !f.lame && !f.ended
	silent := f.live && now.Sub(f.heard) >= quietFor
	first := begins && f.tries == 0
	if first {
		f.begin(ctx, now, feed)
	}
	reads := !first && !f.ended && (over || silent || !f.live)
	since := int64(0)
	if len(f.told) >= feed.Most { // else whatever came late is read, too
		since = f.since()
	}
	f.mu.Unlock()
	if !reads {
		return nil
	}
	lines, failed, err := feed.Read(ctx, since)
	if failed || err != nil {
		return err
	}
	fresh := 0
	for _, l := range lines {
		if f.take(l, now, false) {
			fresh++
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case silent && fresh > 0: // whatever is between us and the vendor keeps lines back: another connection
		f.cancel()
	case silent:
		f.heard = now
	case begins && !f.ended:
		f.begin(ctx, now, feed)
	}
	return nil
}

// since is from where a connection goes on. The caller holds the lock.
func (f *Follow) since() int64 { return max(0, f.newest-overlap) }

// begin opens a connection. The caller holds the lock.
func (f *Follow) begin(ctx context.Context, now time.Time, feed Feed) {
	ctx, f.cancel = context.WithCancel(ctx)
	cancel, since := f.cancel, f.since()
	f.live, f.heard, f.gained, f.tries = true, now, 0, f.tries+1
	f.wg.Go(func() {
		defer cancel()
		for again := true; again; {
			err := feed.Stream(ctx, since, func(l LogLine) { f.take(l, feed.Now(), true) })
			since, again = f.broke(ctx, err)
		}
	})
}

// broke says what comes after the end of a connection: one that broke after it brought something is
// opened again at once, any other by a look.
func (f *Follow) broke(ctx context.Context, err error) (since int64, again bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.barren++; f.gained > 0 {
		f.barren = 0
	}
	refused := err != nil && KindOf(err) != Transient
	f.lame = f.lame || refused || f.barren >= maxBarren || f.tries >= maxFollows
	if again = err != nil && f.gained > 0 && !f.lame && ctx.Err() == nil; again {
		f.gained, f.tries = 0, f.tries+1
	}
	f.live = again
	return f.since(), again
}

// take tells a line that was not told yet.
func (f *Follow) take(l LogLine, now time.Time, streamed bool) bool {
	key := sha256.Sum256([]byte(l.ID))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || f.told[key] || len(f.told) >= maxFollowed {
		return false
	}
	f.told[key], f.newest, f.heard = true, max(f.newest, l.At), now
	if streamed {
		f.gained++
	}
	text := l.Text
	if f.clean != nil {
		text = f.clean(text)
	}
	if text != "" {
		f.tell(text)
	}
	return true
}
