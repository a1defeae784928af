package sqlite

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

func administrator(name, db, email, password string) provider.Wish {
	s := state.NewSecret(password)
	return provider.Wish{Ref: state.Ref{Client: "demoshop-1a2b3c", Kind: state.KindAdmin, Name: "main"}, Name: name, Mark: mark,
		Inputs: []provider.Input{{Name: "database", Text: db}, {Name: "email", Text: email}, {Name: "password", Secret: &s}, {Name: "path", Text: "/admin"}, {Name: "site", Text: "site-1"}}}
}

func TestAdministrators(t *testing.T) {
	dir := t.TempDir()
	p := open2(t, dir)
	db := create(t, p, database("shop", "ecommerce"))
	const password = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	w := administrator("shop", db.ID, "dana@demoshop.example", password)
	o := create(t, p, w)
	if !strings.HasPrefix(o.ID, db.ID+"/") {
		t.Errorf("id %q", o.ID)
	}
	hash := func() string {
		var h string
		if err := asSite(t, db).QueryRow("SELECT password_hash FROM users WHERE role = 'admin'").Scan(&h); err != nil {
			t.Fatal(err)
		}
		return h
	}
	if err := bcrypt.CompareHashAndPassword([]byte(hash()), []byte(password)); err != nil {
		t.Errorf("the password does not open the account: %v", err)
	}
	data, err := os.ReadFile(p.path("shop"))
	if err != nil || strings.Contains(string(data), password) { // P10
		t.Fatalf("the password is in the file (%v)", err)
	}
	_, err = p.Create(t.Context(), w)
	wantKind(t, err, provider.Conflict)

	p = open2(t, dir)
	for _, q := range []provider.Query{{Kind: state.KindAdmin, ID: o.ID}, {Kind: state.KindAdmin, Name: "shop"}, {Kind: state.KindAdmin, Name: "shop", Wish: &w}} {
		found := observe(t, p, q)
		if len(found) != 1 || found[0].ID != o.ID || found[0].Mark != mark || attribute(found[0], "email") != "dana@demoshop.example" || attribute(found[0], "password") != "" {
			t.Errorf("found %v", found)
		}
	}

	if c, err := bcrypt.Cost([]byte(hash())); err != nil || c != longCost {
		t.Errorf("cost %d for a generated password (%v)", c, err)
	}
	before := hash()
	changed, err := p.Update(t.Context(), o.ID, administrator("shop", db.ID, "kim@demoshop.example", "another password"))
	if err != nil || changed.ID != o.ID {
		t.Fatalf("%v %v", changed, err)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(hash()), []byte("another password")); err != nil || hash() == before {
		t.Errorf("the password was not changed: %v", err)
	}
	if c, err := bcrypt.Cost([]byte(hash())); err != nil || c != bcrypt.DefaultCost {
		t.Errorf("cost %d for a short password (%v)", c, err)
	}
	for _, bad := range []provider.Wish{administrator("shop", db.ID, "no address", password), administrator("shop", db.ID, "a@b.example\r\nBcc: x@y.example", password),
		administrator("shop", db.ID, "dana@demoshop.example", strings.Repeat("p", 73)), administrator("shop", db.ID, "dana@demoshop.example", "short")} {
		_, err := p.Update(t.Context(), o.ID, bad)
		wantKind(t, err, provider.Invalid)
		if strings.Contains(err.Error(), password) {
			t.Error("the password is in the error")
		}
	}
	_, err = p.Create(t.Context(), administrator("shop", "nowhere.0a1b2c3d", "dana@demoshop.example", password))
	wantKind(t, err, provider.Invalid)

	for range 2 {
		if err := p.Delete(t.Context(), state.KindAdmin, o.ID); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, asSite(t, db), "SELECT count(*) FROM users"); n != 0 {
		t.Errorf("%d users left", n)
	}
	again := create(t, p, w)
	if again.ID == o.ID {
		t.Error("an administrator's id was used again")
	}
	if err := p.Delete(t.Context(), state.KindDatabase, db.ID); err != nil {
		t.Fatal(err)
	}
	if err := p.Delete(t.Context(), state.KindAdmin, again.ID); err != nil {
		t.Fatalf("the database is gone, and with it its administrators: %v", err)
	}
	if found := observe(t, p, provider.Query{Kind: state.KindAdmin, ID: again.ID}); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}

// RuleOwnership: a user whom somebody else made is shown without a mark, and is never
// changed or deleted.
func TestRuleOwnershipOfUsers(t *testing.T) {
	p := open2(t, t.TempDir())
	db := create(t, p, database("shop", "blog"))
	execute(t, p.path("shop"), "INSERT INTO users (email, password_hash) VALUES ('Dana@demoshop.example', 'theirs')")
	w := administrator("shop", db.ID, "dana@demoshop.example", "correct horse")
	found := observe(t, p, provider.Query{Kind: state.KindAdmin, Name: "shop", Wish: &w})
	if len(found) != 1 || !found[0].Mark.IsZero() {
		t.Fatalf("found %v", found)
	}
	_, err := p.Create(t.Context(), w)
	wantKind(t, err, provider.Conflict)
	_, err = p.Update(t.Context(), found[0].ID, w)
	wantKind(t, err, provider.NotFound)
	if err := p.Delete(t.Context(), state.KindAdmin, found[0].ID); err != nil {
		t.Fatal(err)
	}
	if n := count(t, asSite(t, db), "SELECT count(*) FROM users WHERE password_hash = 'theirs'"); n != 1 {
		t.Error("their user is gone")
	}
}

// An administrator whom the site deleted is gone, and can be made again.
func TestAnAdministratorDeletedByTheSite(t *testing.T) {
	p := open2(t, t.TempDir())
	db := create(t, p, database("shop", "blog"))
	w := administrator("shop", db.ID, "dana@demoshop.example", "correct horse")
	first := create(t, p, w)
	execute(t, p.path("shop"), "DELETE FROM users")
	if found := observe(t, p, provider.Query{Kind: state.KindAdmin, ID: first.ID}); len(found) != 0 {
		t.Fatalf("found %v", found)
	}
	if second := create(t, p, w); second.ID == first.ID {
		t.Error("the id was used again")
	}
}
