package railway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/railway/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }
func pageHeader() http.Header { return http.Header{"Content-Type": {"text/html; charset=UTF-8"}} }

// said is an error as Railway gives it.
func anError(text, code string) string {
	extensions := "{}"
	if code != "" {
		extensions = fmt.Sprintf(`{"code":%q}`, code)
	}
	return fmt.Sprintf(`{"errors":[{"message":%q,"path":["x"],"extensions":%s}],"data":null}`, text, extensions)
}

// Every error that Railway is known to give, and every way in which it gives none, has its
// kind: of a read and of a write.
func TestErrorKinds(t *testing.T) {
	slow := http.Header{"Content-Type": {"application/json"}, "Retry-After": {"90"}, "X-Ratelimit-Remaining": {"0"}}
	for name, c := range map[string]struct {
		do          simulator.Effect
		read, write provider.ErrorKind
		says        string
		until       time.Duration
	}{
		"too many":            {simulator.Refuse(429, slow, `{"errors":[{"message":"Too many requests"}]}`), provider.RateLimited, provider.RateLimited, "Too many", 90 * time.Second},
		"edge limits":         {simulator.Refuse(403, pageHeader(), "<html><title>Access denied</title></html>"), provider.RateLimited, provider.RateLimited, "page", time.Minute},
		"not this token":      {simulator.Refuse(401, jsonHeader(), `{"errors":[{"message":"Unauthorized"}]}`), provider.Denied, provider.Denied, "Unauthorized", 0},
		"forbidden":           {simulator.Refuse(403, jsonHeader(), `{"errors":[{"message":"no"}]}`), provider.Denied, provider.Denied, "no", 0},
		"denied by code":      {simulator.Refuse(200, jsonHeader(), anError("no", "FORBIDDEN")), provider.Denied, provider.Denied, "FORBIDDEN", 0},
		"no code":             {simulator.Refuse(200, jsonHeader(), anError("Not Authorized", "")), provider.Transient, provider.Uncertain, "Not Authorized", 0},
		"no code, no path":    {simulator.Refuse(200, jsonHeader(), `{"errors":[{"message":"Not Authorized"}],"data":null}`), provider.Transient, provider.Uncertain, "Not Authorized", 0},
		"an unknown code":     {simulator.Refuse(200, jsonHeader(), anError("what", "INTERNAL_SERVER_ERROR")), provider.Transient, provider.Uncertain, "what", 0},
		"bad input":           {simulator.Refuse(200, jsonHeader(), anError("Invalid name", "BAD_USER_INPUT")), provider.Invalid, provider.Invalid, "Invalid name", 0},
		"not begun":           {simulator.Refuse(200, jsonHeader(), `{"errors":[{"message":"Unknown argument"}]}`), provider.Invalid, provider.Invalid, "Unknown argument", 0},
		"not valid":           {simulator.Refuse(400, jsonHeader(), `{"errors":[{"message":"Cannot query field","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`), provider.Invalid, provider.Invalid, "Cannot query field", 0},
		"a gateway's page":    {simulator.Instead(502, pageHeader(), "<html>"), provider.Transient, provider.Uncertain, "502", 0},
		"down":                {simulator.Refuse(503, nil, ""), provider.Transient, provider.Uncertain, "503", 0},
		"errors with 500":     {simulator.Refuse(500, jsonHeader(), anError("boom", "")), provider.Transient, provider.Uncertain, "boom", 0},
		"a page for success":  {simulator.Instead(200, pageHeader(), "<html>"), provider.Transient, provider.Uncertain, "text/html", 0},
		"no API there":        {simulator.Refuse(404, pageHeader(), "<html>"), provider.Invalid, provider.Invalid, "apiURL", 0},
		"no answer":           {simulator.LoseAnswer(), provider.Transient, provider.Uncertain, "no answer", 0},
		"no data":             {simulator.Instead(200, jsonHeader(), `{}`), provider.Transient, provider.Uncertain, "not what", 0},
		"data is null":        {simulator.Instead(200, jsonHeader(), `{"data":null}`), provider.Transient, provider.Uncertain, "not what", 0},
		"data is empty":       {simulator.Instead(200, jsonHeader(), `{"data":{}}`), provider.Transient, provider.Uncertain, "not what", 0},
		"data with an error":  {simulator.Instead(200, jsonHeader(), `{"data":{"projects":{"edges":[],"pageInfo":{"hasNextPage":false}}},"errors":[{"message":"partly","path":["projects"]}]}`), provider.Transient, provider.Uncertain, "partly", 0},
		"other data":          {simulator.Instead(200, jsonHeader(), `{"data":{"projects":7,"projectCreate":7}}`), provider.Transient, provider.Uncertain, "not what", 0},
		"null in place of it": {simulator.Instead(200, jsonHeader(), `{"data":{"projects":null,"projectCreate":null}}`), provider.Transient, provider.Uncertain, "not what", 0},
		"nothing in it":       {simulator.Instead(200, jsonHeader(), `{"data":{"projects":{},"projectCreate":{}}}`), provider.Transient, provider.Uncertain, "not what", 0},
		"too large":           {simulator.Instead(200, jsonHeader(), strings.Repeat(" ", 5<<20)), provider.Transient, provider.Uncertain, "more than 4 MiB", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := hostile(t)
			p := w.open()
			if _, err := p.inWorkspace(context.Background()); err != nil {
				t.Fatal(err)
			}
			check := func(what string, err error, kind provider.ErrorKind, op string) {
				t.Helper()
				var pe *provider.Error
				if !errors.As(err, &pe) || pe.Kind != kind || pe.Op != op || pe.Provider != Name || !strings.Contains(pe.Error(), c.says) {
					t.Errorf("%s: %v; want %s: …%s…", what, err, kind, c.says)
					return
				}
				if want := w.clock.Now().Add(c.until); c.until > 0 && !pe.Until.Equal(want) {
					t.Errorf("%s: until %s, want %s", what, pe.Until, want)
				}
			}
			w.faults.Add(simulator.Fault{Match: simulated.Operation("projects"), Do: c.do})
			_, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, Name: wish(1, public).Name})
			check("read", err, c.read, opObserve)
			w.faults.Add(simulator.Fault{Match: simulated.Operation("makeProject"), Do: c.do})
			_, err = p.Create(context.Background(), wish(1, public))
			check("write", err, c.write, opCreate)
		})
	}
}

