package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Every database that people can connect to is listed with where it is; of one that somebody
// else made no password is known, and it is not changed.
func TestExistingDatabases(t *testing.T) {
	s := running(t)
	p := open(t, s)
	ask(t, s.DSN(), `CREATE DATABASE "old shop"`)
	t.Cleanup(func() { ask(t, s.DSN(), `DROP DATABASE "old shop"`) })
	made := create(t, p, wish("listed"))
	all, err := p.Existing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by := func(name string) provider.Object {
		i := slices.IndexFunc(all, func(o provider.Object) bool { return o.Name == name })
		if i < 0 {
			t.Fatalf("%s is not among %d", name, len(all))
		}
		return all[i]
	}
	old, ours := by("old shop"), by(made.Name)
	if old.ID != "old shop" || urlOf(old) != "" || !old.Mark.IsZero() || ours.Mark != wish("listed").Mark || urlOf(ours) == "" {
		t.Errorf("there are %+v and %+v", old, ours)
	}
	endpoint := ""
	for _, x := range old.Outputs {
		if x.Name == "endpoint" {
			endpoint = x.Text
		}
	}
	if !strings.HasSuffix(endpoint, "/old shop") || !strings.Contains(endpoint, ":") {
		t.Errorf("it is at %q", endpoint)
	}
	if slices.ContainsFunc(all, func(o provider.Object) bool { return strings.HasPrefix(o.Name, "template") }) {
		t.Error("templates are listed")
	}
}
