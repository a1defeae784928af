package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// maxLine is the most bytes of one line of an answer that is read as it comes.
const maxLine = 256 << 10

// streamTypes are what is read line by line.
const streamTypes = "application/stream+json, application/x-ndjson, application/json;q=0.5"

// onceKey marks a read that is not repeated.
type onceKey struct{}

// Why a stream was given up. They are causes of its context.
var (
	errSilent = errors.New("nothing came for too long")
	errLong   = errors.New("it took too long")
)

// Lines makes one request and hands on the lines of its answer as they come, without their
// ends; each may not keep one, and half a line is none. It is for reads whose answer lasts: the client's own time limit does not
// count, but idle (the longest silence, that before the answer included) and longest (the
// whole). It is asked once: who follows asks again, with what it knows then. It returns nil at the
// answer's end. Its error is a *provider.Error; of an answer of success that broke off, or was longer
// than its limits, Transient.
//
// It takes a turn of the transport's until the answer begins, and none of its places after that.
func (c *Client) Lines(ctx context.Context, k Call, idle, longest time.Duration, each func(line []byte)) error {
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, onceKey{}, true))
	defer cancel(nil)
	silence := time.AfterFunc(idle, func() { cancel(errSilent) })
	defer silence.Stop()
	defer time.AfterFunc(longest, func() { cancel(errLong) }).Stop()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	r, err := c.request(ctx, k)
	if err != nil {
		return c.unwritten(k, err)
	}
	r.Header.Set("Accept", streamTypes)
	patient := *c.HTTP
	patient.Timeout = 0
	response, err := patient.Do(r)
	if err != nil {
		return c.gaveUp(ctx, k, sent.Load(), err)
	}
	defer func() { _ = response.Body.Close() }() // read, or given up
	body := &pulse{r: response.Body, beat: func() { silence.Reset(idle) }, left: maxBody + 1}
	if response.StatusCode < 200 || response.StatusCode >= 300 {
		a := Answer{Status: response.StatusCode, Header: response.Header}
		if a.Body, err = io.ReadAll(body); err != nil {
			return c.gaveUp(ctx, k, true, err)
		}
		return c.refused(k, a)
	}
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLine)
	cut := false
	lines.Split(func(data []byte, atEnd bool) (int, []byte, error) {
		cut = bytes.IndexByte(data, '\n') < 0
		return bufio.ScanLines(data, atEnd)
	})
	for lines.Scan() {
		if cut && (lines.Err() != nil || body.left <= 0) {
			break // half a line
		}
		each(lines.Bytes())
	}
	switch err := lines.Err(); {
	case ctx.Err() != nil:
		return c.gaveUp(ctx, k, true, ctx.Err())
	case errors.Is(err, bufio.ErrTooLong):
		return c.unclear(k, fmt.Sprintf("a line of its answer has more than %d KiB", maxLine>>10), nil)
	case err != nil:
		return c.gaveUp(ctx, k, true, err)
	case body.left <= 0:
		return c.unclear(k, fmt.Sprintf("its answer has more than %d MiB", maxBody>>20), nil)
	}
	return nil
}

// gaveUp is a stream that came to no end of its own.
func (c *Client) gaveUp(ctx context.Context, k Call, sent bool, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) || errors.Is(cause, errLong) {
		return c.unclear(k, cause.Error(), err)
	}
	return c.lost(k, sent, err)
}

// once says whether a request is made once though it reads.
func once(r *http.Request) bool {
	is, _ := r.Context().Value(onceKey{}).(bool)
	return is
}

// pulse tells of what is read, and ends at a limit.
type pulse struct {
	r    io.Reader
	beat func()
	left int64
}

// Read implements io.Reader.
func (p *pulse) Read(into []byte) (int, error) {
	if p.left <= 0 {
		return 0, io.EOF
	}
	if int64(len(into)) > p.left {
		into = into[:p.left]
	}
	n, err := p.r.Read(into)
	if n > 0 {
		p.left -= int64(n)
		p.beat()
	}
	return n, err
}
