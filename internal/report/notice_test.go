package report

import (
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

func bulletins() map[string]state.Bulletin {
	at := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	one := func(word state.NoticeWord, online bool, because, next string) state.Notice {
		return state.Notice{Name: "onda", Word: word, Online: online, Because: because, Next: next, At: at}
	}
	return map[string]state.Bulletin{
		"failed": {Seq: 1, At: at, Counts: map[state.NoticeWord]int{state.NoticeFailed: 1},
			Notices: []state.Notice{one(state.NoticeFailed, true, "deploy: the build failed at step 3", "mend it and push, or `reconciler retry onda`")}},
		"many": {Seq: 2, At: at, Counts: map[state.NoticeWord]int{state.NoticeFailed: 40, state.NoticeHeld: 2, state.NoticeDegraded: 1, state.NoticeRecovered: 1},
			Notices: []state.Notice{one(state.NoticeFailed, false, "database: the quota is used up", "`reconciler retry onda`"), one(state.NoticeHeld, true, "its database would go", "`reconciler approve 9f3a`"),
				{Word: state.NoticeHeld, Because: "12 clients would go at once", Next: "`reconciler approve 9f3b`"}, one(state.NoticeDegraded, true, "it answers 500", "look at its log"), one(state.NoticeRecovered, true, "", "")}},
		"outages": {Seq: 4, At: at, Counts: map[state.NoticeWord]int{state.NoticeAway: 1, state.NoticeShut: 1, state.NoticeBack: 1, state.NoticeFailed: 1},
			Notices: []state.Notice{{Name: "cloudflare", Word: state.NoticeAway, Because: "5 requests in a row failed", Next: "nothing", At: at}, {Name: "ploi", Word: state.NoticeShut, Because: "<b>Unauthenticated</b>\n-- ", Next: "`reconciler doctor`", At: at},
				{Name: "vercel", Word: state.NoticeBack, Because: "it did not answer from 08:00 to 09:00", At: at}, one(state.NoticeFailed, true, "deploy: the build failed", "mend it")}},
		"hostile": {Seq: 3, At: at, Counts: map[state.NoticeWord]int{state.NoticeFailed: 1}, Notices: []state.Notice{{Name: "onda\r\nBcc: all@visitor.example", Word: state.NoticeFailed,
			Because: "<script>alert(1)</script>\x1b[2J \u202e`<b>`\n-- \nclick https://visitor.example", Next: "`<img src=x>` & \"then\" `", At: at}}},
	}
}

// The mails as people get them.
func TestNotices(t *testing.T) {
	var out strings.Builder
	for _, name := range []string{"failed", "many", "outages", "hostile"} {
		l := Notices(bulletins()[name], "https://reconciler.acme.example/")
		out.WriteString("=== " + name + ": " + l.Subject + "\n" + l.Text + "--- HTML\n" + l.HTML)
	}
	golden(t, "notices.txt", out.String())
}

// Whatever was written elsewhere is text: no tag, no line, no header of its own.
func TestNoticesAreOnlyOurs(t *testing.T) {
	for name, b := range bulletins() {
		for _, base := range []string{"", "javascript:alert(1)//", "https://reconciler.acme.example"} {
			l := Notices(b, base)
			if strings.ContainsAny(l.Subject, "\r\n\x1b\u202e") || strings.ContainsAny(l.Text+l.HTML, "\x1b\u202e\r") || strings.Contains(l.HTML, "<script") || strings.Contains(l.HTML, "<img") || strings.Contains(l.HTML, `href="javascript`) {
				t.Errorf("%s: %q\n%s", name, l.Subject, l.HTML)
			}
			if strings.HasPrefix(base, "https") != strings.Contains(l.HTML, "href=") {
				t.Errorf("%s: links to %q: %s", name, base, l.HTML)
			}
		}
	}
}
