package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	cloudflare "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	vercel "github.com/compassdigital/reconciler/internal/provider/vercel/simulated"
)

// wantVisits fails for every visitor who was not answered well, and says which sides answered.
func (s *switching) wantVisits(what string, sides ...string) {
	s.t.Helper()
	good, by, bad := s.saw()
	if len(bad) > 0 || good == 0 {
		s.t.Errorf("%s: %d visits went well and %d did not: %s", what, good, len(bad), strings.Join(bad[:min(3, len(bad))], "\n"))
	}
	if got := slices.Sorted(maps.Keys(by)); !slices.Equal(got, sides) {
		s.t.Errorf("%s: %v answered, want %v", what, by, sides)
	}
}

// sides are where the client's site is.
func (s *switching) sides() (out []string) {
	if len(s.ploi.Sites()) > 0 {
		out = append(out, "ploi")
	}
	if len(s.vercel.Projects()) > 0 {
		out = append(out, "vercel")
	}
	return out
}

func (s *switching) wantSides(what string, want ...string) {
	s.t.Helper()
	if got := s.sides(); !slices.Equal(got, want) {
		s.t.Errorf("%s: the site is at %v, want %v", what, got, want)
	}
}

// approve lets the one thing run that is held, which is a gap at a vendor.
func (s *switching) approve(at string) {
	s.t.Helper()
	all := s.holds()
	for print, reason := range all {
		if len(all) != 1 || !strings.Contains(reason, "a time without service") || !strings.Contains(reason, at+" gets its certificate for "+switchedHost+" once the name leads there") {
			s.t.Fatalf("held are %v, want the gap at %s alone", all, at)
		}
		if code, out := s.run("approve", print); code != 0 {
			s.t.Fatalf("approve ends with %d\n%s", code, out)
		}
	}
	if len(all) == 0 {
		s.t.Fatal("nothing is held")
	}
}

func (s *switching) leads() string { return strings.Join(s.cloudflare.Answers("A", switchedHost), " ") }

