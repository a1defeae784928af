package manifest

import (
	"strings"
	"testing"
)

func overTree() []File {
	client := func(name, extra string) File {
		return File{"clients/" + name + ".yaml", []byte("name: " + name + "\ntemplate: shop\ncontact: {email: a@a.example}\ndomain: same\n" + extra)}
	}
	return []File{client("a", ""), client("b", ""), {"templates/shop.yaml", []byte("name: shop\nsource: {repository: builtin}\n")}, {"platform.yaml", []byte("baseDomain: agency.example\n")}}
}

// Identity: who was there first keeps a name, and the newcomer is told.
func TestRuleIdentityTheIncumbentKeepsItsName(t *testing.T) {
	for first, second := range map[string]string{"a": "b", "b": "a"} {
		rank := func(p string) int {
			if p == "clients/"+first+".yaml" {
				return 0
			}
			return 1
		}
		valid, problems := CheckTreeOver("", LayoutOf("clients"), overTree(), nil, configured, rank)
		if len(valid) != 1 || valid[0].Name != first || len(problems) != 1 || problems[0].Client != second || problems[0].Rule != "unique" {
			t.Errorf("%s first: %v", first, problems)
		}
	}
}

// The rules that decide are those that are given; the tree's own are checked too, and
// count where the given ones say nothing.
func TestGivenRulesDecide(t *testing.T) {
	files := overTree()[1:]
	same := func(string) int { return 0 }
	rules := []File{{"platform.yaml", []byte("baseDomain: base.example\nreserved: [same]\n")}}
	valid, problems := CheckTreeOver("", LayoutOf("clients"), files, rules, configured, same)
	if len(valid) != 0 || len(problems) != 1 || !strings.Contains(problems[0].Text, "reserved") {
		t.Errorf("by the rules: %v", problems)
	}
	if valid, problems = CheckTreeOver("", LayoutOf("clients"), files, nil, configured, same); len(valid) != 1 || len(problems) != 0 {
		t.Errorf("by its own: %v", problems)
	}
	rules = []File{{"platform.yaml", []byte("baseDomain: base.example\n")}, {"templates/shop.yaml", []byte("name: shop\nsource: {repository: builtin}\ndefaults: {notes: from the rules}\n")}}
	files[1].Data = []byte("name: shop\nsource: {repository: builtin}\nplna: x\n")
	valid, problems = CheckTreeOver("", LayoutOf("clients"), files, rules, configured, same)
	if len(valid) != 1 || valid[0].Host != "same.base.example" || valid[0].Notes != "from the rules" || len(problems) != 1 || problems[0].Path != "templates/shop.yaml" {
		t.Errorf("%v, %v", valid, problems)
	}
}

// TestRuleSecrets: a client's own secret, everybody's, what is generated once, another
// resource's output; nothing else can be named.
func TestRuleSecrets(t *testing.T) {
	e, problems := layers(t, configured, "", "", "env: {A: {secret: mollie}, B: {secret: shared/x}, C: {generate: hex32}, D: {from: database.url}, E: {none: true}}\n")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := map[string]EnvValue{"A": {Secret: "mollie"}, "B": {Secret: "shared/x"}, "C": {Generate: "hex32"}, "D": {From: "database.url"}}
	for name, v := range want {
		if e.Environment[name] != v {
			t.Errorf("%s is %+v, want %+v", name, e.Environment[name], v)
		}
	}
	if len(e.Environment) != len(want) {
		t.Errorf("variables: %v", e.Environment.Names())
	}
	for _, bad := range []string{"{secret: demoshop/mollie}", "{secret: ../mollie}", "{secret: Mollie}", "{secret: shared/a/b}", "{secret: \"\"}", "{secret: shared/}", "{generate: hex16}", "{from: env.A}", "{from: secret.a}", "{none: false}", "{}", "{secret: a, none: true}", "[a]"} {
		if _, problems := layers(t, configured, "", "", "env: {A: "+bad+"}\n"); len(problems) != 1 || problems[0].Snippet != "" {
			t.Errorf("%s: %v", bad, problems)
		}
	}
	// All outputs that may be named are read.
	for _, f := range Froms() {
		if _, problems := layers(t, configured, "", "", "env: {A: {from: "+f+"}}\n"); len(problems) > 0 {
			t.Errorf("%s: %v", f, problems)
		}
	}
}
