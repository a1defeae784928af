package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// migration makes the tables of one version. Versions only ever get more: one that
// was applied somewhere is not edited.
type migration struct{ version, sql string }

// seed is an invented row of a table that is new.
type seed struct {
	version, sql string
	args         []any
}

// stamps end every table of content.
const stamps = `, created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)`

// blocks are the migrations by name, in which templates are written.
func blocks() map[string]migration {
	out := map[string]migration{}
	for _, m := range []migration{
		{"users-1", `CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE COLLATE NOCASE,
			password_hash TEXT NOT NULL, role TEXT NOT NULL DEFAULT 'editor'` + stamps},
		{"pages-1", `CREATE TABLE IF NOT EXISTS pages (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, title TEXT NOT NULL, body TEXT NOT NULL DEFAULT ''` + stamps},
		{"products-1", `CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, title TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
			price_cents INTEGER NOT NULL CHECK (price_cents >= 0), stock INTEGER NOT NULL DEFAULT 0` + stamps},
		{"orders-1", `CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT NOT NULL UNIQUE, email TEXT NOT NULL,
			total_cents INTEGER NOT NULL CHECK (total_cents >= 0), status TEXT NOT NULL DEFAULT 'open'` + stamps + `;
			CREATE TABLE IF NOT EXISTS order_lines (order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE, product_id INTEGER NOT NULL REFERENCES products (id),
			quantity INTEGER NOT NULL CHECK (quantity > 0), price_cents INTEGER NOT NULL, PRIMARY KEY (order_id, product_id)) WITHOUT ROWID`},
		{"posts-1", `CREATE TABLE IF NOT EXISTS authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL, bio TEXT NOT NULL DEFAULT ''` + stamps + `;
			CREATE TABLE IF NOT EXISTS posts (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, title TEXT NOT NULL, body TEXT NOT NULL DEFAULT '',
			author_id INTEGER REFERENCES authors (id), published_at TEXT` + stamps},
		{"companies-1", `CREATE TABLE IF NOT EXISTS companies (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, vat_number TEXT NOT NULL DEFAULT '',
			discount_percent INTEGER NOT NULL DEFAULT 0 CHECK (discount_percent BETWEEN 0 AND 100)` + stamps},
		{"cases-1", `CREATE TABLE IF NOT EXISTS cases (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, title TEXT NOT NULL, summary TEXT NOT NULL DEFAULT ''` + stamps},
		{"services-1", `CREATE TABLE IF NOT EXISTS services (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, title TEXT NOT NULL, summary TEXT NOT NULL DEFAULT ''` + stamps},
	} {
		out[m.version] = m
	}
	return out
}

// versions lists a template's migrations in their order.
func versions(template string) []string {
	out := []string{"users-1", "pages-1"}
	switch template {
	case "ecommerce":
		out = append(out, "products-1", "orders-1", "posts-1")
	case "blog":
		out = append(out, "posts-1")
	case "b2b":
		out = append(out, "products-1", "orders-1", "companies-1", "cases-1", "posts-1")
	case "portfolio":
		out = append(out, "cases-1", "posts-1")
	case "corporate":
		out = append(out, "services-1", "cases-1", "posts-1")
	}
	return out
}

func product(slug, title, text string, cents, stock int) seed {
	return seed{"products-1", "INSERT OR IGNORE INTO products (slug, title, description, price_cents, stock) VALUES (?, ?, ?, ?, ?)", []any{slug, title, text, cents, stock}}
}

func post(slug, title, text string) seed {
	return seed{"posts-1", "INSERT OR IGNORE INTO posts (slug, title, body, published_at) VALUES (?, ?, ?, '2026-01-05')", []any{slug, title, text}}
}

func summary(version, table, slug, title, text string) seed {
	return seed{version, "INSERT OR IGNORE INTO " + table + " (slug, title, summary) VALUES (?, ?, ?)", []any{slug, title, text}}
}

// seeds are the rows that a new site begins with; all is invented.
func seeds(template string) []seed {
	out := []seed{
		{"pages-1", "INSERT OR IGNORE INTO pages (slug, title, body) VALUES (?, ?, ?)", []any{"home", "Welcome", "This page is yours to change."}},
		{"pages-1", "INSERT OR IGNORE INTO pages (slug, title, body) VALUES (?, ?, ?)", []any{"about", "About us", "Who we are and where to find us."}},
		post("how-we-choose", "How we choose what we sell", "Fewer things, made closer by, and the questions that we ask their makers."),
		post("a-day-in-the-workshop", "A day in the workshop", "From the first coffee to the last parcel."),
		summary("cases-1", "cases", "harbour-library", "Harbour library", "Wayfinding for a building that people get lost in gladly."),
		summary("cases-1", "cases", "northern-rail", "Northern rail", "A timetable that can be read while running."),
		summary("services-1", "services", "inspection", "Inspection", "Once a year, with a report that can be read."),
		summary("services-1", "services", "maintenance", "Maintenance", "Planned, at night if it must be."),
	}
	if template == "b2b" {
		return append(out, product("board-18", "Board, 18 mm", "Birch, pallet of 40.", 118000, 12), product("edge-tape", "Edge tape", "22 mm, 200 m a roll.", 3120, 340))
	}
	return append(out, product("linen-apron", "Linen apron", "Washed linen, deep pockets, two lengths.", 4800, 20),
		product("stoneware-mug", "Stoneware mug", "Thrown by hand; no two are the same.", 2450, 36),
		product("walnut-board", "Walnut board", "Oiled, end grain, made from one plank.", 7200, 8))
}

// migrate applies what a template has and the database has not, inside tx.
func migrate(ctx context.Context, tx *sql.Tx, template string, now time.Time) error {
	all := blocks()
	fresh := map[string]bool{}
	for _, v := range versions(template) {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM schema_migrations WHERE version = ?", v).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if _, err := tx.ExecContext(ctx, all[v].sql); err != nil {
			return fmt.Errorf("apply migration %s: %w", v, err)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO schema_migrations (version, applied_at) VALUES (?, ?)", v, now.UTC().Format(time.RFC3339)); err != nil {
			return err
		}
		fresh[v] = true
	}
	for _, s := range seeds(template) {
		if !fresh[s.version] {
			continue
		}
		if _, err := tx.ExecContext(ctx, s.sql, s.args...); err != nil {
			return fmt.Errorf("fill %s: %w", s.version, err)
		}
	}
	return nil
}
