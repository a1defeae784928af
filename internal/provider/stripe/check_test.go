package stripe

import (
	"context"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// A check says whose the key is, and what to do where it is not the platform's.
func TestCheck(t *testing.T) {
	w := start(t)
	for name, c := range map[string]struct {
		open       func(*Options)
		says       string
		ok, hinted bool
	}{
		"of the platform": {func(o *Options) { o.Platform = simulated.Platform }, "the key is of " + simulated.Platform, true, false},
		"of no platform":  {func(o *Options) { o.Platform = "" }, "the key is of " + simulated.Platform, true, true},
		"of another":      {func(o *Options) { o.Platform = "acct_0ther" }, "not of the platform acct_0ther", false, true},
		"of nobody":       {func(o *Options) { o.Key = state.NewSecret("another-invented-key") }, "Stripe", false, true},
		"nobody is there": {func(o *Options) { o.URL = "http://127.0.0.1:1" }, "no connection to it came about", false, true},
	} {
		found := w.open(c.open).Check(context.Background())
		if len(found) != 1 || found[0].OK != c.ok || (found[0].Hint != "") != c.hinted || !strings.Contains(found[0].Text, c.says) || strings.Contains(found[0].Text, "another-invented") {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
