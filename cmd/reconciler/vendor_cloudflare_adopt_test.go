package main

import (
	"fmt"
	"slices"
	"testing"

	cloudflaresim "github.com/compassdigital/reconciler/internal/provider/cloudflare/simulated"
	"github.com/compassdigital/reconciler/internal/state"
)

// Rule "Adoption": where one zone is configured, its records are named without it, as Cloudflare shows them. What was adopted so
// holds its client no more than what is named whole, also after a rebuild, and stays when the client goes.
func TestRuleAdoptionOfARecordWithoutItsZone(t *testing.T) {
	f := newFleet(t, usual(), map[string]string{"clients/keeper.yaml": atVercel("keeper")})
	f.env["CLOUDFLARE_ZONE_ID"] = f.zone()
	host := site("tavern")
	project := f.vercel.Seed("tavern", "compassdigital/storefront", []string{host}, map[string]string{"NEXT_PUBLIC_SERVER_URL": "https://" + host, "PAYLOAD_SECRET": "invented-old-value"})
	id, err := f.cloudflare.Add(cloudflaresim.Record{Zone: f.zone(), Type: "A", Name: host, Content: "76.76.21.21", TTL: 3600})
	if err != nil {
		t.Fatal(err)
	}
	tavern := func(env string) map[string]string {
		return map[string]string{"clients/tavern.yaml": manifestOf("tavern", fmt.Sprintf("adopt: {site: {id: %s}, record: {id: %s}}", project, id),
			"deployment: {provider: vercel, ref: main}", "database: {provider: none}", "env: {DATABASE_URL: {none: true}"+env+"}", "dns: {provider: cloudflare}")}
	}
	f.settle("keeper")
	f.commit(tavern(""))
	f.settle("tavern")
	f.commit(tavern(", STORE_CURRENCY: EUR"))
	f.settle("tavern")
	f.loseState()
	f.rebuilt()
	f.apply()
	if got := f.resources("tavern", state.KindRecord); len(got) != 1 || !got[0].Adopted {
		t.Errorf("after the rebuild on record: %+v", got)
	}
	f.commit(map[string]string{"clients/tavern.yaml": ""})
	f.apply()
	if !slices.ContainsFunc(f.cloudflare.Records(f.zone()), func(r cloudflaresim.Record) bool { return r.ID == id }) {
		t.Error("the record that lived before us is gone")
	}
}
