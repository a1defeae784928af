package localdns

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/miekg/dns"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Files are edited by hand, as people do in a vendor's dashboard. Whoever looks or asks
// reads the files of what is concerned first. A file that can't be read, or that says what
// can't be served, may be half written: a look says so, and until it can be used it is
// answered as before. One that is gone is asked for again under its name: some editors
// move a file away before they write it.

// follow takes over what was edited of some records.
func (p *Provider) follow(ids ...string) error {
	if !slices.ContainsFunc(ids, p.edited) {
		return nil // the common case, which waits for no writer
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.take(ids...)
}

// edited says that a record may not be what its file says; a write that is under way looks
// the same.
func (p *Provider) edited(id string) bool {
	now, there, err := p.table.Look(id)
	had, known := p.table.Get(id)
	return err != nil || there != known || !reflect.DeepEqual(now, had)
}

// take is follow for a writer.
func (p *Provider) take(ids ...string) error {
	var errs []error
	for _, id := range ids {
		now, there, err := p.table.Look(id)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !there:
			p.forget(id)
		default:
			errs = append(errs, p.hold(now))
		}
	}
	return errors.Join(errs...)
}

// takeAll takes over whatever was edited.
func (p *Provider) takeAll() error {
	p.writing.Lock()
	defer p.writing.Unlock()
	all, err := p.table.Disk()
	if err != nil {
		return err
	}
	there := map[string]bool{}
	var errs []error
	for _, o := range all {
		there[o.ID] = true
		errs = append(errs, p.hold(o))
	}
	for _, o := range p.table.List() {
		if !there[o.ID] {
			p.forget(o.ID)
		}
	}
	return errors.Join(errs...)
}

// hold takes a record for what its file says, for a writer.
func (p *Provider) hold(now provider.Object) error {
	had, known := p.table.Get(now.ID)
	if known && reflect.DeepEqual(now, had) {
		return nil
	}
	rr, err := parse(now.Attributes)
	if err != nil {
		return fmt.Errorf("record %s: %w", clean(now.ID), err)
	}
	p.table.Take(now)
	p.replace(now.ID, had, known, rr)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lost, now.ID)
	return nil
}

// forget lets go of a record whose file is gone, for a writer.
func (p *Provider) forget(id string) {
	had, known := p.table.Get(id)
	if !known {
		return
	}
	p.table.Forget(id)
	p.replace(id, had, known, nil)
	name, _ := attrs(had.Attributes).where()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost[id] = name
}

// replace puts a record into the place of what it was; nil: there is none.
func (p *Provider) replace(id string, had provider.Object, known bool, rr dns.RR) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known {
		name, _ := attrs(had.Attributes).where()
		p.zone.drop(id, name)
	}
	if rr != nil {
		p.zone.add(id, rr)
	}
}

// at are the ids of the records of one name, those included whose files are gone.
func (p *Provider) at(name string) []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	records, _ := p.zone.at(name)
	ids := make([]string, len(records))
	for i, e := range records {
		ids[i] = e.id
	}
	for id, its := range p.lost {
		if its == name {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// unused is a look at what somebody edited and can't be used.
func unused(op string, err error) error {
	return &provider.Error{Kind: provider.Transient, Provider: Name, Op: op,
		Message: "the file of a record was edited and can't be used: " + clean(err.Error()) + "; until it is mended, the record is answered as before", Err: err}
}
