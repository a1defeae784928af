package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// plant writes a tree.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for p, text := range files {
		p = filepath.Join(root, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// validate runs one command line and returns its report.
func validate(t *testing.T, args ...string) (int, jsonReport) {
	t.Helper()
	var out, errOut bytes.Buffer
	code := Main(context.Background(), append([]string{"--format", "json"}, args...), strings.NewReader(""), &out, &errOut, func(string) string { return "" })
	var r jsonReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s%s", err, out.String(), errOut.String())
	}
	return code, r
}

const shop = "name: shop\nsource: {repository: builtin}\n"

func client(name, domain string) string {
	return fmt.Sprintf("name: %s\ntemplate: shop\ndomain: %s\ncontact: {email: a@b.example}\n", name, domain)
}

func TestTenThousandClients(t *testing.T) {
	files := map[string]string{"templates/shop.yaml": shop}
	for i := range 10_000 {
		name := fmt.Sprintf("c%05d", i)
		files["clients/"+name[:3]+"/"+name+".yaml"] = client(name, name)
	}
	files["clients/c09/c09999.yaml"] = client("c09999", "c00000")
	code, r := validate(t, plant(t, files))
	if code != exitProblems || r.Summary.Files != 10_001 || r.Summary.Errors != 1 {
		t.Errorf("exit code %d, %+v", code, r.Summary)
	}
}

// However large a file is, no more of it is read than a manifest may have.
func TestHugeFilesAreNotRead(t *testing.T) {
	root := plant(t, map[string]string{"templates/shop.yaml": shop, "clients/demoshop.yaml": client("demoshop", "demoshop"), "clients/huge.yaml": "", "clients/big.yaml": "a: " + strings.Repeat("b", manifest.MaxFile)})
	if err := os.Truncate(filepath.Join(root, "clients/huge.yaml"), 1<<40); err != nil {
		t.Fatal(err)
	}
	code, r := validate(t, root)
	if code != exitProblems || r.Summary.Errors != 2 {
		t.Errorf("exit code %d, %+v", code, r.Summary)
	}
	for _, f := range r.Files {
		for _, p := range f.Problems {
			if p.Rule != "size" {
				t.Errorf("%s: %+v", f.Filename, p)
			}
		}
	}
	code, r = validate(t, filepath.Join(root, "clients/huge.yaml"))
	if code != exitProblems || r.Summary.Files != 1 {
		t.Errorf("alone: exit code %d, %+v", code, r.Summary)
	}
}

func TestExecutableManifestsAreTold(t *testing.T) {
	root := plant(t, map[string]string{"templates/shop.yaml": shop, "clients/demoshop.yaml": client("demoshop", "demoshop")})
	if err := os.Chmod(filepath.Join(root, "clients/demoshop.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	code, r := validate(t, root)
	if code != exitFine || r.Summary.Warnings != 1 || r.Files[0].Problems[0].Rule != "executable" {
		t.Errorf("exit code %d, %+v", code, r)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestAReportThatCannotBeWrittenIsAFailure(t *testing.T) {
	root := plant(t, map[string]string{"templates/shop.yaml": shop, "clients/demoshop.yaml": client("demoshop", "demoshop")})
	var errOut bytes.Buffer
	if code := Main(context.Background(), []string{root}, strings.NewReader(""), broken{}, &errOut, func(string) string { return "" }); code != exitProblems || !strings.Contains(errOut.String(), "write the report") {
		t.Errorf("exit code %d, %q", code, errOut.String())
	}
}

func TestACancelledCheckEnds(t *testing.T) {
	root := plant(t, map[string]string{"clients/demoshop.yaml": client("demoshop", "demoshop")})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errOut bytes.Buffer
	if code := Main(ctx, []string{root}, strings.NewReader(""), &out, &errOut, func(string) string { return "" }); code == exitFine || out.Len() > 0 {
		t.Errorf("exit code %d, %q", code, out.String())
	}
}
