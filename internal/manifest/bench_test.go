package manifest_test

import (
	"fmt"
	"testing"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// BenchmarkCheckTree decodes every manifest of a tree strictly and holds it, and all of
// them together, against every rule.
func BenchmarkCheckTree(b *testing.B) {
	const shop = "apiVersion: reconciler/v1\nkind: Template\nname: shop\nsource: {repository: agency/shop, ref: v1}\n"
	for _, n := range []int{1_000, 10_000} {
		files := []manifest.File{{Path: "templates/shop.yaml", Data: []byte(shop)}}
		for i := range n {
			name := fmt.Sprintf("c%05d", i)
			text := fmt.Sprintf("apiVersion: reconciler/v1\nkind: Client\nname: %s\ndomain: %s\ntemplate: shop\ncontact: {name: Dana, email: owner@%s.example}\nenv: {STORE_CURRENCY: EUR, COLOUR: red}\n", name, name, name)
			files = append(files, manifest.File{Path: "clients/" + name + ".yaml", Data: []byte(text)})
		}
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			defaults := manifest.Defaults{BaseDomain: "agency.example", Deployment: "vercel", Database: "railway", DNS: "cloudflare"}
			for b.Loop() {
				all, problems := manifest.CheckTree(manifest.LayoutOf("clients"), files, defaults)
				if len(all) != n || problems.Failed() {
					b.Fatalf("%d wishes, %v", len(all), problems)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/client")
		})
	}
}
