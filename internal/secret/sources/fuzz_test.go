package sources

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"filippo.io/age"
	"gopkg.in/yaml.v3"

	"github.com/compassdigital/reconciler/internal/state"
)

// lawful wants of whatever was read: owners and names as manifests can name them, each
// once, a value that can be used or a problem, and nothing more than the limits.
func lawful(t *testing.T, got found) {
	t.Helper()
	seen := map[[2]string]bool{}
	if len(got.secrets) > MaxEntries || len(got.notes.list()) > maxNotes+1 {
		t.Errorf("%d secrets, %d notes", len(got.secrets), len(got.notes.list()))
	}
	for _, x := range got.secrets {
		key := [2]string{x.Owner, x.Name}
		if seen[key] || !ownerShape.MatchString(x.Owner) || !nameShape.MatchString(x.Name) {
			t.Errorf("%q of %q", x.Name, x.Owner)
		}
		seen[key] = true
		text := x.Value.Reveal()
		if (x.Problem == "") == x.Value.Empty() || len(text) > MaxValue || strings.Contains(text, "\x00") {
			t.Errorf("%v: problem %q, %d bytes", key, x.Problem, len(text))
		}
		if again := use(state.OutsideSecret{}, []byte(text)); x.Problem == "" && again.Problem != "" {
			t.Errorf("%v: %s", key, again.Problem)
		}
	}
}

// FuzzDocument: whatever a document is, it is read or refused; what is read is lawful, and
// written again it is read as the same, as YAML and as JSON; what is refused repeats
// nothing of it.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(document))
	for _, s := range []string{"", "a: {b: c}", "a: &x {b: c}\nd: *x\n", "? [a]\n: b", "a:\n  b: |\n    c\n", "{a: {b: \"\\x00\"}}", "a: {b: c}\n---\n", "%YAML 1.1\n---\na: {b: yes}", "<<: {a: {b: c}}", "a: {<<: {b: c}}", "a: {b: !!binary YQ==}",
		`{"a": {"b": "c", "b": "d"}}`, `{"a": {"b": "\ud800"}}`, strings.Repeat("[", 2000), strings.Repeat("a: {", 500)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		for _, parse := range []func(string, []byte) (found, error){parseYAML, parseJSON} {
			got, err := parse("f", data)
			if err != nil {
				if !errors.Is(err, errShape) && !errors.Is(err, errText) && !errors.Is(err, errJSON) && !errors.Is(err, errTooMany) {
					t.Errorf("refused in other words: %v", err)
				}
				continue
			}
			lawful(t, got)
			again := map[string]map[string]string{}
			for _, x := range got.secrets {
				if x.Problem != "" {
					continue
				}
				if again[x.Owner] == nil {
					again[x.Owner] = map[string]string{}
				}
				again[x.Owner][x.Name] = x.Value.Reveal()
			}
			asYAML, err := yaml.Marshal(again)
			if err != nil {
				t.Fatal(err)
			}
			asJSON, err := json.Marshal(again)
			if err != nil {
				t.Fatal(err)
			}
			y, err1 := parseYAML("f", asYAML)
			j, err2 := parseJSON("f", asJSON)
			if err1 != nil || err2 != nil {
				t.Fatalf("written again it is refused: %v, %v", err1, err2)
			}
			for _, second := range []found{y, j} {
				for _, x := range second.secrets {
					if again[x.Owner][x.Name] != x.Value.Reveal() {
						t.Errorf("%s of %s changed", x.Name, x.Owner)
					}
				}
			}
			if n := len(y.secrets); n != len(j.secrets) || n > len(got.secrets) {
				t.Errorf("%d, %d, %d secrets", len(got.secrets), n, len(j.secrets))
			}
		}
	})
}

// FuzzVariable: whatever a variable is called, it is nobody's secret or one's, and then
// that one's variable is this one: no two secrets share a variable.
func FuzzVariable(f *testing.F) {
	for _, s := range []string{"DEMOSHOP__MOLLIE", "A___B", "A__B__C", "A_B__C_D", "_A__B", "A__B_", "a__b", "SHARED__X", "Ä__B", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		owner, name, ok := parseVariable(v)
		if !ok {
			return
		}
		if again, can := Variable(owner, name); !can || again != v {
			t.Errorf("%q is %s of %s, whose variable is %q %v", v, name, owner, again, can)
		}
	})
}

// FuzzAge: whatever lies in an age file's place, nothing comes out that its identity did
// not protect.
func FuzzAge(f *testing.F) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	whole := encrypt(f, document, other.Recipient(), false)
	f.Add(whole)
	f.Add(encrypt(f, document, other.Recipient(), true))
	f.Add([]byte("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 30\n\n--- \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		plain, err := decrypt(data, []age.Identity{id})
		if err == nil || len(plain) > 0 {
			t.Errorf("%d bytes, %v: nothing was encrypted for this identity", len(plain), err)
		}
		if !errors.Is(err, errNoAge) && !errors.Is(err, errNoMatch) {
			t.Errorf("in other words: %v", err)
		}
	})
}
