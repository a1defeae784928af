package simulated

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/gitserver"
	"github.com/compassdigital/reconciler/internal/report"
)

func (p *pages) commits(w http.ResponseWriter, r *http.Request) {
	branch := r.PathValue("branch")
	if branch == "" {
		branch = p.f.own
	}
	tip, err := p.f.Branch(branch)
	if err != nil {
		p.wrong(w, r, err)
		return
	}
	rows, err := p.history("", tip)
	if err != nil {
		p.wrong(w, r, err)
		return
	}
	p.show(w, r, http.StatusOK, "commits.html", "Commits of "+report.Line(branch), struct {
		Branch  string
		Commits []commitRow
	}{branch, rows})
}

func (p *pages) commit(w http.ResponseWriter, r *http.Request) {
	c, err := p.f.resolve(r.PathValue("sha"))
	if err != nil {
		p.wrong(w, r, err)
		return
	}
	files, err := p.f.filesOf(c)
	if err != nil {
		p.wrong(w, r, err)
		return
	}
	v := struct {
		commitRow
		Message string
		Parents []string
		Files   []fileDiff
		Checks  []Check
	}{p.row(c), c.Message, c.Parents, files, p.f.Checks(c.ID)}
	p.show(w, r, http.StatusOK, "commit.html", report.Line(v.Subject), v)
}

func (p *pages) deployments(w http.ResponseWriter, r *http.Request) {
	all := p.f.Deployments("")
	slices.Reverse(all)
	p.show(w, r, http.StatusOK, "deployments.html", "Deployments", all[:min(len(all), maxRows)])
}

func (p *pages) run(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64) // no number is nobody's
	f := p.f
	f.mu.Lock()
	var found *Check
	for _, k := range f.w.Checks {
		if k.ID == id {
			one := *k
			one.Annotations = slices.Clone(k.Annotations)
			found = &one
		}
	}
	f.mu.Unlock()
	if found == nil {
		p.wrong(w, r, ErrNotFound)
		return
	}
	md := newMarkdown(func(int) (string, bool) { return "", false })
	p.show(w, r, http.StatusOK, "run.html", report.Line(found.Name), struct {
		Check
		Words template.HTML
	}{*found, md.render(found.Summary + "\n\n" + found.Text)})
}

// split is what a path names: a branch or commit, and a file below it.
func (p *pages) split(text string) (ref, file string, err error) {
	f := p.f
	f.mu.Lock()
	for name := range f.w.Branches[f.o.Repo] { // the longest one decides
		if (text == name || strings.HasPrefix(text, name+"/")) && len(name) > len(ref) {
			ref = name
		}
	}
	f.mu.Unlock()
	if ref == "" {
		if ref, _, _ = strings.Cut(text, "/"); ref == "" {
			return "", "", ErrNotFound
		}
	}
	return ref, strings.TrimPrefix(strings.TrimPrefix(text, ref), "/"), nil
}

// read is a file's text; an empty name is no file.
func (p *pages) read(ref, file string) (text string, there bool, err error) {
	c, err := p.f.resolve(ref)
	if err != nil || file == "" {
		return "", false, err
	}
	err = p.f.git.View(p.f.o.Repo, func(r *gitserver.Repository) error {
		b, err := r.File(c.Tree, file)
		if errors.Is(err, gitserver.ErrName) { // a folder, such as clients/
			return nil
		}
		if err != nil || b.ID == "" || b.Module {
			return err
		}
		there = true
		text, err = r.Text(b.ID)
		return err
	})
	return text, there, err
}

// fileView is what blob.html and edit.html get.
type fileView struct {
	Ref, Path, Text string
	Lines           []string
	Branch          bool // Ref is one, so that it can be edited
	Main            bool
	New             bool
	Proposed        string // name for a new branch
	Mark            int    // line to look at
}

func (p *pages) fileView(r *http.Request) (v fileView, there bool, err error) {
	if v.Ref, v.Path, err = p.split(r.PathValue("path")); err != nil {
		return v, false, err
	}
	if v.Text, there, err = p.read(v.Ref, v.Path); err != nil {
		return v, false, err
	}
	_, gone := p.f.Branch(v.Ref)
	v.Branch, v.Main = gone == nil, v.Ref == p.f.own
	v.Lines = strings.Split(strings.TrimSuffix(v.Text, "\n"), "\n")
	v.Lines = v.Lines[:min(len(v.Lines), maxShown)]
	name := strings.TrimSuffix(path.Base(v.Path), path.Ext(v.Path))
	v.Proposed = strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(name)), "-")
	v.Proposed = "change-" + v.Proposed + fmt.Sprintf("-%d", len(p.f.Pulls())+1)
	return v, there, nil
}

func (p *pages) blob(w http.ResponseWriter, r *http.Request) {
	v, there, err := p.fileView(r)
	if err == nil && !there {
		err = ErrNotFound
	}
	if err != nil {
		p.wrong(w, r, err)
		return
	}
	p.show(w, r, http.StatusOK, "blob.html", report.Line(v.Path), v)
}

func (p *pages) editor(w http.ResponseWriter, r *http.Request) {
	v, there, err := p.fileView(r)
	v.New = strings.HasPrefix(strings.TrimPrefix(r.URL.Path, "/"+r.PathValue("owner")+"/"+r.PathValue("repo")), "/new/")
	switch {
	case err == nil && (!v.Branch || len(v.Text) > maxFile || !v.New && !there):
		err = ErrNotFound
	case err == nil && v.New:
		v.Text, v.Proposed = "", strings.Replace(v.Proposed, "change-", "add-", 1)
	}
	if err != nil {
		p.wrong(w, r, err)
		return
	}
	p.show(w, r, http.StatusOK, "edit.html", "Edit", v)
}

func (p *pages) tree(w http.ResponseWriter, r *http.Request) {
	ref, dir, err := p.split(r.PathValue("path"))
	if err != nil {
		p.wrong(w, r, err)
		return
	}
	c, err := p.f.resolve(ref)
	var list []gitserver.Entry
	if err == nil {
		err = p.f.git.View(p.f.o.Repo, func(g *gitserver.Repository) (err error) {
			list, err = g.List(c.Tree, dir)
			return err
		})
	}
	if err != nil && !errors.Is(err, gitserver.ErrNothing) {
		p.wrong(w, r, err)
		return
	}
	up := path.Dir(dir)
	if up == "." {
		up = ""
	}
	p.show(w, r, http.StatusOK, "tree.html", report.Line(dir), struct {
		Ref, Dir, Up string
		Entries      []gitserver.Entry
	}{ref, dir, up, list})
}
