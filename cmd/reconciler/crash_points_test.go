package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/apply"
	"github.com/compassdigital/reconciler/internal/bolt"
	"github.com/compassdigital/reconciler/internal/plan"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// `go test` kills once at each point; `make crash EACH=50` as often as one likes.
var crashEach = flag.Int("crash.each", 1, "how often the program is killed at each named point")

// crashScene is a way to bring the program to some of its named points.
type crashScene struct {
	name   string
	points []string
	// ready brings the world so far that the command comes by.
	ready func(w *crashWorld) (args []string, err error)
	// after looks at what there is once the command went through undisturbed; nil: apply.
	after func(w *crashWorld) error
	// lost says that the record of what there is may be gone until then.
	lost bool
	// vendors says that clients are at simulated vendors.
	vendors bool
}

// borders are those that steps of an action come by.
func borders(a plan.Action) (out []string) {
	for _, b := range []apply.Border{apply.BeforeIntent, apply.AfterIntent, apply.AfterCall, apply.AfterOutcome} {
		if !a.Writes() && (b == apply.AfterIntent || b == apply.AfterCall) {
			continue
		}
		out = append(out, string(b)+"/"+string(a))
	}
	if a == plan.Transfer {
		out = append(out, string(apply.AfterFreeze)+"/"+string(a), string(apply.AfterLoad)+"/"+string(a))
	}
	return out
}

func points(all ...reconcile.Point) (out []string) {
	for _, p := range all {
		out = append(out, string(p))
	}
	return out
}

var applyArgs = []string{"apply"}

