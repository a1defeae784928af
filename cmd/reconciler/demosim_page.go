package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/web"
)

// Limits of what a person asks to go wrong.
const (
	maxFaultWord  = 200 // bytes
	maxFaultTimes = 1000
	maxFaultTime  = time.Hour
)

// faultHelp says how a fault is written.
const faultHelp = "VENDOR:WHAT[:HOW], as cloudflare:503:30s, vercel:429:3 or ploi:lose-answer: WHAT is a status from 400 to 599, html, lose-request or lose-answer; HOW a number of requests or a time, once without it"

// fault lets a vendor fail as a word says.
func (s *simulations) fault(word string) error {
	parts := strings.Split(strings.TrimSpace(word), ":")
	if len(parts) < 2 || len(parts) > 3 || s.faults[parts[0]] == nil {
		return usageError{fmt.Sprintf("%q is no fault: it is %s; vendors are %s", word, faultHelp, strings.Join(simulatedVendors(), ", "))}
	}
	f := simulator.Fault{}
	switch status, err := strconv.Atoi(parts[1]); {
	case parts[1] == "lose-answer":
		f.Do = simulator.LoseAnswer()
	case parts[1] == "lose-request":
		f.Do = simulator.LoseRequest()
	case parts[1] == "html":
		f.Do = simulator.Refuse(http.StatusBadGateway, http.Header{"Content-Type": {"text/html"}}, "<html><h1>502 Bad Gateway</h1></html>")
	case err == nil && status >= 400 && status <= 599:
		f.Do = simulator.Refuse(status, http.Header{"Content-Type": {"application/json"}}, refusalOf(parts[0], status))
	default:
		return usageError{fmt.Sprintf("%q is no fault: it is %s", word, faultHelp)}
	}
	if len(parts) == 3 {
		n, err := strconv.Atoi(parts[2])
		d, failed := time.ParseDuration(parts[2])
		switch {
		case err == nil && n > 0 && n <= maxFaultTimes:
			f.Times = n
		case failed == nil && d > 0 && d <= maxFaultTime:
			until := s.now().Add(d)
			f.Times, f.Match = -1, func(*http.Request, []byte) bool { return s.now().Before(until) }
		default:
			return usageError{fmt.Sprintf("%q is no fault: it is %s", word, faultHelp)}
		}
	}
	s.faults[parts[0]].Add(f)
	return nil
}

// refusalOf is a refusal in a vendor's own form.
func refusalOf(vendor string, status int) string {
	const words = "as you asked for"
	var body any
	switch vendor {
	case "vercel":
		body = map[string]any{"error": map[string]any{"code": "as_asked", "message": words}}
	case "railway":
		body = map[string]any{"errors": []any{map[string]any{"message": words}}}
	case "cloudflare":
		body = map[string]any{"success": false, "errors": []any{map[string]any{"code": 1000, "message": words}}, "messages": []any{}, "result": nil}
	case "resend":
		body = map[string]any{"statusCode": status, "name": "application_error", "message": words}
	default: // Ploi
		body = map[string]any{"message": words}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return words
	}
	return string(text)
}

// handler serves the vendors' APIs, the page about them, and takes faults. It answers this
// machine only, and no other site's page may ask it for anything.
func (s *simulations) handler() http.Handler {
	mux := http.NewServeMux()
	for name, api := range s.api {
		mux.Handle(simulatedPath+"/"+name+"/", http.StripPrefix(simulatedPath+"/"+name, api))
	}
	mux.HandleFunc("GET "+simulatedPath+"/{$}", s.page)
	mux.HandleFunc("POST "+simulatedPath+"/faults", s.takeFault)
	return web.FromHere(http.NewCrossOriginProtection().Handler(mux))
}

// takeFault takes a fault, as the body of curl -d or from the page's form.
func (s *simulations) takeFault(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFaultWord))
	if err != nil {
		http.Error(w, "the fault is too long", http.StatusRequestEntityTooLarge)
		return
	}
	word, form := strings.CutPrefix(string(body), "fault=")
	word = strings.NewReplacer("%3A", ":", "%3a", ":", "+", "", " ", "").Replace(word)
	if err := s.fault(word); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if form {
		http.Redirect(w, r, simulatedPath+"/", http.StatusSeeOther)
		return
	}
	fmt.Fprintln(w, "noted:", strings.TrimSpace(word))
}

