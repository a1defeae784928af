package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// cutter stands before the server and cuts connections: once at each of its words, after the
// server was sent the statement that begins with it.
type cutter struct {
	address string
	mu      sync.Mutex
	words   []string
}

// cut says whether the data holds a word that is still to come.
func (c *cutter) cut(data []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, word := range c.words {
		if bytes.Contains(data, []byte(word)) {
			c.words = slices.Delete(c.words, i, i+1)
			return true
		}
	}
	return false
}

func (c *cutter) left() []string { c.mu.Lock(); defer c.mu.Unlock(); return slices.Clone(c.words) }

// cutting starts one.
func cutting(t *testing.T, to string, words ...string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{address: l.Addr().String(), words: words}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { c.carry(client, to) })
		}
	})
	return c
}

func (c *cutter) carry(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(client, server) // until one of them ends
		_ = client.Close()
	})
	defer wg.Wait()
	defer server.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		cut := c.cut(buffer[:n])
		if cut {
			_ = client.Close() // before the server answers
		}
		if _, err := server.Write(buffer[:n]); err != nil || cut {
			return
		}
	}
}

// P3, P8: the connection breaks at every statement that writes. The client gets one
// database with an address that works, and a purge leaves nothing.
func TestP3TheConnectionToPostgresBreaks(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	w, s := postgresWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")}) // an empty tree would be held
	w.now = func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return now }
	real := fmt.Sprintf("127.0.0.1:%d", s.Port)
	c := cutting(t, real, "CREATE ROLE", "CREATE DATABASE", "REVOKE ALL ON DATABASE", "stage=going", "DROP DATABASE", "DROP ROLE")
	w.env["RECONCILER_PROVIDERS_POSTGRES_DSN"] = strings.Replace(s.DSN(), real, c.address, 1) + "?sslmode=disable"
	w.env["RECONCILER_PROVIDERS_POSTGRES_HOST"] = real
	w.configure("guard: {maxDeletes: 10, maxDeletePercent: 100}")
	w.start()
	w.commit(map[string]string{"clients/demoshop.yaml": onPostgres("demoshop")})
	for range 5 { // each may wait for the next pass
		if rowOf(w.apply(), "demoshop").Status == string(state.StatusActive) {
			break
		}
	}
	w.active("demoshop")
	if got := databasesOf(t, s, "demoshop"); len(got) != 2 {
		t.Errorf("on the server: %v", got)
	}
	for _, o := range w.ownedAt("local") {
		if o.Kind == state.KindSite {
			if at := w.variable(o.ID, "DATABASE_URL"); strings.HasPrefix(at, "postgres:") {
				rowsIn(t, at, "CREATE TABLE orders (id int)")
			}
		}
	}
	if left := c.left(); len(left) != 3 {
		t.Errorf("not cut at %v", left)
	}
	w.commit(map[string]string{"clients/demoshop.yaml": ""})
	w.apply()
	if r := w.must(0, "retained"); !strings.Contains(r.out, "demoshop-") {
		t.Errorf("retained:\n%s%s", r.out, w.must(0, "status").out)
	}
	w.mu.Lock()
	now = now.Add(31 * 24 * time.Hour)
	w.mu.Unlock()
	var done []string
	for range 10 { // one may find the server still at work at what was cut off
		gone, err := w.daemon.program.engine.PurgeDue(t.Context())
		if err != nil {
			t.Log(err)
		}
		done = append(done, gone...)
	}
	if left := c.left(); len(left) != 0 || len(done) != 1 {
		t.Errorf("not cut at %v; purged %v", left, done)
	}
	if got := databasesOf(t, s, "demoshop"); len(got) != 0 {
		t.Errorf("left on the server: %v", got)
	}
}
