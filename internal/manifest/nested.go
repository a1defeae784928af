package manifest

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Who has a name decides what is below it: a site there shares its cookies and, to the
// people who read it, its good name. So of two names that lie one below the other both are
// one client's. Only the platform's base domain is shared: what is below it lies below
// nobody's name, whoever has the base domain's own parents.

// BaseDomain is what one-label domains are below, in A-label form; "" for none.
func (c Context) BaseDomain() string {
	base := c.Defaults.BaseDomain
	if c.Platform != nil && c.Platform.BaseDomain != "" {
		base = c.Platform.BaseDomain
	}
	if folded, problem, _ := hostOf(base); problem == "" {
		return folded
	}
	return base
}

// Above are the names that a host name lies below and that can be somebody's, the nearest
// first.
func Above(host, base string) []string {
	var out []string
	for {
		_, rest, _ := strings.Cut(host, ".")
		if !strings.Contains(rest, ".") || rest == base {
			return out
		}
		out = append(out, rest)
		host = rest
	}
}

// within says that a name lies below another.
func within(host, parent string) bool { return parent != "" && strings.HasSuffix(host, "."+parent) }

// public says that anybody may register names right below this one (co.uk, github.io), as
// the list of publicsuffix.org has it.
func public(host string) bool {
	suffix, _ := publicsuffix.PublicSuffix(host)
	return suffix == host
}

// Ranks says who comes first where two ask for a name, as a rank of NewCheck: what did not
// change, then what changed and asks for no name that it didn't have, then what else
// changed, then what is new. before are the manifests that were accepted, by client; a file
// with another name is of the client that it says it was, unless that has a file of its own.
func Ranks(before map[string][]byte, files []File, l Layout) func(path string) int {
	now := map[string]bool{}
	for _, f := range files {
		now[clientOf(f.Path)] = true
	}
	rank := map[string]int{}
	for _, f := range files {
		if l.Classify(f.Path) == ClassClient {
			rank[f.Path] = rankOf(before, now, f)
		}
	}
	return func(path string) int { return rank[path] }
}

func rankOf(before map[string][]byte, now map[string]bool, f File) int {
	was, known := before[clientOf(f.Path)]
	if known && bytes.Equal(was, f.Data) {
		return 0
	}
	if !known && !bytes.Contains(f.Data, []byte("previously")) {
		return 3
	}
	c, _ := DecodeClient(f.Path, f.Data)
	for _, p := range c.Previously {
		if _, there := before[p]; !known && there && !now[p] {
			was, known = before[p], true
		}
	}
	if !known {
		return 3
	}
	old, _ := DecodeClient(f.Path, was)
	had := append(old.Aliases, old.Domain)
	if slices.ContainsFunc(append(c.Aliases, c.Domain), func(n string) bool { return !slices.Contains(had, n) }) {
		return 2
	}
	return 1
}

// clientOf is the name that a file's path says.
func clientOf(file string) string { return strings.TrimSuffix(path.Base(file), ".yaml") }
