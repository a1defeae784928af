package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// design reads the design's three example documents, as a tree.
func design(t testing.TB) []File {
	t.Helper()
	var out []File
	for _, name := range []string{"clients/demoshop.yaml", "templates/ecommerce.yaml", "platform.yaml"} {
		data, err := os.ReadFile(filepath.Join("testdata", "design", name))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, File{Path: name, Data: data})
	}
	return out
}

// TestDesignDocuments: every field of the three example documents is known, and as a
// tree they have no problem.
func TestDesignDocuments(t *testing.T) {
	valid, problems := CheckTree(LayoutOf("clients"), design(t), Defaults{})
	if len(problems) > 0 {
		t.Fatalf("problems:\n%v", problems)
	}
	if len(valid) != 1 {
		t.Fatalf("%d valid clients, want 1", len(valid))
	}
	e := valid[0]
	for what, pair := range map[string][2]string{
		"host":        {e.Host, "demoshop.compassdigital.example"},
		"hosts":       {strings.Join(e.Hosts, " "), "demoshop.compassdigital.example www.demoshop.example"},
		"features":    {strings.Join(e.Features, " "), "ecommerce blog"},
		"off":         {strings.Join(e.DisabledCollections, " "), "orders"},
		"contact":     {e.Contact.Phone, "+31 20 555 0100"},
		"provider":    {e.Deployment.Provider + "/" + e.Deployment.Server, "ploi/web-1"},
		"source":      {e.Source.Repository + "@" + e.Source.Ref, "compassdigital/storefront@v1.4.2"},
		"timeout":     {e.Deployment.Timeout.String(), "10m"},
		"database":    {e.Database.Provider + " " + e.Database.Retain.String() + " " + e.Database.Access, "railway 30d public"},
		"record":      {e.DNS.Records[0].Type + " " + e.DNS.Records[0].Name + " " + e.DNS.Records[0].Content, "MX @ mx.demoshop.example"},
		"variables":   {strings.Join(e.Environment.Names(), " "), "DATABASE_URL MOLLIE_API_KEY NEXT_PUBLIC_SERVER_URL PAYLOAD_SECRET SESSION_SECRET STORE_CURRENCY"},
		"secret":      {e.Environment["MOLLIE_API_KEY"].Secret, "mollie"},
		"fee":         {e.Billing.MonthlyFee, "49.00"},
		"next date":   {e.Billing.NextDate, "2026-12-01"},
		"health":      {e.Health.Path + " " + e.Health.Every.String() + " " + e.Health.Timeout.String(), "/ 5m 10s"},
		"payments":    {e.Payments.Provider + " " + e.Payments.PricingTier + " " + e.Payments.Country, "stripe standard NL"},
		"labels":      {e.Labels["team"], "shops"},
		"on failure":  {e.OnFailure, "rollback"},
		"build":       {e.Build.Command, "pnpm build"},
		"migrate":     {e.Migrate, "pnpm payload migrate"},
		"admin panel": {e.AdminPanel.Kind + e.AdminPanel.Path, "payload/admin"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
	if !e.DNS.Proxied || e.Paused || e.Settings["theme"] != "dark" {
		t.Errorf("proxied %v, paused %v, settings %v", e.DNS.Proxied, e.Paused, e.Settings)
	}
	p, _ := DecodePlatform("platform.yaml", design(t)[2].Data)
	if g := p.Guard; *g.MaxDeletes != 2 || *g.MaxCreates != 5 || g.Removals != "reviewed" || g.RemoveAfter.String() != "1h" || g.MaxChanged != nil {
		t.Errorf("guard %+v", g)
	}
	if f := p.Freeze[0]; f.From != "2026-12-18T18:00" || f.Zone != "Europe/Amsterdam" || p.Limits.MinRetain.String() != "14d" {
		t.Errorf("freeze %+v, limits %+v", f, p.Limits)
	}
}

// The smallest manifest is name, domain, template, contact e-mail; all else has a default.
func TestSmallestManifest(t *testing.T) {
	files := design(t)
	files[0].Data = []byte("name: demoshop\ndomain: demoshop\ntemplate: ecommerce\ncontact: {email: dana@demoshop.example}\n")
	valid, problems := CheckTree(LayoutOf("clients"), files, Defaults{})
	if len(problems) > 0 || len(valid) != 1 {
		t.Fatalf("problems:\n%v", problems)
	}
	e := valid[0]
	if e.DisplayName != "demoshop" || e.Admin.Email != "dana@demoshop.example" || e.Health.Path != "/api/health" || e.Health.Status != 200 ||
		strings.Join(e.Features, " ") != "ecommerce" || e.OnFailure != "rollback" || e.Deployment.Server != "web-1" || e.DNS.Provider != "cloudflare" {
		t.Errorf("effective %+v", e)
	}
}

// Every provider that the format names is accepted; what one that isn't there yet
// would do is desired's to say.
func TestEveryProviderIsAccepted(t *testing.T) {
	for part, providers := range map[string][]string{
		"deployment": {"ploi", "vercel", "local", "external", "none"},
		"database":   {"railway", "postgres", "sqlite", "none"},
		"dns":        {"cloudflare", "local", "external", "none"},
	} {
		for _, p := range providers {
			files := design(t)
			files[0].Data = []byte("name: demoshop\ndomain: demoshop\ntemplate: ecommerce\ncontact: {email: dana@demoshop.example}\n" + part + ": {provider: " + p + "}\n")
			if _, problems := CheckTree(LayoutOf("clients"), files, Defaults{}); len(problems) > 0 {
				t.Errorf("%s %s:\n%v", part, p, problems)
			}
		}
	}
	files := design(t)
	files[0].Data = []byte("name: demoshop\ndomain: demoshop\ntemplate: ecommerce\ncontact: {email: dana@demoshop.example}\ndatabase: {provider: external, external: {url: {secret: database-url}}}\n")
	if _, problems := CheckTree(LayoutOf("clients"), files, Defaults{}); len(problems) > 0 {
		t.Errorf("external database:\n%v", problems)
	}
}
