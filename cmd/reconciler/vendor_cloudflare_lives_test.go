package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// siteOnly is a client without a database.
func siteOnly(at func(string, ...string) string, more ...string) map[string]string {
	return map[string]string{"clients/a.yaml": at("a", append([]string{"database: {provider: none}", "env: {DATABASE_URL: {none: true}}"}, more...)...)}
}

// approveAll approves what is held.
func (f *fleet) approveAll() {
	f.t.Helper()
	for _, h := range f.status().Holds {
		f.must(0, "approve", h.Fingerprint)
	}
}

// texts are those of a name, as the zone has them.
func (f *fleet) texts(name string) (out []string) {
	for _, r := range f.cloudflare.Records(f.zone()) {
		if r.Type == "TXT" && r.Name == name {
			out = append(out, strings.Trim(r.Content, `"`))
		}
	}
	slices.Sort(out)
	return out
}

// A name has one SPF policy, one of DMARC, one key a selector: two at once void each other, and mail is refused. One that changes
// is changed as one record, once that is approved; a person's is never joined by ours.
func TestRuleMailPolicyIsOneRecord(t *testing.T) {
	t.Parallel()
	mail := func(spf, dmarc, key string) string {
		return `dns: {provider: cloudflare, records: [{type: TXT, name: "@", content: "` + spf + `"}, {type: TXT, name: _dmarc, content: "` + dmarc + `"}, {type: TXT, name: k1._domainkey, content: "` + key + `"}]}`
	}
	was := []string{"v=spf1 include:mail.example ~all", "v=DMARC1; p=none", "p=AAAA"}
	is := []string{"v=spf1 include:mail.example include:news.example ~all", "v=DMARC1; p=reject", "p=BBBB"}
	names := []string{site("a"), "_dmarc." + site("a"), "k1._domainkey." + site("a")}
	f := newFleet(t, usual(), siteOnly(atVercel, mail(was[0], was[1], was[2])))
	want := func(when string, all []string) {
		t.Helper()
		for i, name := range names {
			if got := f.texts(name); !slices.Equal(got, all[i:i+1]) {
				t.Errorf("%s: %s says %q, want %q", when, name, got, all[i])
			}
		}
	}
	f.settle("a")
	want("made", was)
	changed := f.commit(siteOnly(atVercel, mail(is[0], is[1], is[2])))
	f.apply()
	want("before it is approved", was)
	if v := f.status(); len(v.Holds) != 1 || v.Holds[0].Kind != state.HoldMail || !strings.Contains(v.Holds[0].Reason, "change record TXT "+site("a")) {
		t.Errorf("held: %+v", v.Holds)
	}
	f.approveAll()
	f.settle("a")
	want("approved", is)
	f.revert(changed)
	f.apply()
	want("before the revert is approved", is)
	f.approveAll()
	f.settle("a")
	want("reverted", was)
}

// The policy that a person set stays the only one.
func TestRuleMailPolicyOfAPerson(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), siteOnly(atVercel))
	f.settle("a")
	const theirs = "v=spf1 include:person.example -all"
	for _, text := range []string{theirs, "proof=1"} {
		if _, err := f.cloudflare.Add(cloudflaresim.Record{Zone: f.zone(), Type: "TXT", Name: site("a"), Content: text}); err != nil {
			t.Fatal(err)
		}
	}
	f.commit(siteOnly(atVercel, `dns: {provider: cloudflare, records: [{type: TXT, name: "@", content: "v=spf1 -all"}, {type: TXT, name: "@", content: "proof=2"}]}`))
	f.apply()
	if got := f.texts(site("a")); !slices.Equal(got, []string{"proof=1", "proof=2", theirs}) {
		t.Errorf("it says %q", got)
	}
	if r := rowOf(f.status(), "a"); r.Status != string(state.StatusHeld) || !strings.Contains(r.Because, "without our mark") {
		t.Errorf("a is %s: %s", r.Status, r.Because)
	}
}

// S25: what a site's names lead to by records of the manifest's own is what people learned, for as long as those say.
// So it is where the commit that moves the site says a shorter time, or leaves its record to us.
func TestS25OwnRecordsOfALongTimeToLive(t *testing.T) {
	for name, after := range map[string]string{"the same": `records: [{type: A, name: "@", content: 76.76.21.21, ttl: 86400}]`, "shorter": `records: [{type: A, name: "@", content: 76.76.21.21, ttl: 60}]`, "left out": "proxied: false"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ownRecordOfALongTimeToLive(t, "dns: {provider: cloudflare, "+after+"}")
		})
	}
}

