package local

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
)

// builders is how many releases are built at the same time; further ones wait in
// line. The line is no longer than there are unfinished deployments on disk.
const builders = 4

// builder runs builds in goroutines of its own until it is stopped.
type builder struct {
	mu   sync.Mutex
	line []string            // ids that wait
	logs map[string][]string // of what is being built
	wake chan struct{}       // closed and replaced when line grows
	end  context.CancelFunc
	wg   sync.WaitGroup
}

func (b *builder) start(build func(context.Context, string), todo []string) {
	ctx, end := context.WithCancel(context.Background())
	b.line, b.logs, b.wake, b.end = todo, map[string][]string{}, make(chan struct{}), end
	for range builders {
		b.wg.Go(func() {
			for {
				id, wait := b.next()
				if id == "" {
					select {
					case <-ctx.Done():
						return
					case <-wait:
						continue
					}
				}
				if ctx.Err() != nil {
					return
				}
				build(ctx, id)
				b.mu.Lock()
				delete(b.logs, id)
				b.mu.Unlock()
			}
		})
	}
}

func (b *builder) stop() {
	b.end()
	b.wg.Wait()
}

func (b *builder) next() (string, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.line) == 0 {
		return "", b.wake
	}
	id := b.line[0]
	b.line = b.line[1:]
	return id, nil
}

func (b *builder) add(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line = append(b.line, id)
	close(b.wake)
	b.wake = make(chan struct{})
}

func (b *builder) say(id, line string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.logs[id]) < maxLog {
		b.logs[id] = append(b.logs[id], line)
	}
	return b.logs[id]
}

// maxLog is how many lines a build log has at most.
const maxLog = 200

func (b *builder) log(id string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.logs[id]...)
}

// buildLog is a deployment's log so far.
func (p *Provider) buildLog(o provider.Object) []string {
	if lines := p.builds.log(o.ID); o.Phase == provider.Progressing && len(lines) > 0 {
		return lines
	}
	return p.releases.log(o.ID)
}

// failure is a build that came to an end without a release.
type failure string

func (e failure) Error() string { return string(e) }

// build makes one release and says in its object how it went. A build that is given
// up because the provider closes leaves the object Progressing, for the next start.
func (p *Provider) build(ctx context.Context, id string) {
	log := p.o.Log.With("deployment", id)
	lines, err := p.run(ctx, id)
	if ctx.Err() != nil {
		return
	}
	phase, message := provider.Ready, ""
	var f failure
	switch {
	case errors.As(err, &f):
		phase, message = provider.Failed, f.Error()
	case err != nil:
		log.Error("build failed", "error", err)
		phase, message = provider.Failed, "the release could not be written to disk"
	}
	if err := p.releases.saveLog(id, lines); err != nil {
		log.Error("build log was not kept", "error", err)
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.RLock()
	o, ok := p.index.objects[id]
	p.mu.RUnlock()
	if !ok { // deleted meanwhile
		if err := p.releases.remove(id); err != nil {
			log.Error("release was not removed", "error", err)
		}
		return
	}
	if o.Phase == phase && o.Message == message {
		return
	}
	o.Phase, o.Message = phase, message
	if err := p.put(o, false); err != nil {
		log.Error("build result was not kept; it is built again at the next start", "error", err)
	}
}

// run does the work of a build and returns its log.
func (p *Provider) run(ctx context.Context, id string) (lines []string, err error) {
	began := p.o.Now()
	say := func(format string, args ...any) {
		lines = p.builds.say(id, provider.Line(fmt.Sprintf(format, args...), maxText))
		pause(ctx, p.o.Pace)
	}
	p.mu.RLock()
	o := p.index.objects[id]
	p.mu.RUnlock()
	s, err := readSpec(id, o.Attributes, p.looks)
	if err != nil {
		return lines, failure(err.Error())
	}
	env, err := p.releases.environment(id)
	if err != nil {
		return lines, fmt.Errorf("read environment: %w", err)
	}
	say("Fetching %s %s", Builtin, orElse(s.Ref, "(the version of this program)"))
	say("Template %s, %s, %s disabled", s.Template, count(len(s.Features), "feature"), count(len(s.Disabled), "collection"))
	say("Environment has %s", count(len(env), "variable"))
	if s.Install != "" {
		say("$ %s", s.Install)
		say("Built-in templates need no packages: nothing to install")
	}
	command := orElse(s.Command, "build")
	say("$ %s", command)
	if s.Settings.BreakBuild {
		say("Rendering / ...")
		say("./src/app/(frontend)/page.tsx:14:27")
		say("Type error: Property 'price' does not exist on type 'Product'.")
		say("> 14 |   const total = product.price * quantity")
		say("     |                         ^")
		say("Build stopped: settings.breakBuild is true")
		say("Error: command %q exited with 1", command)
		return lines, failure(fmt.Sprintf("command %q exited with 1: Type error: Property 'price' does not exist on type 'Product'", command))
	}
	pages, err := p.render.render(s, env)
	if err != nil {
		return lines, err
	}
	size := 0
	for _, f := range pages {
		size += len(f.Body)
		if f.Type == typeHTML && f.Path != missingPath {
			say("Rendered %s (%s)", f.Path, bytesOf(len(f.Body)))
		}
	}
	if s.Migrate != "" {
		say("$ %s", s.Migrate)
		say("Migrations are the database's own: nothing to do")
	}
	if ctx.Err() != nil {
		return lines, ctx.Err()
	}
	if err := p.releases.write(id, s, pages); err != nil {
		return lines, fmt.Errorf("write release: %w", err)
	}
	say("Release %s: %s, %s, in %s", id, count(len(pages), "file"), bytesOf(size), p.o.Now().Sub(began).Round(time.Millisecond))
	return lines, nil
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func bytesOf(n int) string {
	if n < 1000 {
		return strconv.Itoa(n) + " B"
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1000)
}
