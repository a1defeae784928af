package provider_test

import (
	"context"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// talking is a provider that remarks on each delete.
type talking struct{ provider.Provider }

func (talking) Delete(ctx context.Context, _ state.Kind, id string) error {
	provider.Tell(ctx, "%s is erased,\nand pssst-word-771 with it%s", id, strings.Repeat(" x", 1000))
	return nil
}

// masking knows one secret.
type masking struct{}

func (masking) Add(state.Secret) {}
func (masking) Redact(text string) string {
	return strings.ReplaceAll(text, "pssst-word-771", state.Redacted)
}

// P10: what a provider remarks comes as one bounded line, without secrets; where nobody
// listens it goes nowhere.
func TestP10Remarks(t *testing.T) {
	p := provider.Conceal(talking{}, masking{})
	var heard []string
	ctx := provider.Listening(t.Context(), func(text string) { heard = append(heard, text) })
	for _, ctx := range []context.Context{ctx, t.Context()} {
		if err := p.Delete(ctx, state.KindDatabase, "shop"); err != nil {
			t.Fatal(err)
		}
	}
	if len(heard) != 1 || !strings.HasPrefix(heard[0], "shop is erased, and "+state.Redacted+" with it x x") || len([]rune(heard[0])) > 600 || strings.Contains(heard[0], "\n") {
		t.Errorf("heard %q", heard)
	}
}
