package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/compassdigital/reconciler/internal/health"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/secret/canary"
)

// Threat 1: planning what a stranger proposes writes nothing and reveals nothing: neither
// at a provider nor in the state, whatever the files are; and secrets, which the proposal
// uses by name, are not in it (which the look at the end of the test finds).
func TestThreat01PlanWritesNothing(t *testing.T) {
	base := map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "env: {API_KEY: {secret: mollie}}")}
	w := newWorld(t, base)
	w.start()
	value := canary.Value("mollie")
	w.plant("demoshop's secret", value)
	w.apply()
	if r := w.cliIn(value, "secret", "set", "mollie", "--client", "demoshop"); r.code != 0 {
		t.Fatal(r.err)
	}
	w.active("demoshop")
	w.stop()
	kept, n := readAll(t, filepath.Join(w.dir, "state.db")), w.calls.len()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	for round := range 40 {
		dir := t.TempDir()
		files := map[string]string{"templates/ecommerce.yaml": shopTemplate}
		for _, name := range []string{"demoshop", "bakery", "evil"}[:1+r.IntN(3)] {
			files["clients/"+name+".yaml"] = manifestOf(pick(name, name, "demoshop"), pick("", "env: {STOLEN: {secret: mollie}}", "env: {STOLEN: {secret: shared/smtp}, B: {from: database.url}, C: {generate: hex32}}", "domain: [", "previously: [demoshop]",
				"aliases: [demoshop.localhost]", "dns: {provider: local, records: [{type: MX, name: \"@\", content: evil.example, priority: 1}]}", "adopt: {site: {id: x}}", "database: {provider: none}", "notes: '"+strings.Repeat("<b>", 50)+"'", "onFailure: keep\npaused: true"))
		}
		for p, text := range files {
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(p)), 0o700); err != nil {
				t.Fatal(err)
			}
			writeAll(t, filepath.Join(dir, p), text)
		}
		for _, args := range [][]string{{"plan", "--dir", dir}, {"plan", "--dir", dir, "-o", "json"}} {
			if got := w.cli(args...); got.code == 2 || got.out+got.err == "" {
				t.Fatalf("seed %d, round %d: %d %s%s", seed, round, got.code, got.out, got.err)
			}
		}
	}
	if got := w.calls.writes(n); len(got) > 0 {
		t.Errorf("seed %d: planning wrote %v", seed, got)
	}
	if readAll(t, filepath.Join(w.dir, "state.db")) != kept {
		t.Errorf("seed %d: planning changed the state", seed)
	}
}

// Threat 6: those who connect and say nothing keep nobody out.
func TestThreat06SilentConnections(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.start()
	for i := range 200 {
		c, err := net.Dial("tcp", w.daemon.program.listensAt())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code, _ := w.get("localhost", "/healthz"); code != http.StatusOK {
		t.Errorf("beside them: %d", code)
	}
	// Nor does a header that does not end.
	c, err := net.Dial("tcp", w.daemon.program.listensAt())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 1<<20)) // it may hang up before the end
	answer := make([]byte, 64)
	if n, _ := c.Read(answer); n > 0 && !strings.Contains(string(answer[:n]), " 431 ") {
		t.Errorf("a header of 1 MiB: %q", answer[:n])
	}
}

// Threat 11: with embedded sites, a health check reaches the port that they are served at
// and nothing else of this machine, by whatever name and with whatever redirect; the
// answer is not repeated.
func TestThreat11OnlyTheSitesPort(t *testing.T) {
	var hits atomic.Int64
	private := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		fmt.Fprint(rw, "internal-only answer")
	}))
	defer private.Close()
	_, port, err := net.SplitHostPort(private.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.start()
	w.active("demoshop")
	check, err := w.daemon.program.checker(w.daemon.program.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := check(t.Context(), "http://demoshop.localhost:"+w.listen[strings.LastIndex(w.listen, ":")+1:], manifest.Health{Path: "/api/health"}); err != nil {
		t.Errorf("the site itself: %v", err)
	}
	for _, host := range []string{"localhost", "demoshop.localhost", "127.0.0.1", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"} {
		err := check(t.Context(), "http://"+host+":"+port, manifest.Health{Path: "/"})
		if err == nil || strings.Contains(err.Error(), "internal-only") || !strings.Contains(err.Error(), health.ErrAddress.Error()) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := hits.Load(); n > 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// Threat 23: what others wrote makes one line of a log, with nothing that moves a cursor.
func TestThreat23LogLines(t *testing.T) {
	hostile := "a\nlevel=error msg=forged\r\n{\"level\":\"ERROR\"}\x1b[2J\x1b]0;x\x07\u202e\u2028\x00"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		a := &app{err: &out, env: func(k string) string { return map[string]string{"NO_COLOR": "1"}[k] }}
		log, err := a.logger(format)
		if err != nil {
			t.Fatal(err)
		}
		log.Error("pass failed", "client", hostile, hostile, "x", "error", fmt.Errorf("vendor: %s", hostile))
		text := out.String()
		if strings.Count(text, "\n") != 1 || strings.ContainsAny(strings.TrimSuffix(text, "\n"), "\x1b\x07\r\x00\n") {
			t.Errorf("%s: %q", format, text)
		}
		if format == "json" && !json.Valid(out.Bytes()) {
			t.Errorf("no JSON: %q", text)
		}
	}
}

// Threat 24: nothing of an installation may be read or written by another user of the
// machine.
func TestThreat24NobodyElseReads(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.start()
	w.active("demoshop")
	files := 0
	look := func() {
		open := map[string]bool{} // folders that others may enter
		err := filepath.WalkDir(w.dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if p == w.dir || d.IsDir() {
				open[p] = (p == w.dir || open[filepath.Dir(p)]) && info.Mode().Perm()&0o011 != 0
				return nil
			}
			files++
			if open[filepath.Dir(p)] && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", p, info.Mode())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	look()
	w.stop()
	look()
	if files < 20 {
		t.Errorf("only %d files", files)
	}
}
