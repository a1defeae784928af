package local

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// pingTimeout is how long a database may take to answer.
const pingTimeout = 3 * time.Second

// health answers for a release: its own pages are there, or we wouldn't be here; its
// database must answer too. An error means that nothing was written yet.
func (p *Provider) health(w http.ResponseWriter, r *http.Request, deployment string) error {
	env, err := p.releases.environment(deployment)
	if err != nil {
		return err
	}
	at := env.get("DATABASE_URL")
	if at == "" {
		answerHealth(w, http.StatusOK, "ok", "none")
		return nil
	}
	if err := p.ping(r.Context(), at); err != nil {
		// The cause may quote the URL: it stays here.
		p.o.Log.Warn("database does not answer", "deployment", deployment)
		answerHealth(w, http.StatusServiceUnavailable, "failing", "unreachable")
		return nil //nolint:nilerr // it was answered
	}
	answerHealth(w, http.StatusOK, "ok", "ok")
	return nil
}

func answerHealth(w http.ResponseWriter, status int, word, database string) {
	body, _ := json.Marshal(struct { // two strings always encode
		Status   string `json:"status"`
		Database string `json:"database"`
	}{word, database})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the caller went away
}

var errNoDatabase = errors.New("not a database file that may be opened here")

// ping opens the database to read and reads its schema.
func (p *Provider) ping(ctx context.Context, at string) error {
	path, err := p.databasePath(at)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "mode=ro&_pragma=query_only(1)&_pragma=busy_timeout(1000)"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // nothing was written
	var n int
	return db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n)
}

// databasePath takes the file out of file:/path?options, sqlite:///path or /path. The
// options are the writer's and are left out.
func (p *Provider) databasePath(at string) (string, error) {
	path := at
	if u, err := url.Parse(at); err == nil && u.Scheme != "" {
		if (u.Scheme != "file" && u.Scheme != "sqlite") || (u.Host != "" && u.Host != "localhost") {
			return "", errNoDatabase
		}
		path = u.Path
		if path == "" {
			path = u.Opaque
		}
	} else {
		path, _, _ = strings.Cut(path, "?")
	}
	path, err := filepath.Abs(path)
	if err != nil || path == "/" {
		return "", errNoDatabase
	}
	if p.o.Databases == "" {
		return path, nil
	}
	root, err := filepath.Abs(p.o.Databases)
	if err != nil {
		return "", errNoDatabase
	}
	if rel, err := filepath.Rel(root, path); err != nil || !filepath.IsLocal(rel) {
		return "", errNoDatabase
	}
	return path, nil
}
