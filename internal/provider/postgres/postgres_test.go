package postgres

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// A client's role owns its database, is nothing else, and can connect to no other of ours.
func TestAClientReachesItsOwnDatabaseOnly(t *testing.T) {
	s := running(t)
	p := open(t, s)
	a, b := create(t, p, wish("a")), create(t, p, wish("b"))
	works(t, a)
	works(t, b)
	if got := ask(t, s.DSN(), "SELECT concat_ws(' ', rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin, rolconnlimit) FROM pg_roles WHERE rolname = 'a-0badcafe'"); got[0] != "f f f f f t 20" {
		t.Errorf("role: %s", got)
	}
	elsewhere := strings.TrimSuffix(urlOf(a), "/a-0badcafe") + "/b-0badcafe"
	if _, err := tryAsk(elsewhere, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("a connects to b's database: %v", err)
	}
	if _, err := tryAsk(urlOf(a), "COMMENT ON ROLE \"a-0badcafe\" IS 'reconciler:deadbeef/b/1'"); err == nil {
		t.Error("a client changes its own mark")
	}
	// What it can change is its database's comment: nothing comes of that.
	ask(t, urlOf(a), "COMMENT ON DATABASE \"a-0badcafe\" IS 'reconciler:0badcafe/b/1 id=00000000'")
	if found := observe(t, p, provider.Query{Name: wish("b").Name}); len(found) != 1 || found[0].ID != b.ID {
		t.Errorf("found %v", found)
	}
	if found := observe(t, p, provider.Query{ID: a.ID}); len(found) != 1 || found[0].Mark != wish("a").Mark {
		t.Errorf("found %v", found)
	}
}

// The statements of the README: with them an administrator who is no superuser makes
// clients, and a client can connect to nothing but its own database.
func TestReadmeStatements(t *testing.T) {
	s := running(t)
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "```sql\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("the README has no statements")
	}
	t.Cleanup(func() { ask(t, s.DSN(), "GRANT CONNECT ON DATABASE postgres, template1 TO PUBLIC") })
	t.Cleanup(func() { ask(t, s.DSN(), "REVOKE CONNECT ON DATABASE postgres FROM ops") })
	for statement := range strings.SplitSeq(strings.TrimSpace(block), ";") {
		ask(t, s.DSN(), strings.Replace(statement, "'…'", "'ops-word'", 1))
	}
	p := openAs(t, s.DSNOf("ops", "ops-word", "postgres"))
	a, b := create(t, p, wish("a")), create(t, p, wish("b"))
	works(t, a)
	works(t, b)
	if open := ask(t, s.DSN(), "SELECT datname FROM pg_database WHERE datallowconn AND has_database_privilege('a-0badcafe', datname, 'CONNECT')"); strings.Join(open, " ") != "a-0badcafe" {
		t.Errorf("a client can connect to %v", open)
	}
	if err := p.Delete(t.Context(), state.KindDatabase, a.ID); err != nil {
		t.Error(err)
	}
}

// P10: no password of a client is ever in a statement, which the server logs.
func TestP10NoPasswordReachesTheServersLog(t *testing.T) {
	s := running(t)
	p, w := open(t, s), wish("quiet")
	o := create(t, p, w)
	if _, err := p.Update(t.Context(), o.ID, w); err != nil {
		t.Fatal(err)
	}
	works(t, o)
	name, suffix, _ := cutID(o.ID)
	secret := p.password(name, suffix).Reveal()
	if !strings.Contains(urlOf(o), secret) {
		t.Fatal("the url has another password")
	}
	log := s.Log()
	if !strings.Contains(log, `CREATE ROLE "quiet-0badcafe"`) {
		t.Fatal("the server logs no statements")
	}
	if strings.Contains(log, secret) {
		t.Error("a client's password is in the server's log")
	}
}