// Where no connection comes about, nothing was sent.
func TestNoConnection(t *testing.T) {
	w := start(t)
	p := w.open()
	if _, err := p.Owned(context.Background(), ours); err != nil {
		t.Fatal(err)
	}
	w.server.Close()
	_, err := p.Create(context.Background(), wish(1, public))
	if provider.KindOf(err) != provider.Transient {
		t.Errorf("create: %v", err)
	}
	if found := p.Check(context.Background()); len(found) != 1 || found[0].OK || !strings.Contains(found[0].Text, "no connection to it came about") {
		t.Errorf("check: %+v", found)
	}
}

// S33: a token that Railway does not accept stops the provider, whichever read meets it first;
// the same words about one thing do not.
func TestS33RevokedToken(t *testing.T) {
	w := start(t)
	p := w.open()
	o := w.made(p, 1, private)
	byID := provider.Query{Kind: state.KindDatabase, ID: o.ID}
	w.faults.Add(simulator.Fault{Match: simulated.Operation("databases"), Do: simulator.Refuse(200, jsonHeader(), anError("Not Authorized", ""))})
	if _, err := p.Observe(context.Background(), byID); provider.KindOf(err) != provider.Transient {
		t.Errorf("one thing is refused: %v", err)
	}
	other := w.open(func(o *Options) { o.Token = state.NewSecret("another-invented-token") })
	for name, err := range map[string]error{
		"by id":  second(other.Observe(context.Background(), byID)),
		"list":   second(other.Owned(context.Background(), ours)),
		"create": second(other.Create(context.Background(), wish(2, private))),
		"update": second(other.Update(context.Background(), o.ID, wish(1, private))),
		"delete": other.Delete(context.Background(), state.KindDatabase, o.ID),
		"check":  second(other.good(context.Background())),
	} {
		if provider.KindOf(err) != provider.Denied || strings.Contains(err.Error(), "another-invented") {
			t.Errorf("%s with another token: %v", name, err)
		}
	}
	w.whole(w.ready(p, o.ID), 0)
	// Revoked while it is in use, however the refusal is put.
	for _, body := range []string{anError("Not Authorized", ""), `{"errors":[{"message":"Not Authorized"}],"data":null}`, `{"errors":[{"message":"Not Authorized"}]}`} {
		for _, p := range []*Provider{p, w.open()} {
			w.faults.Add(simulator.Fault{Times: -1, Do: simulator.Refuse(200, jsonHeader(), body)})
			if _, err := p.Observe(context.Background(), byID); provider.KindOf(err) != provider.Denied {
				t.Errorf("%s: %v", body, err)
			}
			w.faults.Clear()
		}
	}
}

