package provider

import (
	"context"
	"errors"

	"github.com/compassdigital/reconciler/internal/state"
)

// concealing is a provider whose words hold no secret: a vendor may repeat in an error, a
// message or a build log what it was sent (promise P10). What it is sent and what it gives
// as secret is taken out of everything that it says.
type concealing struct {
	Provider
	known Redactor
}

// concealingDumper is one whose databases can be written out.
type concealingDumper struct {
	concealing
	dumper Dumper
}

// concealingMover is one whose databases can be moved.
type concealingMover struct {
	concealingDumper
	mover Mover
}

// concealingPurger is one that keeps copies of pages.
type concealingPurger struct {
	concealing
	purger Purger
}

// Redactor takes the secrets that it knows out of text.
type Redactor interface {
	Add(s state.Secret)
	Redact(text string) string
}

// Conceal decorates a provider. It stands outermost: whatever is between it and the
// vendor may say too much.
func Conceal(p Provider, known Redactor) Provider {
	c := concealing{p, known}
	switch x := p.(type) {
	case Mover:
		return concealingMover{concealingDumper{c, x}, x}
	case Dumper:
		return concealingDumper{c, x}
	case Purger:
		return concealingPurger{c, x}
	}
	return c
}

// Observe implements Provider.
func (c concealing) Observe(ctx context.Context, q Query) ([]Object, error) {
	if q.Wish != nil {
		c.learn(q.Wish.Inputs)
	}
	found, err := c.Provider.Observe(cleaned(ctx, c.known.Redact), q)
	return c.objects(found), c.failure(err)
}

// Owned implements Provider.
func (c concealing) Owned(ctx context.Context, installation string) ([]Object, error) {
	found, err := c.Provider.Owned(ctx, installation)
	return c.objects(found), c.failure(err)
}

// Create implements Provider.
func (c concealing) Create(ctx context.Context, w Wish) (Object, error) {
	c.learn(w.Inputs)
	o, err := c.Provider.Create(ctx, w)
	return c.object(o), c.failure(err)
}

// Update implements Provider.
func (c concealing) Update(ctx context.Context, id string, w Wish) (Object, error) {
	c.learn(w.Inputs)
	o, err := c.Provider.Update(ctx, id, w)
	return c.object(o), c.failure(err)
}

// Delete implements Provider.
func (c concealing) Delete(ctx context.Context, kind state.Kind, id string) error {
	quiet := Listening(ctx, func(text string) { Tell(ctx, "%s", c.known.Redact(text)) })
	return c.failure(c.Provider.Delete(quiet, kind, id))
}

// Dump implements Dumper.
func (c concealingDumper) Dump(ctx context.Context, id, path string) error {
	return c.failure(c.dumper.Dump(ctx, id, path))
}

// concealingLister is a Lister whose errors hold no secret.
type concealingLister struct {
	lister Lister
	concealing
}

// ConcealLister decorates a Lister as Conceal does a provider.
func ConcealLister(l Lister, known Redactor) Lister {
	return concealingLister{l, concealing{known: known}}
}

// Existing implements Lister.
func (c concealingLister) Existing(ctx context.Context) ([]Object, error) {
	all, err := c.lister.Existing(ctx)
	return c.objects(all), c.failure(err)
}

// Inside implements Lister.
func (c concealingLister) Inside(ctx context.Context, site Object) ([]Object, error) {
	all, err := c.lister.Inside(ctx, site)
	return c.objects(all), c.failure(err)
}

// concealingMarker is a Marker whose errors hold no secret.
type concealingMarker struct {
	marker Marker
	concealing
}

// ConcealMarker decorates a Marker as Conceal does a provider.
func ConcealMarker(m Marker, known Redactor) Marker {
	return concealingMarker{m, concealing{known: known}}
}

// Mark implements Marker.
func (c concealingMarker) Mark(ctx context.Context, kind state.Kind, id string, m Mark) error {
	return c.failure(c.marker.Mark(ctx, kind, id, m))
}

// Freeze implements Mover.
func (c concealingMover) Freeze(ctx context.Context, id string) error {
	return c.failure(c.mover.Freeze(ctx, id))
}

// Thaw implements Mover.
func (c concealingMover) Thaw(ctx context.Context, id string) error {
	return c.failure(c.mover.Thaw(ctx, id))
}

// Content implements Mover.
func (c concealingMover) Content(ctx context.Context, id string) (Content, error) {
	out, err := c.mover.Content(ctx, id)
	return out, c.failure(err)
}

// Load implements Mover.
func (c concealingMover) Load(ctx context.Context, id, path string) error {
	return c.failure(c.mover.Load(ctx, id, path))
}

// Purge implements Purger.
func (c concealingPurger) Purge(ctx context.Context, hosts []string) error {
	return c.failure(c.purger.Purge(ctx, hosts))
}

func (c concealing) learn(inputs []Input) {
	for _, i := range inputs {
		if i.Secret != nil {
			c.known.Add(*i.Secret)
		}
	}
}

func (c concealing) objects(all []Object) []Object {
	for i := range all {
		all[i] = c.object(all[i])
	}
	return all
}

// object takes secrets out of what is said about an object. What it is stays: it is
// compared with what is wished.
func (c concealing) object(o Object) Object {
	c.learn(o.Attributes)
	for _, x := range o.Outputs {
		if x.Secret != nil {
			c.known.Add(*x.Secret)
		}
	}
	o.Message = c.known.Redact(o.Message)
	if len(o.Log) > 0 {
		lines := make([]string, len(o.Log)) // the provider may hold the other one
		for i, l := range o.Log {
			lines[i] = c.known.Redact(l)
		}
		o.Log = lines
	}
	return o
}

// failure takes secrets out of an error. Its kind and its causes stay.
func (c concealing) failure(err error) error {
	if err == nil {
		return nil
	}
	text := c.known.Redact(err.Error())
	var pe *Error
	if !errors.As(err, &pe) {
		if text == err.Error() {
			return err
		}
		return &concealed{text, err}
	}
	message, code := c.known.Redact(pe.Message), c.known.Redact(pe.Code)
	if text == err.Error() && message == pe.Message && code == pe.Code {
		return err
	}
	out := *pe
	out.Message, out.Code = message, code
	return &out
}

// concealed is an error in other words.
type concealed struct {
	text string
	err  error
}

func (c *concealed) Error() string { return c.text }
func (c *concealed) Unwrap() error { return c.err }
