package railway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// engine is as much of the program as a database needs: journal, plan and apply.
type engine struct {
	*world
	dir    string
	client state.Client
	access string // "": the client goes
	p      provider.Provider
	store  *bolt.Store
	runner *apply.Runner
	at     func(apply.Border)
	once   bool // each pass is a process of its own
}

func (w *world) engine(access string) *engine {
	e := &engine{world: w, dir: w.t.TempDir(), access: access,
		client: state.Client{ID: "c00001", Name: "bakery", Generation: 1, Status: state.StatusPending}}
	e.open()
	e.update(func(tx store.Tx) error { return store.PutClient(tx, e.client) })
	w.t.Cleanup(func() { _ = e.store.Close() })
	return e
}

// open starts the program.
func (e *engine) open() {
	e.t.Helper()
	keys, err := secret.Open(secret.KeySource{File: filepath.Join(e.dir, "key")})
	if err != nil {
		e.t.Fatal(err)
	}
	if e.store, err = bolt.Open(bolt.Options{Path: filepath.Join(e.dir, "state.db"), Keys: keys, Now: e.clock.Now, NoSync: true}); err != nil {
		e.t.Fatal(err)
	}
	e.p = e.world.open()
	e.runner = &apply.Runner{Store: e.store, Installation: ours, Now: e.clock.Now, Sleep: e.clock.Sleep, Parallel: 1,
		Provider: func(name string, k state.Kind) (provider.Provider, bool) {
			return e.p, name == Name && k == state.KindDatabase
		},
		Jitter:      func(d time.Duration) time.Duration { return d },
		NewSecret:   secret.NewHex32,
		Fingerprint: keys.Fingerprint,
		At: func(b apply.Border, s plan.Step) {
			if e.at != nil && s.Ref.Kind == state.KindDatabase {
				e.at(b)
			}
		},
		Emit: func(apply.Event) {}}
}

func (e *engine) restart() {
	e.t.Helper()
	if err := e.store.Close(); err != nil {
		e.t.Fatal(err)
	}
	e.open()
}

func (e *engine) update(fn func(store.Tx) error) {
	e.t.Helper()
	if err := e.store.Update(fn); err != nil {
		e.t.Fatal(err)
	}
}

func (e *engine) ref() state.Ref {
	return state.Ref{Client: e.client.ID, Kind: state.KindDatabase, Name: "main"}
}

func (e *engine) job(p plan.Plan) apply.Job {
	return apply.Job{Plan: p, Clients: map[state.ClientID]state.Client{e.client.ID: e.client}, Run: "run", Commit: "c0ffee"}
}