func ownRecordOfALongTimeToLive(t *testing.T, after string) {
	f := newFleet(t, usual(), siteOnly(atPloi, `dns: {provider: cloudflare, records: [{type: A, name: "@", content: `+ploiServer+`, ttl: 86400}]}`))
	f.settle("a")
	f.commit(siteOnly(atVercel, after))
	for range 3 {
		f.apply()
		f.approveAll()
		f.clock.add(5 * time.Minute)
	}
	f.settle("a")
	serves := func() bool { return slices.Contains(f.things(), "ploi site a") }
	for range 6 {
		f.clock.add(time.Hour)
		f.must(0, "retry", "a") // as any change of the client, this plans it anew
		f.apply()
	}
	if !serves() {
		t.Error("people who learned the old address live with it for a day, and nothing serves there any more")
	}
	f.clock.add(20 * time.Hour)
	f.apply()
	if serves() {
		t.Error("what was replaced is there still")
	}
}

// S25: where the manifest's own record leads a name to the site that was replaced, that serves on, and it is said.
func TestS25OwnRecordThatLeadsToWhatWasReplaced(t *testing.T) {
	t.Parallel()
	www := "www." + site("a")
	own := func(records string) string {
		return "aliases: [" + www + "]\ndns: {provider: cloudflare, records: [" + records + "]}"
	}
	left := own("{type: A, name: www, content: " + ploiServer + "}")
	f := newFleet(t, usual(), siteOnly(atPloi, left))
	f.settle("a")
	f.commit(siteOnly(atVercel, left))
	for range 6 {
		f.apply()
		f.approveAll()
		f.clock.add(time.Hour)
	}
	if code, page := f.visit(www, "/"); code >= 400 {
		t.Errorf("%s answers %d %s", www, code, page)
	}
	if r := rowOf(f.status(), "a"); !strings.Contains(r.Because, "`dns.records` leads "+www+" to "+ploiServer) {
		t.Errorf("a is %s: %s", r.Status, r.Because)
	}
	f.commit(siteOnly(atVercel, own("")))
	for range 12 {
		f.apply()
		f.approveAll()
		f.clock.add(time.Hour)
	}
	f.settle("a")
	if slices.Contains(f.things(), "ploi site a") {
		t.Error("what was replaced is there still")
	}
}

// Rule: a name whose record is the manifest's own, and proxied, has the proxy's certificate, as one whose record is made here.
func TestRuleOwnRecordBehindTheProxy(t *testing.T) {
	t.Parallel()
	f := newFleet(t, usual(), siteOnly(atVercel, `dns: {provider: cloudflare, records: [{type: A, name: "@", content: 76.76.21.21, proxied: true}]}`))
	f.settle("a")
}

// Rule: a domain that is taken out of Cloudflare and added anew, or goes to another account that the token sees, is another zone:
// what is left in the old one leads nobody. Its client's records are made in the one that answers, and the client can go.
func TestRuleZoneThatWasAddedAnew(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*cloudflaresim.Zone){
		"deleted":                      func(z *cloudflaresim.Zone) { z.Hidden, z.Status = true, "moved" },
		"deleted, and the client goes": func(z *cloudflaresim.Zone) { z.Hidden, z.Status = true, "moved" },
		"moved":                        func(z *cloudflaresim.Zone) { z.Status = "moved" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const fresh = "00000000000000000000000000000002"
			dns := func(ttl string) string {
				return `dns: {provider: cloudflare, records: [{type: MX, name: "@", content: mx.mail.example, priority: 10, ttl: ` + ttl + `}]}`
			}
			f := newFleet(t, usual(), siteOnly(atVercel, dns("300")))
			f.settle("a")
			if err := f.cloudflare.Change(f.zone(), change); err != nil {
				t.Fatal(err)
			}
			f.cloudflare.AddZone(cloudflaresim.Zone{ID: fresh, Name: agencyZone, Account: "another"})
			f.clock.add(time.Hour)
			if name != "deleted, and the client goes" {
				f.commit(siteOnly(atVercel, dns("600")))
				f.settle("a")
			}
			if a, mx := f.cloudflare.Answers("A", site("a")), f.cloudflare.Answers("MX", site("a")); name != "deleted, and the client goes" && (!slices.Equal(a, []string{"76.76.21.21"}) || !slices.Equal(mx, []string{"10 mx.mail.example"})) {
				t.Errorf("the name leads to %q, its mail to %q", a, mx)
			}
			f.commit(map[string]string{"clients/a.yaml": ""})
			for range 3 { // an empty tree, mail
				f.apply()
				f.approveAll()
			}
			if got := f.cloudflare.Records(fresh); len(got) > 0 {
				t.Errorf("left: %+v", got)
			}
			if r := rowOf(f.status(), "a"); r.Status == string(state.StatusFailed) || r.Status == string(state.StatusDeleting) || r.Status == string(state.StatusHeld) {
				t.Errorf("a is %s: %s", r.Status, r.Because)
			}
		})
	}
}
