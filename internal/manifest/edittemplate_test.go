package manifest

import (
	"errors"
	"testing"
)

// A template's ref is changed as a manifest's values are: that one value, and nothing that
// breaks a rule.
func TestEditTemplate(t *testing.T) {
	const text = "# ours\nname: shop\nsource: {repository: acme/shop, ref: 'v1', directory: .} # the shop\nbuild: {command: pnpm build}\n"
	for _, c := range []struct{ ref, want string }{
		{"v2", "# ours\nname: shop\nsource: {repository: acme/shop, ref: 'v2', directory: .} # the shop\nbuild: {command: pnpm build}\n"},
		{"1.10", "# ours\nname: shop\nsource: {repository: acme/shop, ref: '1.10', directory: .} # the shop\nbuild: {command: pnpm build}\n"},
		{"-x", ""},
		{"a b", ""},
	} {
		got, line, err := EditTemplate("templates/shop.yaml", []byte(text), Change{At: "source.ref", Value: c.ref, Add: true})
		if string(got) != c.want || line != 3 || (c.want == "") != errors.Is(err, ErrByHand) {
			t.Errorf("%s: line %d, %v\n%s", c.ref, line, err, got)
		}
	}
	if got, _, err := EditTemplate("templates/shop.yaml", []byte("name: shop\nsource: {repository: acme/shop}\n"), Change{At: "source.ref", Value: "v2", Add: true}); err != nil || string(got) != "name: shop\nsource: {repository: acme/shop, ref: v2}\n" {
		t.Errorf("%v\n%s", err, got)
	}
}
