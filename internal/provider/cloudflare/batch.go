package cloudflare

import (
	"context"
	"net/http"
	"sync"

	"github.com/compassdigital/reconciler/internal/provider"
)

// maxBatch is how many changes go as one: what a Free zone takes.
const maxBatch = 200

// change is one write. With an id and without a body it deletes.
type change struct {
	op   string
	id   string // the record's; "" for a create
	body body
	done chan outcome // buffered: nobody waits for who gave up
	sent bool         // it may have reached Cloudflare; guarded by gather.mu
}

type outcome struct {
	record record
	err    error
}

// gather holds the writes of a moment, by zone.
type gather struct {
	mu     *sync.Mutex
	open   map[string]*moment
	ending chan struct{}
	once   *sync.Once
}

type moment struct {
	changes []*change
	full    chan struct{}
}

func newGather() gather {
	return gather{mu: &sync.Mutex{}, open: map[string]*moment{}, ending: make(chan struct{}), once: &sync.Once{}}
}

// end lets moments end at once.
func (g *gather) end() { g.once.Do(func() { close(g.ending) }) }

// write makes a change, together with those of the same zone that come within a moment. What
// became of it is told to each by itself.
func (p *Provider) write(ctx context.Context, zone string, c *change) (record, error) {
	if ctx.Err() != nil {
		return record{}, givenUp(ctx, c.op)
	}
	if c.id != "" {
		p.lists.exactly(zone+"/"+c.id, p.o.Now())
	}
	c.done = make(chan outcome, 1)
	if p.o.Moment < 0 {
		c.sent = true
		return p.alone(ctx, zone, c)
	}
	g := &p.gather
	g.mu.Lock()
	m := g.open[zone]
	if m == nil {
		m = &moment{full: make(chan struct{})}
		g.open[zone] = m
		p.working.Go(func() { p.flush(context.WithoutCancel(ctx), zone, m) })
	}
	if m.changes = append(m.changes, c); len(m.changes) == maxBatch {
		delete(g.open, zone)
		close(m.full)
	}
	g.mu.Unlock()
	select {
	case out := <-c.done:
		return out.record, out.err
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.sent {
		return record{}, &provider.Error{Kind: provider.Uncertain, Provider: Name, Op: c.op, Message: "the call was given up before its answer came", Err: context.Cause(ctx)}
	}
	for i, other := range m.changes {
		if other == c {
			m.changes = append(m.changes[:i:i], m.changes[i+1:]...)
			break
		}
	}
	return record{}, givenUp(ctx, c.op)
}

// flush ends a moment and sends what it gathered.
func (p *Provider) flush(ctx context.Context, zone string, m *moment) {
	select {
	case <-p.o.After(p.o.Moment):
	case <-m.full:
	case <-p.gather.ending:
	}
	g := &p.gather
	g.mu.Lock()
	if g.open[zone] == m {
		delete(g.open, zone)
	}
	all := m.changes
	for _, c := range all {
		c.sent = true
	}
	g.mu.Unlock()
	switch len(all) {
	case 0: // all gave up
	case 1:
		r, err := p.alone(ctx, zone, all[0])
		all[0].done <- outcome{r, err}
	default:
		p.together(ctx, zone, all)
	}
}

// alone makes one change by itself.
func (p *Provider) alone(ctx context.Context, zone string, c *change) (r record, err error) {
	switch {
	case c.id == "":
		_, err = p.call(ctx, c.op, http.MethodPost, recordPath(zone), nil, c.body, &r)
	case c.body.Type == "":
		_, err = p.call(ctx, c.op, http.MethodDelete, recordPath(zone, c.id), nil, nil, nil)
	default:
		_, err = p.call(ctx, c.op, http.MethodPatch, recordPath(zone, c.id), nil, c.body, &r)
	}
	return p.checked(ctx, zone, c, r, err)
}

// checked says whether an answer is about the change.
func (p *Provider) checked(ctx context.Context, zone string, c *change, r record, err error) (record, error) {
	if provider.KindOf(err) == provider.NotFound && err != nil && codeOf(err) != codeNoRecord {
		return record{}, &provider.Error{Kind: provider.Transient, Provider: Name, Op: c.op, Message: "it does not know the path of the record: " + messageOf(err), Err: err}
	}
	if err != nil {
		return record{}, as(c.op, p.ofZone(ctx, zone, err))
	}
	if c.body.Type == "" {
		p.lists.exactly(zone+"/"+c.id, p.o.Now())
		return record{}, nil
	}
	if r.sound() != nil || r.Type != c.body.Type || r.name() != c.body.Name || c.id != "" && r.ID != c.id {
		return record{}, &provider.Error{Kind: provider.Uncertain, Provider: Name, Op: c.op, Message: "its answer is not about the record that was sent"}
	}
	p.lists.exactly(zone+"/"+r.ID, p.o.Now())
	return r, nil
}

// batchBody is several changes as one, in the order in which Cloudflare makes them. Its
// answer has the same form.
type batchBody struct {
	Deletes []body `json:"deletes,omitempty"`
	Patches []body `json:"patches,omitempty"`
	Posts   []body `json:"posts,omitempty"`
}

// batchAnswer is what a batch came to.
type batchAnswer struct {
	Patches []record `json:"patches"`
	Posts   []record `json:"posts"`
}

// batch makes several changes, all or none. Its posts are those that were asked for.
func (p *Provider) batch(ctx context.Context, op, zone string, in batchBody) (batchAnswer, error) {
	var out batchAnswer
	if _, err := p.call(ctx, op, http.MethodPost, recordPath(zone, "batch"), nil, in, &out); err != nil {
		return out, err
	}
	if len(out.Posts) != len(in.Posts) || len(out.Patches) != len(in.Patches) {
		return out, &provider.Error{Kind: provider.Uncertain, Provider: Name, Op: op, Message: "its answer is not about the batch that was sent"}
	}
	for i, r := range out.Posts {
		if r.sound() != nil || r.Type != in.Posts[i].Type || r.name() != in.Posts[i].Name {
			return out, &provider.Error{Kind: provider.Uncertain, Provider: Name, Op: op, Message: "its answer is not about the batch that was sent"}
		}
	}
	return out, nil
}

// together makes several changes as one batch. One that is refused is made one by one: it is
// all or nothing, so that nothing happened, and one bad record stops nobody else.
func (p *Provider) together(ctx context.Context, zone string, all []*change) {
	deletes, patches, posts := sorted(all)
	var in batchBody
	for _, c := range deletes {
		in.Deletes = append(in.Deletes, body{ID: c.id})
	}
	for _, c := range patches {
		b := c.body
		b.ID = c.id
		in.Patches = append(in.Patches, b)
	}
	for _, c := range posts {
		in.Posts = append(in.Posts, c.body)
	}
	out, err := p.batch(ctx, "update", zone, in)
	if err == nil {
		for _, c := range deletes {
			r, err := p.checked(ctx, zone, c, record{}, nil)
			c.done <- outcome{r, err}
		}
		for i, c := range patches {
			r, err := p.checked(ctx, zone, c, out.Patches[i], nil)
			c.done <- outcome{r, err}
		}
		for i, c := range posts {
			r, err := p.checked(ctx, zone, c, out.Posts[i], nil)
			c.done <- outcome{r, err}
		}
		return
	}
	for _, group := range [][]*change{deletes, patches, posts} {
		for _, c := range group {
			switch provider.KindOf(err) {
			case provider.Invalid, provider.Conflict, provider.NotFound:
				r, err := p.alone(ctx, zone, c)
				c.done <- outcome{r, err}
			default:
				c.done <- outcome{err: as(c.op, p.ofZone(ctx, zone, err))}
			}
		}
	}
}

// sorted are changes by what they do, each in the order in which they came.
func sorted(all []*change) (deletes, patches, posts []*change) {
	for _, c := range all {
		switch {
		case c.id == "":
			posts = append(posts, c)
		case c.body.Type == "":
			deletes = append(deletes, c)
		default:
			patches = append(patches, c)
		}
	}
	return deletes, patches, posts
}
