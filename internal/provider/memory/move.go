package memory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// maxDump is how much of a file is loaded.
const maxDump = 1 << 20

// database runs one call about a database that is there.
func (p *Provider) database(ctx context.Context, verb Verb, id string, do func() error) error {
	return p.call(ctx, Call{Verb: verb, Kind: state.KindDatabase, ID: id}, func(c *Call) error {
		o, ok := p.have(state.KindDatabase, id)
		if !ok {
			return Fail(provider.NotFound, "database "+quote(id)+" is not here")
		}
		c.Name = o.Name
		return do()
	})
}

// Freeze implements provider.Mover.
func (p *Provider) Freeze(ctx context.Context, id string) error {
	return p.database(ctx, Freeze, id, func() error { p.w.frozen[id] = true; return nil })
}

// Thaw implements provider.Mover.
func (p *Provider) Thaw(ctx context.Context, id string) error {
	return p.database(ctx, Thaw, id, func() error { delete(p.w.frozen, id); return nil })
}

// Content implements provider.Mover: all rows are one part.
func (p *Provider) Content(ctx context.Context, id string) (out provider.Content, err error) {
	err = p.database(ctx, Compare, id, func() error {
		out = provider.Content{Version: 1, Settings: slices.Clone(p.w.settings[id])}
		if rows := slices.Clone(p.w.rows[id]); len(rows) > 0 {
			slices.Sort(rows)
			sum := sha256.Sum256([]byte(strings.Join(rows, "\n")))
			out.Parts = []provider.Part{{Name: "rows", Rows: int64(len(rows)), Sum: hex.EncodeToString(sum[:])}}
		}
		return nil
	})
	return out, err
}

// Load implements provider.Mover: what Dump wrote.
func (p *Provider) Load(ctx context.Context, id, path string) error {
	data, err := os.ReadFile(path)
	if err != nil || len(data) > maxDump {
		return &provider.Error{Kind: provider.Invalid, Provider: p.o.Name, Op: string(Load), Message: "the dump could not be read", Err: err}
	}
	return p.database(ctx, Load, id, func() error {
		if len(p.w.rows[id]) > 0 && !p.w.frozen[id] {
			return Fail(provider.Conflict, "database "+quote(id)+" is in use")
		}
		p.w.frozen[id] = true
		p.w.rows[id] = nil
		for _, row := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
			if row != "" {
				p.w.rows[id] = append(p.w.rows[id], row)
			}
		}
		return nil
	})
}

// Tune gives a database a setting that no dump takes along.
func (w *World) Tune(database, name, value string) {
	w.lock()
	defer w.mu.Unlock()
	w.settings[database] = append(w.settings[database], provider.Part{Name: name, Sum: value})
}

// Frozen says that nobody but this program may write to a database.
func (w *World) Frozen(database string) bool {
	w.lock()
	defer w.mu.Unlock()
	return w.frozen[database]
}
