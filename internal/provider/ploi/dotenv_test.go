package ploi

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// What is not ours stays byte for byte; what is set is changed where it stands.
func TestSplice(t *testing.T) {
	const before = "# the shop\nAPP_NAME=\"Dana's  Shop\"   # shown\n\nexport  TOKEN = abc # old\nKEY='-----BEGIN\nA=1\n-----END'\nGONE=1\nGONE=2\nTWICE=1\nTWICE=2\nno line of a variable\nLAST=x"
	got := splice(before, []pair{{"TOKEN", "it's \"$5\""}, {"TWICE", "3"}, {"APP_NAME", "Dana's  Shop"}, {"NEW", ""}, {"PLAIN", "https://a.example/?b=c"}, {"MORE", "a b\nc"}}, []string{"GONE"})
	want := "# the shop\nAPP_NAME=\"Dana's  Shop\"   # shown\n\nTOKEN=\"it's \\\"\\$5\\\"\"\nKEY='-----BEGIN\nA=1\n-----END'\nTWICE=3\nno line of a variable\nLAST=x\nNEW=\nPLAIN='https://a.example/?b=c'\nMORE=\"a b\\nc\"\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Next.js takes $NAME for the value of another variable, in single quotes, too, and reads \$ as a
// dollar in every kind of quotes (@next/env 16.4.6: 'pa$$w0rd' is "pa$", "pa\$\$w0rd" is pa$$w0rd). So do
// shells and phpdotenv read double quotes.
func TestADollarIsNoOtherVariable(t *testing.T) {
	for value, want := range map[string]string{
		"pa$$w0rd":   `"pa\$\$w0rd"`,
		"abc$DEF":    `"abc\$DEF"`,
		"${x}":       `"\${x}"`,
		"it's $5":    `"it's \$5"`,
		"5 $":        `'5 $'`,
		"a$/b":       `'a$/b'`,
		`{"a":"$x"}`: `'{"a":"$x"}'`, // no spelling is read alike by all
		"`x` $y":     "'`x` $y'",     // a shell would run it
	} {
		if got := enquote(value); got != want {
			t.Errorf("%q is written as %s, want %s", value, got, want)
		}
		if all := cut("A=" + enquote(value) + "\n"); len(all) != 1 || all[0].value != value {
			t.Errorf("%q reads back as %+v", value, all)
		}
	}
}

// A foreign quote that never ends is not ended by what is set: that would take lines away from
// whoever reads the file.
func TestSpliceEndsNoForeignQuote(t *testing.T) {
	for _, c := range []struct{ before, value, want string }{
		{"A=\"\nC=1\n", "say \"hi\"", "B='say \"hi\"'\nA=\"\nC=1\n"},
		{"X=1\nA='x\nB=1\nC=1", "it's", "X=1\nB=\"it's\"\nA='x\nC=1"},
		{"A=\"x\n", "plain", "A=\"x\nB=plain\n"},
		{"A=\"x", "plain", "A=\"x\nB=plain\n"},
		{"B=\"x\nC=1\n", "it's", "B=\"it's\"\nC=1\n"},
	} {
		if got := splice(c.before, []pair{{"B", c.value}}, nil); got != c.want {
			t.Errorf("%q with %q: %q, want %q", c.before, c.value, got, c.want)
		}
	}
}

// Laws: the statements are the file; foreign ones stay as they are, in their order; what is
// set reads back, what is dropped is gone; again changes nothing.
func FuzzSplice(f *testing.F) {
	f.Add("A=1\nB='x\ny'\n# c\n", "A", "it's", "B", "Z", "\"q\" $x \\ `t`")
	f.Add("A=\"never ends\nB=2\r\nexport C=3", "C", "", "A", "D", " # no comment ")
	f.Add("", "A", "\n", "", "B", "ä\u2028")
	f.Fuzz(func(t *testing.T, text, name, value, gone, other, second string) {
		all := cut(text)
		var whole strings.Builder
		for _, s := range all {
			whole.WriteString(s.text)
		}
		if whole.String() != text {
			t.Fatalf("the statements of %q are %q", text, whole.String())
		}
		set := []pair{{name, value}, {other, second}}
		if checkPair(set[0]) != nil || checkPair(set[1]) != nil || name == other || gone == name || gone == other || gone == "" || !utf8.ValidString(value+second) {
			return
		}
		got := splice(text, set, []string{gone})
		after := cut(got)
		foreign := func(in []statement) (out []string) {
			for _, s := range in {
				if s.name != name && s.name != other && s.name != gone {
					out = append(out, strings.TrimSuffix(s.text, "\n"))
				}
			}
			return out
		}
		if a, b := foreign(all), foreign(after); !slices.Equal(a, b) {
			t.Errorf("foreign lines were %q and are %q", a, b)
		}
		for _, v := range set {
			if now, ok := valueOf(after, v.name); !ok || now != v.value {
				t.Errorf("%s=%q reads back as %q in %q", v.name, v.value, now, got)
			}
		}
		if _, ok := valueOf(after, gone); ok {
			t.Errorf("%s is still in %q", gone, got)
		}
		if again := splice(got, set, []string{gone}); again != got {
			t.Errorf("again: %q, was %q", again, got)
		}
	})
}
