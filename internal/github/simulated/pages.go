package simulated

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/gitserver"
)

//go:embed page
var pageFiles embed.FS

const (
	maxForm   = 256 << 10
	maxRows   = 100     // of any list on a page
	maxShown  = 2_000   // lines of a file
	maxBranch = 100     // characters of a branch's name
	maxFile   = 200_000 // bytes that can be edited on a page
)

// pages shows the forge to people.
type pages struct {
	f     *Forge
	tmpl  *template.Template
	style []byte
}

// Pages answers with the pages for people, below any prefix that was stripped. They answer
// this machine only, need no script, and take forms only from themselves. Whoever uses them
// is Options.Visitor.
func (f *Forge) Pages() (http.Handler, error) {
	p := &pages{f: f}
	var err error
	if p.style, err = pageFiles.ReadFile("page/forge.css"); err != nil {
		return nil, err
	}
	if p.tmpl, err = template.New("").Funcs(p.words()).ParseFS(pageFiles, "page/*.html"); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /forge.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(p.style) // whoever asked has gone
	})
	const at = "/{owner}/{repo}"
	mux.HandleFunc("GET /{$}", p.overview)
	mux.HandleFunc("GET "+at, p.ours(p.overview))
	mux.HandleFunc("GET "+at+"/{$}", p.ours(p.overview))
	mux.HandleFunc("GET "+at+"/pulls", p.ours(p.overview))
	mux.HandleFunc("GET "+at+"/pull/{number}", p.ours(p.pull))
	mux.HandleFunc("GET "+at+"/pull/{number}/files", p.ours(p.pull))
	mux.HandleFunc("GET "+at+"/commits/{branch...}", p.ours(p.commits))
	mux.HandleFunc("GET "+at+"/commit/{sha}", p.ours(p.commit))
	mux.HandleFunc("GET "+at+"/deployments", p.ours(p.deployments))
	mux.HandleFunc("GET "+at+"/runs/{id}", p.ours(p.run))
	mux.HandleFunc("GET "+at+"/blob/{path...}", p.ours(p.blob))
	mux.HandleFunc("GET "+at+"/tree/{path...}", p.ours(p.tree))
	mux.HandleFunc("GET "+at+"/edit/{path...}", p.ours(p.editor))
	mux.HandleFunc("GET "+at+"/new/{path...}", p.ours(p.editor))
	mux.HandleFunc("POST "+at+"/pulls", p.ours(p.open))
	mux.HandleFunc("POST "+at+"/pull/{number}/{act}", p.ours(p.act))
	mux.HandleFunc("POST "+at+"/edit/{path...}", p.ours(p.save))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { p.wrong(w, r, ErrNotFound) })
	return p.guard(http.NewCrossOriginProtection().Handler(mux)), nil
}

// ours answers only for this repository.
func (p *pages) ours(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.PathValue("owner"), p.f.o.Owner) || !strings.EqualFold(r.PathValue("repo"), p.f.o.Repo) {
			p.wrong(w, r, ErrNotFound)
			return
		}
		h(w, r)
	}
}

// guard answers this machine only, and says what a browser may do with the answer.
func (p *pages) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Cache-Control", "no-store")
		switch a, err := netip.ParseAddrPort(r.RemoteAddr); {
		case err != nil || !a.Addr().Unmap().IsLoopback():
			http.Error(w, "only this machine is answered", http.StatusForbidden)
		case !p.served(r.Host):
			http.Error(w, "this host name is not served here", http.StatusMisdirectedRequest)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			h.ServeHTTP(w, r)
		}
	})
}

// served says that a Host is this machine's own, or that of BaseURL: another one would be
// a name that somebody made lead here.
func (p *pages) served(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.EqualFold(host, hostOf(p.f.o.BaseURL))
}

// frame is what every page gets.
type frame struct {
	Base, Home, Owner, Repo, Clone, Visitor string
	At                                      string // Base/OWNER/REPO
	Main                                    string // branch
	Title                                   string
	Page                                    any
}

// base is the prefix that was stripped from the request's path.
func base(r *http.Request) string {
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimSuffix(u.Path, r.URL.Path), "/")
}

// show answers with a page.
func (p *pages) show(w http.ResponseWriter, r *http.Request, status int, name, title string, v any) {
	f := p.f
	fr := frame{Base: base(r), Home: f.o.Home, Owner: f.o.Owner, Repo: f.o.Repo, Clone: f.o.CloneURL, Visitor: f.o.Visitor, Main: f.own, Title: title, Page: v}
	fr.At = fr.Base + "/" + f.o.Owner + "/" + f.o.Repo
	var b bytes.Buffer
	if err := p.tmpl.ExecuteTemplate(&b, name, fr); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // whoever asked has gone
}

