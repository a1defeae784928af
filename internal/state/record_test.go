package state

import (
	"strings"
	"testing"
)

func TestRecordContent(t *testing.T) {
	long := strings.Repeat("k", 300)
	for _, c := range []struct{ kind, is, want string }{
		{"A", "192.0.2.7", "192.0.2.7"},
		{"A", "2001:db8::1", "2001:db8::1"}, // no address of the kind: as it is
		{"AAAA", "2001:0DB8:0::1", "2001:db8::1"},
		{"CNAME", "Shop.Example.", "shop.example"},
		{"CNAME", "bücher.example", "xn--bcher-kva.example"},
		{"CNAME", "_ab.Verify.example", "_ab.verify.example"},
		{"MX", "MX.Example.", "mx.example"},
		{"MX", ".", "."},
		{"SRV", "05  443 Sip.Example.", "5 443 sip.example"},
		{"SRV", "5 443", "5 443"},
		{"CAA", "0 issue ca.example", `0 issue "ca.example"`},
		{"CAA", `00 ISSUE "ca.example; a=B"`, `0 issue "ca.example; a=B"`},
		{"CAA", "0 issue", "0 issue"},
		{"TXT", "v=spf1 -all", "v=spf1 -all"},
		{"TXT", `"v=spf1 -all"`, "v=spf1 -all"},
		{"TXT", `"one"   "two"`, `"one" "two"`},
		{"TXT", `"say \"hi\" \\ \065"`, `say "hi" \ A`},
		{"TXT", `"\"quoted\""`, `"\"quoted\""`},
		{"TXT", `""`, `""`},
		{"TXT", `"open`, `"open`},
		{"TXT", `"` + long[:255] + `" "` + long[255:] + `"`, long},
		{"TXT", long, long},
		{"LOC", "AS IS.", "AS IS."},
		{"CNAME", "A..", "A.."},
		{"CNAME", ".", "."},
		{"CNAME", "Ü.example\u3002", "xn--tda.example"},
		{"MX", "\xbe.Example.", "\xbe.Example."},
	} {
		if got := RecordContent(c.kind, c.is); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.kind, c.is, got, c.want)
		}
	}
}

// The one spelling has no other; a text in quotes says what it said.
func FuzzRecordContent(f *testing.F) {
	for _, s := range []string{"", "a", `"a" "b"`, `"\"x"`, `"\300\""`, "0 issue x", "1 2 A.", "Ü.example.", `"` + strings.Repeat("x", 600) + `"`, "\"\\\x00\""} {
		for _, kind := range []string{"A", "AAAA", "CNAME", "TXT", "CAA", "SRV", "MX"} {
			f.Add(kind, s)
		}
	}
	f.Fuzz(func(t *testing.T, kind, content string) {
		once := RecordContent(kind, content)
		if again := RecordContent(kind, once); again != once {
			t.Fatalf("%s %q is %q, and that is %q", kind, content, once, again)
		}
		if kind != "TXT" {
			return
		}
		parts, ok := TXTStrings(content)
		if !ok {
			return
		}
		if back, ok := TXTStrings(QuoteTXT(parts)); !ok || strings.Join(back, "\x01") != strings.Join(parts, "\x01") {
			t.Fatalf("%q in quotes is %q", parts, back)
		}
		if sent := RecordContent(kind, QuotedTXT(content)); sent != once && !strings.HasPrefix(once, `"`) {
			t.Fatalf("%q as it is sent is %q, want %q", content, sent, once)
		}
	})
}
