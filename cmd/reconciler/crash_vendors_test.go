package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// The control of what is compared at simulated vendors: something twice, an orphan, a
// look-alike that is gone, what is on record and not there, and a request that does not fit
// the vendor's description are seen; one that broke off is none.
func TestCrashCheckSeesVendors(t *testing.T) {
	t.Parallel()
	w := newCrashWorld(t, 12, hostSpec{Vendors: map[string]string{}})
	w.shops[keeper], w.shops["shop1"] = shop{Name: keeper, Currency: "EUR"}, shop{Name: "shop1", Currency: "CHF", At: "ploi"}
	if err := w.commit(keeper, "shop1"); err != nil {
		t.Fatal(err)
	}
	if err := w.settle(); err != nil {
		t.Fatal(err)
	}
	rec, err := w.read()
	if err != nil {
		t.Fatal(err)
	}
	var at, site, database string
	for _, r := range rec.resources {
		switch {
		case r.Provider == "ploi" && r.Ref.Kind == state.KindSite:
			_, site, _ = strings.Cut(r.ID, "/")
		case r.Provider == "railway":
			database = provider.ObjectName(provider.Mark{Installation: rec.installation, Client: r.Ref.Client, Generation: 1}, r.Ref)
		}
	}
	if err := w.host.ask(t.Context(), "/vendors", nil, &at); err != nil {
		t.Fatal(err)
	}
	send := func(method, path, token, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, at+"/by/0/"+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+w.place.env[token])
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		a, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode >= http.StatusMultipleChoices {
			t.Fatalf("%s %s: %s", method, path, a.Status)
		}
	}
	send(http.MethodPost, "railway/graphql/v2", "RAILWAY_API_KEY", `{"query":"mutation { projectCreate(input: {name: \"`+database+`\"}) { id } }"}`)
	send(http.MethodPost, "cloudflare/client/v4/zones/"+(&vendorSet{}).zone()+"/dns_records", "CLOUDFLARE_API_TOKEN",
		`{"type":"A","name":"ghost.localhost","content":"192.0.2.1","ttl":300,"comment":"`+provider.Mark{Installation: rec.installation, Client: "ghost-000000", Generation: 1}.Text()+`"}`)
	send(http.MethodDelete, "ploi/api/servers/1/sites/"+site, "PLOI_API_TOKEN", "")
	send(http.MethodDelete, "ploi/api/servers/1/sites/48001", "PLOI_API_TOKEN", "") // the first that was planted
	if misfits, err := w.host.judged.misfits(); err != nil || len(misfits) > 0 {
		t.Errorf("before there is one: %v, %q", err, misfits)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /by/0/cloudflare/client/v4/zones HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"half\"")
	_ = c.Close() // as one that is killed does
	send(http.MethodGet, "cloudflare/client/v4/zones?colour=red", "CLOUDFLARE_API_TOKEN", "")
	if err := w.host.pass(t.Context(), patience); err != nil {
		t.Fatal(err)
	}
	_, _ = w.check(true) // what was deleted in the background is seen off
	_, err = w.check(true)
	if err == nil {
		t.Fatal("nothing is seen")
	}
	for _, want := range []string{"I1: 2 times at railway: database " + database, "I2: an orphan: cloudflare record", "I5: the look-alike ploi site", "there is no parameter \"colour\"", "on record, and not there: ploi site 1/" + site} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not seen: %s, in\n%.2000s", want, err)
		}
	}
	misfits, err := w.host.judged.misfits()
	if err != nil || len(misfits) != 1 {
		t.Errorf("misfits: %v, %q", err, misfits)
	}
	w.host.judged.known = len(misfits)
}
