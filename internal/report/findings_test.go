package report

import (
	"strings"
	"testing"
)

func TestFindings(t *testing.T) {
	all := []Finding{
		{"state", OK, "it is sound", ""},
		{"cloudflare", Fail, "the token\nis \x1b[31mrevoked\u202e", "make another"},
		{"webhook", Warn, strings.Repeat("x", 2*maxFinding), ""},
	}
	want := "ok    state       it is sound\nfail  cloudflare  the token is \\u001b[31mrevoked\\u202e\n                  make another\nwarn  webhook     " + strings.Repeat("x", maxFinding-1) + "…\n"
	if got := Findings(all, Options{}); got != want {
		t.Errorf("%q", got)
	}
	if got := Findings(all[:1], Options{Colour: true}); got != "\x1b[32mok\x1b[0m    state  it is sound\n" {
		t.Errorf("%q", got)
	}
	if Count(all, OK) != 1 || Count(all, Fail) != 1 || Count(nil, Warn) != 0 {
		t.Error("they are counted wrong")
	}
	f := all[1].Clean(func(s string) string { return strings.ReplaceAll(s, "revoked", "(secret)") })
	if strings.Contains(f.Text, "revoked") || strings.ContainsAny(f.Text, "\n\x1b") || all[1].Text == f.Text {
		t.Errorf("%q", f.Text)
	}
}
