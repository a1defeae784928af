package localdns

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// file is the file of the only record that says something.
func file(t *testing.T, p *Provider, says string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(p.o.Dir, "records", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), says) {
			return path
		}
	}
	t.Fatalf("no record says %s", says)
	return ""
}

// edit writes a file anew, in its place, as some editors do.
func edit(t *testing.T, path string, pairs ...string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(string(data))), 0o600); err != nil {
		t.Fatal(err)
	}
}

func answers(t *testing.T, p *Provider, name string, kind uint16) []string {
	t.Helper()
	return shown(ask(t, p, "udp", question(name, kind)).Answer)
}

func contents(objects []provider.Object) (out []string) {
	for _, o := range objects {
		out = append(out, attrs(o.Attributes).get("content"))
	}
	return out
}

// S41: a record that is edited by hand, also by one byte in the moment after it was
// written, is seen by whoever looks or asks first, whichever way.
func TestS41EditedFile(t *testing.T) {
	w := record("A", "shop.example", "192.0.2.7")
	for name, look := range map[string]func(*Provider, string) []string{
		"a question": func(p *Provider, _ string) []string {
			if got := answers(t, p, "shop.example", dns.TypeA); !slices.Equal(got, []string{"shop.example. 300 IN A 192.0.2.8"}) {
				t.Errorf("answered: %q", got)
			}
			return []string{"192.0.2.8"}
		},
		"a look by id": func(p *Provider, id string) []string {
			found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, ID: id})
			if err != nil {
				t.Error(err)
			}
			return contents(found)
		},
		"a look by name": func(p *Provider, _ string) []string {
			found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, Name: w.Name})
			if err != nil {
				t.Error(err)
			}
			return contents(found)
		},
		"a look by wish": func(p *Provider, _ string) []string {
			found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, Name: w.Name, Wish: &w})
			if err != nil {
				t.Error(err)
			}
			return contents(found)
		},
		"a list": func(p *Provider, _ string) []string {
			found, err := p.Owned(t.Context(), mark.Installation)
			if err != nil {
				t.Error(err)
			}
			return contents(found)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := serving(t)
			o := create(t, p, w)
			edit(t, file(t, p, "192.0.2.7"), "192.0.2.7", "192.0.2.8")
			if got := look(p, o.ID); !slices.Equal(got, []string{"192.0.2.8"}) {
				t.Errorf("seen: %q", got)
			}
			if got := answers(t, p, "shop.example", dns.TypeA); !slices.Equal(got, []string{"shop.example. 300 IN A 192.0.2.8"}) {
				t.Errorf("answered: %q", got)
			}
			if _, err := p.Update(t.Context(), o.ID, w); err != nil { // it is put back
				t.Fatal(err)
			}
			if got := answers(t, p, "shop.example", dns.TypeA); !slices.Equal(got, []string{"shop.example. 300 IN A 192.0.2.7"}) {
				t.Errorf("put back: %q", got)
			}
		})
	}
}

// A record that is given another name or type by hand is answered there, and nowhere else.
func TestS41RenamedFile(t *testing.T) {
	p := serving(t, record("A", "shop.example", "192.0.2.7"))
	path := file(t, p, "192.0.2.7")
	edit(t, path, "shop.example", "bakery.example")
	if got := answers(t, p, "shop.example", dns.TypeA); len(got) > 0 {
		t.Errorf("answered under its former name: %q", got)
	}
	if got := answers(t, p, "bakery.example", dns.TypeA); !slices.Equal(got, []string{"bakery.example. 300 IN A 192.0.2.7"}) {
		t.Errorf("answered: %q", got)
	}
	edit(t, path, `"A"`, `"TXT"`)
	if got := answers(t, p, "bakery.example", dns.TypeTXT); !slices.Equal(got, []string{`bakery.example. 300 IN TXT "192.0.2.7"`}) {
		t.Errorf("answered: %q", got)
	}
}

