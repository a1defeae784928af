package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"

	"github.com/compassdigital/reconciler/internal/provider"
)

// ErrRebuild: the state is empty, and the providers hold objects that bear this
// installation's mark. Going on would make everything twice.
var ErrRebuild = errors.New("the state is empty, and objects of this installation exist")

// strangers looks, before the first head is accepted on an empty state, whether the
// providers hold objects of ours. A provider that can't be asked stops it too: not to
// know is not the same as none.
func (e *Engine) strangers(ctx context.Context) error {
	type answer struct {
		provider string
		n        int
		err      error
	}
	answers := make([]answer, len(e.Providers))
	w := e.witness()
	var wg sync.WaitGroup
	for i, p := range e.Providers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			answers[i].provider = p.Name()
			answers[i].err = e.contain("", func() error {
				found, err := w.owned(ctx, provider.NewReadOnly(p))
				answers[i].n = len(found)
				return err
			})
		}()
	}
	wg.Wait()
	sort.SliceStable(answers, func(i, j int) bool { return answers[i].provider < answers[j].provider })
	n, at := 0, ""
	for _, a := range answers {
		if a.err != nil {
			return fmt.Errorf("first start: look for objects of this installation at %s: %w", a.provider, a.err)
		}
		if n += a.n; a.n > 0 {
			if at != "" {
				at += ", "
			}
			at += fmt.Sprintf("%d at %s", a.n, a.provider)
		}
	}
	if n > 0 {
		return fmt.Errorf("%w: %s. Nothing is changed. Put the state back with `reconciler restore FILE`, or `reconciler rebuild` it from Git and these marks", ErrRebuild, at)
	}
	return nil
}
