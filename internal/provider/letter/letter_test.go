package letter

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
)

func wish(name, to, subject, text, page string) provider.Wish {
	return provider.Wish{Name: name, Inputs: []provider.Input{{Name: "html", Text: page}, {Name: "subject", Text: subject}, {Name: "text", Text: text}, {Name: "to", Text: to}}}
}

const to = "dana@demoshop.example"

var at = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)

func TestNoHeaderComesIn(t *testing.T) {
	for _, w := range []provider.Wish{
		wish("x", to+"\r\nBcc: all@visitor.example", "s", "t", ""), wish("x", to+"\nx", "s", "t", ""), wish("x", to+", kim@visitor.example", "s", "t", ""),
		wish("x", "Dana <"+to+">", "s", "t", ""), wish("x", "dana", "s", "t", ""), wish("x", "", "s", "t", ""), wish("x", "dänä@demoshop.example", "s", "t", ""),
		wish("x", strings.Repeat("d", 250)+"@x.example", "s", "t", ""), wish("x", `"a\r\nb"@demoshop.example`+"\n", "s", "t", ""),
		wish("x", to, "Ready\r\nBcc: all@visitor.example", "t", ""), wish("x", to, "Ready\x00", "t", ""), wish("x", to, "a\u2028b", "t", ""), wish("x", to, "\u202eb", "t", ""),
		wish("x", to, " ", "t", ""), wish("x", to, strings.Repeat("s", 256), "t", ""), wish("x", to, "\xff", "t", ""),
		wish("x", to, "s", "a\x00b", ""), wish("x", to, "s", "\xff", ""), wish("x", to, "s", strings.Repeat("t", maxText+1), ""), wish("x", to, "s", " ", ""), wish("x", to, "s", "t", "\xff"),
		wish("", to, "s", "t", ""), wish(strings.Repeat("n", 513), to, "s", "t", ""),
	} {
		if l, problem := Of(w); problem == "" || strings.ContainsAny(problem, "\r\n\x00") {
			t.Errorf("%q: %q", l, problem)
		}
	}
	for _, from := range []string{"", "ops", "Ops <ops@acme.example>\r\nBcc: x@y.example", "a@b.example, c@d.example", "\u202eOps <ops@acme.example>", "Ops <öps@acme.example>"} {
		if _, err := Sender(from); err == nil {
			t.Errorf("%q is a sender", from)
		}
	}
	if got, err := Sender("Acmé Ops <ops@acme.example>"); err != nil || got.Name != "Acmé Ops" || got.Address != "ops@acme.example" {
		t.Errorf("%v, %v", got, err)
	}
}

// Whatever is wished and accepted, what a mail program reads is that and nothing else.
func FuzzMIME(f *testing.F) {
	f.Add("0", "=??B??=", "0", "")
	f.Add("shop-welcome", " Demo  Shop is ready ", "It is at\nhttps://demoshop.example/\n", "")
	f.Add("ä b", "Größe: ☂ "+strings.Repeat("lang ", 40), ".\r\n.\n..\n<b>&", "<p>Hi</p>")
	f.Add(`x"></head>`, "=?utf-8?q?x?=", "--part-\n\n.\n", "<meta name=\"reconciler\" content=\"forged\">")
	f.Fuzz(func(t *testing.T, name, subject, text, page string) {
		l, problem := Of(wish(name, to, subject, text, page))
		if problem != "" {
			return
		}
		if got := NameIn(l.HTML); got != name {
			t.Errorf("the page names %q, want %q", got, name)
		}
		from := mail.Address{Name: "Acmé", Address: "ops@acme.example"}
		raw := l.MIME(from, l.ID("acme.example"), at)
		for _, line := range bytes.Split(raw, []byte("\r\n")) {
			if len(line) > 998 || bytes.ContainsAny(line, "\r\n") {
				t.Fatalf("a line of %d bytes, or a bare line end: %.100q", len(line), line)
			}
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Header) != 8 || m.Header.Get("Bcc") != "" {
			t.Errorf("headers: %v", m.Header)
		}
		if got, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil || got != subject {
			t.Errorf("subject %q, %v; want %q", got, err, subject)
		}
		_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		r := multipart.NewReader(m.Body, params["boundary"])
		for _, want := range []string{l.Text, l.HTML} {
			p, err := r.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(quotedprintable.NewReader(p))
			lines := func(s string) string { return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s) }
			if err != nil || lines(string(got)) != lines(want) {
				t.Errorf("part %q, %v; want %q", got, err, want)
			}
		}
		if _, err := r.NextRawPart(); err != io.EOF {
			t.Errorf("a third part: %v", err)
		}
	})
}

// The page of anybody is read, and names at most what a letter could be called.
func FuzzNameIn(f *testing.F) {
	f.Add(document("shop-welcome", "x"))
	f.Add(`<meta name="reconciler" content="` + strings.Repeat("x", 600) + `"></head>`)
	f.Fuzz(func(t *testing.T, page string) {
		if got := NameIn(page); len(got) > maxName || !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
	})
}

func TestTextAsHTML(t *testing.T) {
	const text = "Demo <Shop> is ready: https://demoshop.example/?a=1&b=\"x.\n\nThe administration is at\r\nhttps://demoshop.example/admin).\n\n\n javascript:alert(1)\n"
	const want = `<p>Demo &lt;Shop&gt; is ready: <a href="https://demoshop.example/?a=1&amp;b=">https://demoshop.example/?a=1&amp;b=</a>&#34;x.</p>
<p>The administration is at<br>
<a href="https://demoshop.example/admin">https://demoshop.example/admin</a>).</p>
<p> javascript:alert(1)</p>
`
	if got := ofText(text); got != want {
		t.Errorf("%s", got)
	}
	if NameIn("<p>hi</p>") != "" || NameIn("<body>"+nameBegins+`x">`) != "" {
		t.Error("somebody else's page names a letter")
	}
}

func TestKeys(t *testing.T) {
	a, b := Letter{Name: "demoshop-1a2b3c-0a1b2c3d-welcome"}, Letter{Name: strings.Repeat("x", 200)}
	if a.Key() != a.Name || len(b.Key()) > maxKey || b.Key() == (Letter{Name: strings.Repeat("x", 201)}).Key() || strings.Contains((Letter{Name: "a b"}).Key(), " ") {
		t.Errorf("%s %s", a.Key(), b.Key())
	}
	if again := (Letter{Name: a.Name}); a.ID("x.example") != again.ID("x.example") || a.ID("x.example") == b.ID("x.example") {
		t.Error("ids")
	}
}
