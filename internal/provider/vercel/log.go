package vercel

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

// Limits of what is told of a build.
const (
	maxLog     = 1000             // lines that are read at once
	maxLogLine = 16 << 10         // characters; who tells it cuts it, once secrets are out of it
	maxSilence = 2 * time.Minute  // of a log that is followed: then it is asked for anew
	maxFollow  = 30 * time.Minute // of one connection
	maxMoment  = 1e14             // milliseconds: no time of a line is later
)

// event is one line of a build. What it says is in its payload, or beside it.
type event struct {
	ID      string  `json:"id"`
	Created float64 `json:"created"` // epoch milliseconds
	Text    string  `json:"text"`
	Payload struct {
		ID   string `json:"id"`
		Text string `json:"text"`
	} `json:"payload"`
}

func (e event) line() provider.LogLine {
	id, text := e.ID, e.Text
	if id == "" {
		id = e.Payload.ID
	}
	if text == "" {
		text = e.Payload.Text
	}
	l := provider.LogLine{At: int64(min(max(e.Created, 0), maxMoment)), Text: provider.Line(text, maxLogLine)}
	if l.ID = id; id == "" { // the description promises one
		l.ID = strconv.FormatInt(l.At, 10) + " " + text
	}
	return l
}

// events is the call for a build's lines since a time.
func events(id, follow, limit string, since int64) httpapi.Call {
	query := url.Values{"builds": {"1"}, "direction": {"forward"}, "follow": {follow}, "limit": {limit}}
	if since > 0 {
		query.Set("since", strconv.FormatInt(since, 10))
	}
	return httpapi.Call{Op: observing, Method: http.MethodGet, Path: "/v3/deployments/" + id + "/events", Query: query}
}

// read gives what a build said since a time. A log that can't be read is no reason not to say how far
// the build is, unless the caller is gone or not let in.
func (p *Provider) read(ctx context.Context, id string, since int64) (lines []provider.LogLine, failed bool, err error) {
	var all []event
	if err := p.do(ctx, events(id, "0", strconv.Itoa(maxLog), since), &all); err != nil {
		if ctx.Err() != nil || provider.KindOf(err) == provider.Denied {
			return nil, true, err
		}
		return nil, true, nil
	}
	for _, e := range all[:min(len(all), maxLog)] {
		lines = append(lines, e.line())
	}
	return lines, false, nil
}

// log reads what a build said so far.
func (p *Provider) log(ctx context.Context, id string) (out []string, err error) {
	lines, _, err := p.read(ctx, id, 0)
	for _, l := range lines {
		if l.Text != "" {
			out = append(out, l.Text)
		}
	}
	return out, err
}

// feed is where the lines of a build come from.
func (p *Provider) feed(id string) provider.Feed {
	return provider.Feed{Most: maxLog, Now: p.now,
		Read: func(ctx context.Context, since int64) ([]provider.LogLine, bool, error) {
			return p.read(ctx, id, since)
		},
		Stream: func(ctx context.Context, since int64, take func(provider.LogLine)) error {
			return p.limitedCall(events(id, "1", "-1", since), func(k httpapi.Call) error {
				return p.api.Lines(ctx, k, maxSilence, maxFollow, func(line []byte) {
					for _, e := range eventsOf(line) {
						take(e.line())
					}
				})
			})
		}}
}

// eventsOf reads a line of a stream: an event, or all of them where somebody does not know how to
// follow. What is neither says nothing.
func eventsOf(line []byte) (out []event) {
	if line = bytes.TrimSpace(line); bytes.HasPrefix(line, []byte("[")) {
		if json.Unmarshal(line, &out) != nil {
			return nil
		}
		return out[:min(len(out), maxLog)]
	}
	var e *event
	if json.Unmarshal(line, &e) != nil || e == nil {
		return nil
	}
	return []event{*e}
}
