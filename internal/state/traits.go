package state

import "time"

// Traits describe one kind at one provider, as data. Wiring hands them to the
// planner, which stays blind to vendors.
type Traits struct {
	Replace []string // attributes whose change forces a replacement
	// Once are attributes that count when the object is made: a later difference in one of
	// them is none.
	Once       []string
	Data       bool // holds data: retained, never recreated by itself
	Serving    bool // carries traffic: make before break
	Promotable bool // deployments are created unpromoted
	UniqueName bool // the vendor refuses a second object of the same name
	Marks      bool // the vendor has a place for a mark
	Manual     bool // made by a person (external): nothing is written
	// Engine is what a database runs, where its content can be moved (provider.Mover): it moves
	// between equal ones. "": it stays where it is.
	Engine string
	// AfterDNS: of host names, that what one is served with (its certificate) can be had only
	// once DNS leads to its site. It is made unreached (provider.Unreached), and secured then.
	AfterDNS bool
	// PerSite, with AfterDNS: it belongs to the site, so that a host name that moves to another
	// site of this vendor is without it there at first.
	PerSite bool
	// Copies: of records, that pages behind a proxied one are kept as copies, which have to be
	// forgotten when another release serves (provider.Purger).
	Copies bool
	// ListLag is how late the vendor's lists and look-ups by name may be, counted from when a
	// create was sent: a vendor that works for long at a call whose caller is gone says so here.
	ListLag time.Duration
	// Calls that a verb costs, for the plan's count.
	ObserveCalls, CreateCalls, UpdateCalls, DeleteCalls int
	// ListCalls are those that a list costs for each object, beside its pages: 0 where the
	// pages show all.
	ListCalls int
}
