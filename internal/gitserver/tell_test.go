package gitserver

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// What comes of a push stands at the pusher's terminal, before the push ends, and only
// of what moved.
func TestThePusherIsTold(t *testing.T) {
	w := newWorld(t)
	w.create(t, "clients", map[string]string{"a": "1"})
	var told []string
	w.Tell = func(_ context.Context, name, branch, head string, say func(string)) {
		told = append(told, name+" "+branch+" "+head)
		if len(w.pushed()) != len(told) {
			t.Error("told before OnPush")
		}
		say("✓ demoshop is active")
		say(strings.Repeat("long ", 30_000)) // more than a packet holds
	}
	dir := w.clone(t, "clients")
	c := commit(t, dir, "b", "2")
	out := run(t, dir, "push", "origin", "HEAD:main")
	if !strings.Contains(out, "remote: ✓ demoshop is active") || !strings.Contains(out, "HEAD -> main") || strings.Count(out, "long") != 30_000 {
		t.Errorf("%.500s", out)
	}
	run(t, dir, "tag", "v1")
	run(t, dir, "push", "origin", "v1")
	if out, err := try(t, dir, "push", "origin", ":main"); err == nil || !strings.Contains(out, "cannot be deleted") {
		t.Errorf("deleting main: %v %s", err, out)
	}
	if want := []string{"clients main " + c}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}

func TestAPusherWhoCannotBeToldGetsTheReport(t *testing.T) {
	w := newWorld(t)
	tip := w.create(t, "r", map[string]string{"a": "1"})
	w.Tell = func(context.Context, string, string, string, func(string)) { t.Error("told") }
	body := strings.Repeat("0", 40) + " " + tip + " refs/heads/x\x00 report-status\n"
	code, out := post(t, w.url+"r.git", receivePack, "", []byte("0"+hex3(len(body)+4)+body+"0000"))
	if code != http.StatusOK || out != "000eunpack ok\n0014ok refs/heads/x\n0000" {
		t.Errorf("%d %q", code, out)
	}
}

// P8, the other side of it: a server that dies while it tells leaves the pusher with a broken
// connection, and the push was done. The next one says so.
func TestAPushThatBreaksOffWasDone(t *testing.T) {
	w := newWorld(t)
	w.create(t, "clients", map[string]string{"a": "1"})
	w.Tell = func(_ context.Context, _, _, head string, say func(string)) {
		say("> " + head + " is pushed")
		panic(http.ErrAbortHandler) // the connection ends as if the process had
	}
	dir := w.clone(t, "clients")
	c := commit(t, dir, "b", "2")
	if out, err := try(t, dir, "push", "origin", "HEAD:main"); err == nil || !strings.Contains(out, "remote: > "+c+" is pushed") {
		t.Errorf("the push that breaks off: %v\n%s", err, out)
	}
	if got := run(t, dir, "ls-remote", "origin", "refs/heads/main"); !strings.HasPrefix(got, c) {
		t.Errorf("the branch: %q", got)
	}
	if out := run(t, dir, "push", "origin", "HEAD:main"); !strings.Contains(out, "Everything up-to-date") {
		t.Errorf("the next push: %s", out)
	}
}

// A pusher who leaves ends the telling; the push stays.
func TestAPusherWhoLeavesHoldsNothing(t *testing.T) {
	w := newWorld(t)
	tip := w.create(t, "r", map[string]string{"a": "1"})
	begun, ended := make(chan struct{}), make(chan struct{})
	w.Tell = func(ctx context.Context, _, _, _ string, say func(string)) {
		close(begun)
		<-ctx.Done()
		say("nobody reads this")
		close(ended)
	}
	body := strings.Repeat("0", 40) + " " + tip + " refs/heads/x\x00 report-status side-band-64k\n"
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"r.git/"+receivePack, strings.NewReader("0"+hex3(len(body)+4)+body+"0000"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-"+receivePack+"-request")
	go func() { <-begun; leave() }()
	if res, err := http.DefaultClient.Do(req); err == nil {
		_ = res.Body.Close()
	}
	<-ended
	dir := w.clone(t, "r")
	if got := run(t, dir, "ls-remote", "origin", "refs/heads/x"); !strings.HasPrefix(got, tip) {
		t.Errorf("the branch: %q", got)
	}
	http.DefaultClient.CloseIdleConnections()
}
