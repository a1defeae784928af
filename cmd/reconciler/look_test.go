package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"

	nethtml "golang.org/x/net/html"
)

// The look around: whatever the program shows on its address is asked for before it stops, and
// is looked through at the end, whether a test reads it itself or not. It begins where people and
// scripts begin, and follows every link that stays at the address.

const (
	// some is how many pages of one route are asked for: all are told in the same words.
	some = 8
	// maxAsked is more than any page has, in bytes.
	maxAsked = 64 << 20
)

// begins are where a look begins: the front page, and what no page leads to.
func begins() []string {
	return []string{"/", "/api/clients", "/api/deployments", "/mail/", "/pulls/", "/metrics", "/healthz", "/readyz", "/api/nothing", "/nothing",
		forgePath + "/", forgePath + "/nothing", simulatedPath + "/", webhookPath, stripePath, "/git/" + demoRepository + ".git/info/refs?service=git-upload-pack"}
}

// answer is what came for a path.
type answer struct {
	code     int
	body, to string // to: where it leads on
}

// survey is one look around.
type survey struct {
	ask    func(path string) (answer, error) // hears what is answered
	ours   func(host string) bool            // this host is the address, too
	plant  func(whose, value string)         // keeps what may be in no page
	asked  map[string]int                    // by route
	seen   map[string]bool
	queue  []string
	routes *http.ServeMux
}

// around asks for everything, and returns how often each route answered with what it is for.
func (l *survey) around() (map[string]int, error) {
	routes, err := allRoutes()
	if err != nil {
		return nil, err
	}
	l.asked, l.seen, l.routes = map[string]int{}, map[string]bool{}, routes.mux
	answered := map[string]int{}
	l.add("/", begins()...)
	for len(l.queue) > 0 && len(l.seen) < 5000 { // it ends whatever links are there
		path := l.queue[0]
		l.queue = l.queue[1:]
		route := l.route(path)
		if l.asked[route]++; l.asked[route] > some && route != "" {
			continue
		}
		a, err := l.ask(path)
		if err != nil {
			return answered, err
		}
		if a.code < http.StatusBadRequest {
			answered[route]++
		}
		switch {
		case route == paymentsRoute:
			l.plant("the way to payments", a.to) // lets in whoever has it
		case route == pullRoute:
			l.add(path, path+"/files") // as at GitHub, where people know it
		case a.to != "":
			l.add(path, a.to)
		}
		l.add(path, links(a.body)...)
	}
	return answered, nil
}

const (
	// paymentsRoute leads to where an account's owner goes on, at an address that is a secret.
	paymentsRoute = "GET /clients/{name}/payments"
	pullRoute     = "GET " + forgePath + "/{owner}/{repo}/pull/{number}"
)

// route is the route of a path; "": none.
func (l *survey) route(path string) string {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	_, route := l.routes.Handler(r)
	return route
}

// add queues links that stand at a path, as a browser understands them.
func (l *survey) add(at string, all ...string) {
	base := &url.URL{Path: at}
	for _, text := range all {
		u, err := base.Parse(text)
		if err != nil || u.Host != "" && (u.Scheme != "http" && u.Scheme != "https" || !l.ours(u.Host)) || u.Host == "" && u.Scheme != "" {
			continue
		}
		u.Scheme, u.Host, u.User, u.Fragment = "", "", nil, ""
		path := u.String()
		// A client's site is its own, and shows what it likes of its environment.
		if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, sitesPath) || l.seen[path] {
			continue
		}
		l.seen[path] = true
		l.queue = append(l.queue, path)
	}
}

var (
	namedInJSON  = regexp.MustCompile(`"name": ?"([a-z0-9-]+)"`)
	commitInJSON = regexp.MustCompile(`"commit": ?"([0-9a-f]{40})"`)
	idInJSON     = regexp.MustCompile(`"id": ?"(\d{8}-\d{6}-[0-9a-f]{6}-[a-z0-9-]+)"`)
)

// links are where a text leads: the links of a page, and what JSON names.
func links(body string) (out []string) {
	if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
		for pattern, paths := range map[*regexp.Regexp][]string{namedInJSON: {"/clients/", "/api/clients/"}, commitInJSON: {"/commits/"}, idInJSON: {"/api/deployments/"}} {
			for _, m := range pattern.FindAllStringSubmatch(body, some) {
				for _, path := range paths {
					out = append(out, path+m[1])
				}
			}
		}
		slices.Sort(out)
		return out
	}
	z := nethtml.NewTokenizer(strings.NewReader(body))
	for {
		switch z.Next() {
		case nethtml.ErrorToken:
			return out
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			t := z.Token()
			for _, a := range t.Attr {
				if a.Key == "href" || a.Key == "src" {
					out = append(out, a.Val)
				}
			}
		}
	}
}

// lookAround looks around the daemon.
func (w *world) lookAround() map[string]int { return w.lookAroundOf(w.daemon.program) }

func (w *world) lookAroundOf(p *program) map[string]int {
	at := p.listensAt()
	_, port, _ := net.SplitHostPort(at)
	public, _ := url.Parse(p.config.PublicURL)
	l := survey{plant: w.plantWhole,
		ours: func(host string) bool {
			return host == at || host == "localhost:"+port || host == "127.0.0.1:"+port || public != nil && public.Host != "" && host == public.Host
		},
		ask: func(path string) (answer, error) { return w.askAt(at, "localhost", path) }}
	answered, err := l.around()
	var away *net.OpError
	if err != nil && !errors.As(err, &away) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		w.t.Errorf("P10: look around: %v", err)
	}
	return answered // of one that shows nothing, or not any more: nothing
}

// askAt asks an address for a host's page, and hears what is answered.
func (w *world) askAt(at, host, path string) (answer, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+at+path, nil)
	if err != nil {
		return answer{}, err
	}
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		return answer{}, err
	}
	req.Host = net.JoinHostPort(host, port)
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAsked))
	w.hear("page "+host+path, string(body))
	return answer{res.StatusCode, string(body), res.Header.Get("Location")}, err
}
