package stripe

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

// Of an account it is said whose key it is, what may be done with it, and what to do.
func TestCheck(t *testing.T) {
	w := start(t)
	for name, c := range map[string]struct {
		change      func(*Options)
		fault       *simulator.Fault
		ok          []bool
		said, hints string
	}{
		"all is well":     {ok: []bool{true, true}, said: "the key is accepted, of the platform " + simulated.Platform},
		"no platform":     {change: func(o *Options) { o.Platform = "" }, ok: []bool{true, true}, hints: "set providers.stripe.platform to " + simulated.Platform},
		"another's":       {change: func(o *Options) { o.Platform = "acct_1Elsewhere" }, ok: []bool{false}, said: "providers.stripe.platform says acct_1Elsewhere", hints: "use a key of that platform"},
		"a revoked key":   {change: func(o *Options) { o.Key = state.NewSecret("another-invented-key") }, ok: []bool{false}, hints: "restricted key"},
		"no answer":       {fault: &simulator.Fault{Method: http.MethodGet, Path: "/v1/account", Do: simulator.Refuse(http.StatusServiceUnavailable, nil, "<html>"), Times: -1}, ok: []bool{false}, said: "does not answer"},
		"no list for you": {fault: &simulator.Fault{Method: http.MethodGet, Path: accountsPath, Do: simulator.Refuse(http.StatusForbidden, nil, `{"error":{"message":"not signed up","type":"invalid_request_error"}}`)}, ok: []bool{true, false}, hints: "sign up for Connect"},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.open(func(o *Options) {
				o.Platform = simulated.Platform
				if c.change != nil {
					c.change(o)
				}
			})
			if c.fault != nil {
				w.faults.Add(*c.fault)
				defer w.faults.Clear()
			}
			found := provider.Checker(p).Check(context.Background())
			said, hints := "", ""
			for n, f := range found {
				said, hints = said+f.Text+"\n", hints+f.Hint+"\n"
				if n < len(c.ok) && f.OK != c.ok[n] {
					t.Errorf("%+v", f)
				}
			}
			if len(found) != len(c.ok) || !strings.Contains(said, c.said) || !strings.Contains(hints, c.hints) || strings.Contains(said+hints, "another-invented") {
				t.Errorf("found %+v", found)
			}
		})
	}
	if n := len(w.vendor.Accounts()); n != 0 {
		t.Errorf("a check made %d accounts", n)
	}
}
