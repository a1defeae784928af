package main

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/forge"
	"github.com/compassdigital/reconciler/internal/github"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/cloudflare"
	"github.com/compassdigital/reconciler/internal/provider/smtp"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/source"
	"github.com/compassdigital/reconciler/internal/state"
)

const (
	maxSkew     = time.Minute         // GitHub takes no App's word that is a minute ahead of its clock
	soonExpired = 14 * 24 * time.Hour // before a token's end
	maxLabels   = 20                  // of a name, on the way up to its zone
	publicAbout = "publicURL"
)

// repository asks for the branch's tip, with the credentials that the daemon has.
func (d *doctor) repository(ctx context.Context) []report.Finding {
	const about = "repository"
	r := d.c.Repository
	o, err := d.p.sourceOptions(d.c)
	if err != nil {
		return []report.Finding{bad(about, "see repository.tokenFile", "%v", err)}
	}
	head, err := source.Tip(ctx, o)
	if err == nil {
		return []report.Finding{ok(about, "%s is there, its branch %s at %s", withoutCredentials(r.URL), r.Branch, short(head))}
	}
	for _, x := range []struct {
		is         error
		text, hint string
	}{
		{source.ErrNoBranch, "it has no branch " + r.Branch, "push it, or set repository.branch"},
		{source.ErrEmpty, "it has no commit yet", "push a first one, with a manifest in " + r.Path + "/, or look whether repository.url is the right one"},
		{source.ErrDenied, "its host refuses the credentials", "renew repository.token (or tokenFile), or give it the right to read the contents"},
		{source.ErrNoRepository, "there is no such repository, or it may not be read", "look at repository.url, and whether repository.token may see it"},
		{source.ErrMoved, "it moved to another host", "set repository.url to its new place"},
		{source.ErrNotGit, "what answers is no Git server", "look at repository.url: the address that `git clone` takes"},
		{source.ErrHostKey, "its host's ssh key is not among the known ones", "compare `ssh-keyscan HOST` with what its owner publishes, then add it to repository.knownHostsFile"},
	} {
		if errors.Is(err, x.is) {
			return []report.Finding{bad(about, x.hint, "%s: %s", withoutCredentials(r.URL), x.text)}
		}
	}
	return []report.Finding{bad(about, "look at repository.url, at repository.sshKeyFile and the ssh agent where it is an ssh address, and whether its host can be reached from here", "%v", err)}
}

// github asks what the credentials may do there, and how the webhook is set up.
func (d *doctor) github(ctx context.Context) []report.Finding {
	const about = "github"
	g := d.c.GitHub
	if !g.on() {
		return nil
	}
	if d.unopened != nil {
		return []report.Finding{bad(about, "see github.app.privateKeyFile", "%v", d.unopened)}
	}
	x, err := d.p.github.Check(ctx)
	if err != nil {
		return []report.Finding{d.noGitHub(err)}
	}
	out := d.access(x)
	if len(g.hookSecrets()) > 0 {
		out = append(out, d.webhook(ctx, d.p.github))
	}
	return out
}

// noGitHub is what an error of GitHub's means.
func (d *doctor) noGitHub(err error) report.Finding {
	const about = "github"
	var limited *forge.Limited
	switch {
	case errors.As(err, &limited):
		return warn(about, "nothing has to be done; if it stays, see who else uses these credentials", "GitHub takes no more requests until %s", limited.Until.UTC().Format(time.DateTime+" MST"))
	case errors.Is(err, forge.ErrDenied):
		return bad(about, "renew github.token (or install the App on the repository, and see github.app), and look at github.owner and github.repo", "%v", err)
	}
	return bad(about, "see whether github.apiURL is right and can be reached from here; if so, look at www.githubstatus.com", "%v", err)
}

// access says what the credentials may do.
func (d *doctor) access(x github.Access) (out []report.Finding) {
	const about = "github"
	for _, n := range x.Notes {
		out = append(out, bad(about, n.Next, "%s", n.Text))
	}
	for _, n := range x.Missing {
		out = append(out, bad(about, "give it at GitHub: README, On GitHub", "the %s lacks %s, for %s", x.Kind, n, n.For))
	}
	if len(out) == 0 {
		f := ok(about, "the %s for %s/%s is accepted", x.Kind, d.c.GitHub.Owner, d.c.GitHub.Repo)
		var unchecked []string
		for _, n := range x.Unchecked {
			unchecked = append(unchecked, n.Name)
		}
		if len(unchecked) > 0 {
			f.Text += "; whether it may write shows with the first pull request (" + strings.Join(unchecked, ", ") + ")"
		}
		out = append(out, f)
	}
	for _, w := range x.Wider {
		out = append(out, warn(about, "take it away: what somebody steals should be worth little", "wider than needed: %s", w))
	}
	if at := x.Expires; !at.IsZero() && at.Sub(d.p.now()) < soonExpired {
		out = append(out, warn(about, "make the next one now", "the token expires on %s", at.UTC().Format("2 January 2006")))
	}
	return out
}

