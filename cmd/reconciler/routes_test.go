package main

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// routes are what the program's sources register on its address.
type routes struct {
	all []string
	mux *http.ServeMux // which route a path is
}

// sourcesOfRoutes are the folders with them, and the folder of the address that they are in.
var sourcesOfRoutes = []struct{ dir, file, below string }{
	{".", "demoforge.go", forgePath},
	{".", "", ""},
	{"../../internal/web", "", ""},
	{"../../internal/github/simulated", "", forgePath},
}

// allRoutes reads them from the sources: a list of ours could be forgotten.
var allRoutes = sync.OnceValues(func() (routes, error) {
	r, read := routes{mux: http.NewServeMux()}, map[string]bool{}
	for _, source := range sourcesOfRoutes {
		files, err := filepath.Glob(filepath.Join(source.dir, cmp.Or(source.file, "*.go")))
		if err != nil || len(files) == 0 {
			return r, fmt.Errorf("no sources in %s: %w", source.dir, err)
		}
		files = slices.DeleteFunc(files, func(file string) bool { return strings.HasSuffix(file, "_test.go") || read[file] })
		for _, file := range files {
			read[file] = true
		}
		found, err := registered(source.dir, files)
		if err != nil {
			return r, err
		}
		for _, pattern := range found {
			method, path, is := strings.Cut(pattern, " ")
			if !is { // of any method
				method, path = http.MethodGet, pattern
			}
			pattern = method + " " + source.below + path
			if slices.Contains(r.all, pattern) {
				continue
			}
			r.all = append(r.all, pattern)
			if !strings.HasSuffix(pattern, "/") { // else it is a room, with routes of its own
				r.mux.HandleFunc(pattern, http.NotFound)
			}
		}
	}
	slices.Sort(r.all)
	return r, nil
})

// registered are the patterns that files of a folder register. What stands in a pattern and is no
// constant is a part that may be anything.
func registered(dir string, files []string) (out []string, err error) {
	set, words, parsed := token.NewFileSet(), map[string]ast.Expr{}, []*ast.File{}
	all, err := filepath.Glob(filepath.Join(dir, "*.go")) // constants are anywhere
	if err != nil {
		return nil, err
	}
	for _, file := range all {
		f, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if slices.Contains(files, file) {
			parsed = append(parsed, f)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if d, is := n.(*ast.GenDecl); is && d.Tok == token.CONST {
				for _, s := range d.Specs {
					for i, value := range s.(*ast.ValueSpec).Values {
						words[s.(*ast.ValueSpec).Names[i].Name] = value
					}
				}
			}
			return true
		})
	}
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			c, is := n.(*ast.CallExpr)
			if !is || len(c.Args) != 2 {
				return true
			}
			if s, is := c.Fun.(*ast.SelectorExpr); !is || s.Sel.Name != "Handle" && s.Sel.Name != "HandleFunc" {
				return true
			}
			pattern := patternOf(c.Args[0], words)
			if !strings.Contains(pattern, "/") {
				err = fmt.Errorf("%s: no pattern: %q", set.Position(c.Pos()), pattern)
			}
			out = append(out, pattern)
			return true
		})
	}
	return out, err
}

func patternOf(x ast.Expr, words map[string]ast.Expr) string {
	switch x := x.(type) {
	case *ast.BinaryExpr:
		return patternOf(x.X, words) + patternOf(x.Y, words)
	case *ast.BasicLit:
		text, err := strconv.Unquote(x.Value)
		if err == nil {
			return text
		}
	case *ast.Ident:
		if value := words[x.Name]; value != nil {
			return patternOf(value, words)
		}
		return "{" + x.Name + "}"
	}
	return "{}"
}

// notLookedAt are routes that the look around need not see anything of, with their reasons.
func notLookedAt() map[string]string {
	return map[string]string{
		"GET /":                                   "says that there is nothing",
		"GET /git/":                               "the repository, which is whoever's commits to it",
		"GET /api/":                               "says that there is nothing",
		"GET " + webhookPath:                      "takes posts, and says so",
		"GET " + stripePath:                       "takes posts, and says so",
		"GET " + forgePath + "/":                  "the forge's pages, which have routes of their own",
		"GET " + forgePath + "/api/v3/":           "GitHub's API, which asks for a token: what it is sent is heard where it is said",
		"GET " + simulatedPath + "/":              "what is simulated, which has routes of its own",
		"GET " + simulatedPath + "/{name}/":       "the vendors' APIs, which ask for a token",
		"GET " + simulatedPath + "/stripe/setup/": "a vendor's page, at an address that is a secret",
		"GET /forge/{owner}/{repo}/runs/{id}":     "checks are an app's, and the demonstration has a token",
		"GET /forge/{owner}/{repo}/{$}":           "the same as without the last slash",
	}
}

