package manifest

import (
	"strings"
	"testing"
)

// resolved is what a manifest with more lines means, or what is wrong with it.
func resolved(t *testing.T, lines string) (Effective, Problems) {
	t.Helper()
	return Resolve("clients/a.yaml", []byte("name: a\ntemplate: ecommerce\ncontact: {email: a@a.example}\n"+lines), designContext(t))
}

// Threat 16: a client can't take a name by writing it in another way, nor one that nobody
// may have; what is taken is in one form.
func TestThreat16Hosts(t *testing.T) {
	for _, s := range []string{"*.demoshop.example", "*", "@", "_dmarc.demoshop.example", "demo_shop.example", "xn--abc.example", "xn--demoshop-.example", "xn--a.example", "раураl.example", "раypal.example", "αpple.example",
		"127.0.0.1", "0x7f.1", "2130706433.1", "１２７.0.0.1", "::1", "[::1]", "169.254.169.254", "demoshop.example.", "demoshop..example", ".demoshop.example", "demoshop.example:443", "https://demoshop.example", "user@demoshop.example",
		"demoshop.example/x", "demoshop.example?x", "demoshop.example#x", "demoshop .example", "demoshop\\t.example", "demoshop\\0.example", "demo\u202eshop.example", "demoshop。。example", "-demoshop.example", "demoshop-.example", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 130) + "example",
		"www", "api", "mail", "admin"} {
		if e, problems := resolved(t, "domain: \""+s+"\"\n"); !problems.Failed() {
			t.Errorf("domain %q is taken as %s", s, e.Host)
		}
	}
	for written, want := range map[string]string{"DemoShop.Example": "demoshop.example", "bücher.example": "xn--bcher-kva.example", "BÜCHER.example": "xn--bcher-kva.example", "xn--bcher-kva.example": "xn--bcher-kva.example", "demoshop。example": "demoshop.example", "ﬁsh.example": "fish.example", "ＤＥＭＯ.example": "demo.example"} {
		if e, problems := resolved(t, "domain: \""+written+"\"\n"); problems.Failed() || e.Host != want {
			t.Errorf("%q is %q %v", written, e.Host, problems)
		}
	}
}

// Threat 16: a domain below which anybody registers names is nobody's; what was registered
// there is. Below the platform's own domain its labels are the platform's to give.
func TestThreat16PublicSuffixes(t *testing.T) {
	for _, s := range []string{"co.uk", "CO.UK", "com.au", "github.io", "vercel.app", "foo.ck", "公司.cn", "xn--55qx5d.cn", "s3.amazonaws.com"} {
		if e, problems := resolved(t, "domain: "+s+"\n"); !problems.Failed() {
			t.Errorf("domain %q is taken as %s", s, e.Host)
		}
		if e, problems := resolved(t, "domain: a\naliases: ["+s+"]\n"); !problems.Failed() {
			t.Errorf("alias %q is taken as %s", s, e.Hosts)
		}
	}
	for _, s := range []string{"shop.co.uk", "www.shop.co.uk", "shop.github.io", "shop.example", "www.ck", "shop.公司.cn"} {
		if _, problems := resolved(t, "domain: "+s+"\n"); problems.Failed() {
			t.Errorf("domain %q: %v", s, problems)
		}
	}
	ctx := designContext(t)
	platform := *ctx.Platform
	platform.BaseDomain = "ck" // everything right below it is on the list
	ctx.Platform = &platform
	if e, problems := Resolve("clients/a.yaml", []byte("name: a\ntemplate: ecommerce\ncontact: {email: a@a.example}\ndomain: shop\n"), ctx); problems.Failed() || e.Host != "shop.ck" {
		t.Errorf("%s %v", e.Host, problems)
	}
}

// Threat 17: no file of the repository raises a limit that the daemon's operator set: a
// manifest and a template have no guard at all, and a platform file's only tightens (which
// accept proves).
func TestThreat17GuardIsNoManifests(t *testing.T) {
	for _, lines := range []string{"guard: {maxDeletes: 1000}", "limits: {minRetain: 0s}", "maxDeletes: 1000", "reserved: []", "freeze: []", "plans: {}", "requires: \">=0.1\""} {
		if _, problems := resolved(t, "domain: a\n"+lines+"\n"); !problems.Failed() {
			t.Errorf("a manifest may say %s", lines)
		}
		if _, problems := DecodeTemplate("templates/t.yaml", []byte("apiVersion: reconciler/v1\nkind: Template\nname: t\nsource: {repository: a/b, ref: v1}\n"+lines+"\n")); !problems.Failed() {
			t.Errorf("a template may say %s", lines)
		}
		if _, problems := DecodeTemplate("templates/t.yaml", []byte("apiVersion: reconciler/v1\nkind: Template\nname: t\nsource: {repository: a/b, ref: v1}\ndefaults: {"+lines+"}\n")); !problems.Failed() {
			t.Errorf("a template's defaults may say %s", lines)
		}
	}
}

// Threat 18: an environment can't smuggle another variable in, load other code into a
// site, or hold a secret in plain text; and no problem repeats what was tried.
func TestThreat18Environment(t *testing.T) {
	const planted = "pl4nt3d-Zq7x"
	for _, key := range []string{"LD_PRELOAD", "ld_preload", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "PATH", "NODE_OPTIONS", "BASH_ENV", "PYTHONSTARTUP", "GIT_SSH_COMMAND", "npm_config_registry", "\"A=B\"", "\"A\\nB\"", "\"A\\0\"", "\"A B\"", "\"\"", "1A", "A-B", "A.B", "\"${A}\"", "É", strings.Repeat("A", 129)} {
		if _, problems := resolved(t, "domain: a\nenv:\n  "+key+": "+planted+"\n"); !problems.Failed() || strings.Contains(rendered(problems), planted) {
			t.Errorf("variable %s: %v", key, problems)
		}
	}
	for _, value := range []string{"\"" + planted + "\\0\"", "\"" + planted + "\\x1b[2J\"", strings.Repeat(planted, 5000), "{secret: ../" + planted + "}", "{secret: other-client/x}", "{from: secret." + planted + "}", "[" + planted + "]", "!!binary " + planted, canary, "postgres://shop:" + planted + "@db.example/shop"} {
		if _, problems := resolved(t, "domain: a\nenv:\n  A: "+value+"\n"); !problems.Failed() || strings.Contains(rendered(problems), planted) {
			t.Errorf("value %.40s: %.300v", value, problems)
		}
	}
}

// Threat 12 and S46: a secret that is glued to a digit or an underscore is seen, and not
// repeated with the line that it spoils; a letter before it makes another word of it.
func TestThreat12GluedSecrets(t *testing.T) {
	for _, before := range []string{"", " ", "0", "_", "key=", "STRIPE_", "日"} {
		for _, text := range []string{before + canary, "notes: " + before + canary + "\n", "- " + before + canary + ": ["} {
			_, problems := DecodeClient("clients/a.yaml", []byte(text))
			if shown := rendered(problems); !problems.Failed() || strings.Contains(shown, canary) {
				t.Errorf("%q: %s", text, shown)
			}
		}
	}
	for _, s := range []string{"task_" + "test_12345678", "desk_" + "live_12345678", "pk_" + "live_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9", "core_" + strings.Repeat("a1", 12)} {
		if looksSecret(s) {
			t.Errorf("%q looks like a secret", s)
		}
	}
}
