package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// P10: what is planted is found in each spelling, however it is embedded.
func TestP10EverySpellingIsFound(t *testing.T) {
	value := Value("spellings")
	var trap Trap
	trap.Plant("own", value)
	spellings := Spellings(value)
	if len(spellings) < 24 {
		t.Errorf("only %d spellings", len(spellings))
	}
	for _, s := range spellings {
		for _, around := range []string{"", "x", "\x00\xff", strings.Repeat("ab", 999)} {
			if got := trap.Find([]byte(around + s.Text + around)); len(got) == 0 || got[0].Whose != "own" {
				t.Errorf("%s inside of %d bytes is not found", s.Name, len(around))
			}
		}
	}
	var page bytes.Buffer
	if err := template.Must(template.New("").Parse(`<p title="{{.}}">{{.}}</p>`)).Execute(&page, value); err != nil {
		t.Fatal(err)
	}
	inJSON, err := json.Marshal(map[string]any{"text": value, "bytes": []byte(value)})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a page":     page.String(),
		"JSON":       string(inJSON),
		"basic auth": base64.StdEncoding.EncodeToString([]byte("token:" + value)),
		"a query":    url.Values{"key": {value}}.Encode(),
		"bytes":      fmt.Sprintf("%d", []byte(value)),
		"%#v":        fmt.Sprintf("%#v", struct{ Key []byte }{[]byte(value)}),
		"%x":         fmt.Sprintf("%x", value),
	} {
		if len(trap.Find([]byte(text))) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

// P10: eight bytes are enough, in any spelling; of hex digits sixteen.
func TestP10EveryPieceIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
		value, size := Value(name), window
		if rapid.Bool().Draw(t, "hex") {
			value, size = fmt.Sprintf("%x", value), hexWindow
		}
		var trap Trap
		trap.Plant("own", value)
		at := rapid.IntRange(0, len(value)-size).Draw(t, "at")
		piece := rapid.SampledFrom(Spellings(value[at:at+size])).Draw(t, "piece")
		noise := rapid.SliceOfN(rapid.Byte(), 0, 40)
		data := append(append(noise.Draw(t, "before"), piece.Text...), noise.Draw(t, "after")...)
		if len(trap.Find(data)) == 0 {
			t.Fatalf("%s of the bytes from %d is not found", piece.Name, at)
		}
	})
}

// What was not planted is not found, and a find does not show the value.
func TestNothingElseIsFound(t *testing.T) {
	var trap Trap
	if got := trap.Find([]byte("anything")); got != nil {
		t.Errorf("%v in an empty trap", got)
	}
	trap.Plant("own", Value("own"))
	trap.Plant("hex", strings.Repeat("0123456789abcdef", 4))
	trap.PlantWhole("address", "postgres://shop@db.example/shop")
	trap.Plant("short", "abc")
	for _, text := range []string{"", "abc", "postgres://shop@db.example", "commit 0123456 and 6789abcdef01", Value("other"), strings.Repeat("canary ", 100)} {
		if got := trap.Find([]byte(text)); len(got) > 0 {
			t.Errorf("%q: %v", text, got)
		}
	}
	got := trap.Find([]byte("dsn=postgres://shop@db.example/shop"))
	if len(got) != 1 || got[0].String() != "address, plain, at byte 4" {
		t.Errorf("%v", got)
	}
	if again := Value("own"); again != Value("own") || len(Value("own")) < 48 {
		t.Error("a value is not the same twice, or too short")
	}
}
