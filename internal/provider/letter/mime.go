package letter

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"
)

// maxEncoded is how many bytes of a text one encoded word holds: it may be 75 characters long
// (RFC 2047 section 2).
const maxEncoded = 45

// MIME is the letter as a message: headers, and a text with its HTML as the alternative.
// Lines end in CRLF; no line begins the end of a message by itself: that is the sender's to
// escape.
func (l Letter) MIME(from mail.Address, id string, at time.Time) []byte {
	var b bytes.Buffer
	boundary := "part-" + Hash(l.Name)
	header := func(name, value string) { b.WriteString(name + ": " + value + "\r\n") }
	header("Date", at.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	header("From", fold(from.String()))
	header("To", "<"+l.To+">")
	header("Subject", fold(encoded(l.Subject)))
	header("Message-ID", "<"+id+">")
	header("Auto-Submitted", "auto-generated") // RFC 3834: nobody's holiday notice answers it
	header("MIME-Version", "1.0")
	header("Content-Type", `multipart/alternative; boundary="`+boundary+`"`)
	ends := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	for _, part := range []struct{ kind, text string }{{"text/plain", l.Text}, {"text/html", l.HTML}} {
		fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary, part.kind)
		w := quotedprintable.NewWriter(&b)
		_, _ = w.Write([]byte(ends.Replace(part.text))) // a bytes.Buffer takes all
		_ = w.Close()
	}
	b.WriteString("\r\n--" + boundary + "--\r\n")
	return b.Bytes()
}

// encoded is a text as a header's value. What is not plain, or looks as if it were encoded, is
// encoded: it is read as it was meant.
func encoded(text string) string {
	if !strings.ContainsFunc(text, notASCII) && !strings.Contains(text, "=?") && text == strings.Join(strings.Fields(text), " ") {
		return text
	}
	var words []string
	for text != "" {
		n := min(len(text), maxEncoded)
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n--
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(text[:n]))+"?=")
		text = text[n:]
	}
	return strings.Join(words, " ")
}

// fold breaks a header between its words: encoded ones have at most 75 characters each, and
// a line at most 998 (RFC 5322 section 2.1.1).
func fold(value string) string {
	words := strings.Split(value, " ")
	out, width := words[0], len(words[0])+len("Subject: ")
	for _, w := range words[1:] {
		if width+1+len(w) > 76 && w != "" {
			out, width = out+"\r\n "+w, len(w)+1
			continue
		}
		out, width = out+" "+w, width+1+len(w)
	}
	return out
}
