package review

import (
	"errors"
	"testing"
	"time"
)

// A forge that is away for hours writes no line every few seconds; what changes is said at once,
// and that it is over.
func TestTroubleIsSaidOnceAnHour(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	away, denied := errors.New("no answer"), errors.New("not found (404)")
	var last trouble
	for n, c := range []struct {
		after time.Duration
		err   error
		news  bool
	}{
		{0, nil, false}, {0, away, true}, {5 * time.Second, away, false}, {saidAgain, away, true}, {time.Second, away, false},
		{time.Second, denied, true}, {time.Second, nil, true}, {time.Second, nil, false}, {time.Second, denied, true},
	} {
		if now = now.Add(c.after); last.news(c.err, now) != c.news {
			t.Errorf("%d: %v is news: %t", n, c.err, !c.news)
		}
	}
}
