package reconcile_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/accept"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
)

// Threat 16: a plan says of a name below another client's what the merge says, whichever of
// the files comes first and whatever else is changed; and nothing is made of it.
func TestThreat16NestedNamesInAPlan(t *testing.T) {
	for _, name := range []string{"a", "z"} {
		t.Run(name, func(t *testing.T) {
			v, w := newVendors(t)
			w.apply(map[string]string{"clients/victim.yaml": client("victim")})
			v.world.ForgetCalls()
			evil := strings.Replace(client(name), "domain: "+name, "domain: login.victim.agency.example", 1)
			change := map[string]string{"clients/" + name + ".yaml": evil, "clients/victim.yaml": client("victim", "env: {COLOUR: red}")}
			files := []accept.File{{Path: "templates/shop.yaml", Data: []byte(template)}}
			for p, text := range change {
				files = append(files, accept.File{Path: p, Data: []byte(text)})
			}
			p, err := w.engine.PreviewOf(t.Context(), "", files, nil)
			if err != nil {
				t.Fatal(err)
			}
			refused := func(q report.Problem) bool {
				return q.Path == "clients/"+name+".yaml" && q.Line == 4 && strings.Contains(q.Text, "login.victim.agency.example lies below victim.agency.example")
			}
			if len(p.Problems) != 1 || !refused(p.Problems[0]) || len(p.Changes) != 1 || p.Changes[0].Client != "victim" {
				t.Errorf("%+v", p)
			}
			w.apply(change)
			w.want("victim", state.StatusActive)
			if r := w.want(name, state.StatusInvalid); !strings.Contains(r.Because, "login.victim.agency.example lies below") {
				t.Errorf("%+v", r)
			}
			if _, serves := v.world.Serves("login.victim.agency.example"); serves || len(v.world.Resolves("login.victim.agency.example")) > 0 {
				t.Error("it was made")
			}
		})
	}
}
