package external_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/external"
	"github.com/compassdigital/reconciler/internal/provider/providertest"
	"github.com/compassdigital/reconciler/internal/state"
)

var ctx = context.Background()

// zone is a DNS that tests write into: contents by "TYPE name".
type zone struct {
	records map[string][]string
	err     error
}

func (z *zone) lookup(ctx context.Context, recordType, name string) ([]string, error) {
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case recordType == "CAA":
		return nil, errors.ErrUnsupported
	}
	return append([]string(nil), z.records[recordType+" "+name]...), z.err
}

func open(z *zone) provider.Provider {
	return external.Providers(external.Options{Lookup: z.lookup})[0]
}

func wish(kind state.Kind, name string, inputs ...provider.Input) provider.Wish {
	m := provider.Mark{Installation: "0badcafe", Client: "c00001", Generation: 1}
	r := state.Ref{Client: "c00001", Kind: kind, Name: name}
	return provider.Wish{Ref: r, Name: provider.ObjectName(m, r), Mark: m, Inputs: inputs}
}

// record is a wish as desired makes it.
func record(kind, name, content string, more ...provider.Input) provider.Wish {
	text := providertest.Text
	in := append([]provider.Input{text("content", content), text("name", name), text("ttl", "300"), text("type", kind)}, more...)
	return wish(state.KindRecord, kind+" "+name, in...)
}

func create(t *testing.T, p provider.Provider, w provider.Wish) provider.Object {
	t.Helper()
	o, err := p.Create(ctx, w)
	if err != nil {
		t.Fatalf("create %s: %v", w.Ref.Kind, err)
	}
	return o
}

func observe(t *testing.T, p provider.Provider, kind state.Kind, id string) provider.Object {
	t.Helper()
	found, err := p.Observe(ctx, provider.Query{Kind: kind, ID: id})
	if err != nil || len(found) != 1 {
		t.Fatalf("observe %s: %d found, %v", id, len(found), err)
	}
	return found[0]
}

func get(o provider.Object, name string) string {
	for _, a := range o.Attributes {
		if a.Name == name {
			return a.Reveal()
		}
	}
	return ""
}