// S25: a client goes from Ploi to Vercel and back while visitors, of whom one keeps addresses
// for as long as they live, ask it every 200 ms and check certificate and answer. No visit
// fails where the plan states no gap, and where it does it waits for an approval.
func TestS25PloiToVercelAndBackWithVisitors(t *testing.T) {
	s := newSwitching(t)
	s.wantStatus("active")
	var calls strings.Builder
	costs := func(what string) { calls.WriteString("# " + what + "\n" + s.paper.take()) }
	costs("a new client at Ploi")
	if !s.ploi.Secure(switchedHost) {
		t.Fatal("a new client at Ploi has no certificate")
	}
	s.watch()
	s.commit(map[string]string{"clients/demoshop.yaml": clientAt("vercel")})
	_, planned := s.run("plan")
	costs("the plan of a switch")
	for _, want := range []string{"vercel gets its certificate for " + switchedHost + " once the name leads there", "risk: gap", "its side was replaced; it serves for 15m after the names have moved"} {
		if !strings.Contains(planned, want) {
			t.Errorf("the plan does not say %q:\n%s", want, planned)
		}
	}
	s.wantStatus("held")
	s.wantSides("while it is held", "ploi", "vercel")
	s.wantVisits("while it is held", "ploi")
	if s.leads() != ploiAddress {
		t.Errorf("while it is held DNS leads to %s", s.leads())
	}

	costs("to Vercel, until DNS moves")
	s.vercel.Certify(switchedHost) // a person sees to it, as the plan says
	s.approve("vercel")
	if r := s.wantStatus("active"); !strings.Contains(r.Because, "ploi serves on") || s.leads() != vercel.Address {
		t.Errorf("after the switch DNS leads to %s, and it says %q", s.leads(), r.Because)
	}
	costs("DNS moves")
	s.clock.add(14*time.Minute, visitEvery)
	s.wantStatus("active")
	costs("while the old side serves on")
	s.wantSides("before the address is forgotten", "ploi", "vercel")
	s.wantVisits("until the address is forgotten", "ploi", "vercel")
	s.clock.add(2*time.Minute, visitEvery)
	s.wantStatus("active")
	s.wantSides("after that", "vercel")
	costs("the old side goes")
	s.clock.add(time.Minute, visitEvery)
	s.wantVisits("after that", "vercel")

	// Back: at Ploi there can be no certificate before DNS leads there. The gap is as short as
	// the vendor allows.
	s.commit(map[string]string{"clients/demoshop.yaml": clientAt("ploi")})
	s.wantStatus("held")
	s.wantVisits("while going back is held", "vercel")
	costs("back to Ploi, until DNS moves")
	s.approve("ploi")
	begun := s.clock.Now()
	s.wantStatus("active")
	costs("DNS moves back, and the certificate comes")
	_, _, bad := s.saw()
	for _, b := range bad {
		if !strings.Contains(b, "nobody.example") {
			t.Errorf("the gap is of another kind: %s", b)
		}
	}
	t.Logf("the stated gap: %d visits in vain of a pass of %s: %s … %s", len(bad), s.clock.Now().Sub(begun), bad[0], bad[len(bad)-1])
	if first, last := bad[0], bad[len(bad)-1]; minutes(t, last).Sub(minutes(t, first)) > time.Minute {
		t.Errorf("the gap is from %s to %s", first, last)
	}

	// There again before the address is forgotten: both sides have all that they need.
	for _, side := range []string{"vercel", "ploi"} {
		s.commit(map[string]string{"clients/demoshop.yaml": clientAt(side)})
		s.wantStatus("active")
		s.wantSides("back at "+side, "ploi", "vercel")
		costs("again to " + side + ", where all is there still")
		s.clock.add(6*time.Minute, visitEvery)
		s.wantVisits("back at "+side, "ploi", "vercel")
	}
	s.clock.add(16*time.Minute, time.Second)
	s.wantStatus("active")
	s.wantSides("at the end", "ploi")
	s.clock.add(time.Minute, visitEvery)
	s.wantVisits("at the end", "ploi")
	if _, out := s.run("plan"); !strings.Contains(out, "No changes.") {
		t.Errorf("there is still something to do:\n%s", out)
	}
	const file = "testdata/switch_calls.txt"
	if *update {
		if err := os.WriteFile(file, []byte(calls.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := calls.String(); got != readAll(t, file) {
		t.Errorf("the calls are others than in %s (-update writes it):\n%s", file, got)
	}
}

// minutes reads the time that a visit in vain begins with.
func minutes(t *testing.T, line string) time.Time {
	t.Helper()
	at, _, _ := strings.Cut(line, " ")
	when, err := time.Parse("15:04:05.0", at)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// S25: what does not answer well at the public name after the flip is flipped back, and the old
// side is there to serve; the new one goes when the commit is taken back.
func TestS25FlipsBackWhatDoesNotAnswerWell(t *testing.T) {
	s := newSwitching(t)
	s.wantStatus("active")
	s.watch()
	s.commit(map[string]string{"clients/demoshop.yaml": clientAt("vercel")})
	s.wantStatus("held")
	s.vercel.Certify(switchedHost)
	s.approve("vercel")
	s.unwell = func(side string) bool { return side == "vercel" }
	r := s.wantStatus("failed")
	if s.leads() != ploiAddress || !strings.Contains(r.Because, "Your site still runs the old version") {
		t.Errorf("DNS leads to %s, and it says %q", s.leads(), r.Because)
	}
	s.saw()
	s.clock.add(nameLifetime, time.Second) // who learned the other address forgets it
	s.saw()
	s.commit(map[string]string{"clients/demoshop.yaml": clientAt("ploi")})
	s.wantStatus("active")
	s.clock.add(16*time.Minute, time.Second)
	s.wantStatus("active")
	s.wantVisits("after it was taken back", "ploi")
	s.wantSides("after it was taken back", "ploi")
}

// S25 behind Cloudflare's proxy: people meet the proxy's certificate all the time, so that no
// gap is stated and there is none, there and back; and where another release answers, the copies that
// Cloudflare keeps are forgotten. That it may not is noted in the history.
func TestS25BehindAProxy(t *testing.T) {
	s := newSwitching(t)
	s.wantStatus("active")
	at := func(provider, currency string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": strings.Replace(clientAt(provider, "env: {STORE_CURRENCY: "+currency+"}"), "dns: {provider: cloudflare}", "dns: {provider: cloudflare, proxied: true}", 1)}
	}
	s.commit(at("ploi", "EUR"))
	s.wantStatus("active")
	s.clock.add(nameLifetime, time.Minute)
	s.watch()
	before := len(s.cloudflare.Purged())
	s.commit(at("ploi", "USD"))
	s.wantStatus("active")
	if got := s.cloudflare.Purged()[before:]; !slices.Equal(got, []string{switchedHost}) {
		t.Errorf("after a release at Ploi %v were purged", got)
	}
	s.commit(at("vercel", "USD"))
	s.wantStatus("active")
	if got := s.cloudflare.Purged()[before:]; !slices.Equal(got, []string{switchedHost, switchedHost}) {
		t.Errorf("after the switch %v were purged", got)
	}
	s.clock.add(16*time.Minute, time.Second)
	s.wantStatus("active")
	s.wantSides("behind the proxy", "vercel")
	s.wantVisits("behind the proxy", "proxy")

	s.commit(at("ploi", "USD"))
	s.wantStatus("active")
	s.clock.add(16*time.Minute, time.Second)
	s.wantStatus("active")
	s.wantSides("back at Ploi behind the proxy", "ploi")
	s.wantVisits("back at Ploi behind the proxy", "proxy")
	s.commit(at("vercel", "USD"))
	s.wantStatus("active")
	s.clock.add(16*time.Minute, time.Second)
	s.wantStatus("active")

	if err := s.cloudflare.Change("zone1", func(z *cloudflare.Zone) { z.NoPurge = true }); err != nil {
		t.Fatal(err)
	}
	s.commit(at("vercel", "CHF"))
	s.wantStatus("active")
	if _, out := s.run("why", "demoshop"); !strings.Contains(out, "copies of earlier pages stay until they end") {
		t.Errorf("it is not said that Cloudflare may not be told:\n%s", out)
	}
}

// S25: a name comes out from behind Cloudflare's proxy, and its host gets the certificate once the name leads there: the gap is
// stated, and held.
func TestS25OutFromBehindAProxy(t *testing.T) {
	s := newSwitching(t)
	at := func(proxied string) map[string]string {
		return map[string]string{"clients/demoshop.yaml": strings.Replace(clientAt("ploi"), "dns: {provider: cloudflare}", "dns: {provider: cloudflare, proxied: "+proxied+"}", 1)}
	}
	s.commit(at("true"))
	s.wantStatus("active")
	s.clock.add(nameLifetime, time.Minute)
	s.watch()
	s.commit(at("false"))
	s.wantStatus("held")
	if _, out := s.run("plan"); !strings.Contains(out, "ploi gets its certificate for "+switchedHost+" once the name leads there") {
		t.Errorf("the plan does not state the gap:\n%s", out)
	}
	s.clock.add(time.Minute, visitEvery)
	s.wantVisits("while it is held", "proxy")
	s.approve("ploi")
	s.wantStatus("active")
	s.saw()
	s.clock.add(nameLifetime, time.Minute)
	s.saw()
	s.clock.add(time.Minute, visitEvery)
	s.wantVisits("afterwards", "ploi")
	s.commit(at("true"))
	s.wantStatus("active")
	s.commit(at("false")) // it has its certificate by now
	s.wantStatus("active")
}
