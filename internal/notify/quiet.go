package notify

import (
	"errors"
	"strings"
	"time"
)

// Quiet is a time of day, in UTC as all schedules, in which nobody is mailed. The zero value
// is none.
type Quiet struct{ from, to time.Duration }

// ParseQuiet reads 22:00-07:00; "" is none.
func ParseQuiet(text string) (Quiet, error) {
	if text == "" {
		return Quiet{}, nil
	}
	from, to, ok := strings.Cut(text, "-")
	a, err := clock(from)
	b, err2 := clock(to)
	if !ok || err != nil || err2 != nil || a == b {
		return Quiet{}, errors.New("write from when to when, in UTC: 22:00-07:00")
	}
	return Quiet{a, b}, nil
}

func clock(text string) (time.Duration, error) {
	at, err := time.Parse("15:04", strings.TrimSpace(text))
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute, err
}

// During says that a moment is in it.
func (q Quiet) During(at time.Time) bool {
	at = at.UTC()
	of := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
	if q.from <= q.to {
		return of >= q.from && of < q.to
	}
	return of >= q.from || of < q.to
}