// webhook looks at how it is set up. All is found by polling without one, too.
func (d *doctor) webhook(ctx context.Context, api *github.API) report.Finding {
	const about = "webhook"
	if d.c.PublicURL == "" {
		return warn(about, "set publicURL to where GitHub reaches this", "whether it leads here can't be told without publicURL")
	}
	at := strings.TrimSuffix(d.c.PublicURL, "/") + webhookPath
	h, err := api.CheckHook(ctx)
	if err != nil {
		f := d.noGitHub(err)
		f.About = about
		return f
	}
	const mend = "in its settings at GitHub: README, On GitHub, Webhook"
	switch {
	case h.Unchecked:
		return ok(about, "it may not be looked at with these credentials; it should lead to %s", at)
	case !h.There:
		return warn(about, mend+"; until then changes are found by polling", "none leads to %s", at)
	case h.Off:
		return warn(about, "turn it on "+mend, "it is not active")
	case h.Form:
		return warn(about, "set its content type to application/json "+mend, "what it sends is not read")
	case h.Insecure:
		return warn(about, "turn SSL verification on "+mend, "it sends to whoever answers at %s", at)
	case len(h.Lacks) > 0:
		return warn(about, mend+"; until then they are found by polling", "it leaves out the events %s", strings.Join(h.Lacks, ", "))
	}
	return ok(about, "it leads to %s", at)
}

// publicURL asks whether we are found there. From here it may look otherwise than from
// elsewhere, so this never fails.
func (d *doctor) publicURL(ctx context.Context) []report.Finding {
	const about = publicAbout
	at := d.c.PublicURL
	if at == "" || d.web == nil { // vendors' clients tell why there is none
		return nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(at, "/")+"/healthz", nil)
	if err != nil {
		return []report.Finding{bad(about, "write https://reconciler.your-agency.example", "it is not an address")}
	}
	const hint = "start the daemon, or look at the proxy before it; GitHub and links in mail need this address"
	answer, err := d.web.Do(r)
	if err != nil {
		return []report.Finding{warn(about, hint, "nobody answers at %s from here", withoutCredentials(at))}
	}
	_ = answer.Body.Close() // its head said it
	if answer.StatusCode != http.StatusOK {
		return []report.Finding{warn(about, hint, "%s answers %d from here", withoutCredentials(at), answer.StatusCode)}
	}
	return []report.Finding{ok(about, "%s answers", withoutCredentials(at))}
}

// vendors are the looks at providers' accounts, and what is to be said of the defaults.
func (d *doctor) vendors() (all []look, ready []report.Finding) {
	keeps := map[state.Kind][]string{}
	for _, v := range d.openers() {
		opened, err := v.open(d.c)
		switch {
		case err != nil:
			ready = append(ready, bad(v.name, "see providers."+v.name, "%v", err))
		case v.check != nil:
			all = append(all, checking(v.name, v.check))
		}
		for _, q := range opened {
			for kind := range q.Traits() {
				keeps[kind] = append(keeps[kind], q.Name())
			}
			if c, ok := q.(provider.Checker); ok {
				all = append(all, checking(v.name, c))
			}
		}
	}
	return all, append(ready, d.defaults(keeps)...)
}

// opener opens one vendor. check is there where opening it would make files.
type opener struct {
	name  string
	open  func(Config) ([]provider.Provider, error)
	check provider.Checker
}

func (d *doctor) openers() []opener {
	p := d.p
	out := []opener{{name: "postgres", open: p.openPostgres}, {name: "railway", open: p.openRailway}, {name: "ploi", open: p.openPloi}, {name: "vercel", open: p.openVercel},
		{name: "cloudflare", open: p.openCloudflare}, {name: "stripe", open: p.openStripe}, {name: "resend", open: p.openResend}}
	mail := opener{name: smtp.Name}
	o, err := p.smtpOptions(d.c)
	if err == nil && o.Host != "" {
		mail.check, err = smtp.NewChecker(o)
	}
	mail.open = func(Config) ([]provider.Provider, error) { return nil, err }
	return append(out, mail)
}

