package manifest

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// canary is planted: by its shape nobody may ever read it in a problem, wherever it
// lies. envCanary has no shape; it may not be read when it lies below env.
const (
	canary    = "sk_" + "live_c4n4ryc4n4ryc4n4ry"
	envCanary = "x1secret1x"
)

// inAWord matches a canary that is the end of a longer word, and has no shape by that.
var inAWord = regexp.MustCompile("[A-Za-z]" + canary)

// seeds adds the committed examples of a kind, and each with secrets planted in it.
func seeds(f *testing.F, kind string, more ...[]byte) {
	f.Helper()
	files, err := filepath.Glob("testdata/problems/" + kind + "/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		more = append(more, data)
	}
	f.Add([]byte("0" + canary + "0"))
	for _, data := range more {
		f.Add(data)
		f.Add(append(bytes.Clone(data), "\nenv: {PLANTED: "+envCanary+"}\nnotes: "+canary+" # "+canary+"\n"...))
		f.Add(bytes.ReplaceAll(data, []byte("demoshop"), []byte(canary)))
	}
}

// lawful checks what holds of any file's problems.
func lawful(t *testing.T, data []byte, problems Problems) {
	t.Helper()
	placed(t, data, problems)
	text := rendered(problems)
	if strings.Contains(text, canary) && !inAWord.Match(data) {
		t.Errorf("a secret is repeated:\n%s", text)
	}
	if strings.Contains(text, envCanary) && onlyBelowEnv(data) {
		t.Errorf("a variable's value is repeated:\n%s", text)
	}
	for _, p := range problems {
		if len(p.String()) > 4<<10 {
			t.Errorf("a problem of %d bytes", len(p.String()))
		}
	}
	if len(problems) > maxProblems {
		t.Errorf("%d problems", len(problems))
	}
}

// onlyBelowEnv says that a file is YAML and has envCanary nowhere but in values below env.
func onlyBelowEnv(data []byte) bool {
	var n yaml.Node
	if yaml.Unmarshal(data, &n) != nil || len(n.Content) != 1 {
		return false
	}
	below := 0
	var visit func(n *yaml.Node, env bool)
	visit = func(n *yaml.Node, env bool) {
		if env && n.Kind == yaml.ScalarNode {
			below += strings.Count(n.Value, envCanary)
		}
		for i, c := range n.Content {
			visit(c, env && (n.Kind != yaml.MappingNode || i%2 == 1))
		}
	}
	env := find(n.Content[0], "env")
	if env == nil {
		return false
	}
	visit(env, true)
	return below == bytes.Count(data, []byte(envCanary))
}

// FuzzClient: it never panics; every problem is at a place in the file; no secret is
// repeated; what is accepted resolves equal again, written in another way and moved.
func FuzzClient(f *testing.F) {
	ctx := designContext(f)
	seeds(f, "client", design(f)[0].Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		name := "demoshop"
		if c, _ := DecodeClient("-", data); c.Name != "" {
			name = c.Name
		}
		_, decoded := DecodeClient("clients/"+name+".yaml", data)
		lawful(t, data, decoded)
		e, problems := Resolve("clients/"+name+".yaml", data, ctx)
		lawful(t, data, problems)
		if decoded.Failed() && !problems.Failed() {
			t.Fatalf("decoding fails and resolving doesn't:\n%v", decoded)
		}
		if problems.Failed() {
			return
		}
		if again, _ := Resolve("clients/"+name+".yaml", bytes.Clone(data), ctx); !reflect.DeepEqual(e, again) {
			t.Fatalf("two answers:\n%+v\n%+v", e, again)
		}
		if e.Host == "" || len(e.Hosts) == 0 || e.Contact.Email == "" || e.Deployment.Provider == "" || e.Database.Retain == (Retain{}) {
			t.Fatalf("accepted without what it needs: %+v", e)
		}
		var n yaml.Node
		if err := yaml.Unmarshal(data, &n); err != nil {
			t.Fatalf("accepted, and not YAML: %v", err)
		}
		other := straight().write(n.Content[0])
		written, problems := Resolve("clients/x/"+name+".yaml", other, ctx)
		if len(other) > MaxFile {
			return
		}
		if problems.Failed() || written.Hash() != e.Hash() {
			t.Fatalf("written otherwise it differs:\n%s\n%v\n%+v\n%+v", other, problems, e, written)
		}
	})
}

// FuzzTemplate: likewise; and a client of an accepted template resolves or is told why.
func FuzzTemplate(f *testing.F) {
	client := []byte("name: a\ndomain: a\ntemplate: t\ncontact: {email: a@a.example}\n")
	ctx := designContext(f)
	seeds(f, "template", design(f)[1].Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		v, problems := DecodeTemplate("templates/t.yaml", data)
		lawful(t, data, problems)
		again, _ := DecodeTemplate("templates/t.yaml", bytes.Clone(data))
		if !reflect.DeepEqual(v, again) {
			t.Fatal("two answers")
		}
		c := ctx
		c.Templates = map[string]Template{"t": v}
		e, said := Resolve("clients/a.yaml", client, c)
		lawful(t, client, said)
		if !problems.Failed() && !said.Failed() && e.Source.Repository == "" {
			t.Fatal("accepted without a repository")
		}
	})
}

// FuzzPlatform: likewise.
func FuzzPlatform(f *testing.F) {
	client := []byte("name: a\ndomain: a.example\ntemplate: ecommerce\ncontact: {email: a@a.example}\n")
	ctx := designContext(f)
	seeds(f, "platform", design(f)[2].Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		v, problems := DecodePlatform("platform.yaml", data)
		lawful(t, data, problems)
		again, _ := DecodePlatform("platform.yaml", bytes.Clone(data))
		if !reflect.DeepEqual(v, again) {
			t.Fatal("two answers")
		}
		c := ctx
		c.Platform = &v
		e, said := Resolve("clients/a.yaml", client, c)
		lawful(t, client, said)
		if r := e.Database.Retain; !said.Failed() && !r.Forever && r.For < v.Limits.MinRetain && e.Database.Provider != "none" {
			t.Fatalf("below the floor: %+v", r)
		}
	})
}

// FuzzTree: no file, whatever it is called, makes a tree panic or leak.
func FuzzTree(f *testing.F) {
	base := design(f)
	for _, path := range []string{"clients/a.yaml", "clients/x/a.yml", "templates/ecommerce.yaml", "platform.yaml", "docs/x", "..", "", "/", "clients/", "clients//a.yaml", ".yaml", "clients/.yaml"} {
		f.Add(path, []byte("kind: Client\nname: a\n"))
	}
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		_, problems := CheckTree(LayoutOf("clients"), append([]File{{Path: path, Data: data}}, base...), Defaults{})
		if text := problems.Error(); strings.Contains(text, canary) && !inAWord.MatchString(path+" "+string(data)) {
			t.Errorf("a secret is repeated:\n%s", text)
		}
		l := LayoutOf("clients")
		if l.Classify(path) == ClassMisnamed {
			if c := l.Classify(l.Proper(path)); c != ClassClient && c != ClassTemplate && c != ClassPlatform {
				t.Errorf("%q should be %q, which isn't read either", path, l.Proper(path))
			}
		}
	})
}
