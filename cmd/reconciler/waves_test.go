package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestExploreWaves(t *testing.T) {
	files := map[string]string{}
	for i := range 40 {
		name := fmt.Sprintf("c%02d", i)
		files["clients/"+name+".yaml"] = manifestOf(name, "deployment: {timeout: 2h}")
	}
	w := newWorld(t, files)
	w.configure("guard: {maxChanged: 5, maxCreates: 100}")
	w.start()
	w.active("c00", "c39")
	w.commit(map[string]string{"templates/ecommerce.yaml": strings.Replace(shopTemplate, "path: /api/health", "path: /api/helth", 1)})
	w.apply()
	t.Log(w.cli("status").out)
	t.Log(w.must(0, "why", "c00").out)
	t.Log(w.must(0, "why", "c30").out)
	w.commit(map[string]string{"templates/ecommerce.yaml": strings.Replace(shopTemplate, "directory: ecommerce", "directory: ecomerce", 1)})
	w.apply()
	t.Log(w.cli("status").out)
	t.Log(w.must(0, "why", "c00").out)
	t.Log(w.must(0, "why", "c30").out)
	_, page := w.get("localhost", "/")
	t.Log(page[:6000])
	_, page = w.get("localhost", "/clients/c30")
	t.Log(page)
}
