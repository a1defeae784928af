package provider_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

func TestMarkAsText(t *testing.T) {
	m := provider.Mark{Installation: "0badcafe", Client: state.ClientID(strings.Repeat("a", 40) + "-1a2b3c"), Generation: 12}
	if len(m.Text()) > 90 || provider.ParseMark(m.Text()) != m {
		t.Errorf("%q is %+v", m.Text(), provider.ParseMark(m.Text()))
	}
	if (provider.Mark{}).Text() != "" || !provider.ParseMark("").IsZero() {
		t.Error("no mark")
	}
	for _, other := range []string{"reconciler", "reconciler:", "reconciler:a/b", "reconciler:a/b/c", "reconciler:a/b/1/2", "reconciler:/b/1", "reconciler:a//1",
		"reconciler:a/b/01", "reconciler:a/b/-1", "reconciler:a/b/+1", " reconciler:a/b/1", "reconciler:a/b/1 and more", "Reconciler:a/b/1"} {
		if got := provider.ParseMark(other); !got.IsZero() {
			t.Errorf("%q is %+v", other, got)
		}
	}
}