func (e *engine) recorded() (out []state.Resource, open []journal.Intent) {
	e.t.Helper()
	err := e.store.View(func(tx store.Tx) (err error) {
		if out, err = store.Resources(tx, e.client.ID); err != nil {
			return err
		}
		open, err = store.Intents(tx, "")
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return out, open
}

// pass is one pass; idle says that nothing was to be done.
func (e *engine) pass() (idle bool, why error) {
	e.t.Helper()
	recorded, open := e.recorded()
	if len(open) > 0 {
		if _, err := e.runner.Settle(context.Background(), e.job(plan.Plan{}), open); err != nil {
			return false, err
		}
		recorded, _ = e.recorded()
	}
	wish := state.Resource{Ref: e.ref(), Provider: Name, Attributes: state.Attributes{{Name: "access", Value: state.Lit(e.access)},
		{Name: "disabled", Value: state.Lit("orders")}, {Name: "schema", Value: state.Lit("ecommerce")}}}
	in := plan.ClientInput{Client: e.client, Wish: []state.Resource{wish}, Recorded: recorded, Retain: time.Hour, Reuse: "retained"}
	p := plan.Calculate(plan.Input{Commit: "c0ffee", Now: e.clock.Now(), Keep: 2, Clients: []plan.ClientInput{in},
		Traits: map[string]map[state.Kind]state.Traits{Name: e.p.Traits()}})
	if len(p.Problems) > 0 {
		return false, errors.New(p.Problems[0].Text)
	}
	if p.Empty() {
		return true, nil
	}
	r, err := e.runner.Run(context.Background(), e.job(p))
	if err != nil {
		e.t.Fatalf("run: %v", err)
	}
	for _, s := range r.Steps {
		if s.Err != nil {
			return false, s.Err
		}
	}
	return false, nil
}

// killed is what a test panics with where the process dies.
type killed struct{}

// converge passes until nothing is to be done, with a restart where the process dies.
func (e *engine) converge() {
	e.t.Helper()
	var why error
	for range 60 {
		idle := false
		func() {
			defer func() {
				if x := recover(); x != nil {
					if _, ok := x.(killed); !ok {
						panic(x)
					}
					e.restart()
				}
			}()
			if idle, why = e.pass(); e.once {
				e.restart()
			}
		}()
		if idle {
			return
		}
		e.clock.move(10 * time.Second)
		if at := apply.RetryAt(why); why != nil && at.After(e.clock.Now()) {
			e.clock.move(at.Sub(e.clock.Now()))
		}
	}
	e.t.Fatalf("never done: %v", why)
}

// settled converges and checks that there is one whole database, and that it is on record.
func (e *engine) settled(proxies int) provider.Object {
	e.t.Helper()
	e.converge()
	recorded, open := e.recorded()
	if len(recorded) != 1 || len(open) != 0 || recorded[0].Phase != "" || recorded[0].Outputs["url"].Secret == nil {
		e.t.Fatalf("on record: %+v, %d intents open", recorded, len(open))
	}
	o := e.ready(e.world.open(), recorded[0].ID)
	e.whole(o, proxies)
	if got := attribute(o, "access"); got != e.access {
		e.t.Errorf("access is %s, want %s", got, e.access)
	}
	return o
}

// steps are the mutations that make a public database.
func steps() []string {
	return []string{"makeProject", "makeService", "makeVolume", "makeProxy", "setImage", "describeProject", "deploy"}
}

// S30, P3: whichever call's answer is lost, or never arrives, however late lists are, there is one
// database in the end, with one of each part and a URL that works.
func TestS30LostAnswers(t *testing.T) {
	type way struct {
		name string
		do   simulator.Effect
	}
	ways := []way{
		{"answer lost", simulator.LoseAnswer()},
		{"request lost", simulator.LoseRequest()},
		{"page for an answer", simulator.Instead(502, map[string][]string{"Content-Type": {"text/html"}}, "<html><body>Bad Gateway</body></html>")},
		{"page for a request", simulator.Refuse(504, map[string][]string{"Content-Type": {"text/html"}}, "<html>Gateway Timeout</html>")},
		{"null for an answer", simulator.Instead(200, map[string][]string{"Content-Type": {"application/json"}}, `{"data":null}`)},
		{"errors without a code", simulator.Instead(200, map[string][]string{"Content-Type": {"application/json"}}, `{"errors":[{"message":"Problem processing request","path":["x"]}],"data":null}`)},
	}
	for _, lag := range []time.Duration{0, time.Minute} {
		for _, step := range append(steps(), "every one") {
			for _, way := range ways {
				if lag == 0 && way.name != "answer lost" && step != "every one" {
					continue // the late one is the harder one
				}
				t.Run(fmt.Sprintf("%s, %s, %s late", step, way.name, lag), func(t *testing.T) {
					w := start(t, late(lag))
					for _, s := range steps() {
						if s == step || step == "every one" {
							w.faults.Add(simulator.Fault{Match: simulated.Operation(s), Do: way.do})
						}
					}
					w.engine(public).settled(1)
					if len(w.faults.Happened()) != 1 {
						t.Errorf("what went wrong: %v", w.faults.Happened())
					}
				})
			}
		}
	}
}

// S30 where each pass is a process of its own, that knows nothing of the calls before it and
// comes too early for what they may have made: it waits for that once, and comes to its end.
func TestS30LostAnswersToOnePassAfterTheOther(t *testing.T) {
	w := start(t, late(time.Minute))
	for _, s := range steps() {
		w.faults.Add(simulator.Fault{Match: simulated.Operation(s), Do: simulator.LoseAnswer()})
	}
	e := w.engine(public)
	e.once = true
	e.settled(1)
}

// S29, P3, P8: the process dies at any border of the engine, and while any call is under way.
func TestS29KilledAnywhere(t *testing.T) {
	for _, lag := range []time.Duration{0, time.Minute} {
		for _, border := range []apply.Border{apply.BeforeIntent, apply.AfterIntent, apply.AfterCall, apply.AfterOutcome} {
			t.Run(fmt.Sprintf("%s, %s late", border, lag), func(t *testing.T) {
				e := start(t, late(lag)).engine(public)
				dead := false
				e.at = func(b apply.Border) {
					if b == border && !dead {
						dead = true
						panic(killed{})
					}
				}
				e.settled(1)
			})
		}
		for _, step := range steps() {
			for _, arrives := range []bool{true, false} {
				t.Run(fmt.Sprintf("in %s, arrives %v, %s late", step, arrives, lag), func(t *testing.T) {
					e := start(t, late(lag)).engine(public)
					e.p = &dying{Provider: e.p, world: e.world, step: step, arrives: arrives}
					e.settled(1)
				})
			}
		}
	}
}

// dying is a provider whose process dies while a call is under way: no call comes after it,
// and nobody hears of any.
type dying struct {
	provider.Provider
	world   *world
	step    string
	arrives bool
}

func (d *dying) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	do := simulator.LoseRequest()
	if d.arrives {
		do = simulator.LoseAnswer()
	}
	d.world.faults.Add(simulator.Fault{Match: simulated.Operation(d.step), Do: do})
	if _, err := d.Provider.Create(ctx, w); err != nil && d.step != "makeProject" {
		d.world.t.Errorf("create: %v", err)
	}
	if len(d.world.faults.Happened()) != 1 {
		d.world.t.Error("no call went wrong")
	}
	panic(killed{})
}

// S29: the process dies while Update finishes what Create left: the next one knows nothing of
// the call that was under way, whose effect does not show for a minute.
func TestS29KilledWhileFinishing(t *testing.T) {
	for _, step := range steps()[1:] {
		t.Run(step, func(t *testing.T) {
			e := start(t, late(time.Minute)).engine(public)
			e.p = &leaving{dying{Provider: e.p, world: e.world, step: step, arrives: true}}
			e.settled(1)
			if len(e.faults.Happened()) != 2 {
				t.Errorf("what went wrong: %v", e.faults.Happened())
			}
		})
	}
}

// leaving is a provider that leaves a database unfinished, and dies while it is finished.
type leaving struct{ dying }

func (l *leaving) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	l.world.faults.Add(simulator.Fault{Match: simulated.Operation(l.step), Do: simulator.Refuse(429, jsonHeader(), `{"errors":[{"message":"Too many requests"}]}`)})
	return l.Provider.Create(ctx, w)
}

