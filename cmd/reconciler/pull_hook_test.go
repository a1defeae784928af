package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/github"
	"github.com/compassdigital/reconciler/internal/github/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// flood is how long TestWebhookFlood lasts; 0: a short form that counts and times nothing.
var flood = flag.Duration("flood", 0, "how long TestWebhookFlood sends 10,000 badly signed webhooks a second")

// withWebhooks lets the simulated GitHub send signed webhooks to the program.
func withWebhooks(h *hub, o *simulated.Options, config *[]string) {
	o.WebhookURL, o.WebhookSecret = "http://"+h.listen+webhookPath, state.NewSecret(hubSecret)
	(*config)[0] = "publicURL: http://" + h.listen
	h.env["RECONCILER_GITHUB_WEBHOOK_SECRET"] = hubSecret
}

// delivery is a webhook as GitHub sends it.
func (h *hub) delivery(id, event, secret, payload string) *http.Request {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "http://"+h.listen+webhookPath, strings.NewReader(payload))
	if err != nil {
		h.t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(payload))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", id)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return r
}

func (h *hub) send(r *http.Request) int {
	h.t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return res.StatusCode
}

const pushed = `{"ref":"refs/heads/main","repository":{"full_name":"agency/clients"}}`

// S47: a webhook with a bad signature, one that was sent before, one that is too large, one
// of another repository, and a flood of good ones.
func TestS47Webhooks(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")}, withWebhooks)
	var fetches atomic.Int64
	git := h.server.Config.Handler
	h.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info/refs") {
			fetches.Add(1)
		}
		git.ServeHTTP(w, r)
	})
	h.look()
	h.active("bakery")
	for name, x := range map[string]struct {
		r    *http.Request
		want int
	}{
		"signed with another secret": {h.delivery("d-1", "push", "another-secret-of-32-bytes-or-more", pushed), 401},
		"not signed":                 {unsigned(h.delivery("d-2", "push", hubSecret, pushed)), 401},
		"changed on the way":         {body(h.delivery("d-3", "push", hubSecret, pushed), pushed+" "), 401},
		"another repository":         {h.delivery("d-5", "push", hubSecret, strings.Replace(pushed, "agency/clients", "agency/other", 1)), 404},
		"an event that says nothing": {h.delivery("d-6", "star", hubSecret, `{}`), 202},
		"not JSON":                   {h.delivery("d-7", "push", hubSecret, `{`), 400},
		"a form":                     {form(h.delivery("d-8", "push", hubSecret, pushed)), 415},
	} {
		if got := h.send(x.r); got != x.want {
			t.Errorf("%s: %d, want %d", name, got, x.want)
		}
	}
	// Who sends 60 MB may find the connection closed before he reads why.
	if res, err := http.DefaultClient.Do(body(h.delivery("d-4", "push", hubSecret, ""), strings.Repeat("x", 60<<20))); err == nil {
		res.Body.Close()
	}
	noted := h.daemon.program.webhooks.(*github.Handler)
	if s := noted.Stats(); s.Accepted != 0 {
		t.Errorf("%d of these were noted", s.Accepted)
	} else if !slices.Contains(s.Refused, github.StatusCount{Status: 413, N: 1}) {
		t.Errorf("60 MB: %+v", s.Refused)
	}
	// The same delivery again and again is answered, and is no work.
	for range 5 {
		if got := h.send(h.delivery("d-9", "push", hubSecret, pushed)); got != 202 {
			t.Errorf("a replay: %d", got)
		}
	}
	if s := noted.Stats(); s.Accepted != 1 || s.Repeated != 4 {
		t.Errorf("of five replays: %+v", s)
	}
	// A flood: whatever is noted within five seconds is one look. The clock is the machine's:
	// what comes late on a slow one may bring one look more for each pause that went by.
	began, before := time.Now(), fetches.Load()
	for i := range 200 {
		if got := h.send(h.delivery(fmt.Sprintf("f-%d", i), "push", hubSecret, pushed)); got != 202 {
			t.Errorf("a good one: %d", got)
		}
	}
	if most := int64(1 + time.Since(began)/hintPause); fetches.Load()-before > most {
		t.Errorf("%d looks at the branch, want %d at most", fetches.Load()-before, most)
	}
}

func unsigned(r *http.Request) *http.Request { r.Header.Del("X-Hub-Signature-256"); return r }

