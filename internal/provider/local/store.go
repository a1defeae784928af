package local

import (
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// stored reads every object from disk.
func (p *Provider) stored() ([]provider.Object, error) { return p.table.List(), nil }

// put stores o on disk and then lets it be seen, in one step for those who look.
func (p *Provider) put(o provider.Object, fresh bool) error {
	o.Outputs, o.Log = nil, nil // worked out when asked for
	if err := p.table.Put(o); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.index.objects[o.ID]; ok {
		p.index.drop(old)
	}
	p.index.add(o)
	return nil
}

// remove takes o out of sight after it is gone from disk.
func (p *Provider) remove(o provider.Object) error {
	if err := p.table.Delete(o.ID); err != nil {
		return err
	}
	p.mu.Lock()
	p.index.drop(o)
	p.mu.Unlock()
	if o.Kind == state.KindDeployment {
		if err := p.releases.remove(o.ID); err != nil && o.Phase != provider.Progressing {
			return err
		}
		// A builder that still writes there takes its folder away when it sees that nobody
		// wants it any more.
	}
	return nil
}
