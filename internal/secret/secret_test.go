package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/state"
)

func keysOf(t testing.TB, fill byte) *Keys {
	t.Helper()
	k, err := newKeys(material{master: bytes.Repeat([]byte{fill}, keySize)})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealOpens(t *testing.T) {
	k := keysOf(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		plain, context := rapid.SliceOf(rapid.Byte()).Draw(t, "plain"), rapid.String().Draw(t, "context")
		sealed := k.Seal(context, plain)
		if len(sealed) != len(plain)+Overhead {
			t.Fatalf("%d bytes for %d", len(sealed), len(plain))
		}
		got, err := k.Open(context, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%q %v", got, err)
		}
		if bytes.Equal(sealed, k.Seal(context, plain)) {
			t.Fatal("sealing twice gives the same bytes")
		}
	})
}

// TestSealHolds: no single changed bit, no cut and no other context opens.
func TestSealHolds(t *testing.T) {
	k := keysOf(t, 1)
	sealed := k.Seal("secrets\x00mollie", []byte("a short value"))
	for bit := range 8 * len(sealed) {
		broken := bytes.Clone(sealed)
		broken[bit/8] ^= 1 << (bit % 8)
		if plain, err := k.Open("secrets\x00mollie", broken); plain != nil || !errors.Is(err, ErrUnsealed) && !errors.Is(err, ErrWrongKey) {
			t.Fatalf("bit %d: %q %v", bit, plain, err)
		}
	}
	for n := range len(sealed) {
		if _, err := k.Open("secrets\x00mollie", sealed[:n]); !errors.Is(err, ErrUnsealed) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	for _, context := range []string{"", "secrets\x00mollie ", "secrets\x00mollif", "secret\x00smollie"} {
		if _, err := k.Open(context, sealed); !errors.Is(err, ErrUnsealed) {
			t.Errorf("context %q: %v", context, err)
		}
	}
	if _, err := keysOf(t, 2).Open("secrets\x00mollie", sealed); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another key: %v", err)
	}
}

