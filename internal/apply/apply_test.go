package apply_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// A world is dear: 50 random ones by default, more with -rapid.checks.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "50"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, change ...func(*world)) *world {
	t.Helper()
	w := newWorld(t, t.TempDir, change...)
	if w.real {
		t.Cleanup(w.close)
	}
	return w
}

func TestProvisionsAndThenHasNothingToDo(t *testing.T) {
	w := start(t, func(w *world) { w.real = true })
	w.wants(shop("bakery"))
	w.converged()
	if d, ok := w.vendor.Serves("bakery.example"); !ok || w.vendor.BuiltWith(d)["SESSION"] != "generated-0" {
		t.Errorf("the site serves %q built with %v", d, w.vendor.BuiltWith(d))
	}
	w.vendor.ForgetCalls()
	w.restart()
	w.converged()
	if n := w.vendor.Counts(""); n.Reads+n.Writes != 0 {
		t.Errorf("P4: a converged client costs %+v", n)
	}
}
