package source

import (
	"fmt"
	"path"
	"strings"
)

// area is what is read of the repository: the clients folder and its two siblings.
type area struct {
	base    string // folder of the three, "" is the root
	clients string // the last part of the clients folder, "" when it is the root itself
}

func newArea(p string) (area, error) {
	c := path.Clean(strings.TrimPrefix(p, "/"))
	if p == "" || c == ".." || strings.HasPrefix(c, "../") || strings.ContainsAny(c, "\\\x00") {
		return area{}, fmt.Errorf("%.100q is not a folder in the repository", p)
	}
	if c == "." {
		return area{}, nil
	}
	base, clients := path.Split(c)
	if clients == "templates" || strings.EqualFold(clients, "platform.yaml") {
		return area{}, fmt.Errorf("the clients folder cannot be named %s", clients)
	}
	return area{base: strings.TrimSuffix(base, "/"), clients: clients}, nil
}

// holds says whether an entry of the base folder is in the area. The platform file's
// misspellings are, so that somebody is told.
func (a area) holds(e entry) bool {
	if a.clients == "" {
		return true
	}
	switch lower := strings.ToLower(e.name); {
	case e.name == a.clients, e.name == "templates":
		return true
	case lower == "platform.yaml", lower == "platform.yml":
		return e.kind != folder
	}
	return false
}

// strays says that a path is a YAML file that lies outside of the area.
func (a area) strays(file string) bool {
	if a.clients == "" {
		return false
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(file, a.base), "/")
	if ext := strings.ToLower(path.Ext(rest)); ext != ".yaml" && ext != ".yml" {
		return false
	}
	first, _, deep := strings.Cut(rest, "/")
	if strings.HasPrefix(rest, ".") || strings.Contains(rest, "/.") || strings.Contains("/"+rest, "/node_modules/") {
		return false
	}
	if deep {
		return first != a.clients && first != "templates"
	}
	return !a.holds(entry{name: first, kind: regular})
}

// show is a path as a text: valid UTF-8 without control characters, different for
// different paths. Bytes of other kinds become \xNN, as does the backslash.
func show(name string) string {
	plain := true
	for _, r := range name {
		plain = plain && r >= ' ' && r != 0x7f && r != '\\' && r != '\ufffd'
	}
	if plain {
		return name
	}
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '\ufffd' && !strings.HasPrefix(name[i:], "\ufffd"), r < ' ', r == 0x7f, r == '\\':
			fmt.Fprintf(&b, "\\x%02x", name[i])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
