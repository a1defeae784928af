package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/compassdigital/reconciler/internal/state"
)

// awkward has every character that some spelling changes.
const awkward = "pä/ss+w?o&r<d>\"'~!* %x\\y=\nsecond line of it"

func redactorOf(texts ...string) *Redactor {
	r := &Redactor{}
	for _, t := range texts {
		r.Add(state.NewSecret(t))
	}
	return r
}

func TestRedactSpellings(t *testing.T) {
	inJSON, err := json.Marshal(map[string]string{"v": awkward})
	if err != nil {
		t.Fatal(err)
	}
	nested, err := json.Marshal(string(inJSON))
	if err != nil {
		t.Fatal(err)
	}
	basic := func(user string) string { return base64.StdEncoding.EncodeToString([]byte(user + ":" + awkward)) }
	r := redactorOf(awkward)
	for name, text := range map[string]string{
		"plain":          awkward,
		"base64":         base64.StdEncoding.EncodeToString([]byte(awkward)),
		"base64 raw":     base64.RawStdEncoding.EncodeToString([]byte(awkward)),
		"base64 url":     base64.URLEncoding.EncodeToString([]byte(awkward)),
		"base64 url raw": base64.RawURLEncoding.EncodeToString([]byte(awkward)),
		"basic 0":        basic("ab"),
		"basic 1":        basic("abc"),
		"basic 2":        basic("abcd"),
		"hex":            hex.EncodeToString([]byte(awkward)),
		"query":          url.QueryEscape(awkward),
		"query lower":    lowerPercent(url.QueryEscape(awkward)),
		"path":           url.PathEscape(awkward),
		"user info":      (&url.URL{Scheme: "postgres", User: url.UserPassword("u", awkward), Host: "db.example"}).String(),
		"JSON":           string(inJSON),
		"JSON slashes":   strings.ReplaceAll(string(inJSON), "/", `\/`),
		"JSON in JSON":   string(nested),
		"quoted":         fmt.Sprintf("%q", awkward),
		"quoted ASCII":   fmt.Sprintf("%+q", awkward),
		"HTML":           html.EscapeString(awkward),
		"second line":    "log: second line of it",
	} {
		got := r.Redact("before " + text + " after")
		if !strings.Contains(got, state.Redacted) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
			t.Errorf("%s: %q", name, got)
		}
		if strings.Contains(got, "second") || strings.Contains(got, base64.RawStdEncoding.EncodeToString([]byte("second line"))[2:10]) {
			t.Errorf("%s leaks: %q", name, got)
		}
	}
}

func TestRedactText(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"none", "nothing here", "nothing here"},
		{"twice", "hunter22 and hunter22", "(sensitive) and (sensitive)"},
		{"touching", "hunter22hunter22", "(sensitive)"},
		{"overlapping", "hunter2222two", "(sensitive)"},
		{"one inside the other", "hunter22-longer", "(sensitive)"},
		{"short", "pin 4711.", "pin (sensitive)."},
		{"too short to black out words", "abc", "abc"},
		{"empty", "", ""},
	} {
		r := redactorOf("hunter22", "hunter22-longer", "2222two", "4711", "abc", "", "sensitive")
		got := r.Redact(c.text)
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if again := r.Redact(got); again != got {
			t.Errorf("%s: redacting again gives %q", c.name, again)
		}
	}
	if got := (&Redactor{}).Redact("as it is"); got != "as it is" {
		t.Errorf("zero value: %q", got)
	}
}

// TestRedactMemory: what is looked for is bounded; what was added last is found.
func TestRedactMemory(t *testing.T) {
	r := &Redactor{limit: 64 << 10}
	text := func(i int) string { return fmt.Sprintf("postgres://user:%08d-pass@db.example/app", i) }
	for i := range 2000 {
		r.Add(state.NewSecret(text(i)))
		if held := r.fresh.bytes + r.old.bytes; held > r.limit+4096 {
			t.Fatalf("%d bytes are held", held)
		}
		if got := r.Redact(text(i)); got != state.Redacted {
			t.Fatalf("%q", got)
		}
	}
	for key, places := range r.fresh.wide {
		if len(places) > 8 {
			t.Errorf("%d spellings share the anchor %x", len(places), key)
		}
	}
	long := strings.Repeat("0123456789abcdef", maxPiece/8)
	r.Add(state.NewSecret(long))
	if got := r.Redact(long); got != state.Redacted {
		t.Errorf("a long secret leaves %d bytes", len(got))
	}
}

