package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/compassdigital/reconciler/"

// layers is the import table: a room may import the rooms that its line names, and
// the standard library and third-party packages. A new room needs a line here.
func layers() map[string]string {
	return map[string]string{
		"state":                 "",
		"manifest":              "",
		"plan":                  "state",
		"report":                "plan state",
		"desired":               "manifest state",
		"drift":                 "manifest state",
		"journal":               "provider state",
		"accept":                "manifest state",
		"provider":              "state",
		"provider/objectstore":  "provider state",
		"provider/httpapi":      "provider state",
		"provider/local":        "provider provider/objectstore state",
		"provider/localdns":     "provider provider/objectstore state",
		"provider/mailbox":      "provider provider/objectstore state",
		"provider/letter":       "provider",
		"provider/resend":       "provider provider/httpapi provider/letter state",
		"provider/smtp":         "provider provider/letter provider/objectstore state",
		"provider/external":     "provider state",
		"provider/sqlite":       "provider state",
		"provider/memory":       "provider state",
		"provider/pgmove":       "provider state",
		"provider/postgres":     "provider provider/pgmove state",
		"provider/railway":      "provider provider/httpapi provider/pgmove state",
		"provider/stripe":       "provider provider/httpapi state",
		"provider/payload":      "provider provider/httpapi state",
		"provider/providertest": "provider state",
		"store":                 "accept journal plan state",
		"store/storetest":       "journal plan state store",
		"secret":                "state",
		"secret/canary":         "",
		"secret/sources":        "state",
		"bolt":                  "secret state store",
		"bolt/powerloss":        "",
		"source":                "state",
		"underway":              "state",
		"gitserver":             "",
		"health":                "",
		"forge":                 "",
		"github":                "forge state",
		"github/simulated":      "gitserver report state",
		"github/githubtest":     "contract",
		"contract":              "",
		"simulator":             "",
		"apply":                 "journal plan provider state store",
		"rebuild":               "provider state",
		"takeover":              "manifest provider state",
		"review":                "accept forge reconcile report state store",
		"reconcile":             "accept apply desired drift journal manifest plan provider rebuild report state store",
		"notify":                "provider report state store",
		"daemon":                "accept apply reconcile state store",
		"schema":                "manifest",
		"web":                   "reconcile report state",

		"provider/postgres/postgrestest": "",
		"provider/ploi":                  "provider provider/httpapi state",
		"provider/ploi/simulated":        "simulator",
		"provider/cloudflare":            "provider provider/httpapi state",
		"provider/cloudflare/simulated":  "simulator",
		"provider/vercel":                "provider provider/httpapi state",
		"provider/vercel/simulated":      "simulator",
		"provider/railway/simulated":     "simulator",
		"provider/stripe/simulated":      "simulator",
		"provider/payload/simulated":     "simulator",
		"provider/resend/simulated":      "simulator",
		"provider/smtp/smtptest":         "",
	}
}

// grounds are values only: no clock, network, disk, environment, randomness.
func grounds() []string {
	return []string{"state", "manifest", "plan", "desired", "journal", "accept", "report", "drift"}
}

func TestImportsGoDownwards(t *testing.T) {
	table := layers()
	forbidden := map[string]bool{"os": true, "net": true, "net/http": true, "math/rand": true, "math/rand/v2": true, "crypto/rand": true, "os/exec": true}
	ground := map[string]bool{}
	for _, g := range grounds() {
		ground[g] = true
	}
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		room := filepath.ToSlash(filepath.Dir(file))
		seen[room] = true
		allowed, ok := table[room]
		if !ok {
			t.Errorf("%s: the room %s is not in the table", file, room)
			return nil
		}
		may := map[string]bool{}
		for _, a := range strings.Fields(allowed) {
			may[a] = true
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if ground[room] && forbidden[name] {
				t.Errorf("%s imports %s: ground rooms hold values only", file, name)
			}
			inner, ours := strings.CutPrefix(name, module+"internal/")
			if ours && !may[inner] {
				t.Errorf("%s imports %s, which its room may not", file, inner)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for room := range table {
		if !seen[room] {
			missing = append(missing, room)
		}
	}
	sort.Strings(missing)
	if len(missing) > 0 {
		t.Errorf("the table names rooms that don't exist: %v", missing)
	}
}
