package simulated

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Pages are what a site serves.
type Pages struct {
	Printed []string `json:"printed,omitempty"` // what its deployment printed
	Sick    bool     `json:"sick,omitempty"`    // its health check fails
}

// logLag is how late a log may be.
const logLag = 5 * time.Second

// maxLogs is how many log entries a site keeps.
const maxLogs = 50

var (
	breaks  = regexp.MustCompile(`"?breakBuild"?\s*[:=]\s*"?true`)
	sickens = regexp.MustCompile(`"?breakHealth"?\s*[:=]\s*"?true`)
	echoes  = regexp.MustCompile(`^echo '([^']*)'$`)
)

// run is what a script prints and whether it fails.
func (v *Vendor) run(s *Site) (lines []string, fails bool) {
	for line := range strings.SplitSeq(s.Script.Now, "\n") {
		if m := echoes.FindStringSubmatch(line); m != nil {
			lines = append(lines, m[1])
		}
	}
	if v.o.Build != nil {
		more, fails := v.o.Build(s.Domain, s.Script.Now, s.Env.Now)
		return append(lines, more...), fails
	}
	if breaks.MatchString(s.Script.Now) || breaks.MatchString(s.Env.Now) {
		return append(lines, "Error: breakBuild is set"), true
	}
	return lines, false
}

func (v *Vendor) deploy(s *Site) {
	lines, fails := v.run(s)
	s.Deployments++
	if !v.o.Doubts.DeployedLate {
		s.LastDeploy = stamp(v.o.Now())
	}
	v.begin(s, "deploying", v.o.BuildTime, job{Kind: "deploy", Log: lines, Fails: fails, Pages: Pages{lines, sickens.MatchString(s.Script.Now)}})
}

// live is what a deployment that runs has printed so far: its first line at once, the others
// spread over the time that it takes.
func (v *Vendor) live(s *Site) string {
	lines := s.Job.Log
	if s.Job.Kind != "deploy" || len(lines) == 0 {
		return ""
	}
	left := s.Job.Until.Sub(v.o.Now())
	n := len(lines) - int(int64(len(lines))*int64(left)/int64(max(v.o.BuildTime, 1)))
	return strings.Join(lines[:min(max(n, 1), len(lines))], "\n")
}

func (v *Vendor) deployed(s *Site, j job) {
	at := v.o.Now()
	if v.o.Doubts.LateLog {
		at = at.Add(logLag)
	}
	s.Logs = append([]log{{v.world.IDs.Number(), "Deployed " + s.Domain, strings.Join(j.Log, "\n") + "\n", at}}, s.Logs...)
	s.Logs = s.Logs[:min(len(s.Logs), maxLogs)]
	if j.Fails {
		s.Status = "deploy-failed"
		return
	}
	s.Status, s.Pages = "active", j.Pages
	if v.o.Doubts.DeployedLate {
		s.LastDeploy = stamp(v.o.Now())
	}
}

func (l log) show(whole bool) object {
	o := object{"id": l.ID, "description": l.Title, "type": nil, "created_at": stamp(l.At), "created_at_human": "some time ago"}
	if whole {
		o["content"] = l.Content
	}
	return o
}

func (v *Vendor) withRepository(s *Site) object {
	o := object{"id": s.ID, "domain": s.Domain, "web_directory": s.Directory, "project_root": "/", "last_deploy_at": nil, "created_at": stamp(s.Created),
		"quick_deploy": s.Quick, "repository": nil}
	if r := s.Repository; r != nil {
		o["repository"] = object{"branch": r.Branch, "user": r.User, "provider": r.Provider, "name": r.Name}
	}
	return o
}

func (v *Vendor) deployRoutes() {
	v.ofSite("GET /deploy/script", func(w http.ResponseWriter, _ *http.Request, s *Site) {
		answer(w, http.StatusOK, object{"deploy_script": s.Script.Now})
	})
	v.ofSite("PATCH /deploy/script", func(w http.ResponseWriter, r *http.Request, s *Site) {
		if in, ok := input(w, r); ok {
			s.Script.put(text(in, "deploy_script"), v.o.Now().Add(v.o.Write))
			s.Script.settle(v.o.Now())
			v.done(w, "Deploy script has been updated")
		}
	})
	v.ofSite("POST /deploy", func(w http.ResponseWriter, r *http.Request, s *Site) {
		_, ok := input(w, r)
		switch {
		case !ok:
		case s.Repository == nil:
			v.invalid(w, "site", "There is no repository installed.")
		case s.Status != "active" && s.Status != "deploy-failed" && v.o.Doubts.BusyError:
			answer(w, http.StatusOK, object{"error": "A deployment is already running."})
		case s.Status != "active" && s.Status != "deploy-failed":
			v.invalid(w, "site", "A deployment is already running.")
		default:
			v.deploy(s)
			answer(w, http.StatusOK, object{"message": "Deployment has been started"})
		}
	})
	v.ofSite("GET /log", func(w http.ResponseWriter, r *http.Request, s *Site) {
		var rows []object
		for _, l := range s.Logs {
			if !l.At.After(v.o.Now()) {
				rows = append(rows, l.show(false))
			}
		}
		paged(w, r, rows)
	})
	v.ofSite("GET /log/{log}", func(w http.ResponseWriter, r *http.Request, s *Site) {
		for _, l := range s.Logs {
			if strconv.Itoa(l.ID) == r.PathValue("log") {
				answer(w, http.StatusOK, data(l.show(true)))
				return
			}
		}
		refuse(w, http.StatusNotFound, "Not found.")
	})
	v.ofSite("GET /repository", func(w http.ResponseWriter, _ *http.Request, s *Site) {
		answer(w, http.StatusOK, data(v.withRepository(s)))
	})
	v.ofSite("POST /repository", v.installRepository)
	v.ofSite("DELETE /repository", func(w http.ResponseWriter, _ *http.Request, s *Site) {
		v.begin(s, "repository-uninstalling", v.o.Work, job{Kind: "uninstall"})
		v.done(w, "Repository is being uninstalled")
	})
	v.ofSite("POST /repository/quick-deploy", func(w http.ResponseWriter, _ *http.Request, s *Site) {
		s.Quick = !s.Quick
		answer(w, http.StatusOK, object{"message": "Quick deploy has been toggled"})
	})
}

func (v *Vendor) installRepository(w http.ResponseWriter, r *http.Request, s *Site) {
	in, ok := input(w, r)
	if !ok {
		return
	}
	to := source{Provider: text(in, "provider"), Name: text(in, "name"), Branch: text(in, "branch")}
	user, _, slash := strings.Cut(to.Name, "/")
	switch {
	case to.Branch == "":
		v.invalid(w, "branch", "The branch field is required.")
		return
	case to.Provider == "custom" && !strings.HasSuffix(to.Name, ".git"), to.Provider != "custom" && !slash:
		v.invalid(w, "name", "The name format is invalid.")
		return
	case s.Status != "active" && s.Status != "deploy-failed" || s.Repository != nil:
		v.invalid(w, "site", "The site has a repository or is not ready.")
		return
	}
	to.User = user
	v.begin(s, "repository-installing", v.o.Work, job{Kind: "install", To: &to})
	answer(w, http.StatusOK, data(v.withRepository(s)))
}
