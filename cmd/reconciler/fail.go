package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// failAt makes the process kill itself at a named point: "after-call:7" at the 7th time
// that it comes there, "after-call/purge:1" at the first purge. The points are the
// borders of a step (apply.Border) and the Points of packages reconcile and bolt. The
// tests of promise P8 set it; empty does nothing.
func failAt(spec string) func(point, action string) {
	where, nth, ok := strings.Cut(spec, ":")
	n, err := strconv.ParseInt(nth, 10, 64)
	if !ok || err != nil {
		return func(string, string) {}
	}
	var seen atomic.Int64
	return func(point, action string) {
		if (where == point || where == point+"/"+action) && seen.Add(1) == n {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // nothing runs on after the signal
		}
	}
}

// failOnce makes the first create of a step fail, so that people see the recovery.
func failOnce(find func(string, state.Kind) (provider.Provider, bool), step string) (func(string, state.Kind) (provider.Provider, bool), error) {
	if step == "" {
		return find, nil
	}
	kinds := map[string]state.Kind{"database": state.KindDatabase, "project": state.KindSite, "dns": state.KindRecord, "environment": state.KindEnvironment, "deploy": state.KindDeployment}
	kind, ok := kinds[step]
	if !ok {
		return nil, usageError{fmt.Sprintf("--fail %s: it is database, project, dns, environment or deploy", step)}
	}
	var failed atomic.Bool
	return func(name string, k state.Kind) (provider.Provider, bool) {
		p, ok := find(name, k)
		if !ok || k != kind {
			return p, ok
		}
		return failing{p, &failed}, true
	}, nil
}

// failing is a provider whose first create is refused.
type failing struct {
	provider.Provider
	done *atomic.Bool
}

// Create implements provider.Provider.
func (f failing) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	if f.done.CompareAndSwap(false, true) {
		return provider.Object{}, &provider.Error{Kind: provider.Invalid, Provider: f.Name(), Op: "create", Message: "refused once, as --fail asked for"}
	}
	return f.Provider.Create(ctx, w)
}
