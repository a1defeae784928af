package main

import (
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/secret"
)

// A secret ends with a line end where it was made with echo: Kubernetes and Docker hand that
// on in the variable. As in a file it is no part of the value, nor in a block of YAML.
func TestConfigValuesEndWithoutALineEnd(t *testing.T) {
	c, err := configIn(t, map[string]string{
		"RECONCILER_GITHUB_TOKEN": "gh\n", "RECONCILER_GITHUB_OWNER": "agency\n", "RECONCILER_GITHUB_REPO": " clients ", "RECONCILER_WORKERS": "3\n", "RECONCILER_NETWORK_ALLOW_PRIVATE": "10.0.0.0/8, fd00::/8\n",
		"CLOUDFLARE_API_TOKEN": "cf\r\n", "CLOUDFLARE_ZONE_ID": "zone\n", "PLOI_API_TOKEN": " \n",
	}, map[string]string{defaultConfigFile: "repository: {url: https://git.example/a.git}\nproviders:\n  vercel:\n    apiToken: |\n      vc\n"})
	if err != nil {
		t.Fatal(err)
	}
	p := c.Providers
	got := []string{c.GitHub.Token.Reveal(), c.GitHub.Owner, c.GitHub.Repo, strings.Join(c.Network.AllowPrivate, "+"), p.Cloudflare.APIToken.Reveal(), p.Cloudflare.ZoneID, p.Ploi.APIToken.Reveal(), p.Vercel.APIToken.Reveal()}
	if want := []string{"gh", "agency", "clients", "10.0.0.0/8+ fd00::/8", "cf", "zone", "", "vc"}; strings.Join(got, "|") != strings.Join(want, "|") || c.Workers != 3 {
		t.Errorf("%q, %d", got, c.Workers)
	}
	if c, err = configIn(t, map[string]string{"RECONCILER_GITHUB_TOKEN": "   \n"}, map[string]string{defaultConfigFile: "repository: {url: https://git.example/a.git}\n"}); err != nil || c.GitHub.on() {
		t.Errorf("a variable without anything in it: %v, %v", c.GitHub.on(), err)
	}
}

// Of a field's name in capitals it is not known where its words part: a guard that was made
// tighter so is tighter.
func TestConfigFieldsInCapitals(t *testing.T) {
	c, err := configIn(t, map[string]string{"RECONCILER_GUARD_MAXDELETES": "1", "RECONCILER_GUARD_REMOVEAFTER": "1h", "RECONCILER_PUBLICURL": "https://r.example", "RECONCILER_STATE_KEYFILE": "other", "RECONCILER_GUARD_MAXCREATES": "1", "RECONCILER_GUARD_MAX_CREATES": "2"},
		map[string]string{defaultConfigFile: "repository: {url: https://git.example/a.git}\n"})
	if err != nil {
		t.Fatal(err)
	}
	if g := c.Guard; g.MaxDeletes != 1 || g.RemoveAfter != "1h" || c.PublicURL != "https://r.example" || filepath.Base(c.State.KeyFile) != "other" || g.MaxCreates != 2 {
		t.Errorf("%+v, %s, %s", g, c.PublicURL, c.State.KeyFile)
	}
}

// The token of a vendor that came so is taken there; nobody is told that the vendor is away.
func TestDoctorTakesATokenWithALineEnd(t *testing.T) {
	c := newClinic(t)
	for _, name := range []string{"CLOUDFLARE_API_TOKEN", "VERCEL_API_TOKEN", "PLOI_API_TOKEN", "RAILWAY_API_KEY", "STRIPE_API_KEY", "RESEND_API_KEY", "RECONCILER_GITHUB_TOKEN", "RECONCILER_GITHUB_WEBHOOK_SECRET"} {
		if c.env[name] != "" {
			c.env[name] += "\n"
		}
	}
	for _, about := range []string{"cloudflare", "vercel", "ploi", "railway", "stripe", "resend", "webhook"} {
		wantFinding(t, c.examined(0), about, report.OK, "")
	}
}

// The first run makes the key: where it can't, doctor says so before.
func TestDoctorLooksAtTheKeysFolder(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs a folder in which nobody can write, the superuser among them")
	}
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	key := "/proc/reconciler/key"
	w.env["RECONCILER_STATE_KEY_FILE"] = key
	if _, err := secret.Open(secret.KeySource{File: key}); err == nil {
		t.Fatal("a key can be made there")
	}
	wantFinding(t, examined(t, w, 1), "key", report.Fail, "/proc")
}

// A default that no provider is called: the name that it may be is said, and no block that
// there isn't is asked for.
func TestConfigDefaultsNameProviders(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery")})
	for field, name := range map[string]string{"DEPLOYMENT": "plio", "DATABASE": "postgresql", "DNS": "Cloudflare"} {
		w.env["RECONCILER_PLATFORM_DEFAULTS_"+field] = name
	}
	all := examined(t, w, 1)
	for _, meant := range []string{"ploi", "postgres", "cloudflare"} {
		found := false
		for _, f := range all {
			found = found || f.About == "defaults" && f.Level == report.Fail && strings.Contains(f.Hint, "did you mean "+meant+"?") && !strings.Contains(f.Hint, "add providers.")
		}
		if !found {
			t.Errorf("nobody says %s:\n%s", meant, report.Findings(all, report.Options{}))
		}
	}
	r := w.cli("apply")
	if !strings.Contains(r.err, "platform.defaults.database is postgresql") || !strings.Contains(r.err, "did you mean postgres?") {
		t.Errorf("apply:\n%s", r.err)
	}
}

// The base domain as a zone file has it, with a dot at its end, is the same.
func TestConfigBaseDomainWithADot(t *testing.T) {
	files := map[string]string{defaultConfigFile: "repository: {url: https://git.example/a.git}\nplatform: {baseDomain: agency.example.}\n"}
	if c, err := configIn(t, nil, files); err != nil || c.Platform.BaseDomain != "agency.example" {
		t.Errorf("%q, %v", c.Platform.BaseDomain, err)
	}
	files[defaultConfigFile] = "repository: {url: https://git.example/a.git}\n"
	if c, err := configIn(t, map[string]string{"PLATFORM_BASE_URL": "https://agency.example./"}, files); err != nil || c.Platform.BaseDomain != "agency.example" {
		t.Errorf("%q, %v", c.Platform.BaseDomain, err)
	}
	files[defaultConfigFile] = "repository: {url: https://git.example/a.git}\nplatform: {baseDomain: \"*.agency.example\"}\n"
	if _, err := configIn(t, nil, files); err == nil || !strings.Contains(err.Error(), "platform.baseDomain") {
		t.Errorf("a pattern: %v", err)
	}
}

// The terminal of a demo is closed: it stops in order, and leaves nothing behind.
func TestDemoLeavesNothingWhenItsTerminalCloses(t *testing.T) {
	temp := t.TempDir()
	d := startDemo(t, temp)
	if code := d.end(syscall.SIGHUP); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	if left, err := filepath.Glob(filepath.Join(temp, "reconciler-demo-*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}

// repository.path leads to no folder: that, and not each file, is what to put right.
func TestPathThatIsNotThereIsSaid(t *testing.T) {
	w := newWorld(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery"), "clients/florist.yaml": manifestOf("florist")})
	w.env["RECONCILER_REPOSITORY_PATH"] = "klients"
	r := w.cli("apply")
	if all := r.out + r.err; !strings.Contains(all, "repository.path") || !strings.Contains(all, "clients") {
		t.Errorf("exit code %d\n%s", r.code, all)
	}
}
