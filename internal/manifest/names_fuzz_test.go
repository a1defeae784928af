package manifest

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/net/idna"
)

// Threat 16: a host name that is taken is in one form only: folding it again changes
// nothing, in whatever case and alphabet it is written, so that no two clients have the
// same name in two spellings; it has no wildcard, no address, and no label that only looks
// foreign.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"demoshop.example", "DemoShop.EXAMPLE", "bücher.example", "xn--bcher-kva.example", "*.example", "a..b", "127.0.0.1", "0x7f.1", "аpple.example", "xn--abc-.example", "a_b.example", "ﬀ.example", "shop.example.", "１２７.0.0.1", "ß.example", "a\u200db.example", "a。b", "[::1]", "-a.b", "xn--a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, problem, hint := hostOf(s)
		if problem != "" {
			if host != "" || len(s) > 12 && strings.Contains(problem+hint, s) {
				t.Errorf("%q: %q %q %q", s, host, problem, hint)
			}
			return
		}
		if again, problem, _ := hostOf(host); again != host || problem != "" {
			t.Errorf("%q is %q is %q (%s)", s, host, again, problem)
		}
		if upper, problem, _ := hostOf(strings.ToUpper(host)); upper != host || problem != "" {
			t.Errorf("%q in capitals is %q (%s)", host, upper, problem)
		}
		if len(host) == 0 || len(host) > maxHost || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Errorf("%q is %q", s, host)
		}
		for _, l := range strings.Split(host, ".") {
			if l == "" || len(l) > maxLabel || strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-") {
				t.Errorf("%q has the label %q", host, l)
			}
			if foreign, err := idna.Punycode.ToUnicode(l); strings.HasPrefix(l, "xn--") && (err != nil || strings.Trim(foreign, "abcdefghijklmnopqrstuvwxyz0123456789-") == "") {
				t.Errorf("%q has the label %q, which is %q", host, l, foreign)
			}
		}
		if unicode, err := profile.ToUnicode(host); err != nil {
			t.Errorf("%q can't be shown: %v", host, err)
		} else if back, problem, _ := hostOf(unicode); back != host || problem != "" {
			t.Errorf("%q is shown as %q, which is %q (%s)", host, unicode, back, problem)
		}
	})
}

// FuzzDuration: what is read is written so that it is read as the same; none is negative
// or longer than a lifetime, and an error does not repeat the text.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"30d", "1d12h", "0s", "1h30m", "-1s", "+1d", "36500d", "36501d", "1e3s", "1.5h", "9223372036854775807ns", "1d1d", "٣d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			if d != 0 || !errors.Is(err, errDuration) {
				t.Errorf("%q: %v %v", s, d, err)
			}
			return
		}
		if again, err := ParseDuration(d.String()); err != nil || again != d {
			t.Errorf("%q is %q is %v %v", s, d, again, err)
		}
		if d < 0 || d.Std().Hours() > 2*24*maxDays {
			t.Errorf("%q is %v", s, d)
		}
	})
}
