package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// S41 on GitHub: what was changed outside becomes a pull request that edits that value alone
// and keeps comments and order; merged, what was found is wished, and nothing else is written. With
// the answer to each first write lost, asking again goes on, and asking once more finds it: one
// branch, one commit, one pull request.
func TestS41AdoptedAsAPullRequest(t *testing.T) {
	var mu sync.Mutex
	lost := map[string]bool{"/git/refs": true, "/contents/": true, "/pulls": true} // not yet
	lose := func(h *hub, _ *simulated.Options, _ *[]string) {
		h.front = func(api, _ http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, part := range []string{"/git/refs", "/contents/", "/pulls"} {
					if r.Method == http.MethodGet || !strings.Contains(r.URL.Path, part) {
						continue
					}
					mu.Lock()
					first := !lost[part]
					lost[part] = true
					mu.Unlock()
					if first { // it is done, and nobody hears of it
						api.ServeHTTP(httptest.NewRecorder(), r)
						panic(http.ErrAbortHandler)
					}
				}
				api.ServeHTTP(w, r)
			})
		}
	}
	before := manifestOf("bakery", "dns:\n  records:\n    - {type: A, name: mail, content: 192.0.2.1}   # the mail host\n    - {type: A, name: files, content: 192.0.2.2}\n")
	h := newHub(t, map[string]string{"clients/bakery.yaml": before}, lose)
	h.look()
	h.active("bakery")
	if r := h.must(0, "drift", "bakery", "--adopt", "--propose"); strings.Contains(r.out, "Pull request") {
		t.Errorf("nothing differs, and it says\n%s", r.out)
	}
	h.byHand("mail.bakery.localhost", "198.51.100.2")
	may := func(level string) {
		h.gh.SetTokens(simulated.Token{Secret: state.NewSecret(hubToken), Login: h.bot, Permissions: map[string]string{"contents": level, "pull_requests": "write", "issues": "write", "statuses": "write", "deployments": "write"}})
	}
	may("read")
	if r := h.must(1, "drift", "bakery", "--adopt", "--propose"); !strings.Contains(r.err, `"Contents: write"`) || len(h.gh.Pulls()) > 0 {
		t.Errorf("without the permission it says\n%s", r.err)
	}
	may("write")
	mu.Lock()
	clear(lost)
	mu.Unlock()
	for range 2 { // of a branch, of a commit; of a pull request it looks by itself
		h.must(1, "drift", "bakery", "--adopt", "--propose") // the answer was lost
	}
	r := h.must(0, "drift", "bakery", "--adopt", "--propose")
	if !strings.HasPrefix(r.out, "Pull request ") || !strings.Contains(r.err, "taken over: ") {
		t.Fatalf("it says\n%s%s", r.out, r.err)
	}
	if again := h.must(0, "drift", "bakery", "--adopt", "--propose"); again.out != r.out {
		t.Errorf("asked again it says\n%s, before\n%s", again.out, r.out)
	}
	pulls := h.gh.Pulls()
	if len(pulls) != 1 {
		t.Fatalf("%d pull requests", len(pulls))
	}
	p := pulls[0]
	if got := h.commitsOf(p.HeadRef); !strings.HasPrefix(p.HeadRef, "reconciler/adopt-bakery-") || len(got) != 1 {
		t.Errorf("%s has %d commits", p.HeadRef, len(got))
	}
	if !strings.Contains(p.Body, "198.51.100.2") || !strings.Contains(p.Title, "bakery") {
		t.Errorf("%s says\n%s", p.Title, p.Body)
	}
	h.look()
	h.wantStatus(h.headOf(p.Number), "plan", "success", "")
	n := h.calls.len()
	h.merge(p.Number, simulated.Squash)
	h.look()
	h.active("bakery")
	if got := h.calls.writes(n); len(got) > 1 || len(got) == 1 && !strings.Contains(got[0], "record A mail.bakery.localhost") {
		t.Errorf("writes: %v", got)
	}
	if got := contentOf(h.dnsRecord("mail.bakery.localhost")); got != "198.51.100.2" {
		t.Errorf("the record is %s", got)
	}
	if r := h.must(0, "drift", "bakery"); !strings.Contains(r.out, "Everything is as recorded") {
		t.Errorf("it differs still:\n%s", r.out)
	}
	h.git("fetch", "-q", "origin")
	if got, want := h.git("show", "origin/main:clients/bakery.yaml"), strings.Replace(before, "192.0.2.1", "198.51.100.2", 1); strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("the manifest is\n%s, want\n%s", got, want)
	}
}

// Whoever has no GitHub, or may not write there, is told what to do instead.
func TestProposeRefuses(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	w.apply()
	if r := w.must(1, "drift", "bakery", "--adopt", "--propose"); !strings.Contains(r.err, "--adopt | git apply") {
		t.Errorf("it says\n%s", r.err)
	}
	if r := w.must(2, "drift", "bakery", "--propose"); !strings.Contains(r.err, "goes with --adopt") {
		t.Errorf("it says\n%s", r.err)
	}
}
