package railway

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// What a token is good for is said in words.
func TestCheck(t *testing.T) {
	more := func(o *simulated.Options) { o.Workspaces = []string{"Second", "Third"} }
	for name, c := range map[string]struct {
		change func(*simulated.Options)
		open   func(*Options)
		says   string
		fails  string
	}{
		"of a workspace":   {says: "the token is one of the workspace Agency"},
		"of an account":    {change: func(o *simulated.Options) { o.Account = true }, says: "the token is one of an account, which may do more than is needed, in the workspace Agency"},
		"of a project":     {open: func(o *Options) { o.Token = state.NewSecret(projectToken) }, fails: "one of the project shop and can make no other"},
		"of nobody":        {open: func(o *Options) { o.Token = state.NewSecret("invented") }, fails: "the token is not accepted: Not Authorized"},
		"which workspace":  {change: more, fails: "say which one in providers.railway.workspace: the token sees Agency, Second, Third"},
		"by name":          {change: more, open: func(o *Options) { o.Workspace = "Third" }, says: "the workspace Third"},
		"by id":            {change: more, open: func(o *Options) { o.Workspace = "workspace-Second" }, says: "the workspace Second"},
		"another one":      {open: func(o *Options) { o.Workspace = "Elsewhere" }, fails: "does not see the workspace Elsewhere"},
		"at another place": {open: func(o *Options) { o.URL = strings.TrimSuffix(o.URL, "/v2") }, fails: "there is no API at its address"},
	} {
		t.Run(name, func(t *testing.T) {
			var vendor []func(*simulated.Options)
			var open []func(*Options)
			if c.change != nil {
				vendor = append(vendor, c.change)
			}
			if c.open != nil {
				open = append(open, c.open)
			}
			found := start(t, vendor...).open(open...).Check(context.Background())
			if len(found) != 1 || found[0].OK == (c.fails != "") || !strings.Contains(found[0].Text, c.says+c.fails) || c.fails != "" && found[0].Hint == "" {
				t.Errorf("%+v; want %q", found, c.says+c.fails)
			}
		})
	}
}

// Of several workspaces only the one that is meant is listed, and made in.
func TestOneWorkspace(t *testing.T) {
	w := start(t, func(o *simulated.Options) { o.Workspaces = []string{"Second"} })
	first, second := w.open(func(o *Options) { o.Workspace = "Agency" }), w.open(func(o *Options) { o.Workspace = "Second" })
	o := w.made(first, 1, private)
	if owned, err := second.Owned(context.Background(), ours); err != nil || len(owned) != 0 {
		t.Errorf("in the second: %v, %v", owned, err)
	}
	if owned, err := first.Owned(context.Background(), ours); err != nil || len(owned) != 1 || owned[0].ID != o.ID {
		t.Errorf("in the first: %v, %v", owned, err)
	}
}

// The limit of an hour ends at a thousand calls and says until when.
func TestLimitOfAnHour(t *testing.T) {
	w := start(t, func(o *simulated.Options) { o.PerHour, o.BuildTime = 20, -1 })
	p := w.open()
	o := w.made(p, 1, private)
	var err error
	for range 20 {
		if _, err = p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: o.ID}); err != nil {
			break
		}
	}
	if until := provider.UntilOf(err); provider.KindOf(err) != provider.RateLimited || until.Before(w.clock.Now()) || until.After(w.clock.Now().Add(time.Hour)) {
		t.Fatalf("%v until %s", err, until)
	}
	w.clock.move(time.Hour)
	w.whole(w.ready(p, o.ID), 0)
}