func TestRedactConcurrently(t *testing.T) {
	r := &Redactor{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				s := fmt.Sprintf("secret-%d-%d-end", i, n)
				r.Add(state.NewSecret(s))
				if got := r.Redact(s); got != state.Redacted {
					t.Errorf("%q", got)
				}
			}
		})
	}
	wg.Wait()
}

// TestRedactLaws: no secret is left, in any of the spellings, and redacting again
// changes nothing.
func TestRedactLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(rapid.StringMatching(`[a-c/+"<é\n]{4,20}`), 1, 6).Draw(t, "secrets")
		r := redactorOf(secrets...)
		var b strings.Builder
		for range rapid.IntRange(0, 6).Draw(t, "parts") {
			b.WriteString(rapid.StringMatching(`[a-c/+"< ]{0,12}`).Draw(t, "noise"))
			all := spellings(rapid.SampledFrom(secrets).Draw(t, "secret"))
			b.WriteString(rapid.SampledFrom(all).Draw(t, "spelling"))
		}
		got := r.Redact(b.String())
		for _, s := range secrets {
			for _, spelling := range spellings(s) {
				if strings.Contains(got, spelling) {
					t.Fatalf("%q is left in %q", spelling, got)
				}
			}
		}
		if again := r.Redact(got); again != got {
			t.Fatalf("redacting again: %q to %q", got, again)
		}
	})
}

// FuzzRedact: a secret is taken out in each of its spellings, nothing of it is left, and
// redacting again changes nothing.
func FuzzRedact(f *testing.F) {
	f.Add("hunter22", "before ", " after", byte(0))
	f.Add(awkward, "", "\xff", byte(7))
	f.Fuzz(func(t *testing.T, text, before, after string, which byte) {
		all := spellings(text)
		if len(text) < MinRedacted || slices.ContainsFunc(all, meetsRedacted) {
			return // ordinary; or it would come to be where something else was taken out
		}
		r := redactorOf(text)
		got := r.Redact(before + all[int(which)%len(all)] + after)
		if !strings.Contains(got, state.Redacted) {
			t.Errorf("%q was not taken out: %q", text, got)
		}
		for _, s := range all {
			if len(s) >= MinRedacted && strings.Contains(got, s) {
				t.Errorf("%q is left in %q", s, got)
			}
		}
		if again := r.Redact(got); again != got {
			t.Errorf("redacting again: %q to %q", got, again)
		}
	})
}

// meetsRedacted says that a text can be made of state.Redacted and what stands beside it.
func meetsRedacted(s string) bool {
	if strings.Contains(state.Redacted, s) || strings.Contains(s, state.Redacted) {
		return true
	}
	for i := range len(state.Redacted) {
		if i > 0 && strings.HasSuffix(s, state.Redacted[:i]) || strings.HasPrefix(s, state.Redacted[i:]) {
			return true
		}
	}
	return false
}

// P10: a build log that prints how a site connects has the password of its address by itself. One that is a word stays.
func TestP10PasswordOfAnAddress(t *testing.T) {
	r := redactorOf("postgres://app:Tr0ub4dor%26horse@db.example:5432/app?sslmode=require\n", "postgresql://postgres:postgres@db.example/app")
	for _, text := range []string{"{ host: 'db.example', user: 'app', password: 'Tr0ub4dor&horse' }", "PGPASSWORD=Tr0ub4dor%26horse", `{"password":"Tr0ub4dor\u0026horse"}`} {
		if got := r.Redact(text); strings.Contains(got, "Tr0ub4dor") || !strings.Contains(got, state.Redacted) {
			t.Errorf("%q stays as %q", text, got)
		}
	}
	const words = "postgres at db.example does not answer"
	if got := r.Redact(words); got != words {
		t.Errorf("%q became %q", words, got)
	}
}