// FuzzOpen: bytes open as the text that was sealed, or not at all; what was sealed for one
// context opens for no other.
func FuzzOpen(f *testing.F) {
	k, err := newKeys(material{master: make([]byte, keySize)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("c", k.Seal("c", []byte("plain")))
	f.Add("", []byte{sealVersion})
	f.Add("", make([]byte, Overhead))
	f.Fuzz(func(t *testing.T, context string, sealed []byte) {
		plain, err := k.Open(context, sealed)
		switch {
		case err == nil && len(plain) != len(sealed)-Overhead:
			t.Errorf("%d bytes opened as %d", len(sealed), len(plain))
		case err != nil && (plain != nil || !errors.Is(err, ErrUnsealed) && !errors.Is(err, ErrWrongKey)):
			t.Errorf("%q with %v", plain, err)
		}
		again := k.Seal(context, sealed)
		if got, err := k.Open(context, again); err != nil || !bytes.Equal(got, sealed) {
			t.Errorf("sealed and opened: %q %v", got, err)
		}
		if got, err := k.Open(context+"x", again); got != nil || !errors.Is(err, ErrUnsealed) {
			t.Errorf("for another context: %q %v", got, err)
		}
	})
}

func TestFingerprint(t *testing.T) {
	a, b := keysOf(t, 1), keysOf(t, 2)
	one, two := state.NewSecret("one"), state.NewSecret("two")
	f := a.Fingerprint(one)
	if len(f) != 12 || f != a.Fingerprint(state.NewSecret("one")) {
		t.Errorf("fingerprint %q is not stable", f)
	}
	if _, err := hex.DecodeString(f); err != nil {
		t.Error(err)
	}
	if f == a.Fingerprint(two) || f == b.Fingerprint(one) {
		t.Error("another secret or another key gives the same fingerprint")
	}
	if a.Check() == b.Check() || a.Check() != keysOf(t, 1).Check() {
		t.Error("the check does not name the key")
	}
}

// What is derived is the same each time, another for another purpose or key, and nothing
// that is shown.
func TestDerive(t *testing.T) {
	a, b := keysOf(t, 1), keysOf(t, 2)
	one := a.Derive("provider x").Reveal()
	if len(one) != 64 || one != a.Derive("provider x").Reveal() {
		t.Errorf("%d digits, or another one each time", len(one))
	}
	for _, other := range []string{a.Derive("provider y").Reveal(), b.Derive("provider x").Reveal(), a.Fingerprint(state.NewSecret("provider x")), a.Check()} {
		if other == one || strings.HasPrefix(one, other) || strings.HasPrefix(other, one) {
			t.Error("it is something else, too")
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	k := keysOf(t, 'K')
	out := fmt.Sprintf("%v %+v %#v %s %x %d %v", k, k, k, k, k, k, []*Keys{k})
	data, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	if out += string(data); strings.Contains(out, "KKKK") || strings.Contains(out, "4b4b") || !strings.Contains(out, state.Redacted) {
		t.Errorf("printed %s", out)
	}
}

func TestNewHex32(t *testing.T) {
	a, err := NewHex32()
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewHex32()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(a.Reveal())
	if err != nil || len(raw) != 32 || a.Equal(b) {
		t.Errorf("%d bytes, %v, twice the same: %v", len(raw), err, a.Equal(b))
	}
}

func TestKeyFileFirstUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "key")
	k, err := Open(KeySource{File: path})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
	again, err := Open(KeySource{File: path, Existing: true})
	if err != nil || again.Check() != k.Check() {
		t.Fatalf("another key the second time: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	env, err := Open(KeySource{Env: state.NewSecret(string(text)), File: "/does/not/exist"})
	if err != nil || env.Check() != k.Check() {
		t.Errorf("the file's text as the environment: %v", err)
	}
}

// TestKeyFileRace: whoever makes the key first makes it for all.
func TestKeyFileRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	checks := make([]string, 8)
	var wg sync.WaitGroup
	for i := range checks {
		wg.Go(func() {
			k, err := Open(KeySource{File: path})
			if err != nil {
				t.Error(err)
				return
			}
			checks[i] = k.Check()
		})
	}
	wg.Wait()
	for _, c := range checks {
		if c != checks[0] {
			t.Fatalf("several keys: %v", checks)
		}
	}
}

func TestKeyFileRefused(t *testing.T) {
	master := bytes.Repeat([]byte{7}, keySize)
	good := string(formatKeyFile(material{master: master}))
	encoded := base64.StdEncoding.EncodeToString(master)
	for _, c := range []struct {
		name, text string
		mode       fs.FileMode
		want       error
		says       string
	}{
		{"good", good, 0o600, nil, ""},
		{"read-only", good, 0o400, nil, ""},
		{"carriage returns", strings.ReplaceAll(good, "\n", "\r\n"), 0o600, nil, ""},
		{"readable by others", good, 0o604, ErrReadable, "chmod 600 "},
		{"readable by the group", good, 0o640, ErrReadable, "chmod 600 "},
		{"writable by others", good, 0o602, ErrReadable, "chmod 600 "},
		{"empty", "", 0o600, ErrKeyFile, "first line"},
		{"foreign", "-----BEGIN PRIVATE KEY-----\n", 0o600, ErrKeyFile, "first line"},
		{"newer", strings.Replace(good, "key/1", "key/3", 1), 0o600, ErrKeyFile, "newer"},
		{"of the second format, without what it is for", strings.Replace(good, "key/1", "key/2", 1), 0o600, ErrKeyFile, "changed"},
		{"of the first, with a line of the second", strings.Replace(good, "sum ", "before "+encoded+"\nsum ", 1), 0o600, ErrKeyFile, "line 5"},
		{"without key", keyFileFirst + "\n", 0o600, ErrKeyFile, "32 bytes"},
		{"cut off", good[:len(good)-4], 0o600, ErrKeyFile, "changed"},
		{"one letter changed", strings.Replace(good, encoded, "A"+encoded[1:], 1), 0o600, ErrKeyFile, "changed"},
		{"two keys", good + "key " + encoded + "\n", 0o600, ErrKeyFile, "line 6"},
		{"huge", good + strings.Repeat("#\n", maxKeyFileSize), 0o600, ErrKeyFile, "4096"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := Open(KeySource{File: path})
			if !errors.Is(err, c.want) || c.want != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v with %q", err, c.want, c.says)
			}
			if err != nil && strings.Contains(err.Error(), encoded[4:12]) {
				t.Errorf("the error shows the key: %v", err)
			}
			if now, rerr := os.ReadFile(path); rerr != nil || string(now) != c.text {
				t.Errorf("the file was changed: %v", rerr)
			}
		})
	}
	if _, err := Open(KeySource{File: t.TempDir()}); err == nil {
		t.Error("a folder was taken for a key file")
	}
	gone := filepath.Join(t.TempDir(), "key")
	if _, err := Open(KeySource{File: gone, Existing: true}); !errors.Is(err, ErrNoKey) {
		t.Errorf("existing data without a key: %v", err)
	}
	if _, err := os.Stat(gone); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was made although one must exist: %v", err)
	}
	if _, err := Open(KeySource{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("no source: %v", err)
	}
}

func TestKeySpellings(t *testing.T) {
	master := make([]byte, keySize)
	for i := range master {
		master[i] = byte(255 - i)
	}
	want, err := newKeys(material{master: master})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		hex.EncodeToString(master), strings.ToUpper(hex.EncodeToString(master)), " " + hex.EncodeToString(master) + "\n",
		base64.StdEncoding.EncodeToString(master), base64.RawStdEncoding.EncodeToString(master),
		base64.URLEncoding.EncodeToString(master), base64.RawURLEncoding.EncodeToString(master), string(formatKeyFile(material{master: master})),
	} {
		k, err := Open(KeySource{Env: state.NewSecret(text)})
		if err != nil || k.Check() != want.Check() {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"correct horse battery staple", hex.EncodeToString(master[1:]), "0123456789", base64.StdEncoding.EncodeToString(append(master, 1))} {
		if _, err := Open(KeySource{Env: state.NewSecret(text)}); !errors.Is(err, ErrKeyFile) || strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	key := make([]byte, keySize)
	f.Add(formatKeyFile(material{master: key}))
	f.Add(formatKeyFile(material{master: key, finger: key}))
	f.Add(formatKeyFile(material{master: key, finger: key, before: key}))
	f.Add([]byte(keyFileFirst + "\nkey AAAA\nsum \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseKeyFile(data)
		if err != nil {
			return
		}
		again, err := parseKeyFile(formatKeyFile(m))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("what was read is not what is written: %v", err)
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	r := &Redactor{}
	for i := range 5000 {
		r.Add(state.NewSecret(fmt.Sprintf("postgres://user:%08x-pass@db.example/app", i*7919)))
	}
	line := strings.Repeat("2026-11-24T12:00:00Z info built 17 pages in 3.2s ", 20)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		r.Redact(line)
	}
}
