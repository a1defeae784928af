package report

import (
	"net/url"
	"strconv"
	"strings"
)

// maxURL is the longest address that becomes a link, in bytes.
const maxURL = 2_000

// Repo is where the files of a pull request are shown and edited.
type Repo struct {
	View string // a file at the head: https://github.com/o/r/blob/SHA; "" is no link
	Edit string // the page that edits it: https://github.com/o/r/edit/BRANCH; "" is no link
}

func (r Repo) view(path string, line int) string { return fileURL(r.View, path, line) }
func (r Repo) edit(path string, line int) string { return fileURL(r.Edit, path, line) }

// fileURL is the address of a file's line below a prefix. The path is somebody else's: no
// part of it leaves the prefix.
func fileURL(prefix, path string, line int) string {
	if prefix == "" || path == "" {
		return ""
	}
	out := strings.TrimSuffix(prefix, "/")
	for _, part := range strings.Split(path, "/") {
		if part == "" || part == "." || part == ".." {
			return ""
		}
		out += "/" + url.PathEscape(part)
	}
	if line > 0 {
		out += "#L" + strconv.Itoa(line)
	}
	return out
}

// safeURL is an address that may be followed, with all that Markdown or HTML could read
// written another way; "" for what is no plain http(s) address.
func safeURL(s string) string {
	if s == "" || len(s) > maxURL {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.Opaque != "" {
		return ""
	}
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~:/?#=%,;+!$@", c) >= 0:
			b.WriteByte(c)
		case c == '&':
			b.WriteString("&amp;")
		default:
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// href is a link with a label that went through a door already; without an address that
// may be followed it is the label alone.
func href(label, to string) string {
	if to = safeURL(to); to == "" {
		return label
	}
	return "[" + label + "](<" + to + ">)"
}

// prose is their sentence in which `…` is code: what the planner and the engine advise. On
// a pull request the commands of the terminal that have a form there are shown in it.
func prose(s string) string {
	parts := strings.Split(Line(s), "`")
	if len(parts)%2 == 0 { // an odd one: nothing is code
		return Text(s)
	}
	var b strings.Builder
	for i, p := range parts {
		if i%2 == 0 {
			b.WriteString(prosaic(p, b.Len() == 0))
			continue
		}
		for _, verb := range []string{"retry", "approve"} {
			if strings.HasPrefix(p, "reconciler "+verb+" ") {
				p = "/" + p
			}
		}
		b.WriteString(Code(p))
	}
	return b.String()
}