// A record whose file is removed by hand is gone, can be made again, and is there again
// when the file is.
func TestS41RemovedFile(t *testing.T) {
	w := record("A", "shop.example", "192.0.2.7")
	p := serving(t)
	o := create(t, p, w)
	path := file(t, p, "192.0.2.7")
	if err := os.Rename(path, path+".bak"); err != nil {
		t.Fatal(err)
	}
	if m := ask(t, p, "udp", question("shop.example", dns.TypeA)); m.Rcode != dns.RcodeNameError {
		t.Errorf("answered: %v", m)
	}
	if found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, ID: o.ID}); err != nil || len(found) > 0 {
		t.Errorf("seen: %v %v", found, err)
	}
	if err := os.Rename(path+".bak", path); err != nil {
		t.Fatal(err)
	}
	if got := answers(t, p, "shop.example", dns.TypeA); len(got) != 1 {
		t.Errorf("answered once it is back: %q", got)
	}
	if err := errors.Join(os.Rename(path, path+".bak"), p.follow(o.ID), os.Rename(path+".bak", path)); err != nil {
		t.Fatal(err)
	}
	_, err := p.Create(t.Context(), w)
	wantKind(t, err, provider.Conflict) // not twice
	if found, err := p.Owned(t.Context(), mark.Installation); err != nil || len(found) != 1 || found[0].ID != o.ID {
		t.Errorf("put back: %v %v", found, err)
	}
	if got := answers(t, p, "shop.example", dns.TypeA); len(got) != 1 {
		t.Errorf("put back: %q", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	create(t, p, w)
	if got := answers(t, p, "shop.example", dns.TypeA); len(got) != 1 {
		t.Errorf("made again: %q", got)
	}
}

// A file that is half written, or that says what can't be served, is neither an absence nor
// a record: it is answered as before, looks say which file, and it goes on when it is whole.
func TestS41HalfWrittenFile(t *testing.T) {
	w := record("A", "shop.example", "192.0.2.7")
	for name, half := range map[string]func(string) string{
		"empty":    func(string) string { return "" },
		"cut off":  func(s string) string { return s[:len(s)/2] },
		"no A":     func(s string) string { return strings.Replace(s, "192.0.2.7", "nowhere", 1) },
		"another":  func(s string) string { return strings.Replace(s, "rec-", "rec-0", 1) },
		"too long": func(s string) string { return s + strings.Repeat(" ", 4<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			p := serving(t, record("A", "bakery.example", "192.0.2.9"))
			o := create(t, p, w)
			path := file(t, p, "192.0.2.7")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(half(string(data))), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := answers(t, p, "shop.example", dns.TypeA); !slices.Equal(got, []string{"shop.example. 300 IN A 192.0.2.7"}) {
				t.Errorf("answered: %q", got)
			}
			for what, q := range map[string]provider.Query{"id": {Kind: state.KindRecord, ID: o.ID}, "wish": {Kind: state.KindRecord, Name: w.Name, Wish: &w}} {
				_, err := p.Observe(t.Context(), q)
				wantKind(t, err, provider.Transient)
				if !strings.Contains(err.Error(), filepath.Base(path)) && !strings.Contains(err.Error(), o.ID) {
					t.Errorf("a look by %s says %v", what, err)
				}
			}
			_, err = p.Owned(t.Context(), mark.Installation)
			wantKind(t, err, provider.Transient)
			other := record("A", "bakery.example", "192.0.2.9")
			if found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, Name: other.Name, Wish: &other}); err != nil || len(found) != 1 {
				t.Errorf("another record: %v %v", found, err)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(data), "192.0.2.7", "192.0.2.8", 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			if found, err := p.Observe(t.Context(), provider.Query{Kind: state.KindRecord, ID: o.ID}); err != nil || !slices.Equal(contents(found), []string{"192.0.2.8"}) {
				t.Errorf("whole again: %v %v", found, err)
			}
		})
	}
}
