package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/mail"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

const (
	minPassword = 8
	maxPassword = 72 // bytes; bcrypt reads no more
	maxEmail    = 254
	// longPassword is a length from which guessing is hopeless however fast a guess is:
	// our generated passwords are 64 hex digits. For these the cost of hashing would
	// only slow down the making of many clients.
	longPassword = 32
	longCost     = 6
)

// costOf is how much work the hash of a password is, as bcrypt counts.
func costOf(password string) int {
	if len(password) >= longPassword {
		return longCost
	}
	return bcrypt.DefaultCost
}

// adminID is the database's id and the number of the administrator's mark, which is
// never used again.
func adminID(database string, n int64) string { return database + "/" + strconv.FormatInt(n, 10) }

// splitAdminID returns "" for what can't be an id of ours.
func splitAdminID(id string) (database, stem string, n int64) {
	database, number, ok := strings.Cut(id, "/")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || n < 1 || adminID(database, n) != id {
		return "", "", 0
	}
	return database, stemOfID(database), n
}

// admins lists the administrators that bear a mark and match where.
func admins(ctx context.Context, q querier, database, where string, args ...any) (out []provider.Object, err error) {
	ok, err := hasTable(ctx, q, "_reconciler_admins")
	if err != nil || !ok {
		return nil, err
	}
	rows, err := q.QueryContext(ctx, `SELECT a.id, a.name, a.installation, a.client, a.generation, a.site, a.path, u.email
		FROM _reconciler_admins a JOIN users u ON u.id = a.user_id WHERE `+where+fmt.Sprintf(" ORDER BY a.id LIMIT %d", maxAdmins+1), args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var n int64
		var name, installation, client, site, path, email string
		var generation int
		if err := rows.Scan(&n, &name, &installation, &client, &generation, &site, &path, &email); err != nil {
			return nil, err
		}
		if len(out) == maxAdmins {
			return nil, fmt.Errorf("more than %d administrators", maxAdmins)
		}
		out = append(out, adminObject(database, n, email, site, path, name,
			provider.Mark{Installation: installation, Client: state.ClientID(client), Generation: generation}))
	}
	return out, rows.Err()
}

func adminObject(database string, n int64, email, site, path, name string, mark provider.Mark) provider.Object {
	id := adminID(database, n)
	return provider.Object{ID: id, Kind: state.KindAdmin, Name: name, Mark: mark, Phase: provider.Ready,
		Attributes: []provider.Observed{{Name: "database", Text: database}, {Name: "email", Text: email}, {Name: "path", Text: path}, {Name: "site", Text: site}},
		Outputs:    []provider.Output{{Name: "id", Text: id}}}
}

// strangers are the users of an e-mail address whom somebody else made. They have no
// id of ours: nothing can be done to them through this provider.
func strangers(ctx context.Context, q querier, database, email, name string) ([]provider.Object, error) {
	ok, err := hasTable(ctx, q, "users")
	if err != nil || !ok || email == "" {
		return nil, err
	}
	var n int64
	var have string
	err = q.QueryRowContext(ctx, `SELECT id, email FROM users WHERE email = ? COLLATE NOCASE
		AND NOT EXISTS (SELECT 1 FROM _reconciler_admins WHERE user_id = users.id) LIMIT 1`, email).Scan(&n, &have)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []provider.Object{{ID: database + "/users/" + strconv.FormatInt(n, 10), Kind: state.KindAdmin, Name: name, Phase: provider.Ready,
		Attributes: []provider.Observed{{Name: "database", Text: database}, {Name: "email", Text: have}}}}, nil
}

