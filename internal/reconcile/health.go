package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Health limits.
const (
	degradedAfter  = 3 // failed probes in a row
	probesParallel = 16
	// usualProbe is the default of health.every: who says no more than that is asked whenever the schedule says.
	usualProbe = 5 * time.Minute
)

// ProbeAll asks every client's site that serves once, from outside, and records what it
// saw: degraded after three failures in a row, healthy after one good answer. A change
// of either stands in the history once. All of it is one transaction, but for those at whose probes the
// program died.
func (e *Engine) ProbeAll(ctx context.Context) error {
	if e.Check == nil {
		return nil
	}
	var todo, suspects []state.Client
	err := e.Store.View(func(tx store.Tx) error {
		todo, suspects = nil, nil
		clients, err := store.Clients(tx)
		for _, c := range clients {
			switch {
			case !probed(c):
			case c.Deaths[workProbe] > 0:
				suspects = append(suspects, c)
			default:
				todo = append(todo, c)
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	err = e.probe(ctx, todo)
	for _, c := range suspects { // one at a time, and what the others came to is written
		err = errors.Join(err, e.probe(ctx, []state.Client{c}))
	}
	return err
}

// probed says that a client's site is asked: also that of who failed, is held or paused, or waits in the middle of a
// change, whose version before serves on. (Not of who is worked on or in quarantine, or whose names may be another
// one's by now.)
func probed(c state.Client) bool {
	switch c.Status {
	case state.StatusActive:
	case state.StatusFailed, state.StatusHeld, state.StatusPaused, state.StatusDeploying:
		if c.Status == state.StatusDeploying && !c.Waiting() {
			return false
		}
		if !c.EverDeployed || c.Removed || !c.Quarantined.IsZero() || strings.HasPrefix(c.Because, state.RunsUnnamed) {
			return false
		}
	default:
		return false
	}
	return c.URL != ""
}

// probeDue says that a site is asked at this tick of the schedule: it is at each one, unless its manifest asks for less
// than is usual (health.every), and it was asked not that long ago. A tick may be a little early.
func (e *Engine) probeDue(c state.Client, h manifest.Health) bool {
	every, age := h.Every.Std(), e.Now().Sub(c.HealthAt)
	return every <= usualProbe || age < 0 || age >= every-every/10
}

// probe asks these clients' sites, several at once.
func (e *Engine) probe(ctx context.Context, todo []state.Client) error {
	type seen struct {
		probed bool
		at     time.Time // it was asked: a pass may have led its traffic on since
		err    error
	}
	wishes, _ := e.resolver()
	results := make([]seen, len(todo))
	failed := make([]error, len(todo))
	slots := make(chan struct{}, probesParallel)
	var wg sync.WaitGroup
	for i, c := range todo {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			end, ok, err := e.beside(workProbe, string(c.ID), c.Deaths[workProbe])
			if failed[i] = err; !ok {
				return
			}
			defer end()
			asked, at := true, e.Now()
			err = e.contain(c.ID, func() error {
				eff, _ := wishes.Client(c)
				if asked = e.probeDue(c, eff.Health); !asked {
					return nil
				}
				err := e.Check(ctx, c.URL, eff.Health)
				if err != nil && c.Status != state.StatusActive {
					before := eff.Health // that of a wish which may not serve yet
					before.Path, before.Status, before.Contains = "/", 200, ""
					if e.Check(ctx, c.URL, before) == nil {
						return nil
					}
				}
				return err
			})
			results[i] = seen{asked, at, err}
		}()
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err := e.Store.Update(func(tx store.Tx) error {
		for i, s := range results {
			if !s.probed {
				continue
			}
			if err := e.healthOf(tx, todo[i].ID, s.at, s.err); err != nil {
				return err
			}
			if err := besideWell(tx, todo[i].ID, workProbe); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(append(failed, err)...)
}

func (e *Engine) healthOf(tx store.Tx, id state.ClientID, at time.Time, bad error) error {
	c, ok, err := store.Client(tx, id)
	if err != nil || !ok || !probed(c) {
		return err
	}
	was := c.Health
	c.HealthAt = at
	c.Probes++
	if bad == nil {
		c.ProbesGood++
		c.HealthBad, c.Health = 0, state.Healthy
	} else if c.HealthBad++; c.HealthBad >= degradedAfter {
		c.Health = state.Degraded
	}
	if was == state.Degraded && c.Health == state.Healthy {
		if _, err := store.AddHistory(tx, state.Entry{At: c.HealthAt, Client: id, Name: c.Name, What: "recovered", Text: "the site answers well again"}); err != nil {
			return err
		}
	}
	if was != state.Degraded && c.Health == state.Degraded {
		if _, err := store.AddHistory(tx, state.Entry{At: c.HealthAt, Client: id, Name: c.Name, What: "degraded", Text: bad.Error()}); err != nil {
			return err
		}
	}
	if err := store.PutClient(tx, c); err != nil || (was == state.Degraded) == (c.Health == state.Degraded) || c.Status != state.StatusActive {
		return err
	}
	holds, err := store.Holds(tx)
	if err != nil {
		return err
	}
	_, err = e.inWave(tx, holds, id) // who degrades stops a change; nobody is let go by it
	return err
}
