package bolt

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
	"github.com/compassdigital/reconciler/internal/store/storetest"
)

func clock() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func testKeys(t testing.TB) *secret.Keys {
	t.Helper()
	k, err := secret.Open(secret.KeySource{Env: state.NewSecret("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func options(t testing.TB) Options {
	return Options{Path: filepath.Join(t.TempDir(), "state.db"), Keys: testKeys(t), Now: clock, NoSync: true}
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return mustOpen(t, options(t)) })
}
