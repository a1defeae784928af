//go:build planted

package reconcile_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Would the simulation find a bug? Each of plantedBugs is planted into copies of
// files that only the compiler sees. With one of them alive, the simulation must turn red
// within plantedSeeds seeds. Each of plantedElsewhere must turn the test red that it names.
const plantedSeeds = 10_000

var (
	plantedOnly = flag.String("planted.only", "", "plant only the bugs whose name has this in it, or one of several between |")
	plantedMost = flag.Int("planted.seeds", plantedSeeds, "give up after so many seeds")
)

func TestPlantedBugsAreFound(t *testing.T) {
	if !slices.ContainsFunc(allPlanted(), wanted) {
		t.Fatalf("no bug is called %q", *plantedOnly)
	}
	built, seeds := newRooms(t), []int(nil)
	built.room(t, "reconcile")
	for _, bug := range plantedBugs {
		if !wanted(bug) {
			continue
		}
		t.Run(bug.name, func(t *testing.T) {
			begun := time.Now()
			n, law := built.hunt(t, bug)
			if n == 0 {
				t.Fatalf("not found within %d seeds (%s)", *plantedMost, time.Since(begun).Round(time.Second))
			}
			t.Logf("found by seed %d: %s (%s)", n, law, time.Since(begun).Round(time.Second))
			seeds = append(seeds, n)
		})
	}
	if slices.Sort(seeds); len(seeds) > 0 {
		t.Logf("%d found; median %d seeds, most %d", len(seeds), seeds[len(seeds)/2], seeds[len(seeds)-1])
	}
	foundElsewhere(t, built)
}

// foundElsewhere: what the simulation does not come to, a test of its own room does.
func foundElsewhere(t *testing.T, built *rooms) {
	t.Helper()
	for _, bug := range plantedElsewhere {
		if !wanted(bug.planted) {
			continue
		}
		t.Run(bug.name, func(t *testing.T) {
			out, err := built.command(t, bug.planted, bug.room, "-test.run", "^"+bug.by+"$", "-test.timeout", "10m", "-test.v").CombinedOutput()
			if err == nil {
				t.Fatalf("%s in %s does not find it:\n%s", bug.by, bug.room, out)
			}
			if !strings.Contains(string(out), "--- FAIL: "+bug.by) {
				t.Fatalf("it ended otherwise: %v\n%s", err, out)
			}
			t.Logf("found by %s in %s", bug.by, bug.room)
		})
	}
}

// wanted says that a bug is among those that are asked for.
func wanted(b planted) bool {
	return slices.ContainsFunc(strings.Split(*plantedOnly, "|"), func(part string) bool { return strings.Contains(b.name, part) })
}

// rooms are the test programs that were built so far: each has every bug in it, and the
// environment says which one is alive.
type rooms struct {
	dir, overlay string
	built        map[string]string
}

const plantedEnv = "PLANTED_BUG"

func newRooms(t *testing.T) *rooms {
	t.Helper()
	internal, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	r := &rooms{dir: t.TempDir(), built: map[string]string{}}
	files, err := sickFiles(internal, allPlanted())
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for n, path := range slices.Sorted(maps.Keys(files)) {
		replace[path] = filepath.Join(r.dir, fmt.Sprintf("sick%d.go", n))
		if err := os.WriteFile(replace[path], []byte(files[path]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	r.overlay = filepath.Join(r.dir, "overlay.json")
	if err := os.WriteFile(r.overlay, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// room is the test program of a room.
func (r *rooms) room(t *testing.T, name string) string {
	t.Helper()
	if r.built[name] == "" {
		begun, test := time.Now(), filepath.Join(r.dir, filepath.Base(name)+".test")
		if out, err := exec.Command("go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", r.overlay, "-o", test, "../"+name).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("the tests of %s were built in %s", name, time.Since(begun).Round(time.Second))
		r.built[name] = test
	}
	return r.built[name]
}

// command runs tests of a room with a bug in it.
func (r *rooms) command(t *testing.T, bug planted, room string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(r.room(t, room), args...)
	c.Dir, c.Env = filepath.Join("..", room), append(os.Environ(), plantedEnv+"="+bug.name)
	return c
}

var redSeed = regexp.MustCompile(`(?m)seed (\d+): (.*)$`)

// hunt plays the simulation with a bug in it, and says which seed finds it; 0: none.
func (r *rooms) hunt(t *testing.T, bug planted) (int, string) {
	t.Helper()
	if n := foundBefore[bug.name]; n > 0 && n <= *plantedMost { // while runs are as they were
		if found, law := r.play(t, bug, n, n); found > 0 {
			return found, law
		}
	}
	return r.play(t, bug, 1, *plantedMost)
}

// play plays some seeds. One that is red without the bug, too, proves nothing.
func (r *rooms) play(t *testing.T, bug planted, first, last int) (int, string) {
	t.Helper()
	for first <= last {
		out, err := r.command(t, bug, "reconcile", "-test.run", "^TestSim$", "-test.timeout", "2h", "-sim.seed", strconv.Itoa(first), "-sim.seeds", strconv.Itoa(last-first+1),
			"-sim.failures", "1", "-sim.shrink=false").CombinedOutput()
		if err == nil {
			return 0, ""
		}
		m := redSeed.FindStringSubmatch(string(out))
		if m == nil {
			t.Fatalf("it ended otherwise: %v\n%s", err, out)
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		o := playWith(t, seeded(uint64(n)), func(*story) {})
		if o.failed == "" {
			return n, m[2]
		}
		t.Logf("seed %d is red without the bug, too: %s", n, o.failed)
		first = n + 1
	}
	return 0, ""
}
