package providertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Costs writes down what a provider's verbs cost, call by call, and holds the traits to it:
// a plan counts by them.
type Costs struct {
	// Sent returns what was sent since it was asked last, a line each.
	Sent func() []string

	text   strings.Builder
	counts map[string]int
}

// Do does something, and counts its calls under a name.
func (c *Costs) Do(t testing.TB, what string, do func() error) {
	t.Helper()
	c.Sent()
	if err := do(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	sent := c.Sent()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[what] = len(sent)
	fmt.Fprintf(&c.text, "%s: %d\n", what, len(sent))
	for _, s := range sent {
		fmt.Fprintf(&c.text, "    %s\n", s)
	}
}

// Count is how many calls something took; Text is all that was written down.
func (c *Costs) Count(what string) int { return c.counts[what] }

// Text is all that was written down.
func (c *Costs) Text() string { return c.text.String() }

// Agree holds a kind's traits to the counts of observe, create, update and delete.
func (c *Costs) Agree(t testing.TB, traits provider.Traits, observe, create, update, remove int) {
	t.Helper()
	for what, n := range map[string][2]int{"observe": {observe, traits.ObserveCalls}, "create": {create, traits.CreateCalls}, "update": {update, traits.UpdateCalls}, "delete": {remove, traits.DeleteCalls}} {
		if n[0] != n[1] {
			t.Errorf("%s costs %d calls, the traits say %d", what, n[0], n[1])
		}
	}
}

// Golden compares what was written down with testdata/calls.golden.
func (c *Costs) Golden(t testing.TB, update bool) {
	t.Helper()
	file := filepath.Join("testdata", "calls.golden")
	if update {
		if err := os.WriteFile(file, []byte(c.text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != c.text.String() {
		t.Errorf("the calls are others than in %s (%v):\n%s", file, err, c.text.String())
	}
}