// scenes name every point that there is; TestP8EveryPointHasAScene keeps it so.
func scenes() []crashScene {
	create := func(w *crashWorld) ([]string, error) {
		for _, name := range w.alive() {
			if len(w.shops) > crashFleet && name != keeper {
				delete(w.shops, name)
				if err := w.commit(name); err != nil {
					return nil, err
				}
			}
		}
		s := w.fresh()
		w.shops[s.Name] = s
		return applyArgs, w.commit(s.Name)
	}
	update := func(w *crashWorld) ([]string, error) {
		s, err := w.one()
		if err != nil {
			return nil, err
		}
		s.Currency = w.currency(s.Currency)
		w.shops[s.Name] = s
		return applyArgs, w.commit(s.Name)
	}
	remove := func(w *crashWorld) ([]string, error) {
		s, err := w.one()
		if err != nil {
			return nil, err
		}
		delete(w.shops, s.Name)
		return applyArgs, w.commit(s.Name)
	}
	removed := func(w *crashWorld) (shop, error) {
		s, err := w.one()
		if err != nil {
			return s, err
		}
		delete(w.shops, s.Name)
		if err := w.commit(s.Name); err != nil {
			return s, err
		}
		_, err = w.overview()
		return s, err
	}
	comeBack := func(w *crashWorld) ([]string, error) {
		s, err := removed(w)
		if err != nil {
			return nil, err
		}
		w.shops[s.Name] = s
		return applyArgs, w.commit(s.Name)
	}
	purge := func(w *crashWorld) ([]string, error) {
		s, err := removed(w)
		return []string{"purge", s.Name, "--yes"}, err
	}
	move := func(w *crashWorld) ([]string, error) {
		from, err := w.one()
		if err != nil {
			return nil, err
		}
		to, err := w.one(from.Name)
		if err != nil {
			return nil, err
		}
		w.names++
		host := fmt.Sprintf("moving%d.localhost", w.names)
		from.Extra, to.Extra = host, ""
		w.shops[from.Name], w.shops[to.Name] = from, to
		if err := w.commit(from.Name, to.Name); err != nil {
			return nil, err
		}
		if _, err := w.overview(); err != nil {
			return nil, err
		}
		from.Extra, to.Extra = "", host
		w.shops[from.Name], w.shops[to.Name] = from, to
		return applyArgs, w.commit(from.Name, to.Name)
	}
	fails := func(w *crashWorld) ([]string, error) {
		if _, err := create(w); err != nil {
			return nil, err
		}
		s := w.shops[fmt.Sprintf("shop%d", w.names)]
		s.Fails = true
		w.shops[s.Name] = s
		return applyArgs, w.commit(s.Name)
	}
	return append(actionScenes(), []crashScene{
		{name: "a new client", ready: create, points: append(append(append(borders(plan.Create), borders(plan.Await)...), append(borders(plan.Probe), borders(plan.Record)...)...),
			points(reconcile.PointRead, reconcile.PointAccept, reconcile.PointAccepted, reconcile.PointBegin, reconcile.PointBegun, reconcile.PointEnd, reconcile.PointEnded)...)},
		{name: "a changed client", ready: update, points: append(append(borders(plan.Update), bolt.PointCommit, bolt.PointCommitted), points(reconcile.PointDeliver, reconcile.PointDelivered)...)},
		{name: "a removed client", ready: remove, points: append(borders(plan.Delete), borders(plan.Retain)...)},
		{name: "a new client at vendors", vendors: true, ready: create, points: borders(plan.Create)},
		{name: "a changed client at vendors", vendors: true, ready: update, points: borders(plan.Update)},
		{name: "a removed client at vendors", vendors: true, ready: remove, points: borders(plan.Delete)},
		{name: "a client that returns", ready: comeBack, points: borders(plan.Return)},
		{name: "a purge", ready: purge, points: append(borders(plan.Purge), points(reconcile.PointPurge, reconcile.PointPurged)...)},
		{name: "a name that moves", ready: move, points: borders(plan.Move)},
		{name: "a rollback", ready: fails, points: points(reconcile.PointRollback, reconcile.PointRolledBack)},
		{name: "a first start", ready: (*crashWorld).firstStart, after: (*crashWorld).firstStarted, points: []string{bolt.PointCreate, bolt.PointCreated}},
		{name: "an upgrade", ready: (*crashWorld).olderSchema, points: []string{bolt.PointMigrate, bolt.PointMigrated}},
		{name: "a backup", ready: (*crashWorld).backUp, after: (*crashWorld).backedUp, points: []string{bolt.PointBackup, bolt.PointBackedUp}},
		{name: "a new key", ready: (*crashWorld).newKey, after: (*crashWorld).rekeyed, points: []string{bolt.PointRekey, bolt.PointRekeyed}},
		{name: "a lost state", ready: (*crashWorld).loseState, after: (*crashWorld).rebuilt, lost: true,
			points: append(points(reconcile.PointLost, reconcile.PointRebuild, reconcile.PointRebuilt), bolt.PointCreate, bolt.PointCommit, bolt.PointCommitted)},
	}...)
}

// keeper is a client that nobody removes: an empty tree would hold everything.
const keeper = "shop0"

// one is an active client, made when there is none.
func (w *crashWorld) one(but ...string) (shop, error) {
	for try := 0; ; try++ {
		rec, err := w.read()
		if err != nil {
			return shop{}, err
		}
		var found []shop
		for _, c := range rec.clients {
			s, wished := w.shops[c.Name]
			if wished && c.Status == state.StatusActive && c.Settled && !s.Fails && c.Name != keeper && (len(but) == 0 || c.Name != but[0]) {
				found = append(found, s)
			}
		}
		switch {
		case len(found) > 0:
			return found[w.rng.IntN(len(found))], nil
		case try > 3:
			return shop{}, fmt.Errorf("no client becomes active: %+v", rec.clients)
		}
		s := w.fresh()
		w.shops[s.Name] = s
		if err := w.commit(s.Name); err != nil {
			return shop{}, err
		}
		if _, err := w.overview(); err != nil {
			return shop{}, err
		}
	}
}

// there makes sure that there is a state.
func (w *crashWorld) there() error {
	if exists(w.path("state.db")) {
		return nil
	}
	_, err := w.overview()
	return err
}

// firstStart is a configuration of a state that is not there yet.
func (w *crashWorld) firstStart() ([]string, error) {
	if err := os.RemoveAll(w.path("first")); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(w.path("first"), 0o700); err != nil {
		return nil, err
	}
	return []string{"status", "--config", w.path("first/reconciler.yaml")}, os.WriteFile(w.path("first/reconciler.yaml"), fmt.Appendf(nil, crashConfig, w.url), 0o600)
}

