package postgres

import (
	"context"
	"fmt"

	"github.com/compassdigital/reconciler/internal/provider"
)

const (
	// sweepAfter is how many seconds what was left half made or half erased stays for
	// whoever goes on with it. The longest call is shorter.
	sweepAfter = 3600
	maxSwept   = 10 // at one create
)

// sweep takes away what nobody went on with: of this installation, an hour old, never
// whole or no more. A client whose create died and who was then taken out of Git would
// leave it for ever. It is beside the point of the call, so that what fails is left to
// the next one.
func (p *Provider) sweep(ctx context.Context, s session, w provider.Wish) {
	left, err := leftovers(ctx, s, w.Mark.Installation)
	if err != nil {
		return
	}
	for _, e := range left {
		if e.name == w.Name {
			continue // the create itself goes on with it
		}
		if err := drop(ctx, s, e); err != nil {
			return
		}
	}
}

func leftovers(ctx context.Context, s session, installation string) (out []entry, err error) {
	all, err := list(ctx, s, entries+`starts_with(rc.description, 'reconciler:' || $1 || '/')
AND substring(rc.description FROM ' since=([0-9]{1,12})(?: |$)')::bigint < extract(epoch FROM now()) - `+fmt.Sprint(sweepAfter)+`
ORDER BY 1 LIMIT `+fmt.Sprint(maxSwept), maxSwept, installation)
	for _, e := range all {
		if e.role.mark.Installation == installation && (e.half() || !e.database && e.role.stage != "") {
			out = append(out, e)
		}
	}
	return out, err
}

// drop takes one away, unless somebody works at it: then it is no leftover.
func drop(ctx context.Context, s session, e entry) error {
	key := "reconciler " + e.name
	rows, err := s.read(ctx, "SELECT pg_try_advisory_lock(hashtextextended($1, 7365))::text", key)
	if err != nil || string(rows[0][0]) != "true" {
		return err
	}
	now, err := look(ctx, s, e.name)
	if err != nil {
		return err
	}
	for _, x := range now {
		if x.name != e.name || x.role != e.role || x.database != e.database {
			continue
		}
		if x.half() {
			if err := s.write(ctx, "DROP DATABASE "+identifier(x.name)); err != nil {
				return err
			}
		}
		if err := s.write(ctx, "DROP ROLE "+identifier(x.name)); err != nil {
			return err
		}
	}
	_, err = s.read(ctx, "SELECT pg_advisory_unlock(hashtextextended($1, 7365))::text", key)
	return err
}