// wrong answers with what went wrong, in words for whoever clicked.
func (p *pages) wrong(w http.ResponseWriter, r *http.Request, err error) {
	status, words := http.StatusInternalServerError, "Something went wrong here. Try again."
	switch {
	case notFound(err) || errors.Is(err, gitserver.ErrName) && r.Method == http.MethodGet:
		status, words = http.StatusNotFound, "There is nothing at this address."
	case errors.Is(err, gitserver.ErrNothing):
		status, words = http.StatusUnprocessableEntity, "Nothing was changed, so there is nothing to commit."
	case errors.Is(err, gitserver.ErrName):
		status, words = http.StatusUnprocessableEntity, "That is not an allowed name of a branch or file."
	case errors.Is(err, ErrRefused):
		status, words = http.StatusConflict, "That is not possible: "+strings.TrimSuffix(err.Error(), ": "+ErrRefused.Error())+"."
	}
	p.show(w, r, status, "problem.html", "Problem", words)
}

// open opens a pull request from a form.
func (p *pages) open(w http.ResponseWriter, r *http.Request) {
	n, err := p.f.OpenPull(Proposal{Head: r.PostFormValue("head"), Title: strings.TrimSpace(r.PostFormValue("title")), Body: r.PostFormValue("body"), Author: p.f.o.Visitor})
	p.done(w, r, "/pull/"+strconv.Itoa(n), err)
}

// done leads on to a page below the repository's.
func (p *pages) done(w http.ResponseWriter, r *http.Request, to string, err error) {
	if err != nil {
		p.wrong(w, r, err)
		return
	}
	http.Redirect(w, r, base(r)+"/"+p.f.o.Owner+"/"+p.f.o.Repo+to, http.StatusSeeOther)
}

// act does what a button of a pull request's page says.
func (p *pages) act(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		p.wrong(w, r, ErrNotFound)
		return
	}
	f, by, to := p.f, p.f.o.Visitor, "/pull/"+strconv.Itoa(number)
	switch r.PathValue("act") {
	case "comment":
		text := r.PostFormValue("body")
		if strings.TrimSpace(text) == "" {
			break
		}
		var id int64
		if id, err = f.Comment(by, number, text); err == nil {
			to += "#issuecomment-" + strconv.FormatInt(id, 10)
		}
	case "merge":
		_, err = f.Merge(number, Kind(r.PostFormValue("kind")), by)
	case "close":
		err = f.ClosePull(number, by)
	case "reopen":
		err = f.Reopen(number, by)
	case "revert":
		var opened int
		if opened, err = f.Revert(number, by); err == nil {
			to = "/pull/" + strconv.Itoa(opened)
		}
	case "apply":
		var id int64
		if id, err = strconv.ParseInt(r.PostFormValue("suggestion"), 10, 64); err == nil {
			err = f.Apply(id, by)
		}
	default:
		err = ErrNotFound
	}
	p.done(w, r, to, err)
}

// save commits an edited file: to its branch, or to a new one with a pull request.
func (p *pages) save(w http.ResponseWriter, r *http.Request) {
	branch, path, err := p.split(r.PathValue("path"))
	if err != nil {
		p.wrong(w, r, err)
		return
	}
	if to := strings.TrimSpace(r.PostFormValue("path")); to != "" { // a new file
		path = to
	}
	f, by := p.f, p.f.o.Visitor
	text := strings.ReplaceAll(r.PostFormValue("text"), "\r\n", "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	files := map[string]*string{path: &text}
	if r.PostFormValue("delete") != "" {
		files[path] = nil
	}
	message := strings.TrimSpace(r.PostFormValue("message"))
	if message == "" {
		message = "Change " + path
	}
	target := branch
	if name := strings.TrimSpace(r.PostFormValue("branch")); r.PostFormValue("where") == "new" && name != "" {
		target = name
	}
	if len(target) > maxBranch || len(text) > maxFile {
		p.wrong(w, r, gitserver.ErrName)
		return
	}
	if _, err := f.Push(target, files, message+"\n", by); err != nil {
		p.wrong(w, r, err)
		return
	}
	if n := p.openOf(target); n > 0 || target == f.own {
		to := "/commits/" + escapePath(target)
		if n > 0 {
			to = "/pull/" + strconv.Itoa(n)
		}
		p.done(w, r, to, nil)
		return
	}
	n, err := f.OpenPull(Proposal{Head: target, Title: message, Author: by})
	p.done(w, r, "/pull/"+strconv.Itoa(n), err)
}

// openOf is the open pull request of a branch; 0 without one.
func (p *pages) openOf(branch string) int {
	for _, q := range p.f.Pulls() {
		if q.State == "open" && q.HeadRef == branch && q.Fork == "" {
			return q.Number
		}
	}
	return 0
}
