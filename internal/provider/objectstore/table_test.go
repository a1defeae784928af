package objectstore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestObjectsOutliveTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "objects")
	table, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := state.NewSecret("hush")
	a := provider.Object{ID: "env/../a", Name: "demoshop", Kind: state.KindEnvironment, Mark: provider.Mark{Installation: "i", Client: "c", Generation: 2},
		Attributes: []provider.Observed{{Name: "env.A", Text: "021"}, {Name: "env.B", Secret: &s}}, Phase: provider.Ready}
	b := provider.Object{ID: "b", Kind: state.KindSite, Phase: provider.Ready}
	for _, o := range []provider.Object{b, a} {
		if err := table.Put(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Delete("b"); err != nil {
		t.Fatal(err)
	}
	if err := table.Delete("b"); err != nil {
		t.Fatalf("deleting the absent: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".new-1"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := again.List()
	if len(got) != 1 || got[0].Attributes[1].Reveal() != "hush" {
		t.Fatalf("got %d objects", len(got))
	}
	got[0].Attributes[1].Secret = &s
	if d := cmp.Diff([]provider.Object{a}, got, cmp.AllowUnexported(state.Secret{})); d != "" {
		t.Fatal(d)
	}
}

func TestAnUnreadableObjectIsNotAbsent(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.json"), []byte(`{"ID":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Fatal("half an object was read as none")
	}
}
