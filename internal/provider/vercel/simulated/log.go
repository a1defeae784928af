package simulated

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// followEvery is how often a log that is followed is looked at, where nobody asks for anything
// meanwhile: builds go on by the clock.
const followEvery = 100 * time.Millisecond

// line is one of a build's log.
type line struct {
	At   int64 // epoch milliseconds, later than the one before
	Text string
}

// write lets a build write what is due of its log: a line a look at it, as many as of its time are
// over, all at its end. It returns the deployment as it is then.
func (v *Vercel) write(d deployment) deployment {
	if d.Closed {
		return d
	}
	had := len(d.Written)
	now := v.o.Now()
	usual := []string{"Running build in Washington, D.C., USA (East) – iad1", "Installing dependencies...", "Building " + d.Name}
	if v.o.Log != nil {
		usual = append(usual, v.o.Log(v.served(d, d.URL))...)
	}
	if d.State == "BUILDING" {
		due := 1 + d.Polls
		if took := now.Sub(time.UnixMilli(d.Begun)); took > 0 && v.o.BuildTime > 0 {
			due = max(due, int(int64(len(usual))*took.Milliseconds()/max(1, v.o.BuildTime.Milliseconds())))
		}
		usual = usual[:min(due, len(usual))]
	}
	if d.Usual < len(usual) {
		d.say(now, usual[d.Usual:]...)
		d.Usual = len(usual)
	}
	if d.State != "BUILDING" && d.State != blocked {
		d.Closed = true
		if d.State == "ERROR" {
			d.say(now, d.Error)
		} else {
			d.say(now, "Build Completed in /vercel/output", "Deployment completed")
		}
	}
	if len(d.Written) > had {
		v.is.Deployments.Put(d.ID, d)
	}
	return d
}

func (d *deployment) say(now time.Time, texts ...string) {
	for _, text := range texts {
		at := max(now.UnixMilli(), d.Created)
		if n := len(d.Written); n > 0 {
			at = max(at, d.Written[n-1].At+1)
		}
		d.Written = append(slices.Clip(d.Written), line{at, text})
	}
}

// event is the nth line as it is sent.
func (d deployment) event(n int) map[string]any {
	l := d.Written[n]
	return map[string]any{"type": "stdout", "created": l.At,
		"payload": map[string]any{"deploymentId": d.ID, "id": d.ID + "-" + strconv.Itoa(n), "date": l.At, "serial": d.ID, "text": l.Text, "info": map[string]any{"type": "build", "name": "bld_" + d.ID[4:]}}}
}

// events are the lines of a build so far, or as they are written.
func (v *Vercel) events(c call) (answer, *refusal) {
	d, n := v.at(c)
	if n != nil {
		return answer{}, n
	}
	q := c.URL.Query()
	since, err := strconv.ParseInt(q.Get("since"), 10, 64)
	if err != nil && q.Get("since") != "" {
		return answer{}, no(400, "bad_request", "Invalid request: `since` should be number")
	}
	if q.Get("follow") == "1" {
		return answer{stream: func(w http.ResponseWriter, r *http.Request) { v.follow(w, r, d.ID, since) }}, nil
	}
	d = v.write(d)
	most, err := strconv.Atoi(q.Get("limit"))
	if err != nil || most < 0 {
		most = len(d.Written)
	}
	out := []any{}
	for i, l := range d.Written {
		if l.At >= since && len(out) < most {
			out = append(out, d.event(i))
		}
	}
	if q.Get("direction") == "backward" {
		slices.Reverse(out)
	}
	return answer{status: http.StatusOK, body: out}, nil
}

// follow sends the lines of a build as they are written, until it is at its end.
func (v *Vercel) follow(w http.ResponseWriter, r *http.Request, id string, since int64) {
	w.Header().Set("Content-Type", "application/stream+json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for sent := 0; flush() == nil; {
		v.mu.Lock()
		v.advance()
		d, there := v.is.Deployments.Get(id)
		woken := v.woken
		v.mu.Unlock()
		if there && len(d.Written) > sent {
			if l := d.Written[sent]; l.At >= since {
				if err := json.NewEncoder(w).Encode(d.event(sent)); err != nil {
					return // who asked is gone
				}
			}
			sent++
			continue
		}
		if !there || d.State != "BUILDING" {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-woken:
		case <-tick.C:
		}
	}
}

// wake lets those who follow a log look at it. The caller holds the lock.
func (v *Vercel) wake() {
	close(v.woken)
	v.woken = make(chan struct{})
}

// Say lets the builds of a project write a line now. It says whether one is being built.
func (v *Vercel) Say(idOrName, text string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, n := v.find(idOrName)
	if n != nil {
		return false
	}
	said := false
	for _, d := range v.is.Deployments.All() {
		if d.Project == x.ID && d.State == "BUILDING" {
			d.say(v.o.Now(), text)
			v.is.Deployments.Put(d.ID, d)
			said = true
		}
	}
	v.wake()
	return said
}
