package report

import (
	"fmt"
	"html"
	"net/url"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// Letter is a mail: one line of subject, and the same words as text and as HTML.
type Letter struct{ Subject, Text, HTML string }

// noticeOrder is how notices are told: providers, since clients wait for them, then clients;
// what is worst first.
func noticeOrder() []state.NoticeWord {
	return []state.NoticeWord{state.NoticeAway, state.NoticeShut, state.NoticeBack, state.NoticeFailed, state.NoticeHeld, state.NoticeDegraded, state.NoticeRecovered}
}

// Notices is the mail of a bulletin. base is the address of our pages; "" gives no links.
// Each notice says first what still works, then why, then one thing to do.
func Notices(b state.Bulletin, base string) Letter {
	l := Letter{Subject: noticeSubject(b)}
	var text, page strings.Builder
	for _, word := range noticeOrder() {
		for _, n := range b.Notices {
			if n.Word == word {
				noticeText(&text, n, base)
				noticeHTML(&page, n, base)
			}
		}
	}
	if more := noticeTotal(b.Counts) - len(b.Notices); more > 0 {
		words := fmt.Sprintf("And %d more; `reconciler status` lists them.", more)
		text.WriteString(words + "\n\n")
		page.WriteString("<p>" + coded(words) + "</p>\n")
	}
	const foot = "Each cause is told once, and that it is over, once. Who gets this stands in notify.mail of reconciler.yaml."
	l.Text = text.String() + "-- \n" + foot + "\n"
	l.HTML = page.String() + "<p style=\"color: #666; font-size: 13px\">" + html.EscapeString(foot) + "</p>\n"
	return l
}

func noticeSubject(b state.Bulletin) string {
	if len(b.Notices) == 1 && noticeTotal(b.Counts) == 1 {
		return noticeTitle(b.Notices[0])
	}
	var providers, clients []string
	for _, word := range noticeOrder() {
		switch n := b.Counts[word]; {
		case n == 0:
		case ofProvider(word):
			providers = append(providers, fmt.Sprintf("%d %s", n, word))
		default:
			clients = append(clients, fmt.Sprintf("%d %s", n, word))
		}
	}
	var parts []string
	if len(providers) > 0 {
		parts = append(parts, "Providers: "+strings.Join(providers, ", "))
	}
	if len(clients) > 0 {
		parts = append(parts, "Clients: "+strings.Join(clients, ", "))
	}
	return strings.Join(parts, ". ")
}

// ofProvider says that a word is about a provider, and not about a client.
func ofProvider(word state.NoticeWord) bool {
	return word == state.NoticeAway || word == state.NoticeShut || word == state.NoticeBack
}

func noticeTotal(counts map[state.NoticeWord]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// noticeTitle is a notice in a line.
func noticeTitle(n state.Notice) string {
	name := Clip(Line(n.Name), 60)
	if n.Name == "" {
		name = "The repository"
	}
	switch n.Word {
	case state.NoticeAway:
		return name + " does not answer"
	case state.NoticeShut:
		return name + " does not let us in"
	case state.NoticeBack:
		return name + " is back"
	case state.NoticeFailed:
		return name + " failed"
	case state.NoticeHeld:
		return name + " waits for you"
	case state.NoticeDegraded:
		return name + " does not answer as it should"
	case state.NoticeRecovered:
		return name + " is well again"
	}
	return name
}

// works says first what still works.
func works(n state.Notice) string {
	switch {
	case n.Word == state.NoticeBack:
		return "What waited for it goes on by itself."
	case ofProvider(n.Word):
		return "What is online stays online. Clients that need it wait; the others go on."
	case n.Name == "":
		return "All sites run as before; new commits wait."
	case n.Word == state.NoticeRecovered:
		return "The site is online, and nothing is left to do."
	case n.Removed:
		return "It is being taken down; its data stays."
	case n.Runs != "":
		return Line(n.Runs)
	case n.Word == state.NoticeDegraded:
		return "Its data and its last version are in place."
	case n.Word == state.NoticeHeld && n.Online:
		return "The site runs as before; what was to change waits."
	case n.Online:
		return "The site still runs its last good version."
	}
	return "It is not online yet; the other clients go on."
}

func noticeText(b *strings.Builder, n state.Notice, base string) {
	b.WriteString(noticeTitle(n) + "\n" + works(n) + "\n")
	if n.Because != "" {
		b.WriteString("Why: " + Line(n.Because) + "\n")
	}
	if n.Next != "" {
		b.WriteString("What to do: " + Line(n.Next) + "\n")
	}
	if to := noticeLink(n, base); to != "" {
		b.WriteString(to + "\n")
	}
	b.WriteString("\n")
}

func noticeHTML(b *strings.Builder, n state.Notice, base string) {
	b.WriteString("<h3>" + html.EscapeString(noticeTitle(n)) + "</h3>\n<p>" + html.EscapeString(works(n)))
	if n.Because != "" {
		b.WriteString("<br>\nWhy: " + html.EscapeString(Line(n.Because)))
	}
	if n.Next != "" {
		b.WriteString("<br>\nWhat to do: " + coded(Line(n.Next)))
	}
	b.WriteString("</p>\n")
	if to := noticeLink(n, base); to != "" {
		b.WriteString(`<p><a href="` + html.EscapeString(to) + `">` + html.EscapeString(to) + "</a></p>\n")
	}
}

// coded is a sentence in which `…` is code.
func coded(s string) string {
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 { // an odd one: nothing is code
		return html.EscapeString(s)
	}
	for i, p := range parts {
		parts[i] = html.EscapeString(p)
		if i%2 == 1 {
			parts[i] = "<code>" + parts[i] + "</code>"
		}
	}
	return strings.Join(parts, "")
}

// noticeLink is where one reads more; "" for nowhere.
func noticeLink(n state.Notice, base string) string {
	if base == "" {
		return ""
	}
	to := strings.TrimSuffix(base, "/") + "/"
	if n.Name != "" && !ofProvider(n.Word) {
		to += "clients/" + url.PathEscape(n.Name)
	}
	if safeURL(to) == "" {
		return ""
	}
	return to
}
