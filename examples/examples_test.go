package examples_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/examples"
	"github.com/compassdigital/reconciler/internal/manifest"
)

// The layers that the demo's configuration has.
func demoDefaults() manifest.Defaults {
	return manifest.Defaults{BaseDomain: "localhost", Deployment: "local", Database: "sqlite", DNS: "local"}
}

func files(t *testing.T) []manifest.File {
	t.Helper()
	var out []manifest.File
	err := fs.WalkDir(examples.Files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(examples.Files, p)
		out = append(out, manifest.File{Path: p, Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestExamplesAreValidAsTheyAre(t *testing.T) {
	for name, d := range map[string]manifest.Defaults{"alone": {}, "in the demo": demoDefaults()} {
		t.Run(name, func(t *testing.T) {
			clients, problems := manifest.CheckTree(manifest.LayoutOf("clients"), files(t), d)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if len(clients) < 6 || len(clients) > 10 {
				t.Errorf("%d clients, want six to ten", len(clients))
			}
			templates := map[string]bool{}
			for _, c := range clients {
				templates[c.Template] = true
				if c.Source.Repository != "builtin" || c.Deployment.Provider != "local" || c.Database.Provider != "sqlite" || c.DNS.Provider != "local" {
					t.Errorf("%s needs more than the embedded parts", c.Name)
				}
				for _, n := range c.Environment.Names() {
					if c.Environment[n].Secret != "" {
						t.Errorf("%s: %s must be set by hand", c.Name, n)
					}
				}
				if c.Name == "demoshop" && (c.DisplayName != "Demo Shop" || c.Host != "demoshop.localhost" || c.Template != "ecommerce") {
					t.Errorf("demoshop is %q at %s with %s", c.DisplayName, c.Host, c.Template)
				}
			}
			for _, want := range []string{"ecommerce", "blog", "b2b", "portfolio", "corporate"} {
				if !templates[want] {
					t.Errorf("no client uses the template %s", want)
				}
			}
		})
	}
}

// What the demo tells people to try: a copy of demoshop under another name.
func TestASecondShopMadeFromDemoshopIsValid(t *testing.T) {
	all := files(t)
	for _, f := range files(t) {
		if f.Path == "clients/demoshop.yaml" {
			text := strings.NewReplacer("demoshop", "secondshop", "Demo Shop", "Second Shop").Replace(string(f.Data))
			all = append(all, manifest.File{Path: "clients/secondshop.yaml", Data: []byte(text)})
		}
	}
	clients, problems := manifest.CheckTree(manifest.LayoutOf("clients"), all, demoDefaults())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	found := false
	for _, c := range clients {
		found = found || c.Name == "secondshop" && c.DisplayName == "Second Shop"
	}
	if !found {
		t.Error("secondshop is not among the clients")
	}
}

func TestEveryExampleBeginsWithItsSchema(t *testing.T) {
	for _, f := range files(t) {
		kind := "client"
		switch manifest.LayoutOf("clients").Classify(f.Path) {
		case manifest.ClassTemplate:
			kind = "template"
		case manifest.ClassPlatform:
			kind = "platform"
		}
		want := "# yaml-language-server: $schema=https://raw.githubusercontent.com/compassdigital/reconciler/v1/schemas/" + kind + ".v1.schema.json\n"
		if !strings.HasPrefix(string(f.Data), want) {
			t.Errorf("%s doesn't begin with %s", f.Path, want)
		}
	}
}