func form(r *http.Request) *http.Request {
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func body(r *http.Request, text string) *http.Request {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	return r
}

// S47: a merge is found by the webhook alone, though the poll is an hour away; and what
// all webhooks lost is found by the poll.
func TestS47WebhooksAndPolls(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")}, withWebhooks)
	h.look()
	h.gh.Settle()
	n := h.propose("add-one", map[string]string{"clients/one.yaml": manifestOf("one")})
	h.gh.Settle()
	h.until("the plan is told", func() bool { return len(h.said(n, "plan")) == 1 })
	h.say(n, "robin", "/reconciler help")
	h.until("the command is answered", func() bool { return len(h.said(n, "reply")) == 1 })
	commit := h.merge(n, simulated.Squash)
	h.until("the result is told", func() bool { return len(h.said(n, "result")) == 1 && h.statusOf(commit, "apply").State != "" })
	h.wantStatus(commit, "apply", "success", "1 client up to date")

	h.gh.SetWebhooks(simulated.WebhooksVanish)
	n = h.propose("add-two", map[string]string{"clients/two.yaml": manifestOf("two")})
	h.look()
	h.wantComment(n, "plan", "two")
	commit = h.merge(n, simulated.MergeCommit)
	h.look()
	h.wantComment(n, "result", "two", "live")
	h.wantStatus(commit, "apply", "success", "1 client up to date")
	h.wantEnded(commit)
}

// S47: deliveries that failed while the program was away are asked for again when it starts.
func TestS47FailedDeliveries(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")}, withWebhooks)
	h.gh.SetPermission("reconciler-bot", "admin") // who may read a repository's webhooks
	h.look()
	h.stop()
	n := h.propose("add-one", map[string]string{"clients/one.yaml": manifestOf("one")})
	h.gh.Settle()
	failed := map[string]bool{}
	for _, d := range h.gh.Deliveries() {
		if d.Code == 0 {
			failed[d.GUID] = true
		}
	}
	if len(failed) == 0 {
		t.Fatal("no delivery failed while the program was away")
	}
	h.start()
	h.until("what failed was sent again", func() bool {
		arrived := 0
		for _, d := range h.gh.Deliveries() {
			if failed[d.GUID] && d.Redelivery && d.Code == http.StatusAccepted {
				arrived++
			}
		}
		return arrived == len(failed)
	})
	h.until("the plan is told", func() bool { return len(h.said(n, "plan")) == 1 })
}

// until waits for what the program does by itself.
func (h *hub) until(what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			h.t.Fatalf("it never comes that %s\n%s", what, h.daemon.out)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Badly signed webhooks beside good ones: every good one is answered, none of the others is
// noted, and nothing of them stays. With -flood=1m there are 10,000 a second of them, and
// every good one is answered in less than 500 ms.
func TestWebhookFlood(t *testing.T) {
	h := newHub(t, map[string]string{"clients/bakery.yaml": bare("bakery")}, withWebhooks)
	h.look()
	const workers, shortBad, shortGood = 32, 2_000, 5
	bad := rawRequest(h.delivery("bad", "push", "another-secret-of-32-bytes-or-more", strings.Replace(pushed, "{", `{"pad":"`+strings.Repeat("x", 1_000)+`",`, 1)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	turns := make(chan struct{}, 20_000)
	var sent, missed atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			n, err := attack(ctx, h.listen, bad, turns)
			sent.Add(n)
			if err != nil {
				t.Errorf("a badly signed one: %v", err)
			}
		})
	}
	var slowest time.Duration
	sentTurns := int64(0)
	good := func(i int) {
		r := h.delivery(fmt.Sprintf("good-%d", i), "push", hubSecret, pushed)
		began := time.Now()
		if got := h.send(r); got != http.StatusAccepted {
			t.Errorf("a good one: %d", got)
		}
		slowest = max(slowest, time.Since(began))
	}
	before, most := heap(), uint64(0)
	goods, began := 0, time.Now()
	if *flood == 0 {
		for range shortBad {
			turns <- struct{}{}
		}
		for ; goods < shortGood; goods++ {
			good(goods)
		}
	} else {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; time.Since(began) < *flood; n++ {
			<-tick.C
			due := int64(time.Since(began).Seconds()*10_000) - sentTurns
			for range due {
				select {
				case turns <- struct{}{}:
				default:
					missed.Add(1)
				}
			}
			sentTurns += due
			if goods < int(time.Since(began).Seconds()) {
				good(goods)
				goods++
				most = max(most, heap())
			}
		}
	}
	took := time.Since(began)
	close(turns)
	wg.Wait()
	cancel()
	noted := h.daemon.program.webhooks.(*github.Handler).Stats()
	refused := int64(0)
	for _, s := range noted.Refused {
		if s.Status == http.StatusUnauthorized {
			refused = int64(s.N)
		} else {
			t.Errorf("%d answers of %d", s.N, s.Status)
		}
	}
	if refused != sent.Load() || noted.Accepted != goods {
		t.Errorf("sent %d and %d, refused %d and noted %d", sent.Load(), goods, refused, noted.Accepted)
	}
	if *flood == 0 {
		return
	}
	t.Logf("%d badly signed in %s (%.0f a second, %d left out), %d good, the slowest answered in %s; heap before %d KiB, at most %d KiB, after %d KiB",
		sent.Load(), took.Round(time.Second), float64(sent.Load())/took.Seconds(), missed.Load(), goods, slowest, before>>10, most>>10, heap()>>10)
	if slowest >= 500*time.Millisecond {
		t.Errorf("a good one was answered in %s", slowest)
	}
}

// heap is what is in use after a collection, of this process: the attackers', too.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// rawRequest is a request as it goes over the wire.
func rawRequest(r *http.Request) []byte {
	var b bytes.Buffer
	_ = r.Write(&b) // to memory
	return b.Bytes()
}

// attack sends a request over one connection, each time that it is its turn, and wants 401.
func attack(ctx context.Context, at string, raw []byte, turns <-chan struct{}) (n int64, err error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for range turns {
		if _, err := c.Write(raw); err != nil {
			return n, err
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return n, err
		}
		if n++; res.StatusCode != http.StatusUnauthorized {
			return n, errors.New(res.Status)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return n, err
		}
		res.Body.Close()
	}
	return n, nil
}
