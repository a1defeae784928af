package reconcile_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/plan"
)

// onDisk writes files as a clone has them.
func onDisk(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for p, text := range files {
		path := filepath.Join(root, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// fromDisk reads them again.
func fromDisk(t testing.TB, root string) []accept.File {
	t.Helper()
	var out []accept.File
	for _, folder := range []string{"templates", "clients"} {
		entries, err := os.ReadDir(filepath.Join(root, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(root, folder, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, accept.File{Path: folder + "/" + e.Name(), Blob: blobOf(string(data)), Data: data})
		}
	}
	return out
}

// BenchmarkPlanTree plans a whole tree as `plan --dir` does: every file is read and
// hashed, decoded strictly, held against every rule, made into resources, and planned
// in front of what is on record: nothing, so that every client has all of its resources
// to make.
func BenchmarkPlanTree(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("cold/clients=%d", n), func(b *testing.B) {
			_, w := newVendors(b)
			files := names(n)
			files["templates/shop.yaml"] = template
			root := onDisk(b, files)
			began := cpu(b)
			for b.Loop() {
				p, err := w.engine.PreviewOf(b.Context(), "", fromDisk(b, root), nil)
				if err != nil || len(p.Changes) != n || len(p.Problems) > 0 {
					b.Fatalf("%d changes, %d problems, %v", len(p.Changes), len(p.Problems), err)
				}
			}
			b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(b.N*n), "cpu-µs/client")
		})
	}
}

// terraformMain is the same fleet as a careful user of Terraform writes it: one module a
// client over the same files, with as many built-in resources as the engine makes of a
// client, and no provider or network at all.
const terraformMain = `locals { files = fileset("${path.module}/clients", "*.yaml") }
module "client" {
  for_each = local.files
  source   = "./client"
  wish     = yamldecode(file("${path.module}/clients/${each.value}"))
}
`

const terraformClient = `variable "wish" { type = any }
resource "terraform_data" "part" {
  for_each = toset([%s])
  input    = "${each.key} of ${var.wish.name} at ${var.wish.domain}"
}
`

// made are the resources that the engine makes of a new client, as quoted strings.
func made(t testing.TB, w *world) []string {
	t.Helper()
	files := []accept.File{{Path: "templates/shop.yaml", Data: []byte(template)}, {Path: "clients/c00000.yaml", Data: []byte(client("c00000"))}}
	p, err := w.engine.PreviewOf(t.Context(), "", files, nil)
	if err != nil || len(p.Changes) != 1 {
		t.Fatalf("%d changes, %v", len(p.Changes), err)
	}
	var out []string
	for _, s := range p.Changes[0].Steps {
		if s.Action == string(plan.Create) {
			out = append(out, fmt.Sprintf("%q", s.Ref))
		}
	}
	return out
}

// BenchmarkTerraformPlan plans the fleet with terraform right beside the engine, where
// terraform is on PATH. It was not measured where it says that it was skipped.
func BenchmarkTerraformPlan(b *testing.B) {
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		b.Skip("terraform is not on PATH: no comparison was run")
	}
	const n = 1_000
	files := names(n)
	_, w := newVendors(b)
	parts := made(b, w)
	files["main.tf"], files["client/main.tf"] = terraformMain, fmt.Sprintf(terraformClient, strings.Join(parts, ", "))
	files["templates/shop.yaml"] = template
	root := onDisk(b, files)
	run := func(args ...string) {
		ctx, cancel := context.WithTimeout(b.Context(), 20*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, terraform, args...)
		c.Dir = root
		if out, err := c.CombinedOutput(); err != nil {
			b.Fatalf("terraform %v: %v\n%s", args, err, out)
		}
	}
	run("init", "-input=false", "-no-color")
	var theirs, ours, theirCPU, ourCPU time.Duration
	for b.Loop() {
		began, computed := time.Now(), usage(b, syscall.RUSAGE_CHILDREN)
		run("plan", "-input=false", "-no-color", "-lock=false")
		theirs += time.Since(began)
		theirCPU += usage(b, syscall.RUSAGE_CHILDREN) - computed
		began, computed = time.Now(), cpu(b)
		p, err := w.engine.PreviewOf(b.Context(), "", fromDisk(b, root), nil)
		if err != nil || len(p.Changes) != n {
			b.Fatalf("%d changes, %v", len(p.Changes), err)
		}
		ours += time.Since(began)
		ourCPU += cpu(b) - computed
	}
	b.ReportMetric(theirCPU.Seconds()/ourCPU.Seconds(), "terraform/ours-cpu")
	b.ReportMetric(float64(len(parts)), "resources/client")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "terraform/ours")
	b.ReportMetric(ours.Seconds()/float64(b.N), "ours-s")
	b.ReportMetric(theirs.Seconds()/float64(b.N), "terraform-s")
}
