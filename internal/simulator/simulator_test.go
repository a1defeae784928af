package simulator

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What a fault does to the vendor and to who asked is what it says.
func TestFaults(t *testing.T) {
	var worked atomic.Int32
	var faults Faults
	server := httptest.NewServer(faults.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		worked.Add(1)
		_, _ = w.Write(body)
	})))
	defer server.Close()
	ask := func(method, path, body string) string {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		a, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			return "nothing"
		}
		defer a.Body.Close()
		got, _ := io.ReadAll(a.Body)
		return a.Status[:3] + " " + a.Header.Get("Retry-After") + " " + string(got)
	}
	faults.Add(
		Fault{Method: "POST", Path: "/things/*", Skip: 1, Times: 2, Do: Refuse(429, http.Header{"Retry-After": {"3"}}, "slow")},
		Fault{Match: func(_ *http.Request, body []byte) bool { return string(body) == "lose it" }, Do: LoseRequest()},
		Fault{Path: "/things/b", Do: LoseAnswer()},
		Fault{Path: "/pages", Times: -1, Do: Instead(502, nil, "<html>")},
	)
	for i, c := range []struct {
		method, path, body, want string
		works                    int
	}{
		{"POST", "/things/a", "1", "200  1", 1},
		{"GET", "/things/a", "2", "200  2", 1},
		{"POST", "/things/a", "3", "429 3 slow", 0},
		{"POST", "/things/a/b", "4", "200  4", 1},
		{"POST", "/things/c", "5", "429 3 slow", 0},
		{"POST", "/things/c", "6", "200  6", 1},
		{"GET", "/else", "lose it", "nothing", 0},
		{"GET", "/else", "lose it", "200  lose it", 1},
		{"POST", "/things/b", "7", "nothing", 1},
		{"POST", "/things/b", "8", "200  8", 1},
		{"POST", "/pages", "9", "502  <html>", 1},
		{"GET", "/pages", "", "502  <html>", 1},
	} {
		worked.Store(0)
		if got := ask(c.method, c.path, c.body); got != c.want || int(worked.Load()) != c.works {
			t.Errorf("%d: %q, worked %d times; want %q, %d", i, got, worked.Load(), c.want, c.works)
		}
	}
	if got, want := faults.Happened(), (map[string]int{"refused": 2, "request lost": 1, "answer lost": 1, "another answer": 2}); !reflect.DeepEqual(got, want) {
		t.Errorf("happened: %v", got)
	}
	faults.Clear()
	if got := ask("GET", "/pages", "well"); got != "200  well" {
		t.Errorf("cleared: %q", got)
	}
}

// An answer is cut or kept back in its middle: what stands before that arrives.
func TestFaultsWithinAnAnswer(t *testing.T) {
	var faults Faults
	server := httptest.NewServer(faults.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, l := range []string{"a\nb", "\n", "c\nd\n"} {
			_, _ = io.WriteString(w, l)
			_ = http.NewResponseController(w).Flush()
		}
	})))
	defer server.Close()
	faults.Add(Fault{Do: CutAfter(3)}, Fault{Do: StallAfter(1)}, Fault{Do: CutAfter(4)})
	for i, c := range []struct {
		gives string
		whole bool
	}{{"a\nb\nc\n", false}, {"a\n", false}, {"a\nb\nc\nd\n", true}, {"a\nb\nc\nd\n", true}} {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(c.gives))
		if _, err := io.ReadFull(a.Body, got); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		if i == 1 {
			cancel() // it would last
		}
		_, err = io.ReadAll(a.Body)
		cancel()
		if _ = a.Body.Close(); string(got) != c.gives || (err == nil) != c.whole {
			t.Errorf("%d: %q, %v", i, got, err)
		}
	}
}

func TestTableIsLate(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	table := NewTable[string](func() time.Time { return now }, func() time.Duration { return time.Minute })
	check := func(what string, all, seen []string) {
		t.Helper()
		if got := table.All(); !reflect.DeepEqual(got, all) {
			t.Errorf("%s: all are %v", what, got)
		}
		if got := table.Seen(); !reflect.DeepEqual(got, seen) {
			t.Errorf("%s: seen are %v", what, got)
		}
	}
	table.Put("1", "a")
	check("made", []string{"a"}, nil)
	if is, ok := table.Get("1"); !ok || is != "a" {
		t.Error("by id it is there at once")
	}
	now = now.Add(time.Minute)
	table.Put("2", "b")
	table.Put("1", "a2")
	check("a minute later", []string{"a2", "b"}, []string{"a2"})
	if !table.Delete("1") || table.Delete("1") {
		t.Error("it is deleted once")
	}
	check("deleted", []string{"b"}, []string{"a2"})
	file := filepath.Join(t.TempDir(), "state.json")
	if err := Save(file, map[string]any{"table": table}); err != nil {
		t.Fatal(err)
	}
	again := NewTable[string](table.now, table.lag)
	now = now.Add(time.Minute)
	check("a minute after that", []string{"b"}, []string{"b"})
	into := struct{ Table *Table[string] }{again}
	if err := Load(file, &into); err != nil || !reflect.DeepEqual(again.All(), []string{"b"}) {
		t.Errorf("read again: %v, %v", again.All(), err)
	}
	if err := Load(file+".none", &into); err != nil {
		t.Errorf("no file: %v", err)
	}
	empty := NewTable[string](table.now, table.lag)
	if err := Save(file, map[string]any{"table": empty}); err != nil {
		t.Fatal(err)
	}
	if err := Load(file, &into); err != nil || into.Table == nil || into.Table.All() != nil {
		t.Errorf("an empty table, read again: %v, %v", into.Table, err)
	}
}

func TestLimit(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	l := Limit{Most: 2, Window: time.Minute}
	for i, c := range []struct {
		after time.Duration
		left  int
		ok    bool
	}{{0, 1, true}, {time.Second, 0, true}, {time.Second, 0, false}, {58 * time.Second, 1, true}} {
		now = now.Add(c.after)
		if left, _, ok := l.Take(now); left != c.left || ok != c.ok {
			t.Errorf("%d: %d left, %v", i, left, ok)
		}
	}
	if _, _, ok := (&Limit{}).Take(now); !ok {
		t.Error("no limit is none")
	}
}

func TestIDs(t *testing.T) {
	a, b := IDs{Seed: "x"}, IDs{Seed: "x"}
	seen := map[string]bool{}
	for range 100 {
		id := a.UUID()
		if id != b.UUID() || seen[id] || len(id) != 36 {
			t.Fatalf("%s", id)
		}
		seen[id] = true
	}
}
