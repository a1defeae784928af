package apply

import (
	"sync"

	"github.com/compassdigital/reconciler/internal/state"
)

// refused are creates that a vendor refused because something is there, of which its lists
// then showed nothing in time. Who asks again at once and hears the same again waits for a
// person, and not once more. A restart forgets it: that costs one wait.
type refused struct {
	mu   sync.Mutex
	refs map[state.Ref]bool
}

func (r *refused) note(ref state.Ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refs == nil {
		r.refs = map[state.Ref]bool{}
	}
	r.refs[ref] = true
}

// take says whether it was noted, and forgets it.
func (r *refused) take(ref state.Ref) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.refs[ref]
	delete(r.refs, ref)
	return was
}
