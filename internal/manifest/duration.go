package manifest

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// forever is the word for a retention without end.
const forever = "forever"

// errDuration says how a duration is written. It never repeats the text.
var errDuration = errors.New("write a duration such as 30d, 12h, 5m or 1h30m")

// maxDays keeps a duration within time.Duration.
const maxDays = 36500

// ParseDuration reads Go's form, with d for 24 hours in front ("30d", "1d12h").
// "" and negative ones are errors.
func ParseDuration(s string) (Duration, error) {
	var d time.Duration
	if days, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > maxDays || strings.HasPrefix(days, "+") {
			return 0, errDuration
		}
		d, s = time.Duration(n)*24*time.Hour, rest
		if s == "" {
			return Duration(d), nil
		}
	}
	t, err := time.ParseDuration(s)
	if err != nil || t < 0 || strings.HasPrefix(s, "+") || t > maxDays*24*time.Hour {
		return 0, errDuration
	}
	return Duration(d + t), nil
}

// String is how the retention is written, "" when it isn't said.
func (r Retain) String() string {
	switch {
	case r.Forever:
		return forever
	case r.For == 0:
		return ""
	}
	return r.For.String()
}

// MarshalYAML implements yaml.Marshaler.
func (d Duration) MarshalYAML() (any, error) { return d.String(), nil }

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// MarshalYAML implements yaml.Marshaler.
func (r Retain) MarshalYAML() (any, error) { return r.String(), nil }

// MarshalJSON implements json.Marshaler.
func (r Retain) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }
