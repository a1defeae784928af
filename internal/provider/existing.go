package provider

import (
	"context"

	"github.com/compassdigital/reconciler/internal/state"
)

// Lister is implemented by providers that can show all that an account holds, whoever made
// it: for adoption. It reads only. An embedded provider needs none: all that is there was
// made here.
//
// What it tells beyond the attributes of package provider, where the vendor does:
//
//	site         attribute ref     the branch that it is deployed from
//	environment  attribute unread  names of variables that nobody can read, with commas
//	database     output endpoint   HOST:PORT/NAME, where there is no url
//	payments     attributes country, email, url   of whose business it is, also where the owner
//	                                              keeps them
type Lister interface {
	// Existing lists sites with the host names that lists tell, databases with their url,
	// records, accounts for payments: by the vendor's lists, never one call an object. Marks are what lists tell of
	// them; a zero one proves nothing.
	Existing(ctx context.Context) ([]Object, error)
	// Inside lists what hangs on a site and stands in no list: its environment (which bears
	// the mark of a site whose vendor has no other place for one), its host names, the
	// release that serves. None where the site is gone, and of other kinds.
	Inside(ctx context.Context, site Object) ([]Object, error)
}

// Marker is implemented by providers whose vendor has a place for a mark on what others
// made.
type Marker interface {
	// Mark writes whose the object is, and changes nothing else of it. What bears the mark
	// already is left as it is; somebody else's is a Conflict; a kind that has no place for
	// one is Unsupported. Errors are as those of Update. Observe by id shows the mark.
	Mark(ctx context.Context, kind state.Kind, id string, m Mark) error
}