func second[T any](_ T, err error) error { return err }

// That something is gone is not believed of a token that does not see the workspace any more.
func TestGoneTakesASight(t *testing.T) {
	w := hostile(t)
	p := w.open()
	o := w.made(p, 1, private)
	w.vendor.Drop(o.ID)
	for name, answer := range map[string]string{
		"another workspace": `{"data":{"apiToken":{"workspaces":[{"id":"elsewhere"}]},"projectsByIds":[]}}`,
		"no workspace":      `{"data":{"apiToken":{"workspaces":[]},"projectsByIds":[]}}`,
	} {
		w.faults.Add(simulator.Fault{Match: simulated.Operation("databases"), Do: simulator.Instead(200, jsonHeader(), answer), Times: 2})
		if found, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: o.ID}); provider.KindOf(err) != provider.Denied {
			t.Errorf("%s: %v, %v", name, found, err)
		}
		if err := p.Delete(context.Background(), state.KindDatabase, o.ID); provider.KindOf(err) != provider.Denied {
			t.Errorf("%s: deleted: %v", name, err)
		}
	}
}

// P5: a database whose service is gone is reported, and nothing empty takes its place.
func TestP5NothingEmptyInItsPlace(t *testing.T) {
	w := start(t)
	p := w.open()
	o := w.made(p, 1, private)
	w.vendor.Drop(o.ID)
	w.clock.move(time.Hour)
	found, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: o.ID})
	if err != nil || len(found) != 1 || found[0].Phase != provider.Failed || !strings.Contains(found[0].Message, "restore it") {
		t.Errorf("observe: %+v, %v", found, err)
	}
	for _, again := range []*Provider{p, w.open()} {
		if _, err := again.Update(context.Background(), o.ID, wish(1, public)); provider.KindOf(err) != provider.Invalid {
			t.Errorf("update: %v", err)
		}
	}
	if x := w.vendor.Projects()[0]; x.Services != 0 || x.Volumes != 0 {
		t.Errorf("something took its place: %+v", x)
	}
}

// What a wish may not ask for is refused before anything is sent.
func TestInvalidWishes(t *testing.T) {
	w := start(t)
	p := w.open()
	o := w.made(p, 1, private)
	w.log.take()
	for name, change := range map[string]func(*provider.Wish){
		"no name":     func(w *provider.Wish) { w.Name = "" },
		"a long name": func(w *provider.Wish) { w.Name = strings.Repeat("x", maxName+1) },
		"two lines":   func(w *provider.Wish) { w.Name = "a\nb" },
		"no mark":     func(w *provider.Wish) { w.Mark = provider.Mark{} },
		"an access":   func(w *provider.Wish) { w.Inputs[0].Text = "everybody" },
		"a reference": func(w *provider.Wish) { w.Inputs[1].Text = "${{shared.TOKEN}}" },
		"no schema":   func(w *provider.Wish) { w.Inputs[2].Text = "${{x}}" },
	} {
		bad := wish(2, public)
		change(&bad)
		if _, err := p.Create(context.Background(), bad); provider.KindOf(err) != provider.Invalid {
			t.Errorf("%s: created: %v", name, err)
		}
		if _, err := p.Update(context.Background(), o.ID, bad); provider.KindOf(err) != provider.Invalid {
			t.Errorf("%s: updated: %v", name, err)
		}
	}
	if sent := w.log.take(); len(sent) > 0 {
		t.Errorf("sent: %q", sent)
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a provider without a token opens")
	}
}