// Two installations on one server: each lists, changes and deletes its own.
func TestTwoInstallationsShareAServer(t *testing.T) {
	s := running(t)
	one, two := open(t, s), open(t, s)
	var wg sync.WaitGroup
	for n := range 3 {
		for _, x := range []struct {
			p            *Provider
			installation string
		}{{one, "0badcafe"}, {two, "deadbeef"}} {
			wg.Go(func() {
				if _, err := x.p.Create(t.Context(), wishOf(x.installation, fmt.Sprintf("shop%d", n))); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for installation, p := range map[string]*Provider{"0badcafe": two, "deadbeef": one} {
		all, err := p.Owned(t.Context(), installation)
		if err != nil || len(all) != 3 {
			t.Fatalf("%s has %v (%v)", installation, all, err)
		}
		for _, o := range all {
			if o.Mark.Installation != installation {
				t.Errorf("%s lists %s", installation, o.ID)
			}
		}
	}
	w := wishOf("deadbeef", "shop1")
	theirs := observe(t, one, provider.Query{Name: w.Name})[0]
	ours := w
	ours.Mark.Installation = "0badcafe" // their name, our mark
	_, err := one.Create(t.Context(), ours)
	wantKind(t, err, provider.Conflict)
	_, err = one.Update(t.Context(), theirs.ID, ours)
	wantKind(t, err, provider.Conflict)
	if found := observe(t, two, provider.Query{ID: theirs.ID}); len(found) != 1 || found[0].Mark != w.Mark {
		t.Errorf("it is %v now", found)
	}
	works(t, theirs)
}

// P3: the same name at once, from two processes: one database, one role.
func TestP3TwoProcessesOneName(t *testing.T) {
	s := running(t)
	w := wish("race")
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for n := range errs {
		wg.Go(func() { _, errs[n] = open(t, s).Create(t.Context(), w) })
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
			continue
		}
		wantKind(t, err, provider.Conflict)
	}
	found := observe(t, open(t, s), provider.Query{Name: w.Name})
	if made != 1 || len(found) != 1 {
		t.Fatalf("%d made, found %v", made, found)
	}
	works(t, found[0])
}

// P3: what bears no mark, or somebody else's, is reported as what it is, is in nobody's
// list, and stays as it is whatever is asked.
func TestP3LookAlikesAreNeverTouched(t *testing.T) {
	s := running(t)
	w := wish("shop")
	for name, make := range map[string]func(){
		"a database": func() { ask(t, s.DSN(), `CREATE DATABASE "shop-0badcafe"`) },
		"a role":     func() { ask(t, s.DSN(), `CREATE ROLE "shop-0badcafe" LOGIN PASSWORD 'x'`) },
		"both": func() {
			ask(t, s.DSN(), `CREATE ROLE "shop-0badcafe"`)
			ask(t, s.DSN(), `CREATE DATABASE "shop-0badcafe" OWNER "shop-0badcafe"`)
		},
		"with our words at the database": func() { // its owner may write anything there
			ask(t, s.DSN(), `CREATE DATABASE "shop-0badcafe"`)
			ask(t, s.DSN(), `COMMENT ON DATABASE "shop-0badcafe" IS '`+w.Mark.Text()+` id=00000000 key=00000000'`)
		},
		"with another's mark": func() {
			ask(t, s.DSN(), `CREATE ROLE "shop-0badcafe"`)
			ask(t, s.DSN(), `COMMENT ON ROLE "shop-0badcafe" IS 'reconciler:deadbeef/shop/1 id=00000000 stage=making'`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			running(t)
			make()
			before := ask(t, s.DSN(), "SELECT concat_ws('|', oid, rolname, rolcanlogin, (SELECT rolpassword FROM pg_authid a WHERE a.oid = r.oid), shobj_description(oid, 'pg_authid')) FROM pg_roles r WHERE rolname LIKE 'shop%' UNION ALL SELECT concat_ws('|', oid, datname, datdba, datacl, shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname LIKE 'shop%' ORDER BY 1")
			p := open(t, s)
			found := observe(t, p, provider.Query{Name: w.Name, Wish: &w})
			for _, o := range found {
				if !o.Mark.IsZero() || o.ID != w.Name || urlOf(o) != "" {
					t.Errorf("it shows as %v", o)
				}
				wantKind(t, p.Delete(t.Context(), state.KindDatabase, o.ID), provider.Conflict)
				if _, err := p.Update(t.Context(), o.ID, w); err != nil { // what was adopted stays as it is
					t.Error(err)
				}
			}
			_, err := p.Create(t.Context(), w)
			wantKind(t, err, provider.Conflict)
			for _, id := range []string{w.Name + ".00000000", w.Name + ".12345678"} {
				if found := observe(t, p, provider.Query{ID: id}); len(found) != 0 && name != "with another's mark" {
					t.Errorf("by %s: %v", id, found)
				}
				if err := p.Delete(t.Context(), state.KindDatabase, id); err != nil {
					t.Error(err)
				}
			}
			if all, err := p.Owned(t.Context(), "0badcafe"); err != nil || len(all) != 0 {
				t.Errorf("listed: %v (%v)", all, err)
			}
			after := ask(t, s.DSN(), "SELECT concat_ws('|', oid, rolname, rolcanlogin, (SELECT rolpassword FROM pg_authid a WHERE a.oid = r.oid), shobj_description(oid, 'pg_authid')) FROM pg_roles r WHERE rolname LIKE 'shop%' UNION ALL SELECT concat_ws('|', oid, datname, datdba, datacl, shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname LIKE 'shop%' ORDER BY 1")
			if len(before) == 0 || strings.Join(before, "\n") != strings.Join(after, "\n") {
				t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
		})
	}
}

// P5: a database that somebody dropped is gone, also when an empty one stands at its name.
func TestP5AnEmptyOneDoesNotPassForIt(t *testing.T) {
	s := running(t)
	p, w := open(t, s), wish("shop")
	o := create(t, p, w)
	ask(t, s.DSN(), `DROP DATABASE "shop-0badcafe"`)
	if found := observe(t, p, provider.Query{ID: o.ID}); len(found) != 0 {
		t.Errorf("found %v", found)
	}
	ask(t, s.DSN(), `CREATE DATABASE "shop-0badcafe" OWNER "shop-0badcafe"`)
	if found := observe(t, p, provider.Query{ID: o.ID}); len(found) != 0 {
		t.Errorf("the empty one passes for it: %v", found)
	}
	if found := observe(t, p, provider.Query{Name: w.Name}); len(found) != 1 || !found[0].Mark.IsZero() {
		t.Errorf("by name %v", found)
	}
	_, err := p.Create(t.Context(), w)
	wantKind(t, err, provider.Conflict)
	ask(t, s.DSN(), `DROP DATABASE "shop-0badcafe"`)
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil { // its role goes
		t.Fatal(err)
	}
	if databases, roles := there(t, "shop%"); len(databases)+len(roles) != 0 {
		t.Errorf("left: %v %v", databases, roles)
	}
}

// After the server was restored from a dump OIDs are others; the comments came along.
func TestARestoredServerKeepsItsDatabases(t *testing.T) {
	s := running(t)
	p, w := open(t, s), wish("shop")
	o := create(t, p, w)
	n := parseNote(comment(t, w.Name))
	n.oid = "1"
	ask(t, s.DSN(), `COMMENT ON ROLE "shop-0badcafe" IS `+literal(n.text()))
	found := observe(t, p, provider.Query{ID: o.ID})
	if len(found) != 1 || found[0].Mark != w.Mark || urlOf(found[0]) != urlOf(o) {
		t.Fatalf("found %v", found)
	}
	if _, err := p.Update(t.Context(), o.ID, w); err != nil || parseNote(comment(t, w.Name)).oid == "1" {
		t.Errorf("the next change does not note it: %v", err)
	}
}

// Under another key the password is unknown: no url is guessed, no attribute is told, so
// that the next plan sets all of it; then there is a new password.
func TestAnotherKeySetsAnotherPassword(t *testing.T) {
	s := running(t)
	w := wish("shop")
	o := create(t, open(t, s), w)
	other, err := New(Options{DSN: state.NewSecret(s.DSN()), Key: state.NewSecret(strings.Repeat("x", 64))})
	if err != nil {
		t.Fatal(err)
	}
	found := observe(t, other, provider.Query{ID: o.ID})
	if len(found) != 1 || urlOf(found[0]) != "" || len(found[0].Attributes) != 0 || found[0].Mark != w.Mark || found[0].Message == "" {
		t.Fatalf("found %v", found)
	}
	works(t, o)
	o2, err := other.Update(t.Context(), o.ID, w)
	if err != nil {
		t.Fatal(err)
	}
	works(t, o2)
	if _, err := tryAsk(urlOf(o), "SELECT 1"); err == nil {
		t.Error("the old password holds, too")
	}
}

// A retained database that returns to a client of another id takes its name; its own stays
// what it was, as the url has it.
func TestADatabaseTakesAnotherName(t *testing.T) {
	s := running(t)
	p := open(t, s)
	was, is := wish("before"), wish("after")
	o := create(t, p, was)
	other := create(t, p, wish("other"))
	moved, err := p.Update(t.Context(), o.ID, is)
	if err != nil || moved.ID != o.ID || moved.Name != is.Name || moved.Mark != is.Mark || urlOf(moved) != urlOf(o) {
		t.Fatalf("moved: %v %v", moved, err)
	}
	if found := observe(t, p, provider.Query{Name: is.Name}); len(found) != 1 || found[0].ID != o.ID {
		t.Errorf("by its new name: %v", found)
	}
	if found := observe(t, p, provider.Query{Name: was.Name}); len(found) != 0 {
		t.Errorf("by its old name: %v", found)
	}
	_, err = p.Create(t.Context(), is)
	wantKind(t, err, provider.Conflict)
	_, err = p.Create(t.Context(), was)
	wantKind(t, err, provider.Conflict)
	_, err = p.Update(t.Context(), other.ID, is)
	wantKind(t, err, provider.Conflict)
	works(t, moved)
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
		t.Fatal(err)
	}
	if databases, _ := there(t, "before%"); len(databases) != 0 {
		t.Errorf("left: %v", databases)
	}
}

// Deleting does not wait for people who are connected.
func TestDeleteEndsConnections(t *testing.T) {
	s := running(t)
	p := open(t, s)
	o := create(t, p, wish("busy"))
	done := make(chan error)
	go func() {
		_, err := tryAsk(urlOf(o), "SELECT pg_sleep(600)::text")
		done <- err
	}()
	if err := until("the client's statement", func() bool {
		return len(ask(t, s.DSN(), "SELECT 1 FROM pg_stat_activity WHERE datname = 'busy-0badcafe' AND query LIKE '%pg_sleep%'")) > 0
	}); err != nil {
		t.Fatal(err)
	}
	if err := p.Delete(t.Context(), state.KindDatabase, o.ID); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("the client's statement came to its end")
	}
	if databases, roles := there(t, "busy%"); len(databases)+len(roles) != 0 {
		t.Errorf("left: %v %v", databases, roles)
	}
}
