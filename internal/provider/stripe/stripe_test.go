package stripe

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/stripe/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
)

// An account is its owner's to finish, step by step, and the message says what is left.
func TestPhaseFollowsWhatIsDue(t *testing.T) {
	w := start(t)
	p := w.open()
	o := w.made(p, 1)
	step := func(what string, do error, phase provider.Phase, has, hasNot string) {
		t.Helper()
		if do != nil {
			t.Fatal(do)
		}
		got := w.look(p, o.ID)
		if got.Phase != phase || has != "" && !strings.Contains(got.Message, has) || hasNot != "" && strings.Contains(got.Message, hasNot) || has == "" && got.Message != "" {
			t.Errorf("%s: %s, %q; want %s with %q, without %q", what, got.Phase, got.Message, phase, has, hasNot)
		}
	}
	step("new", nil, provider.Manual, "business profile: product description", "")
	step("new", nil, provider.Manual, "a bank account, the acceptance of Stripe's terms; some of it is overdue", "")
	step("half", w.vendor.Fulfil(o.ID, "external_account", "business_type"), provider.Manual, "terms", "bank account")
	step("all", w.vendor.Fulfil(o.ID), provider.Ready, "", "")
	step("more", w.vendor.Demand(o.ID, "individual.verification.document"), provider.Ready, "Stripe wants to know more, while payments go on: individual: verification document", "overdue")
	step("stopped", w.vendor.Disable(o.ID, "rejected.fraud"), provider.Manual, "Stripe rejected the account (rejected.fraud)", "")
	step("listed", w.vendor.Disable(o.ID, "listed"), provider.Manual, "Stripe's reason: listed", "")
	step("on again", w.vendor.Disable(o.ID, ""), provider.Ready, "document", "")
}