// P10: the password is nowhere but at Railway and in the output, even where Railway repeats
// what it was sent.
func TestP10PasswordIsConcealed(t *testing.T) {
	w := start(t)
	random := strings.NewReader(strings.Repeat("\xab", 32))
	p := w.open(func(o *Options) { o.Random = random })
	password := strings.Repeat("ab", 32)
	w.faults.Add(simulator.Fault{Match: simulated.Operation("makeService"), Do: simulator.Refuse(400, jsonHeader(), anError("bad value "+password, ""))})
	o, err := p.Create(context.Background(), wish(1, public))
	if err != nil || o.Phase != provider.Unfinished || !strings.Contains(o.Message, "bad value") || strings.Contains(o.Message, password) {
		t.Fatalf("created: %+v, %v", o, err)
	}
	_, err = p.Update(context.Background(), o.ID, wish(1, public)) // there is no more randomness
	if provider.KindOf(err) != provider.Transient || len(w.vendor.Projects()) != 1 {
		t.Errorf("update: %v", err)
	}
}

// One database that goes while many are read does not spoil the list; what can't be read at
// all does.
func TestOneGoesWhileManyAreRead(t *testing.T) {
	w := start(t)
	p := w.open()
	for n := range 3 {
		w.made(p, n+1, private)
	}
	first := w.vendor.Projects()[0].ID
	refuse := simulator.Refuse(200, jsonHeader(), anError("Project not found", ""))
	// The common answer and the first one's own are refused; then it is seen to be gone.
	w.faults.Add(simulator.Fault{Match: simulated.Operation("rendered"), Do: refuse, Times: 2},
		simulator.Fault{Match: func(_ *http.Request, body []byte) bool {
			return strings.Contains(string(body), "query databases") && strings.Contains(string(body), first) && strings.Count(string(body), "-4") == 1
		}, Do: simulator.Instead(200, jsonHeader(), `{"data":{"apiToken":{"workspaces":[{"id":"workspace-Agency"}]},"projectsByIds":[]}}`)})
	owned, err := p.Owned(context.Background(), ours)
	if err != nil || len(owned) != 2 || owned[0].ID == first || owned[0].Phase != provider.Ready {
		t.Errorf("owned: %v, %v", owned, err)
	}
	w.faults.Clear()
	w.faults.Add(simulator.Fault{Match: simulated.Operation("rendered"), Do: refuse, Times: -1})
	if owned, err := p.Owned(context.Background(), ours); provider.KindOf(err) != provider.Transient || len(owned) != 0 {
		t.Errorf("nothing can be read: %v, %v", owned, err)
	}
}

// P3: the token is another account's when the program starts, and the configuration names the workspace that is meant.
// Nothing is said to be gone, or to be deleted, by an account that was never there.
func TestP3NothingIsGoneOfAnotherAccountsToken(t *testing.T) {
	const there = "8a1f7d5e-0000-4000-8000-000000000001" // of the agency's
	w := start(t, func(o *simulated.Options) { o.Workspace = "Private" })
	p := w.open(func(o *Options) { o.Workspace = "Agency" })
	_, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: there})
	for name, err := range map[string]error{"look": err, "delete": p.Delete(context.Background(), state.KindDatabase, there)} {
		if provider.KindOf(err) != provider.Denied {
			t.Errorf("%s: %v; want it denied", name, err)
		}
	}
}

// What Railway refuses without saying whether it was begun is looked for, and made again. Who waits meanwhile is told what it said.
func TestRuleARefusalIsToldWhileItsEffectIsLookedFor(t *testing.T) {
	w := hostile(t)
	p := w.open()
	w.faults.Add(simulator.Fault{Match: simulated.Operation("makeVolume"), Times: -1, Do: simulator.Refuse(200, jsonHeader(), anError("Not Authorized", ""))})
	o, err := p.Create(context.Background(), wish(1, private))
	if err != nil || o.Phase != provider.Unfinished {
		t.Fatal(o, err)
	}
	for range 2 {
		w.clock.move(10 * time.Second)
		if _, err = p.Update(context.Background(), o.ID, wish(1, private)); err == nil || !strings.Contains(err.Error(), "Not Authorized") {
			t.Errorf("it says %v", err)
		}
	}
	w.faults.Clear()
	w.clock.move(time.Hour)
	if _, err = p.Update(context.Background(), o.ID, wish(1, private)); err != nil {
		t.Error(err)
	}
}

