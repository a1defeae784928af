//go:build planted

package reconcile_test

import (
	"encoding/json"
	"flag"
	"fmt"
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

// Would the simulation find a bug? Each of plantedBugs is planted, by itself, into a copy of
// a file that only the compiler sees, and the simulation must turn red within plantedSeeds
// seeds. Each of plantedElsewhere must turn the test red that it names.
const plantedSeeds = 10_000

var (
	plantedOnly = flag.String("planted.only", "", "plant only the bugs whose name has this in it, or one of several between |")
	plantedMost = flag.Int("planted.seeds", plantedSeeds, "give up after so many seeds")
)

func TestPlantedBugsAreFound(t *testing.T) {
	var seeds []int
	for i, bug := range slices.Concat(plantedBugs, plantedHostile) {
		if !wanted(bug) {
			continue
		}
		t.Run(bug.name, func(t *testing.T) {
			begun := time.Now()
			sim := bug.build(t, "reconcile")
			built := time.Since(begun)
			n, law := hunt(t, sim, i >= len(plantedBugs))
			if n == 0 {
				t.Fatalf("not found within %d seeds (built in %s, played in %s)", *plantedMost, built.Round(time.Second), (time.Since(begun) - built).Round(time.Second))
			}
			t.Logf("found by seed %d: %s (built in %s, played in %s)", n, law, built.Round(time.Second), (time.Since(begun) - built).Round(time.Second))
			seeds = append(seeds, n)
		})
	}
	if slices.Sort(seeds); len(seeds) > 0 {
		t.Logf("%d found; median %d seeds, most %d", len(seeds), seeds[len(seeds)/2], seeds[len(seeds)-1])
	}
}

// What the simulation does not come to, a test of its own room does.
func TestPlantedBugsAreFoundElsewhere(t *testing.T) {
	for _, bug := range plantedElsewhere {
		if !wanted(bug.planted) {
			continue
		}
		t.Run(bug.name, func(t *testing.T) {
			test := exec.Command(bug.build(t, bug.room), "-test.run", "^"+bug.by+"$", "-test.timeout", "10m", "-test.v")
			test.Dir = filepath.Join("..", bug.room)
			out, err := test.CombinedOutput()
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

// build builds the tests of a room with the bug in it.
func (b planted) build(t *testing.T, room string) string {
	t.Helper()
	internal, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := b.sick(internal)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sick := filepath.Join(dir, "planted.go")
	if err := os.WriteFile(sick, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(internal, b.file): sick}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	test := filepath.Join(dir, "sick.test")
	if out, err := exec.Command("go", "test", "-c", "-vet=off", "-trimpath", "-ldflags=-s -w", "-overlay", list, "-o", test, "../"+room).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return test
}

var redSeed = regexp.MustCompile(`(?m)seed (\d+): (.*)$`)

// hunt plays the simulation with a bug in it, and says which seed finds it; 0: none. A seed
// that is red without the bug, too, proves nothing.
func hunt(t *testing.T, sim string, hostile bool) (int, string) {
	t.Helper()
	for first := 1; first <= *plantedMost; {
		out, err := exec.Command(sim, "-test.run", "^TestSim$", "-test.timeout", "2h", "-sim.seed", strconv.Itoa(first), "-sim.seeds", strconv.Itoa(*plantedMost-first+1),
			"-sim.failures", "1", "-sim.shrink=false", fmt.Sprintf("-sim.hostile=%v", hostile)).CombinedOutput()
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
		o := playAs(t, seeded(uint64(n)), hostile)
		if o.failed == "" {
			return n, m[2]
		}
		t.Logf("seed %d is red without the bug, too: %s", n, o.failed)
		first = n + 1
	}
	return 0, ""
}