// P10: every route that the program registers is seen by the look around, in an installation that
// has them all: a new one that no page leads to has to be put where the look begins. The control: a
// leak in what only they show is found.
func TestP10TheLookSeesEveryRoute(t *testing.T) {
	all, err := allRoutes()
	if err != nil || len(all.all) < 35 {
		t.Fatalf("%v: %q", err, all.all)
	}
	d := startSimulated(t, filepath.Join(t.TempDir(), "demo"), &quickClock{})
	d.ears.leaky = true // as planned
	leak := invented("leak in a proposal")
	d.plant("the leak", leak)
	work := filepath.Join(t.TempDir(), "clients")
	base := "http://" + d.p.listensAt()
	d.git2(".", "clone", "-q", base+"/git/"+demoRepository+".git", work)
	text := strings.ReplaceAll(readAll(t, filepath.Join(work, "clients", "demoshop.yaml")), "demoshop", "words")
	writeAll(t, filepath.Join(work, "clients", "words.yaml"), text+"notes: "+leak+"\n")
	d.git2(work, "switch", "-q", "-c", "words")
	d.git2(work, "add", "-A")
	d.git2(work, "commit", "-q", "-m", "Add words")
	d.git2(work, "push", "-q", "origin", "words")
	forge := forgePath + "/" + demoOwner + "/" + demoRepository
	if at := d.click(base+forge+"/pulls", "head=words&title="+leak); at != forge+"/pull/1" {
		t.Fatalf("the proposal is at %q", at)
	}
	d.until("it is planned", func() bool { _, page := d.page("", "/pulls/1"); return strings.Contains(page, "<h2>words</h2>") })
	answered, excepted := d.lookAroundOf(d.p), notLookedAt()
	for _, route := range all.all {
		switch {
		case strings.HasPrefix(route, http.MethodPost+" "): // leads to a page, which is looked at
		case answered[route] == 0 && excepted[route] == "":
			t.Errorf("the look around sees nothing of %s", route)
		case answered[route] > 0 && excepted[route] != "":
			t.Errorf("%s is seen: it is no exception", route)
		}
		delete(excepted, route)
	}
	for route := range excepted {
		t.Errorf("there is no route %s to be left out", route)
	}
	// A vendor repeats what it should not, on the way to payments.
	d.p.sims.faults["stripe"].Add(simulator.Fault{Method: http.MethodPost, Path: "/v1/account_links", Times: -1, Do: simulator.Refuse(http.StatusBadRequest, nil, fmt.Sprintf(`{"error": {"type": "invalid_request_error", "message": "not %s"}}`, leak))})
	d.end() // looks around again
	found, err := d.leaks()
	if err != nil {
		t.Fatal(err)
	}
	for _, sink := range []string{"page localhost/pulls/", "page localhost/pulls/1", "page localhost/clients/timmerhout/payments", "page localhost" + forgePath + "/", "page localhost" + forge + "/pull/1", "page localhost" + forge + "/pull/1/files"} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, sink+" holds the leak (") }) {
			t.Errorf("not found: %s; but %q", sink, found)
		}
	}
}

// P10, the control of what is kept of proposals and commits and shown of them: a leak in the plan,
// which is packed, in the proposal, a verdict or a deployment is found where it is kept and on each
// page, in a proposal's whole plan, too.
func TestP10LeaksInProposalsAreFound(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	h.ears.leaky = true // as planned
	leak := invented("leak in a plan")
	h.plant("the leak", leak)
	h.look()
	h.active("bakery")
	n := h.propose("words", map[string]string{"clients/bakery.yaml": manifestOf("bakery", "env: {WORDS: "+leak[:40]+"}")})
	h.look()
	commit := h.git("rev-parse", "HEAD")
	var deployment string
	err := h.daemon.program.store.Update(func(tx store.Tx) error {
		p, _, err := store.Pull(tx, n)
		if err != nil {
			return err
		}
		p.Title = leak
		v, is, err := store.Verdict(tx, commit)
		if err != nil || !is {
			return fmt.Errorf("no verdict: %w", err)
		}
		v.Invalid = append(v.Invalid, state.FileProblem{Path: "clients/x.yaml", Text: "it says " + leak})
		d, err := store.Deployments(tx, "", 1)
		if err != nil || len(d) == 0 {
			return fmt.Errorf("no deployment: %w", err)
		}
		d[0].Error, deployment = leak, d[0].ID
		return errors.Join(store.PutPull(tx, p), store.PutVerdict(tx, v), store.PutDeployment(tx, d[0]))
	})
	if err != nil {
		t.Fatal(err)
	}
	h.stop() // looks around
	found, err := h.leaks()
	if err != nil {
		t.Fatal(err)
	}
	for _, sink := range []string{"record of plans", "record of pulls", "record of verdicts", "page localhost/pulls/", fmt.Sprintf("page localhost/pulls/%d", n), fmt.Sprintf("page localhost/api/pulls/%d/plan", n),
		"page localhost/commits/" + commit, "page localhost/api/deployments/" + deployment, "what GitHub is sent"} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, sink+" holds the leak (") }) {
			t.Errorf("not found: %s; but %q", sink, found)
		}
	}
}

// The sources of routes are read as they are written.
func TestRegisteredReadsRoutes(t *testing.T) {
	dir := t.TempDir()
	writeAll(t, filepath.Join(dir, "x.go"), "package x\nconst at = `/things`\nfunc f() {\n\tmux.Handle(at+`/`+name+`/{id}`, nil)\n\tmux.HandleFunc(`GET `+at, nil)\n\tother(at, nil)\n}\n")
	found, err := registered(dir, []string{filepath.Join(dir, "x.go")})
	if want := []string{"/things/{name}/{id}", "GET /things"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("%q %v", found, err)
	}
}
