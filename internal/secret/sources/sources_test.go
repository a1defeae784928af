package sources

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/state"
)

// canaryText is a value that may be in no note and no problem.
const canaryText = "c4n4ry-Zq7x-Value"

// bench is what a test's sources stand on.
type bench struct {
	t       testing.TB
	dir     string
	environ []string
	now     time.Time
}

func newBench(t testing.TB) *bench {
	return &bench{t: t, dir: t.TempDir(), now: time.Now().Add(time.Minute)}
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, filepath.FromSlash(name)) }

// write makes a file that only its owner may read.
func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) options() Options {
	return Options{Environ: func() []string { return b.environ }, Now: func() time.Time { return b.now }}
}

func (b *bench) set(specs ...Spec) *Set {
	b.t.Helper()
	s, err := New(specs, b.options())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// shown is what was found, as text: "owner/name=value" or "owner/name!problem".
func shown(o state.Outside) []string {
	out := []string{}
	for _, x := range o.Secrets {
		if x.Problem != "" {
			out = append(out, x.Owner+"/"+x.Name+"!"+x.Problem)
			continue
		}
		out = append(out, x.Owner+"/"+x.Name+"="+x.Value.Reveal())
	}
	return out
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// wantNotes wants one note for each part, in order, that holds it; and no value in any.
func wantNotes(t *testing.T, o state.Outside, parts ...string) {
	t.Helper()
	if len(o.Notes) != len(parts) {
		t.Errorf("notes: %q, want %d", o.Notes, len(parts))
		return
	}
	for i, p := range parts {
		if !strings.Contains(o.Notes[i], p) {
			t.Errorf("note %q does not say %q", o.Notes[i], p)
		}
	}
	wantNoValue(t, o)
}

func wantNoValue(t *testing.T, o state.Outside) {
	t.Helper()
	said := fmt.Sprint(o.Notes, o.Failed, o.Sources)
	for _, x := range o.Secrets {
		said += x.Problem + x.Place + x.Source + x.Owner + x.Name + fmt.Sprintf("%v %+v %#v", x, x, x.Value)
	}
	if strings.Contains(said, canaryText) {
		t.Errorf("a value is told: %s", said)
	}
}

func TestEnvironment(t *testing.T) {
	b := newBench(t)
	b.environ = []string{"X_SHARED__SMTP_PASSWORD=" + canaryText, "X_DEMO_SHOP__MOLLIE=own", "X_EMPTY__A=", "X_BLANK__A= ", "Y_DEMO_SHOP__OTHER=no",
		"X_DEMO_SHOP=" + canaryText, "X_demo__a=" + canaryText, "X_A____B=x", "X__A__B=x", "X_MULTI__LINE=a\nb", "X_EQUALS__SIGN=a=b"}
	got := b.set(Spec{Env: "X_"}).Read(t.Context(), false)
	same(t, "secrets", shown(got), []string{"blank/a!it is empty", "demo-shop/mollie=own", "empty/a!it is empty", "equals/sign=a=b", "multi/line=a\nb", "shared/smtp-password=" + canaryText})
	wantNotes(t, got, "4 variables are not read as secrets, the first is \"X_A____B\": write X_CLIENT__NAME, or X_SHARED__NAME", "the variable X_BLANK__A: it is empty", "the variable X_EMPTY__A: it is empty")
}

// What an owner and a name are written as is read as them, and nothing else is.
func TestVariable(t *testing.T) {
	for _, x := range []struct {
		owner, name, want string
		ok                bool
	}{
		{"demoshop", "mollie", "DEMOSHOP__MOLLIE", true},
		{"demo-shop", "smtp-password", "DEMO_SHOP__SMTP_PASSWORD", true},
		{"shared", "x", "SHARED__X", true},
		{"demoshop-3f9a2c", "x1", "DEMOSHOP_3F9A2C__X1", true},
		{"a--b", "c", "", false},
		{"a", "b--c", "", false},
	} {
		got, ok := Variable(x.owner, x.name)
		if ok != x.ok || ok && got != x.want {
			t.Errorf("%s of %s: %s %v", x.name, x.owner, got, ok)
		}
	}
}

func TestFolder(t *testing.T) {
	b := newBench(t)
	b.write("s/shared/smtp", "pass\n")
	b.write("s/demoshop/mollie", "two\nlines\n\n")
	b.write("s/demoshop/windows", "line\r\n")
	b.write("s/demoshop/spaces", "  kept \n")
	b.write("s/demoshop/only-cr", "x\r")
	b.write("s/.hidden/x", "no")
	b.write("s/demoshop/.x", "no")
	if err := os.MkdirAll(b.path("s/nobody"), 0o700); err != nil {
		t.Fatal(err)
	}
	got := b.set(Spec{Folder: b.path("s")}).Read(t.Context(), false)
	same(t, "secrets", shown(got), []string{"demoshop/mollie=two\nlines\n", "demoshop/only-cr=x\r", "demoshop/spaces=  kept ", "demoshop/windows=line", "shared/smtp=pass"})
	wantNotes(t, got)
	same(t, "place", got.Secrets[0].Place, b.path("s/demoshop/mollie"))
	same(t, "source", got.Secrets[0].Source, "folder "+b.path("s"))
}

// As Kubernetes mounts a Secret: links to a folder that is exchanged as a whole.
func TestFolderAsKubernetesMakesIt(t *testing.T) {
	b := newBench(t)
	b.write("s/demoshop/..2026_11_01/mollie", "first")
	b.write("s/demoshop/..2026_11_02/mollie", "second")
	link := func(to, name string) {
		t.Helper()
		_ = os.Remove(b.path(name))
		if err := os.Symlink(to, b.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..2026_11_01", "s/demoshop/..data")
	link("..data/mollie", "s/demoshop/mollie")
	set := b.set(Spec{Folder: b.path("s")})
	same(t, "secrets", shown(set.Read(t.Context(), false)), []string{"demoshop/mollie=first"})
	link("..2026_11_02", "s/demoshop/..data")
	same(t, "exchanged", shown(set.Read(t.Context(), false)), []string{"demoshop/mollie=second"})
}

// What leads out of the folder, is no file, too large or binary is refused and told, and
// the others are read.
func TestFolderHostile(t *testing.T) {
	b := newBench(t)
	b.write("outside/key", canaryText)
	b.write("s/demoshop/good", "value")
	b.write("s/demoshop/huge", strings.Repeat("x", MaxValue+1))
	b.write("s/demoshop/largest", strings.Repeat("x", MaxValue)+"\n")
	b.write("s/demoshop/binary", canaryText+"\x00")
	b.write("s/demoshop/latin1", canaryText+"\xe9")
	b.write("s/demoshop/empty", "\n")
	b.write("s/demoshop/Upper", canaryText)
	b.write("s/demoshop/a b", canaryText)
	b.write("s/readme", canaryText)
	b.write("s/UPPER/x", canaryText)
	for name, to := range map[string]string{"s/demoshop/absolute": b.path("outside/key"), "s/demoshop/up": "../../outside/key", "s/demoshop/dangling": "nothing",
		"s/demoshop/loop": "loop", "s/demoshop/folder": "../demoshop", "s/out": "../outside", "s/gone": "nothing"} {
		if err := os.Symlink(to, b.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	got := b.set(Spec{Folder: b.path("s")}).Read(t.Context(), false)
	var good, bad []string
	for _, x := range got.Secrets {
		if x.Problem == "" {
			good = append(good, x.Name)
		} else {
			bad = append(bad, x.Name)
		}
	}
	same(t, "read", good, []string{"good", "largest"})
	same(t, "refused", bad, []string{"absolute", "binary", "dangling", "empty", "folder", "huge", "latin1", "loop", "up"})
	wantNoValue(t, got)
	said := strings.Join(got.Notes, "\n")
	for _, want := range []string{"huge: it is longer than 64 KiB", "binary: it is no text but binary data; keep it as base64", "empty: it is empty", "folder: it is no regular file",
		"6 entries are not read", `the first is "UPPER"`, "up: it is a link that leads out of the folder, or nowhere"} {
		if !strings.Contains(said, want) {
			t.Errorf("it is not said: %s\n%s", want, said)
		}
	}
	if len(got.Failed) > 0 {
		t.Errorf("failed: %v", got.Failed)
	}
}

// A folder that is not there, or an owner's that can't be looked into, is no empty one.
func TestFolderThatCantBeRead(t *testing.T) {
	b := newBench(t)
	b.write("s/file", "x")
	for _, path := range []string{b.path("absent"), b.path("s/file")} {
		got := b.set(Spec{Folder: path}).Read(t.Context(), false)
		same(t, "failed", got.Failed, []string{"folder " + path})
		wantNotes(t, got, "the folder "+path+" can't be read: ")
	}
}

func TestFolderModes(t *testing.T) {
	b := newBench(t)
	b.write("s/demoshop/a", "x")
	b.write("s/demoshop/b", "x")
	if err := os.Chmod(b.path("s/demoshop/b"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := b.set(Spec{Folder: b.path("s")}).Read(t.Context(), false)
	same(t, "both are read", len(shown(got)), 2)
	wantNotes(t, got, "1 file below "+b.path("s")+" may be read or changed by other users of this machine, the first is demoshop/b; run: chmod -R u=rwX,go= "+b.path("s"))
}

// P11: what is unchanged is not read again; what can't be told apart is.
func TestP11UnchangedIsNotRead(t *testing.T) {
	b := newBench(t)
	b.write("s/demoshop/a", "one")
	b.environ = []string{"X_DEMOSHOP__B=two"}
	set := b.set(Spec{Env: "X_"}, Spec{Folder: b.path("s")})
	read := func() state.Outside { t.Helper(); return set.Read(t.Context(), false) }
	same(t, "first", len(shown(read())), 2)
	got := read()
	same(t, "second", got.Same, true)
	same(t, "nothing is handed out", len(got.Secrets), 0)
	same(t, "anew", shown(set.Read(t.Context(), true)), []string{"demoshop/a=one", "demoshop/b=two"})
	same(t, "after that", read().Same, true)

	b.write("s/demoshop/a", "three")
	same(t, "changed", shown(read()), []string{"demoshop/a=three", "demoshop/b=two"})
	same(t, "same again", read().Same, true)
	b.write("s/demoshop/c", "new")
	same(t, "added", len(shown(read())), 3)
	if err := os.Remove(b.path("s/demoshop/c")); err != nil {
		t.Fatal(err)
	}
	same(t, "removed", len(shown(read())), 2)
	same(t, "same once more", read().Same, true)
	b.environ = nil
	same(t, "a variable less", shown(read()), []string{"demoshop/a=three"})

	b.now = b.now.Add(maxTrust)
	same(t, "not trusted longer", read().Same, false)
	if err := os.Chtimes(b.path("s/demoshop/a"), b.now, b.now); err != nil { // written just now: its time tells nothing
		t.Fatal(err)
	}
	read()
	same(t, "too fresh", read().Same, false)
}

func TestPrecedence(t *testing.T) {
	b := newBench(t)
	b.write("s/demoshop/both", "folder")
	b.write("s/demoshop/bad", "\n")
	b.environ = []string{"X_DEMOSHOP__BOTH=variable", "X_DEMOSHOP__BAD=variable"}
	folder, env := Spec{Folder: b.path("s")}, Spec{Env: "X_"}
	got := b.set(env, folder).Read(t.Context(), false)
	same(t, "the first counts", shown(got), []string{"demoshop/bad=variable", "demoshop/both=variable"})
	wantNotes(t, got, "bad of demoshop is in two sources: the variable X_DEMOSHOP__BAD counts, and "+b.path("s/demoshop/bad")+" does not", "both of demoshop is in two sources")
	// What can't be used is there all the same: nothing else takes its place.
	got = b.set(folder, env).Read(t.Context(), false)
	same(t, "the other way round", shown(got), []string{"demoshop/bad!it is empty", "demoshop/both=folder"})
}

// A source that can't be read is told, and costs the others nothing; it is tried each time.
func TestOneSourceNeverBlocksAnother(t *testing.T) {
	b := newBench(t)
	b.environ = []string{"X_DEMOSHOP__A=one"}
	set := b.set(Spec{Folder: b.path("later")}, Spec{Env: "X_"})
	got := set.Read(t.Context(), false)
	same(t, "the other", shown(got), []string{"demoshop/a=one"})
	same(t, "failed", got.Failed, []string{"folder " + b.path("later")})
	same(t, "again", set.Read(t.Context(), false).Same, false)
	b.write("later/demoshop/b", "two")
	got = set.Read(t.Context(), false)
	same(t, "when it is back", shown(got), []string{"demoshop/a=one", "demoshop/b=two"})
	same(t, "none failed", len(got.Failed), 0)
}

const document = `# the shops'
shared:
  smtp: "p w"
demoshop:
  mollie: live-1
  pem: |
    -----BEGIN
    abc
  number: 0123
  quoted: "0123"
  none: ~
  list: [a]
Bad Key: {x: ` + canaryText + `}
`

// sealed makes a file that age encrypted, and the file of the identity that opens it.
func (b *bench) sealed(name, keys, text string, armored bool) *age.X25519Identity {
	b.t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(keys, "# made for a test\n"+id.String()+"\n")
	b.write(name, string(encrypt(b.t, text, id.Recipient(), armored)))
	return id
}

func encrypt(t testing.TB, text string, to age.Recipient, armored bool) []byte {
	t.Helper()
	var out bytes.Buffer
	if armored {
		a := armor.NewWriter(&out)
		w, err := age.Encrypt(a, to)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(text))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	w, err := age.Encrypt(&out, to)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(text))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAge(t *testing.T) {
	for _, armored := range []bool{false, true} {
		b := newBench(t)
		b.sealed("s.age", "key", document, armored)
		set := b.set(Spec{AgeFile: b.path("s.age"), KeyFile: b.path("key")})
		got := set.Read(t.Context(), false)
		same(t, "secrets", shown(got), []string{"demoshop/list!" + notText, "demoshop/mollie=live-1", "demoshop/none!" + notText, "demoshop/number!" + notText,
			"demoshop/pem=-----BEGIN\nabc\n", "demoshop/quoted=0123", "shared/smtp=p w"})
		wantNotes(t, got, "1 entry is not read", "demoshop.number in "+b.path("s.age")+": it is no text; write it in quotes", "none", "list")
		same(t, "same", set.Read(t.Context(), false).Same, true)
	}
}

// A damaged file, another's key, a key that is none: told, in words that repeat nothing.
func TestAgeHostile(t *testing.T) {
	b := newBench(t)
	id := b.sealed("s.age", "key", document, false)
	whole, err := os.ReadFile(b.path("s.age"))
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{AgeFile: b.path("s.age"), KeyFile: b.path("key")}
	set := b.set(spec)
	want := shown(set.Read(t.Context(), true))
	fails := func(what, why string) {
		t.Helper()
		got := set.Read(t.Context(), true)
		if len(got.Failed) != 1 || len(got.Secrets) != 0 || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], why) {
			t.Errorf("%s: %v, notes %q", what, got.Failed, got.Notes)
		}
		if s := fmt.Sprint(got); strings.Contains(s, id.String()) || strings.Contains(s, canaryText) || strings.Contains(s, "live-1") {
			t.Errorf("%s: a secret is told: %s", what, s)
		}
	}
	for i := range whole { // one bit after the other
		if i%7 != 0 {
			continue
		}
		damaged := slices.Clone(whole)
		damaged[i] ^= 1
		b.write("s.age", string(damaged))
		got := set.Read(t.Context(), true)
		if len(got.Failed) == 0 && cmp.Diff(want, shown(got)) != "" {
			t.Fatalf("byte %d: %v", i, shown(got))
		}
	}
	for _, n := range []int{0, 10, len(whole) / 2, len(whole) - 1} {
		b.write("s.age", string(whole[:n]))
		fails(fmt.Sprintf("cut at %d", n), "it is damaged, or no file that age made")
	}
	b.write("s.age", document)
	fails("not encrypted", "it is damaged, or no file that age made")
	b.write("s.age", string(encrypt(t, "demoshop: [", id.Recipient(), false)))
	fails("no YAML", "it can't be read as YAML")
	b.write("s.age", string(encrypt(t, "- "+canaryText, id.Recipient(), false)))
	fails("a list", "CLIENT: {NAME: value}")
	b.write("s.age", string(encrypt(t, "demoshop: "+canaryText, id.Recipient(), false)))
	fails("no group", "CLIENT: {NAME: value}")
	b.write("s.age", string(encrypt(t, "a: {b: c}\n---\na: {b: d}\n", id.Recipient(), false)))
	fails("two documents", "CLIENT: {NAME: value}")
	b.write("s.age", string(encrypt(t, strings.Repeat("x", MaxDocument+1), id.Recipient(), false)))
	fails("huge", "larger than 16 MiB")
	b.write("s.age", string(whole))
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	b.write("key", other.String())
	fails("another's key", "no identity in keyFile opens it")
	b.write("key", id.String()+"x\n")
	fails("a key that is none", "keyFile has no age identity")
	b.write("key", "\n")
	fails("no key", "keyFile has no age identity")
	if err := os.Remove(b.path("key")); err != nil {
		t.Fatal(err)
	}
	fails("no key file", "keyFile "+b.path("key"))
	b.write("key", id.String())
	if err := os.Chmod(b.path("key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := set.Read(t.Context(), true); len(got.Failed) > 0 || !strings.Contains(strings.Join(got.Notes, "\n"), "chmod 600 "+b.path("key")) {
		t.Errorf("a key that others may read: %v %q", got.Failed, got.Notes)
	}
}

// A name that a document has twice has no value: nobody knows which one counts.
func TestDocumentTwice(t *testing.T) {
	got, err := parseYAML("f", []byte("a: {x: one, y: two}\na: {x: three}\n"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "secrets", shown(state.Outside{Secrets: got.secrets}), []string{"a/x!it is there twice", "a/y=two"})
	for _, text := range []string{"", "# nothing\n", "~", "{}"} {
		if got, err := parseYAML("f", []byte(text)); err != nil || len(got.secrets) > 0 {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	var many strings.Builder
	many.WriteString("a:\n")
	for i := range MaxEntries + 1 {
		fmt.Fprintf(&many, " n%d: x\n", i)
	}
	if _, err := parseYAML("f", []byte(many.String())); err == nil {
		t.Error("more than MaxEntries are read")
	}
}

func TestSpecs(t *testing.T) {
	for _, x := range []struct {
		spec Spec
		want string
	}{
		{Spec{}, "exactly one of"},
		{Spec{Env: "X_", Folder: "/s"}, "exactly one of"},
		{Spec{Env: "x_"}, "in capitals"},
		{Spec{Env: "X"}, "underscore at its end"},
		{Spec{Env: "RECONCILER_"}, "take another"},
		{Spec{AgeFile: "/s"}, "needs keyFile"},
		{Spec{Folder: "/s", KeyFile: "/k"}, "belongs to"},
		{Spec{SopsFile: "/s", KeyFile: "/k"}, ""},
		{Spec{SopsFile: "/s"}, ""},
		{Spec{Env: "RECONCILER_SECRET_"}, ""},
	} {
		got := x.spec.Check()
		if (x.want == "") != (got == "") || !strings.Contains(got, x.want) {
			t.Errorf("%+v: %q, want %q", x.spec, got, x.want)
		}
		if _, err := New([]Spec{x.spec}, Options{}); (err == nil) != (x.want == "") {
			t.Errorf("%+v: %v", x.spec, err)
		}
	}
	if _, err := New([]Spec{{Env: "X_"}, {Env: "X_"}}, Options{}); err == nil {
		t.Error("one source twice")
	}
	if _, err := New(make([]Spec, MaxSources+1), Options{}); err == nil {
		t.Error("too many")
	}
}