func checking(name string, c provider.Checker) look {
	return func(ctx context.Context) (out []report.Finding) {
		for _, f := range c.Check(ctx) {
			level := report.Fail
			switch {
			case f.OK && f.Hint == "":
				level = report.OK
			case f.OK:
				level = report.Warn
			}
			out = append(out, report.Finding{About: name, Level: level, Text: f.Text, Hint: f.Hint})
		}
		return out
	}
}

// defaults says which provider manifests get that nobody configured.
func (d *doctor) defaults(keeps map[state.Kind][]string) (out []report.Finding) {
	x, embedded := d.c.Platform.Defaults, d.c.Providers.Embedded.Dir != ""
	for _, f := range []struct {
		field, is string
		kind      state.Kind
		embedded  string
	}{{"deployment", x.Deployment, state.KindSite, "local"}, {"database", x.Database, state.KindDatabase, "sqlite"}, {"dns", x.DNS, state.KindRecord, "local"}} {
		switch {
		case f.is == "" || f.is == "external" || f.is == "none" || slices.Contains(keeps[f.kind], f.is) || embedded && f.is == f.embedded:
		case noProvider(f.field, f.is) != "":
			out = append(out, bad("defaults", noProvider(f.field, f.is), "platform.defaults.%s is %s, which no provider is called: clients that name no other are invalid", f.field, f.is))
		default:
			out = append(out, bad("defaults", "add providers."+f.is+", or choose another default", "platform.defaults.%s is %s, which is not configured: clients that name no other can't be planned", f.field, f.is))
		}
	}
	if !d.c.mails() {
		out = append(out, warn("mail", "add providers.resend or providers.smtp", "nobody is configured to send mail: clients' administrators get none"))
	}
	return out
}

// dns asks every resolver that is configured, and whether the base domain is anybody's.
func (d *doctor) dns(ctx context.Context) (out []report.Finding) {
	const about = "dns"
	base := d.c.Platform.BaseDomain
	for _, r := range d.c.Network.Resolvers {
		out = append(out, askResolver(ctx, r, cmp.Or(base, "example.com")))
	}
	if base == "" || d.c.Platform.Defaults.DNS != cloudflare.Name || onThisMachine(d.c.Providers.Cloudflare.APIURL) {
		return out
	}
	for name, n := base, 0; strings.Contains(name, ".") && n < maxLabels; n++ {
		found, err := d.p.public(ctx, "NS", name)
		switch {
		case err != nil:
			return append(out, warn(about, "see the machine's resolver (/etc/resolv.conf), or network.resolvers", "the name servers of %s can't be looked up from here", name))
		case len(found) > 0:
			return append(out, ok(about, "%s is answered by %s", name, strings.Join(found[:min(len(found), 4)], ", ")))
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return append(out, warn(about, "let its registrar name the zone's name servers", "nobody answers for platform.baseDomain %s", base))
}

// askResolver says whether a resolver answers at all; that there is no such name is an answer.
func askResolver(ctx context.Context, address, name string) report.Finding {
	at := address
	if _, _, err := net.SplitHostPort(at); err != nil {
		at = net.JoinHostPort(strings.Trim(at, "[]"), "53")
	}
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, at)
	}}
	_, err := r.LookupNS(ctx, name+".")
	if e := (*net.DNSError)(nil); err == nil || errors.As(err, &e) && e.IsNotFound {
		return ok("dns", "the resolver %s answers", address)
	}
	return bad("dns", "see network.resolvers", "the resolver %s does not answer", address)
}

// clock compares ours with those of the vendors that answered.
func (d *doctor) clock() []report.Finding {
	v := d.p.vendors
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.skew, publicAbout) // we are no vendor
	name, worst := "", time.Duration(-1)
	for _, n := range namesOf(v.skew) {
		if s := v.skew[n].Abs(); s > worst {
			name, worst = n, s
		}
	}
	switch {
	case name == "":
		return nil
	case worst <= maxSkew:
		return []report.Finding{ok("clock", "it goes with those of %s", counted(len(v.skew), "vendor", "vendors"))}
	}
	f := warn("clock", "let the machine set it by NTP: retention, schedules and limits go by it, and GitHub refuses an App whose clock is ahead", "it is %s off that of %s", worst.Round(time.Second), name)
	if d.c.GitHub.App.ID != "" {
		f.Level = report.Fail
	}
	return []report.Finding{f}
}

func namesOf[T any](m map[string]T) (names []string) {
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
