package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// release is release.json: what a folder of pages needs to be served. It is written
// last, so that a folder that has it is complete.
type release struct {
	ID          string                 `json:"id"`
	Pages       map[string]releasePage `json:"pages"`
	BreakHealth string                 `json:"breakHealth,omitempty"`
}

type releasePage struct {
	File string `json:"file"` // relative to the release's folder
	Type string `json:"type"`
}

const (
	releaseFile     = "release.json"
	environmentFile = "environment.json"
	logFile         = "build.log"
	pagesDir        = "pages"
)

// releases is the folder that they are in.
type releases struct{ dir string }

func (r releases) of(id string) string { return filepath.Join(r.dir, id) }

// begin makes the folder of a release with its environment.
func (r releases) begin(id string, env variables) error {
	if err := os.MkdirAll(r.of(id), 0o700); err != nil {
		return err
	}
	return env.save(filepath.Join(r.of(id), environmentFile))
}

func (r releases) environment(id string) (variables, error) {
	return loadVariables(filepath.Join(r.of(id), environmentFile))
}

// write puts the pages down and then release.json.
func (r releases) write(id string, s spec, pages []file) error {
	dir := r.of(id)
	if err := os.RemoveAll(filepath.Join(dir, pagesDir)); err != nil {
		return err
	}
	rel := release{ID: id, Pages: map[string]releasePage{}, BreakHealth: s.Settings.BreakHealth}
	for _, p := range pages {
		name := path.Join(pagesDir, fileName(p.Path))
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			return err
		}
		if err := writeFile(full, p.Body, 0o600); err != nil {
			return err
		}
		rel.Pages[p.Path] = releasePage{name, p.Type}
	}
	data, err := json.MarshalIndent(rel, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, releaseFile), data, 0o600)
}

// fileName is where the page of a path is kept. Paths come from the templates, never
// from a manifest.
func fileName(p string) string {
	switch {
	case p == missingPath:
		return "404.html"
	case strings.HasSuffix(p, "/"):
		return path.Join(strings.TrimPrefix(p, "/"), "index.html")
	}
	return strings.TrimPrefix(p, "/")
}

// load reads release.json; fs.ErrNotExist says that it isn't built.
func (r releases) load(id string) (release, error) {
	var rel release
	data, err := os.ReadFile(filepath.Join(r.of(id), releaseFile))
	if err != nil {
		return rel, err
	}
	if err := json.Unmarshal(data, &rel); err != nil {
		return rel, fmt.Errorf("decode release %s: %w", id, err)
	}
	return rel, nil
}

// body reads one page.
func (r releases) body(id string, p releasePage) ([]byte, error) {
	if !filepath.IsLocal(p.File) {
		return nil, fmt.Errorf("release %s names a file outside of it", id)
	}
	return os.ReadFile(filepath.Join(r.of(id), filepath.FromSlash(p.File)))
}

// saveLog keeps the build log; log returns it, nothing when there is none.
func (r releases) saveLog(id string, lines []string) error {
	return writeFile(filepath.Join(r.of(id), logFile), []byte(strings.Join(lines, "\n")), 0o600)
}

func (r releases) log(id string) []string {
	data, err := os.ReadFile(filepath.Join(r.of(id), logFile))
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(string(data), "\n")
}

func (r releases) remove(id string) error { return os.RemoveAll(r.of(id)) }

// sweep removes what belongs to no deployment: a create was cut off, or a delete.
func (r releases) sweep(keep func(id string) bool) error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !keep(e.Name()) {
			errs = append(errs, r.remove(e.Name()))
		}
	}
	return errors.Join(errs...)
}