func TestRecordWaitsForThePerson(t *testing.T) {
	text := providertest.Text
	for _, c := range []struct {
		name  string
		wish  provider.Wish
		ask   string
		wrong map[string][]string // not yet
		done  map[string][]string
	}{
		{"A", record("A", "demoshop.example", "203.0.113.7"), "Set the record A demoshop.example → 203.0.113.7 at your DNS host",
			map[string][]string{"A demoshop.example": {"198.51.100.1"}}, map[string][]string{"A demoshop.example": {"198.51.100.1", "203.0.113.7"}}},
		{"AAAA in another spelling", record("AAAA", "demoshop.example", "2001:db8:0::7"), "2001:db8:0::7", nil, map[string][]string{"AAAA demoshop.example": {"2001:db8::7"}}},
		{"CNAME", record("CNAME", "www.demoshop.example", "Demoshop.example."), "CNAME www.demoshop.example",
			map[string][]string{"CNAME www.demoshop.example": {"other.example"}}, map[string][]string{"CNAME www.demoshop.example": {"demoshop.example"}}},
		{"flattened CNAME", record("CNAME", "demoshop.example", "lb.host.example"), "lb.host.example",
			map[string][]string{"A demoshop.example": {"203.0.113.9"}, "A lb.host.example": {"203.0.113.8"}},
			map[string][]string{"A demoshop.example": {"203.0.113.8", "203.0.113.9"}, "A lb.host.example": {"203.0.113.9", "203.0.113.8"}}},
		{"MX", record("MX", "demoshop.example", "mail.example", text("priority", "10")), "MX demoshop.example → 10 mail.example",
			map[string][]string{"MX demoshop.example": {"20 mail.example"}}, map[string][]string{"MX demoshop.example": {"20 other.example", "10 mail.example"}}},
		{"SRV", record("SRV", "_sip._tcp.demoshop.example", "5 5060 sip.example.", text("priority", "0")), "0 5 5060 sip.example.", nil,
			map[string][]string{"SRV _sip._tcp.demoshop.example": {"0 5 5060 sip.example"}}},
		{"TXT", record("TXT", "demoshop.example", `"v=spf1 -all"`), "v=spf1 -all",
			map[string][]string{"TXT demoshop.example": {"v=spf1 +all"}}, map[string][]string{"TXT demoshop.example": {"v=spf1 -all"}}},
		{"TXT of two strings", record("TXT", "k1._domainkey.demoshop.example", `"v=DKIM1; k=rsa; " "p=MIIB"`), "p=MIIB",
			map[string][]string{"TXT k1._domainkey.demoshop.example": {"v=DKIM1; k=rsa; p=old"}}, map[string][]string{"TXT k1._domainkey.demoshop.example": {"v=DKIM1; k=rsa; p=MIIB"}}},
		{"TXT with a quote", record("TXT", "demoshop.example", `"say \"hello\""`), "hello", nil, map[string][]string{"TXT demoshop.example": {`say "hello"`}}},
		{"proxied", record("A", "demoshop.example", "203.0.113.7", text("proxied", "true")), "(through the proxy)", nil, map[string][]string{"A demoshop.example": {"192.0.2.1"}}},
		{"address unknown to us", record("A", "demoshop.example", ""), "Point demoshop.example at the site", nil, map[string][]string{"A demoshop.example": {"192.0.2.1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := &zone{records: c.wrong}
			o := create(t, open(z), c.wish)
			if o.Phase != provider.Manual || !strings.Contains(o.Message, c.ask) || !strings.Contains(o.Message, "at your DNS host") {
				t.Fatalf("after the create: %s, %q; want manual and %q", o.Phase, o.Message, c.ask)
			}
			for range 2 { // another provider each time: nothing is kept in memory
				seen := observe(t, open(z), state.KindRecord, o.ID)
				if seen.Phase != provider.Manual || seen.Message != o.Message || get(seen, "content") != "" {
					t.Errorf("while it is not done: %s, %q, content %q", seen.Phase, seen.Message, get(seen, "content"))
				}
			}
			z.records = c.done
			seen := observe(t, open(z), state.KindRecord, o.ID)
			if seen.Phase != provider.Ready || seen.Message != "" || seen.ID != o.ID || seen.Name != c.wish.Name {
				t.Errorf("when it is done: %+v", seen)
			}
			for _, in := range c.wish.Inputs {
				if in.Name != "ttl" && get(seen, in.Name) != in.Text {
					t.Errorf("attribute %s is %q, want %q", in.Name, get(seen, in.Name), in.Text)
				}
			}
			if again := create(t, open(z), c.wish); again.Phase != provider.Ready || again.ID != o.ID {
				t.Errorf("a second create: %s %q, want ready and the same id", again.Phase, again.ID)
			}
		})
	}
}

func TestRecordSaysWhatIsThereNow(t *testing.T) {
	z := &zone{records: map[string][]string{"A demoshop.example": {"198.51.100.1\x1b[2J\n" + strings.Repeat("x", 9999)}}}
	o := create(t, open(z), record("A", "demoshop.example", "203.0.113.7"))
	if !strings.Contains(o.Message, "now it is 198.51.100.1[2J xxx") || len(o.Message) > 500 {
		t.Errorf("message %.200q, %d bytes", o.Message, len(o.Message))
	}
}

// A key of mail is told as it is to be set, whole.
func TestRecordIsToldWhole(t *testing.T) {
	key := "v=DKIM1; k=rsa; p=" + strings.Repeat("MIIBIjAN", 50)
	if o := create(t, open(&zone{}), record("TXT", "k1._domainkey.demoshop.example", key)); !strings.Contains(o.Message, key) {
		t.Errorf("it says %q", o.Message)
	}
}

// Where else DNS leads a name is told, be its record there or not.
func TestRecordSaysWhereElseTheNameLeads(t *testing.T) {
	for _, c := range []struct {
		name string
		wish provider.Wish
		dns  map[string][]string
		also []string
	}{
		{"another address, too", record("A", "demoshop.example", "203.0.113.7"), map[string][]string{"A demoshop.example": {"198.51.100.1", "203.0.113.7"}}, []string{"198.51.100.1"}},
		{"others alone", record("AAAA", "demoshop.example", "2001:db8::7"), map[string][]string{"AAAA demoshop.example": {"2001:db8:0::9", "2001:db8::8"}}, []string{"2001:db8::8", "2001:db8::9"}},
		{"nowhere", record("A", "demoshop.example", "203.0.113.7"), nil, nil},
		{"there alone", record("A", "demoshop.example", "203.0.113.7"), map[string][]string{"A demoshop.example": {"203.0.113.7"}}, nil},
		{"another host's name", record("CNAME", "www.demoshop.example", "new.example"), map[string][]string{"CNAME www.demoshop.example": {"Old.example."}}, []string{"old.example"}},
		{"a chain", record("CNAME", "www.demoshop.example", "new.example"),
			map[string][]string{"CNAME www.demoshop.example": {"cdn.example"}, "A www.demoshop.example": {"192.0.2.1"}, "A new.example": {"192.0.2.1"}}, nil},
		{"flattened", record("CNAME", "demoshop.example", "new.example"), map[string][]string{"A demoshop.example": {"192.0.2.2"}, "A new.example": {"192.0.2.1"}}, []string{"192.0.2.2"}},
		{"behind a proxy", record("A", "demoshop.example", "203.0.113.7", providertest.Text("proxied", "true")), map[string][]string{"A demoshop.example": {"192.0.2.1"}}, nil},
		{"records that a name may have several of", record("TXT", "demoshop.example", "v=spf1 -all"), map[string][]string{"TXT demoshop.example": {"v=spf1 +all", "203.0.113.7"}}, nil},
	} {
		p := open(&zone{records: c.dns})
		if o := observe(t, p, state.KindRecord, create(t, p, c.wish).ID); !slices.Equal(o.Also, c.also) {
			t.Errorf("%s: %q, want %q", c.name, o.Also, c.also)
		}
	}
}

func TestRecordThatNobodyCanLookAtIsTrusted(t *testing.T) {
	o := create(t, open(&zone{}), record("CAA", "demoshop.example", `0 issue "ca.example"`))
	if o.Phase != provider.Ready || !strings.Contains(o.Message, "Set the record CAA") {
		t.Errorf("%s %q", o.Phase, o.Message)
	}
}

// An error of a look never means absence; what is asked is told all the same.
func TestFailedLook(t *testing.T) {
	z := &zone{err: errors.New("servers are on fire")}
	p := open(z)
	o := create(t, p, record("A", "demoshop.example", "203.0.113.7"))
	if o.Phase != provider.Manual {
		t.Errorf("phase %s", o.Phase)
	}
	found, err := p.Observe(ctx, provider.Query{Kind: state.KindRecord, ID: o.ID})
	if len(found) != 0 || provider.KindOf(err) != provider.Transient || !errors.Is(err, z.err) {
		t.Errorf("%d found, %v", len(found), err)
	}
}

func TestUpdateAsksForTheNewRecord(t *testing.T) {
	z := &zone{records: map[string][]string{"A demoshop.example": {"203.0.113.7"}}}
	p := open(z)
	old := create(t, p, record("A", "demoshop.example", "203.0.113.7"))
	o, err := p.Update(ctx, old.ID, record("A", "demoshop.example", "203.0.113.8"))
	if err != nil || o.Phase != provider.Manual || o.ID == old.ID {
		t.Fatalf("%+v, %v; want another id, and manual", o, err)
	}
	z.records["A demoshop.example"] = []string{"203.0.113.8"}
	if now := observe(t, p, state.KindRecord, o.ID); now.Phase != provider.Ready || get(now, "content") != "203.0.113.8" {
		t.Errorf("%+v", now)
	}
	for _, id := range []string{"", "record", "record?", "site?object=x", "record?object=", "record?type=A&object=x", "record?object=x&ttl=300", "record?object=x&object=y", "record?object=%zz", strings.Repeat("x", 100_000)} {
		_, err := p.Update(ctx, id, record("A", "demoshop.example", "203.0.113.8"))
		if provider.KindOf(err) != provider.NotFound || len(err.Error()) > 1000 {
			t.Errorf("update of %.40q: %v", id, err)
		}
		if found, err := p.Observe(ctx, provider.Query{Kind: state.KindRecord, ID: id}); len(found) != 0 || err != nil {
			t.Errorf("observe of %.40q: %v %v", id, found, err)
		}
	}
}

// P10: the url goes in as a secret and comes out as one, and is nowhere else.
func TestDatabase(t *testing.T) {
	p := open(&zone{})
	const at = "postgres://shop:pssst-hunter2@db.customer.example:5432/shop?sslmode=require"
	w := wish(state.KindDatabase, "main", providertest.Text("access", "public"), providertest.Text("disabled", ""), providertest.Text("schema", "ecommerce"), providertest.Secret("url", at))
	o := create(t, p, w)
	outs := map[string]provider.Output{}
	for _, out := range o.Outputs {
		outs[out.Name] = out
	}
	if o.Phase != provider.Ready || outs["url"].Secret == nil || outs["url"].Secret.Reveal() != at || outs["host"].Text != "db.customer.example" || outs["id"].Text != o.ID {
		t.Errorf("phase %s, outputs %v", o.Phase, outs)
	}
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	seen := observe(t, open(&zone{}), state.KindDatabase, o.ID)
	if text := fmt.Sprintf("%v %+v %#v %s %+v", o, o, o, data, seen); strings.Contains(text, "hunter2") {
		t.Error("the password prints")
	}
	w.Inputs = w.Inputs[:3]
	_, err = p.Create(ctx, w)
	if provider.KindOf(err) != provider.Invalid || !strings.Contains(err.Error(), "database.external.url") {
		t.Errorf("without a url: %v", err)
	}
	d := p.(provider.Dumper)
	if err := d.Dump(ctx, o.ID, t.TempDir()+"/dump"); provider.KindOf(err) != provider.Unsupported {
		t.Errorf("dump: %v", err)
	}
}

// What of a host can't be seen is ready at once, and says what there is to do.
func TestHostingIsTold(t *testing.T) {
	text := providertest.Text
	p := open(&zone{})
	for _, c := range []struct {
		wish provider.Wish
		says []string
	}{
		{wish(state.KindSite, "external", text("label", "demoshop")), []string{"Host the site of demoshop yourself"}},
		{wish(state.KindEnvironment, "external", text("env.STORE_NAME", "x"), providertest.Secret("env.TOKEN", "pssst-token"), text("site", "x")), []string{"Set these variables", "STORE_NAME, TOKEN"}},
		{wish(state.KindDeployment, "0123456789ab", text("ref", "v1.4.2"), text("repository", "https://git.example/shop.git")), []string{"Deploy https://git.example/shop.git at v1.4.2"}},
		{wish(state.KindTraffic, "external"), []string{"Let your host serve"}},
		{wish(state.KindDomain, "www.shop.example@external", text("host", "www.shop.example"), text("redirect", "shop.example")), []string{"Bind www.shop.example", "redirecting to shop.example"}},
		{wish(state.KindAdmin, "main", text("email", "dana@shop.example"), providertest.Secret("password", "pssst-password")), []string{"administrator dana@shop.example"}},
	} {
		o := create(t, p, c.wish)
		for _, s := range c.says {
			if o.Phase != provider.Ready || !strings.Contains(o.Message, s) {
				t.Errorf("%s: %s %q, want ready and %q", o.Kind, o.Phase, o.Message, s)
			}
		}
		if strings.Contains(fmt.Sprintf("%+v", o), "pssst") {
			t.Errorf("%s: a secret prints", o.Kind)
		}
		seen := observe(t, open(&zone{}), o.Kind, o.ID) // after a restart
		if seen.Phase != provider.Ready || seen.Name != c.wish.Name || seen.ID != o.ID {
			t.Errorf("%s after a restart: %+v", o.Kind, seen)
		}
		if o.Kind == state.KindDeployment && (len(seen.Log) == 0 || seen.Log[0] != o.Message) {
			t.Errorf("the deployment's log is %q", seen.Log)
		}
		// Nothing was made: a create whose answer was lost is sent again.
		if found, err := p.Observe(ctx, provider.Query{Kind: o.Kind, Name: c.wish.Name, Wish: &c.wish}); len(found) != 0 || err != nil {
			t.Errorf("%s by name: %v %v", o.Kind, found, err)
		}
		if again := create(t, p, c.wish); again.ID != o.ID {
			t.Errorf("%s: ids %q and %q of one wish", o.Kind, o.ID, again.ID)
		}
		if err := p.Delete(ctx, o.Kind, o.ID); err != nil {
			t.Errorf("delete %s: %v", o.Kind, err)
		}
	}
	if owned, err := p.Owned(ctx, "0badcafe"); len(owned) != 0 || err != nil {
		t.Errorf("owned: %v %v", owned, err)
	}
}

// Every kind that desired emits for `external` is accepted, and no other.
func TestKinds(t *testing.T) {
	p := open(&zone{})
	for _, k := range []state.Kind{state.KindDatabase, state.KindAdmin, state.KindSite, state.KindEnvironment, state.KindDeployment, state.KindTraffic, state.KindDomain, state.KindRecord} {
		if tr, ok := p.Traits()[k]; !ok || !tr.Manual || tr.Marks || tr.Data != (k == state.KindDatabase) {
			t.Errorf("%s: %v %+v", k, ok, tr)
		}
	}
	for _, k := range []state.Kind{state.KindMail, "nonsense"} {
		_, err := p.Create(ctx, wish(k, "main"))
		_, look := p.Observe(ctx, provider.Query{Kind: k, ID: "x"})
		_, change := p.Update(ctx, "x", wish(k, "main"))
		for _, err := range []error{err, look, change, p.Delete(ctx, k, "x")} {
			if provider.KindOf(err) != provider.Unsupported {
				t.Errorf("%s: %v", k, err)
			}
		}
	}
}

func TestCancelled(t *testing.T) {
	p := open(&zone{})
	o := create(t, p, record("A", "demoshop.example", "203.0.113.7"))
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	_, look := p.Observe(ctx, provider.Query{Kind: o.Kind, ID: o.ID})
	_, owned := p.Owned(ctx, "0badcafe")
	_, made := p.Create(ctx, record("A", "demoshop.example", "203.0.113.7"))
	_, changed := p.Update(ctx, o.ID, record("A", "demoshop.example", "203.0.113.7"))
	for n, err := range []error{look, owned, made, changed, p.Delete(ctx, o.Kind, o.ID)} {
		if provider.KindOf(err) != provider.Transient || !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: %v", n, err)
		}
	}
}
