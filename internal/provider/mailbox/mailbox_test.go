package mailbox

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

var mark = provider.Mark{Installation: "0a1b2c3d", Client: "demoshop-1a2b3c", Generation: 1}

func letter(name, to, subject, text string) provider.Wish {
	return provider.Wish{Ref: state.Ref{Client: mark.Client, Kind: state.KindMail, Name: "welcome"}, Name: name, Mark: mark,
		Inputs: []provider.Input{{Name: "subject", Text: subject}, {Name: "text", Text: text}, {Name: "to", Text: to}}}
}

func welcome(name string) provider.Wish {
	return letter(name, "dana@demoshop.example", "Demo Shop is ready", "It is at\nhttp://demoshop.example/\n")
}

// begin opens a mailbox whose clock goes on by a second with each mail.
func begin(t *testing.T, dir string) *Provider {
	t.Helper()
	at := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	p, err := New(Options{Dir: dir, Now: func() time.Time { at = at.Add(time.Second); return at }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func create(t *testing.T, p *Provider, w provider.Wish) provider.Object {
	t.Helper()
	o, err := p.Create(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func messages(t *testing.T, p *Provider) []Message {
	t.Helper()
	m, err := p.Messages()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func observe(t *testing.T, p *Provider, q provider.Query) []provider.Object {
	t.Helper()
	q.Kind = state.KindMail
	found, err := p.Observe(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantKind(t *testing.T, err error, kind provider.ErrorKind) {
	t.Helper()
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("got %v, want an error of kind %s", err, kind)
	}
}

// P3: a mail is sent once, whoever asks again.
func TestP3AMailIsSentOnce(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir)
	o := create(t, p, welcome("shop-welcome"))
	_, err := begin(t, dir).Create(t.Context(), welcome("shop-welcome"))
	wantKind(t, err, provider.Conflict)

	p = begin(t, dir)
	for _, q := range []provider.Query{{Name: "shop-welcome"}, {ID: o.ID}} {
		found := observe(t, p, q)
		if len(found) != 1 || found[0].ID != o.ID || found[0].Mark != mark || len(found[0].Attributes) != 3 {
			t.Errorf("found %v", found)
		}
	}
	got := messages(t, p)
	if len(got) != 1 || got[0].To != "dana@demoshop.example" || got[0].Subject != "Demo Shop is ready" || !strings.Contains(got[0].Text, "http://demoshop.example/") ||
		!got[0].At.Equal(time.Date(2026, 11, 25, 9, 0, 1, 0, time.UTC)) || got[0].Client != mark.Client {
		t.Errorf("caught %v", got)
	}
	owned, err := p.Owned(t.Context(), mark.Installation)
	if err != nil || len(owned) != 1 {
		t.Errorf("owned %v (%v)", owned, err)
	}

	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, err := p.Create(t.Context(), welcome("raced")); err != nil && provider.KindOf(err) != provider.Conflict {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if got := messages(t, p); len(got) != 2 {
		t.Errorf("caught %d", len(got))
	}
}

func TestNoHeaderComesIn(t *testing.T) {
	p := begin(t, t.TempDir())
	const to, subject = "dana@demoshop.example", "Ready"
	for _, w := range []provider.Wish{
		letter("x", to+"\r\nBcc: all@visitor.example", subject, ""), letter("x", to+"\nx", subject, ""), letter("x", to+", kim@visitor.example", subject, ""),
		letter("x", "Dana <"+to+">", subject, ""), letter("x", "dana", subject, ""), letter("x", "", subject, ""), letter("x", strings.Repeat("d", 250)+"@x.example", subject, ""),
		letter("x", to, "Ready\r\nBcc: all@visitor.example", ""), letter("x", to, "Ready\x00", ""), letter("x", to, "a\u2028b", ""), letter("x", to, "\u202eb", ""),
		letter("x", to, " ", ""), letter("x", to, strings.Repeat("s", 256), ""), letter("x", to, "\xff", ""),
		letter("x", to, subject, "a\x00b"), letter("x", to, subject, "\xff"), letter("x", to, subject, strings.Repeat("t", maxText+1)),
		letter("", to, subject, ""), letter(strings.Repeat("n", 513), to, subject, ""),
	} {
		_, err := p.Create(t.Context(), w)
		wantKind(t, err, provider.Invalid)
		if strings.ContainsAny(err.Error(), "\r\n\x00") {
			t.Errorf("the refusal has more than one line: %q", err)
		}
	}
	if got := messages(t, p); len(got) != 0 {
		t.Errorf("caught %v", got)
	}
}

func TestOnlyTheNewestKeepTheirText(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir)
	const sent = KeepMessages + 3
	first := create(t, p, welcome("mail-0"))
	gone := create(t, p, welcome("deleted"))
	if err := p.Delete(t.Context(), state.KindMail, gone.ID); err != nil {
		t.Fatal(err)
	}
	for n := 2; n < sent; n++ {
		create(t, p, letter(fmt.Sprintf("mail-%d", n), "dana@demoshop.example", fmt.Sprint(n), "text"))
	}
	reopened, err := New(Options{Dir: dir, Now: func() time.Time { return time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	got := messages(t, reopened)
	if len(got) != KeepMessages || got[0].Subject != "3" || got[len(got)-1].Subject != fmt.Sprint(sent-1) {
		t.Fatalf("%d kept, from %q to %q", len(got), got[0].Subject, got[len(got)-1].Subject)
	}
	found := observe(t, reopened, provider.Query{Name: "mail-0"})
	if len(found) != 1 || found[0].ID != first.ID || found[0].Mark != mark || len(found[0].Attributes) != 0 {
		t.Fatalf("the oldest was forgotten: %v", found)
	}
	_, err = reopened.Create(t.Context(), welcome("mail-0"))
	wantKind(t, err, provider.Conflict)
	if _, err := reopened.Update(t.Context(), first.ID, welcome("mail-0")); err != nil {
		t.Error(err)
	}
	if err := reopened.Delete(t.Context(), state.KindMail, first.ID); err != nil {
		t.Fatal(err)
	}
	create(t, reopened, welcome("mail-0"))
	if n := len(reopened.table.List()); n != sent-1 { // the deleted one is really gone
		t.Errorf("%d on disk", n)
	}
}

func TestASentMailStaysSent(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir)
	o := create(t, p, welcome("shop-welcome"))
	_, err := p.Update(t.Context(), o.ID, letter("shop-welcome", "dana@demoshop.example", "Other", "x"))
	wantKind(t, err, provider.Invalid)
	moved := welcome("moved-welcome")
	moved.Mark.Client = "other"
	if got, err := p.Update(t.Context(), o.ID, moved); err != nil || got.ID != o.ID || got.Mark != moved.Mark {
		t.Fatalf("%v %v", got, err)
	}
	if found := observe(t, p, provider.Query{Name: "shop-welcome"}); len(found) != 0 {
		t.Errorf("under its former name: %v", found)
	}
	for range 2 {
		if err := p.Delete(t.Context(), state.KindMail, o.ID); err != nil {
			t.Fatal(err)
		}
	}
	p = begin(t, dir)
	if found := observe(t, p, provider.Query{ID: o.ID}); len(found) != 0 {
		t.Errorf("found %v", found)
	}
	if owned, err := p.Owned(t.Context(), mark.Installation); err != nil || len(owned) != 0 {
		t.Errorf("owned %v (%v)", owned, err)
	}
	if got := messages(t, p); len(got) != 1 {
		t.Errorf("people see %d mails", len(got))
	}
	_, err = p.Update(t.Context(), o.ID, moved)
	wantKind(t, err, provider.NotFound)
	create(t, p, welcome("moved-welcome"))
}

// P10: what came as a secret is not shown.
func TestP10SecretsAreNotShown(t *testing.T) {
	p := begin(t, t.TempDir())
	w := welcome("shop-welcome")
	s := state.NewSecret("the password is hush")
	w.Inputs[1] = provider.Input{Name: "text", Secret: &s}
	create(t, p, w)
	if got := messages(t, p); len(got) != 1 || got[0].Text != state.Redacted {
		t.Error("a secret text is shown")
	}
}

func TestOtherKinds(t *testing.T) {
	p := begin(t, t.TempDir())
	_, err := p.Observe(t.Context(), provider.Query{Kind: state.KindSite, Name: "x"})
	wantKind(t, err, provider.Unsupported)
	wantKind(t, p.Delete(t.Context(), state.KindRecord, "x"), provider.Unsupported)
}
