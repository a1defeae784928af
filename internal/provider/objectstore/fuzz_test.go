package objectstore

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// FuzzObject: what Put takes, another process reads as it was; whatever a file holds, it is
// an object or an error, never an absence, and the error repeats no secret.
func FuzzObject(f *testing.F) {
	const canary = "c4n4ry-Zq7x"
	f.Add("env/../a", "demoshop", "021", canary, []byte(`{"ID":"a","Attributes":[{"Name":"k","Secret":"`+canary+`"}]}`))
	f.Add("\xff", "\xfe", "", "", []byte(`{"ID":"a","Phase":1,"Message":"`+canary+`"}`))
	f.Add("a", "", "x", "y", []byte(`{"ID":"a","ID":"b"} trailing `+canary))
	f.Fuzz(func(t *testing.T, id, name, text, hidden string, data []byte) {
		dir := t.TempDir()
		table, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		s := state.NewSecret(hidden)
		o := provider.Object{ID: id, Name: name, Kind: state.Kind(text), Phase: provider.Ready, Log: []string{text},
			Attributes: []provider.Observed{{Name: name, Text: text}, {Name: "s", Secret: &s}}, Outputs: []provider.Output{{Name: "o", Text: text}}}
		if err := table.Put(o); err == nil {
			again, err := Open(dir)
			if err != nil {
				t.Fatalf("what was put can't be read: %v", err)
			}
			got, ok := again.Get(id)
			if !ok || len(again.List()) != 1 {
				t.Fatalf("%q is gone", id)
			}
			plain := strings.ToValidUTF8(name+text+hidden, "\ufffd") == name+text+hidden && hidden != ""
			if plain && !reflect.DeepEqual(got, o) {
				t.Fatalf("%+v comes back as %+v", o, got)
			}
		} else if id != "" && strings.ToValidUTF8(id, "") == id && len(id+name+text+hidden) < maxFile/8 {
			t.Fatalf("put %q: %v", id, err)
		}
		var is struct{ ID string }
		_ = json.Unmarshal(data, &is) // as far as it goes: the file of this id
		other := t.TempDir()
		if err := os.WriteFile(filepath.Join(other, fileOf(is.ID)), data, 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := Open(other)
		switch {
		case err == nil && len(found.List()) != 1:
			t.Fatalf("a file was read as nothing: %q", data)
		case err != nil && strings.Contains(err.Error(), canary):
			t.Fatalf("the error repeats a secret: %v", err)
		}
	})
}
