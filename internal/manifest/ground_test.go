package manifest

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "0s": 0, "0": 0, "1.5h": 90 * time.Minute, "36500d": 36500 * 24 * time.Hour,
	} {
		if got, err := ParseDuration(s); err != nil || got.Std() != want {
			t.Errorf("%q is %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "d", "-1d", "+1d", "1d-1h", "1d+1h", "-5m", "5", "5 m", "1w", "forever", "1dd", "99999999999999999999d", "36501d", "9999999h", "1e3d", "٣d"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
	for d, want := range map[Duration]string{Duration(720 * time.Hour): "30d", Duration(90 * time.Minute): "1h30m", Duration(time.Hour): "1h", Duration(10 * time.Minute): "10m", 0: "0s", Duration(36 * time.Hour): "36h", Duration(90 * time.Second): "1m30s"} {
		if got := d.String(); got != want {
			t.Errorf("%d is %q, want %q", d, got, want)
		}
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"plan", "domain", "template", "contact", "database", "dns"}
	for word, want := range map[string]string{"plna": "plan", "Plan": "plan", "domian": "domain", "templat": "template", "databse": "database", "xyz": "", "notes": "", "": ""} {
		if got := Suggest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := Suggest("plan"+string(make([]byte, 1000)), known); got != "" {
		t.Errorf("a long word: %q", got)
	}
}

func TestHostOf(t *testing.T) {
	for s, want := range map[string]string{
		"demoshop": "demoshop", "Demo-Shop": "demo-shop", "WWW.Example.COM": "www.example.com", "bücher.example": "xn--bcher-kva.example", "XN--BCHER-KVA.example": "xn--bcher-kva.example",
		"straße.example": "xn--strae-oqa.example", "a。b": "a.b", "ｅxample.com": "example.com", "日本.example": "xn--wgv71a.example", "a--b.example": "a--b.example", "1.example": "1.example", "пример.example": "xn--e1afmkfd.example",
	} {
		if got, problem, _ := hostOf(s); got != want || problem != "" {
			t.Errorf("%q is %q, %s; want %q", s, got, problem, want)
		}
	}
	long := "a123456789b123456789c123456789d123456789e123456789f123456789abcd"
	for _, s := range []string{
		"", ".", "a.", ".a", "a..b", "a b", "a_b", "-a", "a-", "a.-b.c", "*.a", "http://a", "a/b", "a:80", "u@a", "1.2.3.4", "a.1", "[::1]", "a。", "xn--a", "xn--demoshop-", "xn--", "раураl", "ｐаypal", "a\u200db.example", long, "a\x00b",
		long[:60] + "." + long[:60] + "." + long[:60] + "." + long[:60] + "." + long[:60],
	} {
		if got, problem, _ := hostOf(s); problem == "" {
			t.Errorf("%q is %q", s, got)
		}
	}
}

// What a person writes for a secret is refused, and what only looks like it isn't.
func TestS46PastedSecrets(t *testing.T) {
	alnum := "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9"
	hex := "0123456789abcdef0123456789abcdef"
	for _, s := range []string{
		"sk_" + "live_" + alnum, "rk_" + "test_" + alnum, "whsec_" + alnum, "ghp_" + alnum, "github_" + "pat_" + alnum, "glpat-" + alnum, "xoxb-" + "123456789012-" + alnum,
		"AKIA" + "ABCDEFGHIJKLMNOP", "AIza" + alnum + alnum, "re_" + "a1B2c3D4_" + alnum, "live_" + alnum, "SG." + alnum + "." + alnum, "npm_" + alnum + alnum, "dop_v1_" + hex,
		"sk-" + "proj-" + alnum, "sk-" + alnum + alnum, "-----BEGIN " + "RSA PRIVATE KEY-----", "eyJ" + "hbGciOiJI" + ".eyJ" + "zdWIiOiIx" + ".abc", "postgres://shop:hunter2@db.example/shop", "https://:pw@git.example",
		"gho_" + alnum, "ghr_" + alnum, "ASIA" + "ABCDEFGHIJKLMNOP", "test_" + alnum, "sk-" + "ant-" + alnum, "sbp_" + hex, "ya29." + alnum, "AGE-SECRET-" + "KEY-1" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
		"shpat_" + hex, "dckr_pat_" + alnum, "xkeysib-" + hex, "hooks.slack.com/services/" + "T0123456/B0123456/" + alnum,
	} {
		if !looksSecret(s) {
			t.Errorf("%q passes", s[:6])
		}
		if !looksSecret("key is " + s + " you know") {
			t.Errorf("%q inside a sentence passes", s[:6])
		}
	}
	for _, s := range []string{
		"https://shop.example/path?x=y", "postgres://db.example/shop", "risk_live_view", "re_captcha_v3_enabled_for_all", "task-management-for-small-teams", "sk-winkel-amsterdam-noord", "v=spf1 include:spf.example -all",
		"pk_" + "live_" + alnum, "mailto:a@b.example", "Tom & Jerry: the shop", "live_chat", "test_mode",
	} {
		if looksSecret(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, c := range []struct {
		variable, value string
		refused         bool
	}{
		{"STORE_CURRENCY", "EUR", false}, {"API_KEY", "hunter2hunter2", true}, {"SMTP_PASSWORD", "correcthorse", true}, {"NEXT_PUBLIC_KEY", "pk" + alnum, false}, {"WIDGET", alnum, true},
		{"COMMIT", "0123456789abcdef0123456789abcdef01234567", false}, {"PROJECT", "9c1e0f6e-0000-4000-8000-0123456789ab", false}, {"API_KEY", "", false}, {"API_KEY", "short", false},
		{"PASSWORD_RESET_URL", "https://shop.example/reset", false}, {"CSRF_TOKEN_HEADER", "X-CSRF-Token", false}, {"TOKEN_TTL", "86400000", false}, {"HASH", hex, true}, {"GREETING", "a long sentence about nothing at all", false},
	} {
		_, problems := layers(t, configured, "", "", "env: {"+c.variable+": '"+c.value+"'}\n")
		if problems.Failed() != c.refused {
			t.Errorf("%s=%q: %v", c.variable, c.value, problems)
		}
		if c.refused && (len(problems) != 1 || problems[0].Rule != "pasted-secret" || problems[0].Snippet != "") {
			t.Errorf("%s: %v", c.variable, problems)
		}
	}
}

func TestPhonesAndAddresses(t *testing.T) {
	for _, s := range []string{"+31 20 555 0100", "020-5550100", "(020) 555 0100", "+1 (555) 010-0199 ext. 12", "0205550100"} {
		if !phoneShape.MatchString(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"call me", "12", "+31 20 555 0100; rm", "0900-SHOP-NOW"} {
		if phoneShape.MatchString(s) {
			t.Errorf("%q passes", s)
		}
	}
	for _, s := range []string{"dana@demoshop.example", "d.de+vries@demo-shop.example", "dana@bücher.example", "o'hara@a.example"} {
		if problem, _ := checkFormat("email", s); problem != "" {
			t.Errorf("%q: %s", s, problem)
		}
	}
	for _, s := range []string{"", "dana", "@a.example", "dana@", "dana@a", "a b@c.example", "a@b@c.example", "Dana <dana@a.example>", "a@-b.example", "a@b..example", "a@1.2.3.4", "a@b.example\nBcc: x"} {
		if problem, _ := checkFormat("email", s); problem == "" {
			t.Errorf("%q passes", s)
		}
	}
}

func TestLayout(t *testing.T) {
	for path, want := range map[string]Class{
		"clients/a.yaml": ClassClient, "clients/x/a.yaml": ClassClient, "clients/x/y/a.yaml": ClassMisnamed, "clients/a.yml": ClassMisnamed, "clients/A.yaml": ClassMisnamed, "clients/a.YAML": ClassMisnamed,
		"clients/README.md": ClassOther, "clients/.a.yaml": ClassOther, "clients/.x/a.yaml": ClassOther, "templates/a.yaml": ClassTemplate, "templates/x/a.yaml": ClassMisnamed, "templates/a.yml": ClassMisnamed,
		"platform.yaml": ClassPlatform, "platform.yml": ClassMisnamed, "Platform.yaml": ClassMisnamed, "x/platform.yaml": ClassOther, "a.yaml": ClassOther, "clients.yaml": ClassOther, "clientsx/a.yaml": ClassOther,
	} {
		if got := LayoutOf("clients").Classify(path); got != want {
			t.Errorf("%s is %d, want %d", path, got, want)
		}
	}
	for path, want := range map[string]Class{"fleet/clients/a.yaml": ClassClient, "fleet/templates/a.yaml": ClassTemplate, "fleet/platform.yaml": ClassPlatform, "clients/a.yaml": ClassOther, "platform.yaml": ClassOther} {
		if got := LayoutOf("fleet/clients/").Classify(path); got != want {
			t.Errorf("%s is %d, want %d", path, got, want)
		}
	}
	for path, want := range map[string]Class{"a.yaml": ClassClient, "x/a.yaml": ClassClient, "templates/a.yaml": ClassTemplate, "platform.yaml": ClassPlatform, ".github/workflows/ci.yml": ClassOther} {
		if got := LayoutOf(".").Classify(path); got != want {
			t.Errorf("%s is %d, want %d", path, got, want)
		}
	}
	for path, want := range map[string]string{
		"clients/a.yml": "clients/a.yaml", "clients/x/My Shop.YML": "clients/x/my-shop.yaml", "docs/x/a.yaml": "clients/a.yaml", "docs/a.yaml": "clients/a.yaml", "Clients/a.yaml": "clients/a.yaml", "clients/demo.shop.yml": "clients/demo-shop.yaml",
		"templates/X.yml": "templates/x.yaml", "PLATFORM.YAML": "platform.yaml", "platform.yml": "platform.yaml", "clients/a.yaml.bak": "clients/a.yaml", "x/y/z/a.yaml": "clients/a.yaml",
	} {
		if got := LayoutOf("clients").Proper(path); got != want {
			t.Errorf("%s should be %s, want %s", path, got, want)
		}
	}
}
