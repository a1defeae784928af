package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// S46 and P10: a key that somebody pasted into a manifest is refused, and nothing that
// people or scripts read repeats it: not the plan, not the apply, not any later answer,
// not the daemon's log, and not the state, plain or encoded.
func TestS46PastedSecret(t *testing.T) {
	const key = "sk_live_51NqXkJ2eZvKYlo2CxWmTg8Rb4"
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.active("demoshop")
	pasted := map[string]string{
		"env":           manifestOf("demoshop", "env: {STRIPE_API_KEY: "+key+"}"),
		"env, in block": manifestOf("demoshop", "env:", "  STRIPE_API_KEY: "+key),
		"unknown key":   manifestOf("demoshop", "stripeKey: "+key),
		"wrong shape":   manifestOf("demoshop", "deployment: "+key),
		"broken":        manifestOf("demoshop", "env: {STRIPE_API_KEY: "+key),
		"notes":         manifestOf("demoshop", "notes: the key is "+key),
		"as a plan":     manifestOf("demoshop", "plan: "+key),
	}
	said := func(place string, r result) {
		t.Helper()
		for _, part := range []string{key, key[8:]} {
			if strings.Contains(r.out+r.err, part) {
				t.Errorf("%s repeats the key:\n%s%s", place, r.out, r.err)
				return
			}
		}
	}
	for _, name := range sortedKeys(pasted) {
		w.write(map[string]string{"clients/demoshop.yaml": pasted[name]})
		for _, format := range []string{"table", "json"} {
			r := w.cli("plan", "--dir", w.work, "-o", format)
			if r.code != 1 || !strings.Contains(r.out, "clients/demoshop.yaml") {
				t.Errorf("%s: plan ends with %d: %s%s", name, r.code, r.out, r.err)
			}
			said(name+": plan", r)
		}
		w.commit(map[string]string{"clients/demoshop.yaml": pasted[name]})
		for _, args := range [][]string{{"apply"}, {"apply", "-o", "json"}} {
			r := w.cli(args...)
			if r.code != 1 {
				t.Errorf("%s: apply ends with %d: %s%s", name, r.code, r.out, r.err)
			}
			said(name+": apply", r)
		}
		for _, args := range [][]string{{"status"}, {"status", "-o", "json"}, {"why", "demoshop"}, {"why", "demoshop", "-o", "json"}, {"history", "demoshop"}, {"history", "-o", "json"},
			{"logs", "demoshop"}, {"plan"}, {"drift"}} {
			said(name+": "+strings.Join(args, " "), w.cli(args...))
		}
	}
	w.start()
	log := w.daemon.out
	w.apply()
	for _, page := range []string{"/", "/clients/demoshop", "/api/clients", "/api/clients/demoshop"} {
		if code, body, err := w.tryGet("localhost", page); err != nil || code != 200 || strings.Contains(body, key[8:]) {
			t.Errorf("%s repeats the key, or fails: %d %v", page, code, err)
		}
	}
	w.stop()
	said("the daemon", result{out: log.String()})
	err := filepath.WalkDir(w.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(p, "mirror") { // the mirror is the repository itself
			return err
		}
		data, err := os.ReadFile(p)
		if err == nil && bytes.Contains(data, []byte(key[8:])) {
			t.Errorf("%s holds the key", p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	if code, _ := w.get("demoshop.localhost", "/"); code != 200 {
		t.Errorf("the site answers %d", code)
	}
}