// What is due is told in words, once, bounded, in one line; what nobody knows, too.
func TestWordsOfRequirements(t *testing.T) {
	many := make([]string, 500)
	for i := range many {
		many[i] = fmt.Sprintf("field_%d.", i) + strings.Repeat("x", 5000)
	}
	for name, c := range map[string]struct {
		r    requirements
		want string
	}{
		"nothing":    {requirements{}, "Stripe has not enabled payments and payouts yet"},
		"checking":   {requirements{Pending: []string{"x"}, DisabledReason: "requirements.pending_verification"}, "Stripe is checking what it was told; Stripe is still checking"},
		"both lists": {requirements{CurrentlyDue: []string{"tos_acceptance.ip", "tos_acceptance.date"}, PastDue: []string{"tos_acceptance.date"}}, "the owner has to finish at Stripe: the acceptance of Stripe's terms; some of it is overdue"},
		"a person":   {requirements{CurrentlyDue: []string{"person_8UayFKIMRJklog.first_name"}, DisabledReason: "platform_paused"}, "the owner has to finish at Stripe: a person: first name; the platform paused the account"},
		"hostile":    {requirements{CurrentlyDue: []string{"", "a\n## b\u202e", "\x00"}, DisabledReason: "<script>\n"}, "the owner has to finish at Stripe: a ## b; Stripe's reason: <script>"},
		"overdue":    {requirements{CurrentlyDue: []string{"company.name"}, DisabledReason: "requirements.past_due"}, "the owner has to finish at Stripe: company: name; nothing works until then"},
	} {
		if got := c.r.wanting(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := (requirements{CurrentlyDue: many}).wanting(); len(got) > 2000 || !strings.HasSuffix(got, "and 492 more") {
		t.Errorf("many: %d bytes: …%q", len(got), got[max(0, len(got)-30):])
	}
	if got := (requirements{CurrentlyDue: []string{"company.name"}, CurrentDeadline: 1797000000}).soon(); !strings.HasSuffix(got, "company: name, until 2026-12-11") {
		t.Errorf("with a date: %q", got)
	}
}

// Delete calls nothing: the account stays, and a client that comes back has it again.
func TestDeleteLeavesTheAccount(t *testing.T) {
	w := start(t)
	p := w.open()
	o := w.made(p, 1)
	before := w.vendor.Accounts()
	w.log.take()
	if err := p.Delete(context.Background(), KindPayments, o.ID); err != nil {
		t.Fatal(err)
	}
	if sent := w.log.take(); len(sent) != 0 {
		t.Errorf("%d calls", len(sent))
	}
	if after := w.vendor.Accounts(); len(after) != 1 || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("at Stripe: %+v", after)
	}
	if found, err := named(p, 1); err != nil || len(found) != 1 || found[0].ID != o.ID || found[0].Mark != wanted(1).Mark {
		t.Errorf("it comes back: %+v, %v", found, err)
	}
}

// Accounts that aren't ours are seen without a mark, never listed as ours, and only written to
// where they are adopted by their id.
func TestOthersAccounts(t *testing.T) {
	w := start(t)
	p := w.open()
	plain := w.vendor.Add("NL", map[string]string{"crm": "4711"})
	same := w.vendor.Add("NL", map[string]string{keyName: wanted(1).Name, keyMark: "reconciler:oops"})
	theirs := wanted(7).Mark
	theirs.Client = "somebody-else"
	other := w.vendor.Add("NL", map[string]string{keyMark: theirs.Text()})
	if found, err := named(p, 1); err != nil || len(found) != 1 || found[0].ID != same || !found[0].Mark.IsZero() {
		t.Errorf("of an equal name: %+v, %v", found, err)
	}
	if owned, err := p.Owned(context.Background(), ours); err != nil || len(owned) != 1 || owned[0].ID != other {
		t.Errorf("owned: %+v, %v", owned, err)
	}
	for name, c := range map[string]struct {
		id   string
		wish provider.Wish
		kind provider.ErrorKind
	}{
		"another client's": {other, wanted(1), provider.Invalid},
		"another country":  {plain, with(wanted(1), "country", "DE"), provider.Invalid},
		"no account":       {"acct_1nobody", wanted(1), provider.NotFound},
		"no id":            {"../account", wanted(1), provider.NotFound},
	} {
		if _, err := p.Update(context.Background(), c.id, c.wish); provider.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []string{plain, same, "acct_1nobody", "x/../y"} {
		if _, err := p.Link(context.Background(), id, "https://a.example", "https://b.example"); provider.KindOf(err) != provider.Invalid && provider.KindOf(err) != provider.NotFound {
			t.Errorf("link for %s: %v", id, err)
		}
	}
	for _, a := range w.vendor.Accounts() {
		if a.Label != "" || a.Metadata[keyTier] != "" {
			t.Errorf("written to: %+v", a)
		}
	}
	o, err := p.Update(context.Background(), plain, wanted(1))
	if err != nil || o.Mark != wanted(1).Mark || o.Name != wanted(1).Name || w.vendor.Accounts()[0].Metadata["crm"] != "4711" {
		t.Errorf("adopted: %+v, %v", o, err)
	}
}

// browse is a person's browser, which follows nothing.
func browse(t *testing.T, method, address string) (status int, to string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(context.Background(), method, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Body.Close() // a page
	return a.StatusCode, a.Header.Get("Location")
}

// P16 of the dependencies: a link is new each time, works once and soon expires; what leads
// back asks for a fresh one. From the first one on the profile is its owner's.
func TestLink(t *testing.T) {
	w := hostile(t)
	p := w.open()
	o := w.made(p, 1)
	const refresh, back = "https://console.example/refresh", "https://console.example/return"
	link := func() string {
		t.Helper()
		s, err := p.Link(context.Background(), o.ID, refresh, back)
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(text, s.Reveal()) {
			t.Error("a link prints")
		}
		return s.Reveal()
	}
	first, second := link(), link()
	if first == second {
		t.Error("the same link twice")
	}
	if status, _ := browse(t, http.MethodGet, first); status != http.StatusOK {
		t.Errorf("the first look: %d", status)
	}
	if status, to := browse(t, http.MethodGet, first); status != http.StatusSeeOther || to != refresh {
		t.Errorf("the second look: %d to %s", status, to)
	}
	w.clock.move(5 * time.Minute)
	if status, to := browse(t, http.MethodGet, second); status != http.StatusSeeOther || to != refresh {
		t.Errorf("five minutes later: %d to %s", status, to)
	}
	if got := w.look(p, o.ID); got.Phase != provider.Manual || attribute(got, "label") != "(none)" || attribute(got, "tier") != "standard" {
		t.Errorf("once a link was made: %+v", got)
	}
	changed := with(with(wanted(1), "label", "Another"), "tier", "premium")
	if got, err := p.Update(context.Background(), o.ID, changed); err != nil || attribute(got, "tier") != "premium" || w.vendor.Accounts()[0].Label != "Demo Shop GmbH" {
		t.Errorf("update: %+v, %v", got, err)
	}
	if status, to := browse(t, http.MethodPost, first); status != http.StatusSeeOther || to != back || w.look(p, o.ID).Phase != provider.Ready {
		t.Errorf("the owner tells it all: %d to %s", status, to)
	}
}

// A link that can't be made is an error that shows none, and odd addresses are asked of nobody.
func TestLinkErrors(t *testing.T) {
	w := hostile(t)
	p := w.open()
	o := w.made(p, 1)
	const good = "https://console.example/x"
	for name, c := range map[string]struct {
		do   simulator.Effect
		kind provider.ErrorKind
	}{
		"refused":         {simulator.Refuse(400, jsonHeader(), said(badRequest, "url_invalid", "Not a valid URL")), provider.Invalid},
		"lost":            {simulator.LoseAnswer(), provider.Uncertain},
		"nothing":         {simulator.Instead(200, jsonHeader(), `{"object":"account_link"}`), provider.Uncertain},
		"not by the web":  {simulator.Instead(200, jsonHeader(), `{"object":"account_link","url":"javascript:alert(1)"}`), provider.Uncertain},
		"broken, a token": {simulator.Instead(200, jsonHeader(), `{"object":"account_link","url":"https://connect.example/s/bearer"`), provider.Uncertain},
	} {
		w.faults.Add(simulator.Fault{Path: "/v1/account_links", Do: c.do})
		s, err := p.Link(context.Background(), o.ID, good, good)
		if provider.KindOf(err) != c.kind || !s.Empty() || strings.Contains(fmt.Sprintf("%v %+v", err, err), "bearer") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.log.take()
	for _, bad := range []string{"", "x", "/relative", "ftp://a.example", "https://", "https://u:p@a.example", "javascript:alert(1)", "https://a.example/" + strings.Repeat("x", maxURL)} {
		if _, err := p.Link(context.Background(), o.ID, bad, good); provider.KindOf(err) != provider.Invalid {
			t.Errorf("from %.40q: %v", bad, err)
		}
		if _, err := p.Link(context.Background(), o.ID, good, bad); provider.KindOf(err) != provider.Invalid {
			t.Errorf("to %.40q: %v", bad, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Link(ctx, o.ID, good, good); provider.KindOf(err) != provider.Transient {
		t.Errorf("given up: %v", err)
	}
	if sent := w.log.take(); len(sent) != 0 {
		t.Errorf("%d calls", len(sent))
	}
}

// The form of a create makes the account its owner's, with our mark and nothing unknown.
func TestCreatedForm(t *testing.T) {
	w := start(t)
	p := w.open()
	small := with(with(with(with(wanted(1), "tier", ""), "email", ""), "label", ""), "url", "")
	o, err := p.Create(context.Background(), small)
	if err != nil {
		t.Fatal(err)
	}
	a := w.vendor.Accounts()[0]
	if a.ID != o.ID || a.Country != "NL" || a.Email+a.Label+a.URL != "" || len(a.Metadata) != 2 {
		t.Errorf("made: %+v", a)
	}
	if got, err := p.Update(context.Background(), o.ID, wanted(1)); err != nil || !slices.EqualFunc(got.Attributes, wanted(1).Inputs, func(x, y provider.Input) bool { return x == y }) {
		t.Errorf("the rest is told later: %+v, %v", got, err)
	}
	if id, err := p.whose(context.Background()); id != simulated.Platform || err != nil {
		t.Errorf("check: %s, %v", id, err)
	}
}