// refusesToFill looks that an update of what lost its data writes nothing, and says what to do.
func (w *world) refusesToFill(p *Provider, id string) {
	w.t.Helper()
	w.log.take()
	if _, err := p.Update(context.Background(), id, wish(1, public)); err == nil || !strings.Contains(err.Error(), "restore it at Railway") {
		w.t.Errorf("an update says %v", err)
	}
	if got := strings.Join(w.log.take(), "\n"); strings.Contains(got, "mutation") {
		w.t.Errorf("it asked for\n%s", got)
	}
}

// P5: somebody deletes the service in its environment, as people do in a project that has another one (staging, say), which keeps
// it. The database is gone: nothing is started in its place.
func TestP5AServiceThatLeftItsEnvironmentIsGone(t *testing.T) {
	w := start(t)
	p := w.open()
	o := w.made(p, 1, public)
	w.clock.move(time.Hour)
	w.vendor.Leave(o.ID)
	found, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: o.ID})
	if err != nil || len(found) != 1 || !found[0].Lost || found[0].Phase != provider.Failed {
		t.Errorf("it is %+v, %v", found, err)
	}
	w.refusesToFill(p, o.ID)
}

// P5: a project that people made has the database, and what looks at it (an exporter, say), or runs an image of PostgreSQL with
// extensions. The database is there. Of two that may be it nobody says that it is gone, but what to do, and that helps.
func TestP5TheDatabaseAmongOtherServices(t *testing.T) {
	w := start(t)
	p := w.open()
	look := func(id string) provider.Object {
		t.Helper()
		found, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: id})
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		return found[0]
	}
	for name, change := range map[string]func(id string){
		"an exporter": func(id string) { w.vendor.Add(id, "exporter", "prometheuscommunity/postgres-exporter:v0.15.0", false) },
		"pgvector":    func(id string) { w.vendor.Image(id, "pgvector/pgvector:pg17") },
	} {
		id, url := w.vendor.Seed("the shop's", "since 2019", "1234567890abcdef")
		change(id)
		o := look(id)
		got := slices.IndexFunc(o.Outputs, func(out provider.Output) bool { return out.Name == "url" && out.Secret.Reveal() == url })
		if o.Lost || o.Phase != provider.Ready || got < 0 {
			t.Errorf("%s: it is %s %q, lost %v", name, o.Phase, o.Message, o.Lost)
		}
	}
	made := w.made(p, 1, public) // whose service has a name, and was deleted
	w.clock.move(time.Hour)
	w.vendor.Drop(made.ID)
	w.vendor.Add(made.ID, "second", Image, true)
	w.vendor.Add(made.ID, "third", Image, true)
	if o := look(made.ID); !o.Lost {
		t.Errorf("of one that was made here it is %s %q", o.Phase, o.Message)
	}
	id, _ := w.vendor.Seed("the bar's", "since 2019", "1234567890abcdef")
	w.vendor.Add(id, "second", Image, true)
	if o := look(id); o.Lost || o.Phase != provider.Failed || !strings.Contains(o.Message, "Postgres, second") {
		t.Errorf("of two it is %s %q, lost %v", o.Phase, o.Message, o.Lost)
	}
	if _, err := p.Update(context.Background(), id, wish(1, public)); err == nil || !strings.Contains(err.Error(), "name the one that is postgres") {
		t.Errorf("an update says %v", err)
	}
}

// P5: somebody deletes the volume. Railway deploys the service anew, and it ends at once. That is told as what it is, as long as the
// volume can be had back, and nothing is started in its place.
func TestP5ADatabaseThatCrashedWithoutItsVolumeIsGone(t *testing.T) {
	w := start(t)
	p := w.open()
	o := w.made(p, 1, public)
	w.clock.move(time.Hour)
	w.vendor.Unmount(o.ID)
	w.clock.move(time.Hour)
	found, err := p.Observe(context.Background(), provider.Query{Kind: state.KindDatabase, ID: o.ID})
	if err != nil || len(found) != 1 || !found[0].Lost || !strings.Contains(found[0].Message, "its volume is gone") {
		t.Errorf("it is %+v, %v", found, err)
	}
	w.refusesToFill(p, o.ID)
}