func (w *crashWorld) firstStarted() error {
	e, out, err := w.command("status", "--config", w.path("first/reconciler.yaml"))
	if err != nil {
		return err
	}
	left, err := filepath.Glob(w.path("first/*.new"))
	if e.code != 0 || err != nil || len(left) > 0 {
		return fmt.Errorf("the start after it ends with %d, left behind %v: %s", e.code, left, out)
	}
	return nil
}

// olderSchema makes the state one of the oldest schema.
func (w *crashWorld) olderSchema() ([]string, error) {
	if err := w.there(); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(w.path("state.db"), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, err
	}
	name := []byte("header")
	err = db.Update(func(tx *bbolt.Tx) error {
		text, _, _ := strings.Cut(string(tx.Bucket(name).Get(name)), "\n")
		var h map[string]any
		if err := json.Unmarshal([]byte(text), &h); err != nil {
			return err
		}
		h["schema"] = 0
		data, err := json.Marshal(h)
		if err != nil {
			return err
		}
		return tx.Bucket(name).Put(name, fmt.Appendf(data, "\n%08x", crc32.ChecksumIEEE(data)))
	})
	return applyArgs, errors.Join(err, db.Close())
}

func (w *crashWorld) backUp() ([]string, error) {
	if err := w.there(); err != nil {
		return nil, err
	}
	return []string{"backup", w.path("backup")}, nil
}

// backedUp: a backup that was cut off is none, and the next one is whole.
func (w *crashWorld) backedUp() error {
	for range 2 {
		if exists(w.path("backup")) {
			if _, err := bolt.CheckBackup(w.path("backup"), w.keys()); err != nil {
				return err
			}
		}
		if e, out, err := w.command("backup", w.path("backup")); err != nil || e.code != 0 {
			return fmt.Errorf("the backup after it ends with %d (%w): %s", e.code, err, out)
		}
	}
	return os.Remove(w.path("backup"))
}

func (w *crashWorld) newKey() ([]string, error) { return []string{"secret", "rekey"}, w.there() }

// rekeyed: what was cut off goes on, and leaves one key.
func (w *crashWorld) rekeyed() error {
	if e, out, err := w.command("secret", "rekey"); err != nil || e.code != 0 {
		return fmt.Errorf("the one after it ends with %d (%w): %s", e.code, err, out)
	}
	if text, err := os.ReadFile(w.path("key")); err != nil || strings.Contains(string(text), "before ") || exists(w.path("state.db.rekey")) {
		return fmt.Errorf("the old key is there still, or half a state (%w)", err)
	}
	return nil
}

// P8: killed at every named point, and again and again, the program goes on from there.
func TestP8KilledAtEveryPoint(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-crash.seed=%d", seed)
	count := newCrashCount(0)
	all := scenes()
	t.Run("scenes", func(t *testing.T) {
		for n, s := range all {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				for done := 0; done < *crashEach && !t.Failed(); done += sceneLife {
					t.Run(fmt.Sprint(done), func(t *testing.T) {
						playScene(t, s, seed+uint64(n+done), min(sceneLife, *crashEach-done), count)
					})
				}
			})
		}
	})
	count.report(t)
	named := map[string]int{} // in how many scenes
	for _, s := range all {
		for _, p := range s.points {
			named[p]++
		}
	}
	for _, p := range sortedKeys(named) {
		if count.points[p] < named[p]**crashEach {
			t.Errorf("%d kills at %s", count.points[p], p)
		}
	}
	t.Logf("%d points, %d kills at each", len(named), *crashEach)
	count.soon(t, 1)
}

// sceneLife is how often a world is killed at each of a scene's points: one that grows for
// ever becomes slow.
const sceneLife = 5

