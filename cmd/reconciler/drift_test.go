package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
)

// everySecond lets the schedule look every second.
func (w *world) everySecond() {
	w.t.Helper()
	path := filepath.Join(w.dir, defaultConfigFile)
	writeAll(w.t, path, strings.Replace(readAll(w.t, path), `drift: "@every 1h"`, `drift: "@every 1s"`, 1))
}

// dnsRecord is a record of the embedded DNS, as its dashboard shows it.
func (w *world) dnsRecord(name string) provider.Object {
	w.t.Helper()
	in, err := reconcile.Installation(w.daemon.program.store, w.daemon.program.installation, w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := w.daemon.program.dns.Owned(w.t.Context(), in.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range all {
		for _, a := range o.Attributes {
			if a.Name == "name" && a.Text == name {
				return o
			}
		}
	}
	w.t.Fatalf("there is no record of %s", name)
	return provider.Object{}
}

func contentOf(o provider.Object) string {
	for _, a := range o.Attributes {
		if a.Name == "content" {
			return a.Text
		}
	}
	return ""
}

// byHand changes a record's content in the dashboard.
func (w *world) byHand(name, content string) { w.t.Helper(); w.fieldByHand(name, "content", content) }

// fieldByHand changes what a record says in the dashboard.
func (w *world) fieldByHand(name, field, text string) {
	w.t.Helper()
	o := w.dnsRecord(name)
	in := append([]provider.Input(nil), o.Attributes...)
	for i := range in {
		if in[i].Name == field {
			in[i].Text = text
		}
	}
	wish := provider.Wish{Ref: state.Ref{Client: o.Mark.Client, Kind: state.KindRecord, Name: o.Name}, Name: o.Name, Mark: o.Mark, Inputs: in}
	if _, err := w.daemon.program.dns.Update(w.t.Context(), o.ID, wish); err != nil {
		w.t.Fatal(err)
	}
}

// S41: a managed DNS record is changed in the dashboard. The schedule finds it and says
// field, before and after, once; it is put back after two equal looks where the policy
// says so, by a pass of its own that writes nothing else. Elsewhere it stays, is shown
// with the age of the look, survives a restart, and is taken over by a patch that edits
// that value alone.
func TestS41EditedByHand(t *testing.T) {
	records := "dns:\n  records:\n    - {type: A, name: mail, content: 192.0.2.1}   # the mail host\n"
	w := newWorld(t, map[string]string{
		"clients/demoshop.yaml": manifestOf("demoshop", records, "drift: {fields: [{field: record.content, policy: heal}]}"),
		"clients/bakery.yaml":   manifestOf("bakery", records),
	})
	w.everySecond()
	w.start()
	w.active("demoshop", "bakery")
	w.until("a first look", func() bool { return !rowOf(w.status(), "bakery").LastLook.IsZero() })
	n := w.calls.len()
	w.byHand("mail.demoshop.localhost", "198.51.100.1")
	w.byHand("mail.bakery.localhost", "198.51.100.2")

	w.until("it is put back", func() bool { return contentOf(w.dnsRecord("mail.demoshop.localhost")) == "192.0.2.1" })
	w.until("the pass ends", func() bool {
		d := w.why("demoshop")
		return d.Status == "active" && len(d.DriftRows) == 0 && d.Last != nil && d.Last.Cause == "drift" && d.Last.State == "succeeded"
	})
	w.until("several looks", func() bool { d := w.why("bakery"); return len(d.DriftRows) == 1 && d.DriftRows[0].Looks > 3 })
	if got := w.calls.writes(n); len(got) != 1 || !strings.Contains(got[0], "update record A mail.demoshop.localhost") {
		t.Errorf("writes: %v", got)
	}
	for _, c := range w.calls.since(n) {
		if c.Verb == "observe" && c.Kind != state.KindRecord {
			t.Errorf("a list would have told: %s", c)
			break
		}
	}

	row := w.why("bakery").DriftRows[0]
	if row.Field != "content" || row.Before != "192.0.2.1" || row.After != "198.51.100.2" || row.Policy != "report" || contentOf(w.dnsRecord("mail.bakery.localhost")) != "198.51.100.2" {
		t.Errorf("%+v", row)
	}
	if s := rowOf(w.status(), "bakery"); len(s.Drift) != 1 || s.Status != "active" || s.LastLook.Before(row.Since) {
		t.Errorf("status: %+v", s)
	}
	if r := w.must(0, "status"); !strings.Contains(r.out, "changed outside: record A mail.bakery.localhost content") {
		t.Errorf("status says:\n%s", r.out)
	}
	if r := w.must(0, "why", "bakery"); !strings.Contains(r.out, "Looked at last by schedule: ") || !strings.Contains(r.out, `content is "198.51.100.2", recorded "192.0.2.1"`) {
		t.Errorf("why says:\n%s", r.out)
	}
	// How much is in its database came with the lists.
	if r := w.must(0, "status", "bakery"); !strings.Contains(r.out, "bakery: its database at sqlite holds about ") || rowOf(w.status(), "bakery").Database == nil {
		t.Errorf("status bakery says:\n%s", r.out)
	}
	if r := w.must(1, "drift", "bakery"); !strings.Contains(r.out, "198.51.100.2") || !strings.Contains(r.out, "--adopt") {
		t.Errorf("drift says:\n%s", r.out)
	}
	if _, page := w.get("localhost", "/clients/bakery"); !strings.Contains(page, "Changed outside") || !strings.Contains(page, "198.51.100.2") {
		t.Error("the page does not say it")
	}
	w.until("it is told", func() bool { return strings.Contains(w.daemon.out.String(), "\"about\":\"client/bakery/drift\"") })
	if told := strings.Count(w.daemon.out.String(), "\"about\":\"client/bakery/drift\""); told != 1 {
		t.Errorf("it was told %d times", told)
	}
	var h struct{ History []state.Entry }
	w.json(&h, "history", "demoshop")
	said := map[string]int{}
	for _, e := range h.History {
		said[e.What]++
	}
	if said["drift"] != 1 || said["mended"] != 1 {
		t.Errorf("the history: %v", said)
	}

	w.stop()
	w.start()
	w.until("a look after the restart", func() bool { d := w.why("bakery"); return len(d.DriftRows) == 1 && d.DriftRows[0].Looks > row.Looks })
	if again := w.why("bakery").DriftRows[0]; !again.Since.Equal(row.Since) {
		t.Errorf("since %v, was %v", again.Since, row.Since)
	}

	var r result
	w.until("no scheduled look is in the way", func() bool { r = w.cli("drift", "bakery", "--adopt"); return r.code == 0 })
	patch := filepath.Join(t.TempDir(), "drift.patch")
	if err := os.WriteFile(patch, []byte(r.out), 0o600); err != nil {
		t.Fatal(err)
	}
	before := readAll(t, filepath.Join(w.work, "clients/bakery.yaml"))
	w.git("apply", patch)
	after := readAll(t, filepath.Join(w.work, "clients/bakery.yaml"))
	if after != strings.Replace(before, "192.0.2.1", "198.51.100.2", 1) {
		t.Errorf("the patch makes it\n%s", after)
	}
	w.commit(nil)
	w.active("bakery")
	var v struct{ Drift []reconcile.DriftRow }
	w.until("no scheduled look is in the way", func() bool { r = w.cli("drift", "-o", "json"); return r.code == 0 })
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Drift) > 0 || contentOf(w.dnsRecord("mail.bakery.localhost")) != "198.51.100.2" {
		t.Errorf("afterwards: %+v", v.Drift)
	}
	w.until("its end is told", func() bool { return strings.Contains(w.daemon.out.String(), "as recorded again") })
	if out, err := json.Marshal(w.status()); err != nil || strings.Contains(string(out), "198.51.100") {
		t.Errorf("status still says %s, %v", out, err)
	}
}

// S41: what somebody changed of records that are known by what they say is taken over by a
// patch, with the embedded DNS: the same records go on, nobody has to approve, and DNS
// answers all the time as it did.
func TestS41RecordsTakenOver(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop", "dns:", "  records:",
		"    - {type: MX, name: post, content: mx1.example, priority: 10} # the mail host", "    - type: TXT", "      name: note", "      content: 'hello'   # for the auditor")})
	w.start()
	w.active("demoshop")
	post, note := w.dnsRecord("post.demoshop.localhost"), w.dnsRecord("note.demoshop.localhost")
	w.fieldByHand("post.demoshop.localhost", "content", "mx2.example")
	w.fieldByHand("post.demoshop.localhost", "priority", "20")
	w.fieldByHand("note.demoshop.localhost", "content", "it's: \"here\" # now")
	w.fieldByHand("note.demoshop.localhost", "ttl", "60")
	r := w.must(0, "drift", "demoshop", "--adopt")
	if strings.Count(r.err, "taken over: ") != 4 {
		t.Errorf("it says\n%s", r.err)
	}
	patch := filepath.Join(t.TempDir(), "drift.patch")
	if err := os.WriteFile(patch, []byte(r.out), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.work, "clients/demoshop.yaml")
	before := readAll(t, path)
	w.git("apply", patch)
	want := strings.NewReplacer("content: mx1.example, priority: 10}", "content: mx2.example, priority: 20}",
		"content: 'hello'   # for the auditor\n", "content: 'it''s: \"here\" # now'   # for the auditor\n      ttl: 60\n").Replace(before)
	if after := readAll(t, path); after != want {
		t.Errorf("the patch makes it\n%s", after)
	}
	n := w.calls.len()
	w.commit(nil)
	w.active("demoshop")
	for _, call := range w.calls.writes(n) {
		if !strings.Contains(call, "update record ") {
			t.Errorf("written: %s", call)
		}
	}
	var v struct{ Drift []reconcile.DriftRow }
	w.json(&v, "drift")
	if len(v.Drift) > 0 {
		t.Errorf("afterwards: %+v", v.Drift)
	}
	for _, was := range []provider.Object{post, note} {
		if now := w.dnsRecord(provider.Wish{Inputs: was.Attributes}.Get("name")); now.ID != was.ID || now.Name == was.Name {
			t.Errorf("%+v became %+v", was, now)
		}
	}
	if got := contentOf(w.dnsRecord("post.demoshop.localhost")); got != "mx2.example" {
		t.Errorf("it says %s", got)
	}
}

// --adopt is about one client, and a name that is not there is wrong usage.
func TestDriftUsage(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/demoshop.yaml": manifestOf("demoshop")})
	w.active("demoshop")
	if r := w.must(exitUsage, "drift", "--adopt"); !strings.Contains(r.err, "one client") {
		t.Error(r.err)
	}
	if r := w.must(exitUsage, "drift", "demosho", "--adopt"); !strings.Contains(r.err, `"demoshop"`) {
		t.Error(r.err)
	}
	if r := w.must(0, "drift", "demoshop", "--adopt"); r.out != "" || !strings.Contains(r.err, "Everything is as recorded") {
		t.Errorf("%q %q", r.out, r.err)
	}
}
