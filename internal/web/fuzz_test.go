package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/report"
)

// FuzzPages: threat 3, whatever the texts are, every page is built of the elements and
// attributes that it has with harmless ones, and the API's answers are one JSON document
// without a character that begins an element.
func FuzzPages(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s)
	}
	var tame map[string]string
	f.Fuzz(func(t *testing.T, s string) {
		if tame == nil {
			tame = pagesOf(t, "tame")
		}
		if strings.TrimSpace(report.Line(s)) == "" || mayLink(s) != "" || len(s) > 2<<10 {
			return // TestS48EmptyTexts, TestS48Links, and long ones in TestS48HostileTextIsTextOnThePages
		}
		for path, page := range pagesOf(t, s) {
			got, _ := built(t, page)
			if want, _ := built(t, tame[path]); !slices.Equal(got, want) {
				t.Errorf("%s with %q is built differently:\n%s\ninstead of\n%s", path, s, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		k := fleet()
		fill(reflect.ValueOf(&k.overview).Elem(), s)
		w := do(handler(t, Options{Read: k}), request("GET", "/api/clients"))
		if body := w.Body.Bytes(); !json.Valid(body) || bytes.ContainsAny(body, "<>") || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("the API with %q: %s", s, body)
		}
	})
}

// ownName is the form of this machine's own names in a Host.
var ownName = regexp.MustCompile(`(?i)^(localhost|reconciler\.example|127\.[0-9]+\.[0-9]+\.[0-9]+|\[?(::1|::ffff:127\.[0-9.]+|::ffff:7f[0-9a-f]{2}:[0-9a-f]+|0[0:]*:0*1|0[0:]*:ffff:7f[0-9a-f:]+)(%[^\]]*)?\]?|\[localhost\]?|\[127[0-9.]+\]?)\.?\]?(:[^:]*)?$`)

// FuzzGuard: threat 9, only connections from this machine that ask for one of its own names
// are answered, whatever the request says of itself; nothing but GET and HEAD is.
func FuzzGuard(f *testing.F) {
	for _, host := range []string{"localhost", "127.0.0.1:8080", "[::1]", "[::ffff:127.0.0.1]:1", "LOCALHOST.", "127.0.0.1.evil.example", "localhost:80:80", "evil.example", "reconciler.example:443", "[localhost]", "2130706433", "127.1", "::1"} {
		f.Add("GET", "127.0.0.1:1", host, "/clients/demoshop")
		f.Add("POST", "192.0.2.7:1", host, "/api/clients")
	}
	f.Fuzz(func(t *testing.T, method, from, host, path string) {
		r := request("GET", "/")
		r.Method, r.RemoteAddr, r.Host, r.URL = method, from, host, &url.URL{Path: "/" + strings.TrimPrefix(path, "/")}
		w := do(handler(t, Options{Read: fleet(), PublicURL: "https://reconciler.example"}), r)
		probe := r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
		if w.Code/100 != 2 && w.Code/100 != 3 || probe {
			if strings.Contains(w.Body.String(), "dana") {
				t.Errorf("a refusal tells: %s", w.Body)
			}
			return
		}
		if a, err := netip.ParseAddrPort(from); err != nil || !a.Addr().Unmap().IsLoopback() || method != http.MethodGet && method != http.MethodHead {
			t.Errorf("%s from %q is answered with %d", method, from, w.Code)
		}
		own := ownName.MatchString(host)
		if !own {
			t.Errorf("%q is answered with %d", host, w.Code)
		}
	})
}

// read is a reader of event streams, by the HTML standard's steps.
func read(stream string) (events []map[string]string) {
	now := map[string]string{}
	for _, line := range strings.FieldsFunc(strings.ReplaceAll(stream, "\n\n", "\n\x00\n"), func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line == "\x00" {
			events = append(events, now)
			now = map[string]string{}
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		now[field] += strings.TrimPrefix(value, " ")
	}
	return events
}

// FuzzFrame: an event is read as the one event that was sent, whatever its texts are.
func FuzzFrame(f *testing.F) {
	f.Add(uint64(1), "log", "a line\n\ndata: {}\n\nid: 9")
	f.Add(uint64(1<<63), "status", "\r\nevent: x\r\r\u2028\x00")
	f.Add(uint64(0), "a\nb", "\xff<script>")
	f.Fuzz(func(t *testing.T, id uint64, kind, text string) {
		e := Event{ID: id, Kind: kind, Data: map[string]string{"text": text}}
		frame, err := e.Frame()
		if err != nil {
			if strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz-.") == "" {
				t.Errorf("%q: %v", kind, err)
			}
			return
		}
		again, err := Event{ID: id + 1, Kind: "end"}.Frame()
		if err != nil {
			t.Fatal(err)
		}
		events := read(string(frame) + string(again))
		if len(events) != 2 || events[0]["id"] != strconv.FormatUint(id, 10) || events[0]["event"] != kind || len(events[0]) != 3 || events[1]["event"] != "end" {
			t.Fatalf("%q is read as %v", frame, events)
		}
		var data map[string]string
		if err := json.Unmarshal([]byte(events[0]["data"]), &data); err != nil || utf8.ValidString(text) && data["text"] != text {
			t.Errorf("%q is read as %v %v", text, data, err)
		}
		if after, ok := Resume(http.Header{"Last-Event-Id": {events[0]["id"]}}); !ok || after != id {
			t.Errorf("after %d a stream goes on after %d %v", id, after, ok)
		}
	})
}

// FuzzResume: only an id that we could have given is one.
func FuzzResume(f *testing.F) {
	for _, s := range []string{"", "0", "17", "-1", "+1", "007", "1e3", "18446744073709551615", "18446744073709551616", "1 ", "１", "1\n2", "0x10", "1_000"} {
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, said string, twice bool) {
		h := http.Header{"Last-Event-Id": {said}}
		if twice {
			h.Add("Last-Event-ID", said)
		}
		after, ok := Resume(h)
		want, err := strconv.ParseUint(said, 10, 64)
		ours := err == nil && strconv.FormatUint(want, 10) == said && !twice
		if ok != ours || ok && after != want || !ok && after != 0 {
			t.Errorf("%q (twice %v): %d %v", said, twice, after, ok)
		}
	})
}
