package provider_test

import (
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
)

func TestLine(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"as it is", "een winkel", "een winkel"},
		{"one line", "a\nb\tc\u2028d", "a b c d"},
		{"no escape sequences", "\x1b[31mred\x07", "[31mred"},
		{"no turned reading order", "a\u202eb\u200bc", "abc"},
		{"no broken bytes", "a\xff\xfeb", "ab"},
		{"as long as the limit", strings.Repeat("é", 10), strings.Repeat("é", 10)},
		{"longer", strings.Repeat("é", 11), strings.Repeat("é", 9) + "…"},
		{"much longer", strings.Repeat("x", 1<<20), strings.Repeat("x", 9) + "…"},
		{"nothing", " \n ", ""},
	} {
		if got := provider.Line(c.in, 10); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
