package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// C20, P8: after kill -9 in the middle of a pass, what people are shown of it is what it is: the pass
// was cut off, its client says when it is tried again, and the pass that goes on is named.
func TestP8KilledPassIsToldAsCutOff(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/sick.yaml": manifestOf("sick")})
	p := w.daemonProcess("kill") // while sick gets its environment
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.kill()
		t.Fatal("it was not killed")
	}
	const died = "this program died while it was at work on it"
	if out := w.must(0, "status").out; !strings.Contains(out, died+"; it is tried again as soon as the program runs") {
		t.Errorf("status says:\n%s", out)
	}
	if out := w.must(0, "why", "sick").out; !strings.Contains(out, died) || !strings.Contains(out, "): interrupted\n") || strings.Contains(out, "running") {
		t.Errorf("why says:\n%s", out)
	}
	w.start()
	w.active("sick")
	var v struct{ Deployments []state.Deployment }
	_, text := w.get("localhost", "/api/deployments?client=sick")
	if err := json.Unmarshal([]byte(text), &v); err != nil || len(v.Deployments) != 2 {
		t.Fatalf("passes: %s, %v", text, err)
	}
	last, cut := v.Deployments[0], v.Deployments[1]
	if last.State != "succeeded" || cut.State != "interrupted" || cut.Error != died || cut.Ended.IsZero() || cut.ContinuedBy != last.ID {
		t.Errorf("the pass that was killed: %+v\nthe one after it: %+v", cut, last)
	}
	_, page := w.get("localhost", "/clients/sick")
	if !strings.Contains(page, `class="interrupted"`) || !strings.Contains(page, "gone on with by") || strings.Contains(page, ">running<") {
		t.Errorf("the page:\n%s", page)
	}
	if out := w.must(0, "history", "sick").out; !strings.Contains(out, "interrupted") {
		t.Errorf("history says:\n%s", out)
	}
	w.must(0, "logs", cut.ID, "-f") // who follows it sees its end
	w.stop()
}