// shownVendor is a row of the page.
type shownVendor struct {
	Name, API, Has string
	Happened       []string
}

// page shows what is simulated, what is there, and how to make it fail.
func (s *simulations) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	t, err := template.New("simulated").Parse(simulatedPage)
	if err == nil {
		var rows []shownVendor
		for _, name := range simulatedVendors() {
			v := shownVendor{Name: name, API: s.address(s.listens(), name) + map[string]string{"ploi": "/api", "railway": "/graphql/v2", "cloudflare": "/client/v4"}[name], Has: s.has(name)}
			for what, n := range s.faults[name].Happened() {
				v.Happened = append(v.Happened, fmt.Sprintf("%s (%d)", what, n))
			}
			sort.Strings(v.Happened)
			rows = append(rows, v)
		}
		err = t.Execute(w, map[string]any{"Vendors": rows, "Faults": "http://" + s.listens() + simulatedPath + "/faults", "Help": faultHelp, "Words": faultWords()})
	}
	if err != nil && !errors.Is(err, http.ErrAbortHandler) {
		http.Error(w, "the page can't be shown", http.StatusInternalServerError)
	}
}

// has says what a vendor keeps.
func (s *simulations) has(name string) string {
	switch name {
	case "ploi":
		return counted(len(s.ploi.Sites()), "site", "sites")
	case "vercel":
		return counted(len(s.vercel.Names()), "project", "projects")
	case "railway":
		n := 0
		for _, p := range s.railway.Projects() {
			if !p.Deleted {
				n++
			}
		}
		return counted(n, "project", "projects")
	case "cloudflare":
		return counted(s.records(), "record", "records")
	}
	return counted(len(s.resend.Sent()), "mail", "mails")
}

func (s *simulations) records() (n int) {
	for i := range s.zones {
		n += len(s.cloudflare.Records(fmt.Sprintf("%032x", i+1)))
	}
	return n
}

// faultWords are a few faults to choose from.
func faultWords() []string {
	var out []string
	for _, name := range simulatedVendors() {
		for _, what := range []string{"503:30s", "429:3", "html:3", "lose-answer", "401:3"} {
			out = append(out, name+":"+what)
		}
	}
	return out
}

const simulatedPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Simulated vendors</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c1917; background: #fff }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #d6d3d1; vertical-align: top }
code, pre { font: 14px/1.5 ui-monospace, monospace }
pre { background: #f5f5f4; padding: .8rem; overflow-x: auto }
button, input { font: inherit; padding: .3rem .6rem }
</style>
<h1>Simulated vendors</h1>
<p>Ploi, Vercel, Railway, Cloudflare and Resend are simulated on this machine. The daemon speaks with them over HTTP as with the real ones, and nothing
leaves the machine. Sites show what was built, not a shop; behind Railway's databases there is no server, and the sites need none.
<a href="/">Dashboard</a> · <a href="/forge/">Forge</a> · <a href="/mail/">Mail</a></p>
<table>
<tr><th>Vendor<th>It has<th>Its API<th>What went wrong
{{range .Vendors}}<tr><td>{{.Name}}<td>{{.Has}}<td><code>{{.API}}</code><td>{{range $i, $x := .Happened}}{{if $i}}, {{end}}{{$x}}{{else}}nothing{{end}}
{{end}}</table>
<h2>Make one fail</h2>
<form method="post" action="/simulated/faults"><label>Fault <input name="fault" value="cloudflare:503:30s" size="30" list="words"></label> <datalist id="words">{{range .Words}}<option value="{{.}}">{{end}}</datalist> <button>Let it happen</button></form>
<pre>curl -d cloudflare:503:30s {{.Faults}}</pre>
<p>A fault is {{.Help}}.</p>
</html>
`
