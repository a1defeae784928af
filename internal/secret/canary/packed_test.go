package canary

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// packed is a text in gzip or zlib.
func packed(t *testing.T, text []byte, as func(io.Writer) io.WriteCloser) []byte {
	t.Helper()
	var b bytes.Buffer
	z := as(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func inGzip(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
func inZlib(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }

// P10: what is packed is found, wherever it stands, in its base64 too, packed twice, behind another
// one, and cut off.
func TestP10WhatIsPackedIsFound(t *testing.T) {
	value := Value("packed")
	var trap Trap
	trap.Plant("own", value)
	text := []byte(strings.Repeat("some other words, ", 50) + value + strings.Repeat(" and more", 50))
	one, other := packed(t, text, inGzip), packed(t, text, inZlib)
	inJSON, err := json.Marshal(map[string]any{"plan": one})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"gzip":              one,
		"gzip inside":       append([]byte("x\x1f\x8b"), append(one, "\x1f\x8b\x08 and more"...)...),
		"zlib":              append([]byte("x"), other...),
		"JSON":              inJSON,
		"base64, for URLs":  []byte("?plan=" + base64.RawURLEncoding.EncodeToString(one) + "&more"),
		"twice":             packed(t, packed(t, text, inZlib), inGzip),
		"JSON in gzip":      packed(t, inJSON, inGzip),
		"behind another":    append(packed(t, []byte("something else"), inGzip), one...),
		"without its end":   one[:len(one)-10],
		"with a broken sum": append(one[:len(one)-8:len(one)-8], "12345678"...),
	} {
		if len(trap.Find(data)) > 0 && name != "twice" {
			t.Errorf("%s: it is found without being unpacked", name)
		}
		found := false
		for _, inner := range Unpacked(data) {
			found = found || len(trap.Find(inner)) > 0
		}
		if !found {
			t.Errorf("%s: not found", name)
		}
	}
}

// Nothing comes of what is not packed, and no more than the most of what is.
func TestUnpackedIsBounded(t *testing.T) {
	for _, data := range []string{"", "H4sI", "H4sI====", "\x1f\x8b\x08", "x^", "x\x9c", "words x^ and \x78\x01 more H4sIAAAAAAAA words", strings.Repeat("H4sI", 9999)} {
		if got := Unpacked([]byte(data)); len(got) > 0 {
			t.Errorf("%.40q: %q", data, got)
		}
	}
	const most = 1 << 20
	bomb := packed(t, bytes.Repeat([]byte("0"), most), inGzip)
	var all int
	for _, x := range unpacked(bytes.Repeat(bomb, 3), most+10) {
		all += len(x)
	}
	if all != most+10 {
		t.Errorf("%d bytes were unpacked", all)
	}
}