func (l *leaving) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	l.world.faults.Add(simulator.Fault{Match: simulated.Operation(l.step), Do: simulator.LoseAnswer()})
	_, _ = l.Provider.Update(ctx, id, w) // nobody hears of it
	panic(killed{})
}

// A change of access whose answers are lost is brought to its end, too.
func TestP3AccessLostAnswers(t *testing.T) {
	for _, lag := range []time.Duration{0, time.Minute} {
		for _, step := range []string{"makeProxy", "deploy", "dropProxy"} {
			t.Run(fmt.Sprintf("%s, %s late", step, lag), func(t *testing.T) {
				w := start(t, late(lag))
				e := w.engine(private)
				id := e.settled(0).ID
				if step == "dropProxy" {
					e.access = public
					e.converge()
				}
				e.restart() // what this process knows is gone
				w.faults.Add(simulator.Fault{Match: simulated.Operation(step), Do: simulator.LoseAnswer()})
				e.access = map[bool]string{true: private, false: public}[step == "dropProxy"]
				e.converge()
				o := e.ready(w.open(), id)
				if attribute(o, "access") != e.access || len(w.vendor.Projects()) != 1 {
					t.Errorf("access is %s, %d projects", attribute(o, "access"), len(w.vendor.Projects()))
				}
				want := map[string]int{public: 1, private: 0}[e.access]
				if got := w.vendor.Projects()[0]; got.Proxies != want || got.Volumes != 1 || got.Services != 1 {
					t.Errorf("at Railway: %+v", got)
				}
				if len(w.faults.Happened()) != 1 {
					t.Error("nothing went wrong")
				}
			})
		}
	}
}

// A service that exists is refused a second time, and then seen: the one call that Railway
// itself makes safe.
func TestServiceNamesAreUnique(t *testing.T) {
	w := start(t)
	p := w.open()
	w.faults.Add(simulator.Fault{Match: simulated.Operation("makeVolume"), Do: simulator.Refuse(429, map[string][]string{"Retry-After": {"5"}}, `{"errors":[{"message":"Too many requests"}]}`)})
	o, err := p.Create(context.Background(), wish(1, private))
	if err != nil || o.Phase != provider.Unfinished || !strings.Contains(o.Message, "Too many") {
		t.Fatalf("created: %+v, %v", o, err)
	}
	if _, err := p.Update(context.Background(), o.ID, wish(1, private)); err != nil {
		t.Fatal(err)
	}
	w.whole(w.ready(p, o.ID), 0)
}

