package postgres

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// What can't be a name, an access or a template is refused in a sentence, before the
// server is asked.
func TestWhatIsRefused(t *testing.T) {
	p := openAs(t, "postgres://u:p@127.0.0.1:1/x")
	change := func(f func(*provider.Wish)) provider.Wish { w := wish("shop"); f(&w); return w }
	for name, x := range map[string]struct {
		w    provider.Wish
		says string
	}{
		"long":    {change(func(w *provider.Wish) { w.Name = strings.Repeat("a", 64) }), "has 64 bytes; PostgreSQL takes 63"},
		"empty":   {change(func(w *provider.Wish) { w.Name = "" }), "is not made of"},
		"quote":   {change(func(w *provider.Wish) { w.Name = `a"; DROP ROLE x; --` }), "is not made of"},
		"nul":     {change(func(w *provider.Wish) { w.Name = "a\x00b" }), "is not made of"},
		"line":    {change(func(w *provider.Wish) { w.Name = "a\nb" }), "is not made of"},
		"dot":     {change(func(w *provider.Wish) { w.Name = "a.0badcafe" }), "is not made of"},
		"mark":    {change(func(w *provider.Wish) { w.Mark.Client = "a/b" }), "no mark"},
		"blank":   {change(func(w *provider.Wish) { w.Mark.Client = "a b" }), "no mark"},
		"no mark": {change(func(w *provider.Wish) { w.Mark = provider.Mark{} }), "no mark"},
		"private": {change(func(w *provider.Wish) { w.Inputs[0].Text = "private" }), "pg_hba.conf"},
		"access":  {change(func(w *provider.Wish) { w.Inputs[0].Text = "'; --" }), "is not public"},
		"schema":  {change(func(w *provider.Wish) { w.Inputs[2].Text = "x'y" }), "not a template's name"},
		"list":    {change(func(w *provider.Wish) { w.Inputs[1].Text = strings.Repeat("x", maxText+1) }), "more than 4096 bytes"},
	} {
		_, err := p.Create(t.Context(), x.w)
		wantKind(t, err, provider.Invalid)
		if err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Databases of somebody else have any name; one is looked at and refused like another.
func TestHostileNames(t *testing.T) {
	s := running(t)
	p := open(t, s)
	for _, name := range []string{`we"ird'; DROP DATABASE postgres; --`, `back\slash`, "host=evil.example", "postgres://evil.example/x", "ü ber", "line\nbreak", "%s%d", "a.12345678", "-x", "'"} {
		ask(t, s.DSN(), "CREATE DATABASE "+identifier(name))
		for _, q := range []provider.Query{{ID: name}, {Name: name}} {
			found := observe(t, p, q)
			if len(found) != 1 || found[0].ID != name || !found[0].Mark.IsZero() {
				t.Errorf("%q: found %v", name, found)
			}
		}
		wantKind(t, p.Delete(t.Context(), state.KindDatabase, name), provider.Conflict)
	}
	o := create(t, p, wish("shop"))
	w := wish("shop")
	w.Inputs[1].Text = `a,b' id=00000000 stage=going name=x \ ü`
	changed, err := p.Update(t.Context(), o.ID, w)
	if err != nil || changed.ID != o.ID {
		t.Fatal(err)
	}
	if found := observe(t, p, provider.Query{ID: o.ID}); len(found) != 1 || found[0].Attributes[1].Text != w.Inputs[1].Text || found[0].Name != w.Name {
		t.Errorf("found %v", found)
	}
}

// The law: the server reads a quoted text and a quoted name as what they were.
func FuzzQuoting(f *testing.F) {
	for _, text := range []string{"", "a", "'", "''", `\`, `\'`, `"`, "$$", "E'x'", "ü\u202e", "a\nb", `x'; DROP ROLE y; --`, "%", "$1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !sayable("x"+text) || len(text) > 60 || theServer == nil {
			return
		}
		s, err := open(t, theServer).connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		for _, standard := range []string{"on", "off"} {
			if err := s.write(t.Context(), "SET standard_conforming_strings = "+standard); err != nil {
				t.Fatal(err)
			}
			rows, err := s.read(t.Context(), "SELECT "+literal(text)+" AS "+identifier("x"+text))
			if err != nil || string(rows[0][0]) != text {
				t.Errorf("%q is read as %q (%v)", text, rows, err)
			}
		}
	})
}

// The law: a note is read as what was written, and whatever else a comment says is either
// no note of ours or says the same when it is written again.
func FuzzNote(f *testing.F) {
	n := note{mark: provider.Mark{Installation: "0badcafe", Client: "shop-1a2b3c", Generation: 2}, id: "01234567", name: "x y=z", access: "public", schema: "blog", disabled: "a,b & c", stage: making, since: "1", oid: "2", key: "3"}
	f.Add(n.text())
	for _, text := range []string{"", "reconciler:a/b/1", "reconciler:a/b/1 id=01234567", "reconciler:a/b/1 id=01234567 id=76543210", "reconciler:a/b/1 id=x", "reconciler:a/b/1 id=01234567 name=%zz", " reconciler:a/b/1 id=01234567", "reconciler:a/b/1 id=01234567 name=%ff", "Shop of Dana"} {
		f.Add(text)
	}
	if parseNote(n.text()) != n {
		f.Fatalf("%q is read as %+v", n.text(), parseNote(n.text()))
	}
	f.Fuzz(func(t *testing.T, text string) {
		n := parseNote(text)
		if n.mark.IsZero() {
			if n != (note{}) {
				t.Errorf("%q is half a note: %+v", text, n)
			}
			return
		}
		if again := parseNote(n.text()); again != n {
			t.Errorf("%q is %+v, then %+v", text, n, again)
		}
	})
}

// RFC 7677, section 3, for the user "user" with the password "pencil": what the server
// keeps of it.
func TestVerifierOfTheRFC(t *testing.T) {
	salt := []byte{0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81}
	got, err := verifierOf(state.NewSecret("pencil"), salt)
	if want := "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="; err != nil || got != want {
		t.Errorf("%s (%v), want %s", got, err, want)
	}
}
