package provider_test

import (
	"context"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/memory"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
)

// purging is a provider that keeps copies of pages.
type purging struct {
	provider.Provider
	purged []string
}

func (p *purging) Purge(_ context.Context, hosts []string) error {
	p.purged = append(p.purged, hosts...)
	return nil
}

// What a provider can do beside the contract it can do behind all decorators, too.
func TestDecoratorsHideNothing(t *testing.T) {
	whole := func(p provider.Provider) provider.Provider {
		return provider.Conceal(provider.Bar(provider.Heed(p, time.Now), time.Now, nil), &secret.Redactor{})
	}
	vendor := memory.New(memory.Options{Name: "db", Kinds: memory.Databases()})
	m := provider.Mark{Installation: "abcd1234", Client: "shop-1a2b", Generation: 1}
	ref := state.Ref{Client: m.Client, Kind: state.KindDatabase, Name: "main"}
	o, err := vendor.Create(t.Context(), provider.Wish{Ref: ref, Mark: m, Name: provider.ObjectName(m, ref)})
	if err != nil {
		t.Fatal(err)
	}
	mover, ok := whole(vendor).(provider.Mover)
	if !ok {
		t.Fatal("it can't move databases any more")
	}
	if err := mover.Freeze(t.Context(), o.ID); err != nil || !vendor.World().Frozen(o.ID) {
		t.Errorf("not frozen: %v", err)
	}
	if _, err := mover.Content(t.Context(), o.ID); err != nil {
		t.Error(err)
	}
	path := t.TempDir() + "/dump"
	if err := mover.Dump(t.Context(), o.ID, path); err != nil {
		t.Error(err)
	}
	if err := mover.Load(t.Context(), o.ID, path); err != nil {
		t.Error(err)
	}
	if err := mover.Thaw(t.Context(), o.ID); err != nil || vendor.World().Frozen(o.ID) {
		t.Errorf("frozen: %v", err)
	}
	cache := &purging{Provider: &plain{}}
	purger, ok := whole(cache).(provider.Purger)
	if !ok {
		t.Fatal("it can't forget pages any more")
	}
	if err := purger.Purge(t.Context(), []string{"shop.example"}); err != nil || len(cache.purged) != 1 {
		t.Errorf("purged %v: %v", cache.purged, err)
	}
}

// plain is a provider that can do nothing beside the contract.
type plain struct{ provider.Provider }

func (*plain) Name() string { return "plain" }
