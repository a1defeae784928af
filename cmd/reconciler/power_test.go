package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/bolt/powerloss"
)

// `go test` lets the program go on from some images of a power loss; `make power RUNS=400`
// from as many as one likes.
var crashImages = flag.Int("crash.images", 14, "images of a power loss that the program goes on from")

const imagesLife = 7 // images that a world lives through: one that grows for ever becomes slow

// photoVariable lets the program's process copy its state before its n-th commit, and die
// after it: "n path" makes path.before and path.marker. Only the tests' remoteMain reads it.
const photoVariable = "RECONCILER_TEST_PHOTO"

// photograph obeys photoVariable, on a program that is wired and has not begun.
func photograph(p *program, spec string) {
	var nth int
	var to string
	if _, err := fmt.Sscan(spec, &nth, &to); err != nil {
		return // nobody asks for it
	}
	keep := func(from, to string) {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "panic: no photograph:", err) // the test looks for the word
		}
	}
	fail, n := p.fail, 0 // commits are one after the other
	p.fail = func(point, action string) {
		switch {
		case point == bolt.PointCommit:
			if n++; n == nth {
				keep(p.config.State.Path, to+".before")
				keep(bolt.Marker(p.config.State.Path), to+".marker")
			}
		case point == bolt.PointCommitted && n == nth:
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // nothing runs on after the signal
		}
		fail(point, action)
	}
}

// cutOff lets the program work until the power goes in one of its commits, and leaves an
// image of the kind in the state's place, beside the marker that was there.
func (w *crashWorld) cutOff(kind string) error {
	photo := w.path("photo")
	for nth := 1 + w.rng.IntN(24); ; nth = 1 + nth/2 {
		for _, name := range []string{".before", ".marker"} {
			if err := os.Remove(photo + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := w.change(); err != nil {
			return err
		}
		w.env = []string{photoVariable + "=" + fmt.Sprint(nth, " ", photo)}
		r, err := w.begin("", []string{"run", "apply"}[w.rng.IntN(2)])
		w.env = nil
		if err != nil {
			return err
		}
		if _, err := r.wait(0, nil); err != nil {
			return err
		}
		if exists(photo + ".marker") {
			break // else it had less to write
		}
	}
	var cut powerloss.Cut
	var err error
	if cut.Before, err = os.ReadFile(photo + ".before"); err != nil {
		return err
	}
	if cut.After, err = os.ReadFile(w.path("state.db")); err != nil {
		return err
	}
	if data, meta := cut.Changed(); len(data) == 0 || meta < 0 {
		return fmt.Errorf("the commit wrote %d pages and the meta page %d", len(data), meta)
	}
	marker, err := os.ReadFile(photo + ".marker")
	if err != nil {
		return err
	}
	w.say("the power goes: %s", kind)
	return errors.Join(os.WriteFile(w.path("state.db"), cut.Image(w.rng, kind), 0o600), os.WriteFile(bolt.Marker(w.path("state.db")), marker, 0o600))
}

// P8 and P3: the power goes in a commit of the program, while its providers live on. The
// next process opens what the disk has, and goes on from there: no object is there twice
// (I1), none is lost (I2), data stays, and left alone it comes to what the branch wishes.
func TestP8PowerLossOfTheProgram(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-crash.seed=%d", seed)
	kinds := powerloss.Kinds()
	t.Run("worlds", func(t *testing.T) {
		for first := 0; first < *crashImages; first += imagesLife {
			t.Run(fmt.Sprint(first), func(t *testing.T) {
				t.Parallel()
				w := newCrashWorld(t, seed+uint64(first), hostSpec{Builds: first / imagesLife % 2, Slow: true})
				if err := w.powerLosses(kinds, min(imagesLife, *crashImages-first)); err != nil {
					t.Fatalf("%v\n%s", err, strings.Join(w.log, "\n"))
				}
			})
		}
	})
	t.Logf("%d images, of %d kinds: all opened, and gone on from", *crashImages, len(kinds))
}

func (w *crashWorld) powerLosses(kinds []string, images int) error {
	for range 2 {
		if err := w.add(); err != nil {
			return err
		}
	}
	if _, err := w.overview(); err != nil { // a first start is a scene of its own
		return err
	}
	for n := range images {
		kind := kinds[n%len(kinds)]
		if err := w.cutOff(kind); err != nil {
			return err
		}
		if w.rng.IntN(3) == 0 { // what was under way at a provider has come to its end
			if err := w.host.ask(context.Background(), "/truth", nil, nil); err != nil {
				return err
			}
		}
		command := []string{"run", "apply"}[w.rng.IntN(2)]
		r, err := w.begin("", command)
		if err != nil {
			return err
		}
		e, err := r.wait(0, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		if said := r.errOut.String(); strings.Contains(said, "damaged") || e.open < 0 {
			return fmt.Errorf("%s: %s ends with %d:\n%s", kind, command, e.code, said)
		}
		if _, err := w.check(false); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return w.settle()
}
