package takeover

import (
	"fmt"
	"strings"
	"testing"
)

// P10: what an export has under a name of a secret is in no manifest, in whatever it lies; nor is
// what a person wrote down beside such a word.
func TestP10AnExportsSecretsAreInNoManifest(t *testing.T) {
	export := `[
{"name": "lists", "domain": "lists.example", "settings": {"smtp": {"passwords": ["hunter2 hunter2"]}}},
{"name": "maps", "domain": "maps.example", "settings": {"credentials": {"primary": {"word": "hunter2 hunter2"}}}},
{"name": "numbers", "domain": "numbers.example", "settings": {"shop": {"apiKey": 2718281828459}}},
{"name": "keys", "domain": "keys.example", "settings": {"ghp_hunter2hunter2hunter2hunter2hunter2": true}},
{"name": "notes", "domain": "notes.example", "notes": "Old admin login: root, Passwort: hunter2! Call before noon."},
{"name": "plain", "domain": "plain.example", "settings": {"tokenColor": "blue", "colors": ["red", "green"], "passwordReset": true, "shop": 90071992547409931}, "notes": "Call before noon."}]`
	entries, err := ReadExport(strings.NewReader(export))
	if err != nil {
		t.Fatal(err)
	}
	all := written(t, tree(), Matches(Inventory{}, entries, Known{}))
	for name, text := range all {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "2718281828459") {
			t.Errorf("%s tells a secret:\n%s", name, text)
		}
	}
	for _, want := range []string{`"tokenColor":"blue"`, `"colors":["red","green"]`, `"passwordReset":true`, `"shop":90071992547409931`, "notes: \"Call before noon.\""} {
		if !strings.Contains(all["plain"], want) {
			t.Errorf("no %s in\n%s", want, all["plain"])
		}
	}
}

// More variables than a manifest may have are not cut in silence: somebody has to know.
func TestAnExportOfManyVariables(t *testing.T) {
	var all []string
	for i := range maxItems + 1 {
		all = append(all, fmt.Sprintf(`"PLAIN_%03d": "x"`, i))
	}
	entries, err := ReadExport(strings.NewReader(`[{"name": "many", "domain": "many.example", "environment": {` + strings.Join(all, ", ") + `}}]`))
	if err != nil {
		t.Fatal(err)
	}
	text := written(t, tree(), Matches(Inventory{}, entries, Known{}))["many"]
	if !strings.Contains(text, "PLAIN_200") && !strings.Contains(text, "env is left out: ") {
		t.Error("some are left out, and nothing is said")
	}
}