// playScene kills so many times at each point of a scene, in a world of its own.
func playScene(t *testing.T, s crashScene, seed uint64, kills int, count *crashCount) {
	spec := hostSpec{Builds: 1}
	if s.vendors {
		spec.Vendors = map[string]string{}
	}
	w := newCrashWorld(t, seed, spec)
	w.shops[keeper] = shop{Name: keeper, Currency: "EUR"}
	if err := w.commit(keeper); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.points {
		for range kills {
			if err := w.killAt(s, p, count); err != nil {
				t.Fatalf("at %s: %v\n%s", p, err, strings.Join(w.log, "\n"))
			}
		}
	}
	if err := w.settle(); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(w.log, "\n"))
	}
	count.Lock()
	count.settled++
	count.Unlock()
}

// killAt kills once at a point, at the n-th time that the command comes by it, and lets
// the next start recover.
func (w *crashWorld) killAt(s crashScene, point string, count *crashCount) error {
	const mostly = 6
	nth := 1 + w.rng.IntN(mostly)
	for {
		args, err := s.ready(w)
		if err != nil {
			return err
		}
		r, err := w.begin(fmt.Sprintf("%s:%d", point, nth), args...)
		if err != nil {
			return err
		}
		e, err := r.wait(0, nil)
		if err != nil {
			return err
		}
		if e.killed {
			break
		}
		if nth == 1 {
			return fmt.Errorf("%v does not come by:\n%s%s", args, r.out, r.errOut)
		}
		nth = 1
	}
	count.Lock()
	count.kills++
	count.points[point]++
	count.checks++
	count.Unlock()
	if !s.lost {
		if _, err := w.check(false); err != nil {
			return err
		}
	}
	after := func(w *crashWorld) error { return nil }
	if s.after != nil {
		after = s.after
	}
	if err := after(w); err != nil {
		return err
	}
	r, err := w.begin("", "apply")
	if err != nil {
		return err
	}
	e, err := r.wait(0, nil)
	if err != nil {
		return err
	}
	count.note(e, "", crashStart{after: true, spared: true})
	_, err = w.check(false)
	return err
}

var (
	namedBorder = regexp.MustCompile(`(?m)^\t\w+\s+Border = "([a-z-]+)"`)
	namedAction = regexp.MustCompile(`(?m)^\t\w+\s+Action = "([a-z-]+)"`)
)

// wordsIn are what constants of a file say.
func wordsIn(t *testing.T, file string, constant *regexp.Regexp) (out []string) {
	t.Helper()
	for _, m := range constant.FindAllStringSubmatch(readAll(t, file), -1) {
		out = append(out, m[1])
	}
	if len(out) < 6 {
		t.Fatalf("%s names %v", file, out)
	}
	return out
}

// Every named point of the program has a scene: each border of each action, too.
func TestP8EveryPointHasAScene(t *testing.T) {
	have, reached := map[string]bool{}, map[string]bool{}
	for _, s := range append(scenes(), crashScene{name: "a move", points: borders(plan.Transfer)}) { // see TestP8KilledAtEveryPointOfAMove
		for n, p := range s.points {
			if slices.Contains(s.points[:n], p) {
				t.Errorf("%s is there twice in %s", p, s.name)
			}
			have[p] = true
			border, _, _ := strings.Cut(p, "/")
			reached[border] = true
		}
	}
	actions := wordsIn(t, "../../internal/plan/types.go", namedAction)
	for _, b := range wordsIn(t, "../../internal/apply/runner.go", namedBorder) {
		if !reached[b] { // those that few actions have
			t.Errorf("no scene comes by %s", b)
		}
	}
	for _, a := range actions {
		for _, p := range borders(plan.Action(a)) {
			if !have[p] {
				t.Errorf("no scene comes by %s", p)
			}
		}
	}
	for _, p := range crashPoints() {
		if !have[p] {
			t.Errorf("no scene comes by %s", p)
		}
	}
	for file, prefix := range map[string]string{"../../internal/reconcile/points.go": "Point = \"", "../../internal/bolt/points.go": "= \"", "fail.go": "= \""} {
		for line := range strings.Lines(readAll(t, file)) {
			_, rest, is := strings.Cut(line, prefix)
			name, _, whole := strings.Cut(rest, "\"")
			if is && whole && name != "" && !have[name] {
				t.Errorf("%s names %s, and no scene comes by it", file, name)
			}
		}
	}
}