func (p *Provider) observeAdmin(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	if q.ID != "" {
		database, stem, n := splitAdminID(q.ID)
		return p.lookAdmins(ctx, stem, database, "", "", "a.id = ?", n)
	}
	if q.Wish != nil && q.Wish.Get("database") != "" {
		database := q.Wish.Get("database")
		return p.lookAdmins(ctx, stemOfID(database), database, q.Wish.Get("email"), q.Name, "a.name = ?", q.Name)
	}
	stems, err := p.stems() // the name alone does not say in which database
	if err != nil {
		return nil, err
	}
	var out []provider.Object
	for _, stem := range stems {
		found, err := p.lookAdmins(ctx, stem, "", "", "", "a.name = ?", q.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// lookAdmins reads the administrators of one file; database "" is whichever it is.
// With an email it also tells of a user who was not made here.
func (p *Provider) lookAdmins(ctx context.Context, stem, database, email, name, where string, args ...any) (out []provider.Object, err error) {
	if stem == "" {
		return nil, nil
	}
	defer p.locks.read(stem)()
	err = p.with(ctx, stem, false, func(db *sql.DB) error {
		m, err := readMeta(ctx, db, stem)
		if err != nil || (database != "" && m.id != database) || !m.known {
			return err
		}
		if out, err = admins(ctx, db, m.id, where, args...); err != nil || len(out) > 0 {
			return err
		}
		out, err = strangers(ctx, db, m.id, email, name)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return out, err
}

// person is what a wish for an administrator says.
type person struct {
	email, site, path string
	hash              string
}

// wishedAdmin checks a wish and hashes its password. An update may leave the password
// as it is by naming none.
func (p *Provider) wishedAdmin(op string, w provider.Wish, needPassword bool) (person, error) {
	a := person{email: w.Get("email"), site: w.Get("site"), path: w.Get("path")}
	if w.Name == "" || len(w.Name) > maxName {
		return a, p.invalid(op, "a name has 1 to %d bytes", maxName)
	}
	at, err := mail.ParseAddress(a.email)
	if err != nil || at.Address != a.email || len(a.email) > maxEmail {
		return a, p.invalid(op, "%q is not an e-mail address", clean(a.email))
	}
	if len(a.site) > maxText || len(a.path) > maxText {
		return a, p.invalid(op, "site and path have at most %d bytes", maxText)
	}
	password := w.Get("password")
	if password == "" && !needPassword {
		return a, nil
	}
	if len(password) < minPassword || len(password) > maxPassword {
		return a, p.invalid(op, "the password has %d bytes; it takes %d to %d", len(password), minPassword, maxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), p.cost(password))
	if err != nil {
		return a, p.fail(provider.Invalid, op, "the password can't be hashed", err)
	}
	a.hash = string(hash)
	return a, nil
}

func (p *Provider) createAdmin(ctx context.Context, w provider.Wish) (provider.Object, error) {
	const op = "create"
	database := w.Get("database")
	noDatabase := p.invalid(op, "database %q is not here", clean(database))
	stem := stemOfID(database)
	if stem == "" {
		return provider.Object{}, noDatabase
	}
	a, err := p.wishedAdmin(op, w, true)
	if err != nil {
		return provider.Object{}, err
	}
	var out provider.Object
	defer p.locks.write(stem)()
	err = p.with(ctx, stem, true, func(db *sql.DB) error {
		return inTx(ctx, db, func(tx *sql.Tx) (err error) {
			if _, err := p.own(ctx, tx, stem, database); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, metaTables+blocks()["users-1"].sql); err != nil {
				return err
			}
			// Of an administrator whom the site has deleted since only our note is left.
			if _, err := tx.ExecContext(ctx, "DELETE FROM _reconciler_admins WHERE name = ? AND user_id NOT IN (SELECT id FROM users)", w.Name); err != nil {
				return err
			}
			var taken int
			if err := tx.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM _reconciler_admins WHERE name = ?) + (SELECT count(*) FROM users WHERE email = ? COLLATE NOCASE)", w.Name, a.email).Scan(&taken); err != nil {
				return err
			}
			if taken > 0 {
				return p.fail(provider.Conflict, op, "an administrator of that name or e-mail address exists", nil)
			}
			r, err := tx.ExecContext(ctx, "INSERT INTO users (email, password_hash, role) VALUES (?, ?, 'admin')", a.email, a.hash)
			if err != nil {
				return err
			}
			user, err := r.LastInsertId()
			if err != nil {
				return err
			}
			r, err = tx.ExecContext(ctx, "INSERT INTO _reconciler_admins (name, user_id, installation, client, generation, site, path) VALUES (?, ?, ?, ?, ?, ?, ?)",
				w.Name, user, w.Mark.Installation, string(w.Mark.Client), w.Mark.Generation, a.site, a.path)
			if err != nil {
				return err
			}
			n, err := r.LastInsertId()
			out = adminObject(database, n, a.email, a.site, a.path, w.Name, w.Mark)
			return err
		})
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return provider.Object{}, noDatabase
	case err != nil:
		return provider.Object{}, p.classify(op, "the administrator could not be made", err, isCommit(err))
	}
	return out, nil
}

func (p *Provider) updateAdmin(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	const op = "update"
	gone := p.fail(provider.NotFound, op, fmt.Sprintf("administrator %s is not here", clean(id)), nil)
	database, stem, n := splitAdminID(id)
	if stem == "" {
		return provider.Object{}, gone
	}
	a, err := p.wishedAdmin(op, w, false)
	if err != nil {
		return provider.Object{}, err
	}
	if to := w.Get("database"); to != "" && to != database {
		return provider.Object{}, p.invalid(op, "an administrator stays in its database; make another one in %q", clean(to))
	}
	defer p.locks.write(stem)()
	err = p.with(ctx, stem, true, func(db *sql.DB) error {
		return inTx(ctx, db, func(tx *sql.Tx) error {
			if _, err := p.own(ctx, tx, stem, database); err != nil {
				return err
			}
			return p.changeAdmin(ctx, tx, op, n, w, a)
		})
	})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, sql.ErrNoRows):
		return provider.Object{}, gone
	case err != nil:
		return provider.Object{}, p.classify(op, "the administrator could not be changed", err, isCommit(err))
	}
	return adminObject(database, n, a.email, a.site, a.path, w.Name, w.Mark), nil
}

func (p *Provider) changeAdmin(ctx context.Context, tx *sql.Tx, op string, n int64, w provider.Wish, a person) error {
	ok, err := hasTable(ctx, tx, "_reconciler_admins")
	if err != nil {
		return err
	}
	if !ok {
		return sql.ErrNoRows
	}
	var user int64
	if err := tx.QueryRowContext(ctx, "SELECT u.id FROM _reconciler_admins a JOIN users u ON u.id = a.user_id WHERE a.id = ?", n).Scan(&user); err != nil {
		return err
	}
	var taken int
	if err := tx.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM _reconciler_admins WHERE name = ? AND id <> ?) + (SELECT count(*) FROM users WHERE email = ? COLLATE NOCASE AND id <> ?)",
		w.Name, n, a.email, user).Scan(&taken); err != nil {
		return err
	}
	if taken > 0 {
		return p.fail(provider.Conflict, op, "another user has that name or e-mail address", nil)
	}
	if _, err := tx.ExecContext(ctx, "UPDATE users SET email = ?, password_hash = CASE WHEN ? = '' THEN password_hash ELSE ? END, updated_at = CURRENT_TIMESTAMP WHERE id = ?", a.email, a.hash, a.hash, user); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE _reconciler_admins SET name = ?, installation = ?, client = ?, generation = ?, site = ?, path = ? WHERE id = ?",
		w.Name, w.Mark.Installation, string(w.Mark.Client), w.Mark.Generation, a.site, a.path, n)
	return err
}

func (p *Provider) deleteAdmin(ctx context.Context, id string) error {
	const op = "delete"
	database, stem, n := splitAdminID(id)
	if stem == "" {
		return nil
	}
	defer p.locks.write(stem)()
	err := p.with(ctx, stem, true, func(db *sql.DB) error {
		return inTx(ctx, db, func(tx *sql.Tx) error {
			if _, err := p.own(ctx, tx, stem, database); err != nil {
				return err
			}
			ok, err := hasTable(ctx, tx, "_reconciler_admins")
			if err != nil || !ok {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM users WHERE id = (SELECT user_id FROM _reconciler_admins WHERE id = ?)", n); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, "DELETE FROM _reconciler_admins WHERE id = ?", n)
			return err
		})
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p.classify(op, "the administrator could not be removed", err, isCommit(err))
	}
	return nil
}
