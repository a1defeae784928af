package main

import (
	"testing"
	"time"
)

func TestFleetSmoke(t *testing.T) {
	f := newFleet(t, kindness{work: 2 * time.Second, build: 10 * time.Second, haste: 200}, map[string]string{"clients/demoshop.yaml": atPloi("demoshop"), "clients/bakery.yaml": atVercel("bakery")})
	f.settle("demoshop", "bakery")
	for _, x := range f.sent.since(0) {
		t.Log(x)
	}
	for _, h := range []string{"demoshop", "bakery"} {
		t.Log(f.visit(h+"."+agencyZone, "/"))
	}
}