// What Railway refuses without a code, such as a plan's limit, is looked into as if it were
// lost; its words reach whoever waits.
func TestRefusedWithoutACode(t *testing.T) {
	w := start(t, late(time.Minute))
	const words = "Free plan resource provision limit exceeded"
	w.faults.Add(simulator.Fault{Match: simulated.Operation("makeProject"), Do: simulator.Refuse(200, jsonHeader(), anError(words, "")), Times: -1})
	e := w.engine(public)
	_, why := e.pass()
	if why == nil || !strings.Contains(why.Error(), words) {
		t.Errorf("said: %v", why)
	}
	if recorded, open := e.recorded(); len(recorded) != 0 || len(open) != 0 || len(w.vendor.Projects()) != 0 {
		t.Errorf("on record: %v, open: %v", recorded, open)
	}
	w.faults.Clear()
	e.settled(1)
}

// A change of access takes a deployment of its own, and waits for the one that is under way.
func TestAccessWaitsForADeployment(t *testing.T) {
	w := start(t)
	p := w.open()
	o, err := p.Create(context.Background(), wish(1, private))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Update(context.Background(), o.ID, wish(1, public)); provider.KindOf(err) != provider.Transient || w.vendor.Projects()[0].Proxies != 0 {
		t.Errorf("at once: %v, %+v", err, w.vendor.Projects()[0])
	}
	w.ready(p, o.ID)
	if _, err := p.Update(context.Background(), o.ID, wish(1, public)); err != nil {
		t.Fatal(err)
	}
	if o = w.ready(p, o.ID); attribute(o, "access") != public || w.vendor.Projects()[0].Deployments != 2 {
		t.Errorf("%+v, %+v", o, w.vendor.Projects()[0])
	}
}

// slowLooks hands an answer about databases on when its time has passed.
type slowLooks struct {
	*world
	by time.Duration
}

func (s *slowLooks) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	res, err := s.log.RoundTrip(r)
	if simulated.Operation("databases")(r, body) {
		s.clock.move(s.by)
	}
	return res, err
}

// P3: a look that takes its time shows what was there when it began. A volume whose answer
// was lost does not show yet then, and the time until which it is looked for passes while the
// answer is on its way: no second one is made.
func TestP3ALookThatTakesItsTime(t *testing.T) {
	w := start(t, late(time.Minute))
	w.faults.Add(simulator.Fault{Match: simulated.Operation("makeVolume"), Do: simulator.LoseAnswer()})
	slow := &slowLooks{world: w}
	p := w.open(func(o *Options) { o.HTTP = httpapi.NewHTTP(slow, time.Hour) })
	x := wish(1, public)
	o, err := p.Create(t.Context(), x)
	if err != nil || o.Phase != provider.Unfinished {
		t.Fatalf("create: %+v %v", o, err)
	}
	w.clock.move(40 * time.Second)
	slow.by = time.Minute
	if _, err := p.Update(t.Context(), o.ID, x); provider.KindOf(err) != provider.Transient {
		t.Errorf("update: %v", err)
	}
	slow.by = 0
	for range 5 {
		w.clock.move(time.Minute)
		if _, err = p.Update(t.Context(), o.ID, x); err == nil {
			break
		}
	}
	if all := w.vendor.Projects(); err != nil || len(all) != 1 || all[0].Volumes != 1 {
		t.Errorf("%v: there is %+v", err, all)
	}
}

// S28, S31: the first deployment comes to nothing (its image could not be fetched, say). The next try starts another one,
// also after a restart.
func TestS28DeploymentThatFailedIsStartedAgain(t *testing.T) {
	for _, restart := range []bool{false, true} {
		e := start(t).engine(public)
		e.at = func(b apply.Border) {
			if b == apply.AfterCall {
				e.vendor.End(e.vendor.Projects()[0].ID, "FAILED")
				e.at = nil
			}
		}
		if _, err := e.pass(); err == nil {
			t.Fatal("it did not fail")
		}
		if restart {
			e.restart()
		}
		e.converge()
		recorded, _ := e.recorded()
		if len(recorded) != 1 || recorded[0].Phase != "" || recorded[0].Outputs["url"].Secret == nil {
			t.Errorf("restart %v: on record: %+v", restart, recorded)
		}
		if all := e.vendor.Projects(); len(all) != 1 || all[0].Services != 1 || all[0].Volumes != 1 || all[0].Proxies != 1 || all[0].Deployments != 2 {
			t.Errorf("restart %v: at Railway: %+v", restart, all)
		}
	}
}
