package ploi

import (
	"regexp"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// rootSuffix ends the root domain of the sites that are made here. The top-level domain is
// reserved for private use: no name of a customer ends so, and nobody can own one.
const rootSuffix = ".reconciler.internal"

// Limits of names: the vendor's of a root domain, DNS's of a label and of a name.
const (
	maxRoot  = 100
	maxLabel = 63
	maxHost  = 253
	maxID    = 400
)

// The words of the parts of a site in an id.
const (
	partEnvironment = "env"
	partTraffic     = "traffic"
	partRelease     = "release"
	partDomain      = "domain"
)

// adoptedRelease is the word of the release of a site that was deployed by others.
const adoptedRelease = "adopted"

var (
	numbers = regexp.MustCompile(`^[1-9][0-9]{0,14}$`)
	words   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,119}$`)
	hosts   = regexp.MustCompile(`^([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// siteID names a site: by its server, too, for the vendor's paths do.
type siteID struct{ server, site string }

func (s siteID) String() string { return s.server + "/" + s.site }

// path is the site's below the API's base.
func (s siteID) path() string { return "/servers/" + s.server + "/sites/" + s.site }

// part is the id of something that hangs on the site.
func (s siteID) part(word string, more ...string) string {
	return strings.Join(append([]string{s.String(), word}, more...), "/")
}

// id is what the engine calls one of our objects.
type id struct {
	siteID
	kind state.Kind
	word string // the release's name, the domain's host
}

// parse reads an id of a kind. Anything else names nothing that is here.
func parse(kind state.Kind, text string) (id, bool) {
	if len(text) > maxID {
		return id{}, false
	}
	parts := strings.Split(text, "/")
	if len(parts) < 2 || !numbers.MatchString(parts[0]) || !numbers.MatchString(parts[1]) {
		return id{}, false
	}
	out := id{siteID: siteID{parts[0], parts[1]}, kind: kind}
	rest := parts[2:]
	switch kind {
	case state.KindSite:
		return out, len(rest) == 0
	case state.KindEnvironment:
		return out, len(rest) == 1 && rest[0] == partEnvironment
	case state.KindTraffic:
		return out, len(rest) == 1 && rest[0] == partTraffic
	case state.KindDeployment:
		if len(rest) != 2 || rest[0] != partRelease || !words.MatchString(rest[1]) {
			return id{}, false
		}
	case state.KindDomain:
		if len(rest) != 2 || rest[0] != partDomain || !isHost(rest[1]) {
			return id{}, false
		}
	default:
		return id{}, false
	}
	out.word = rest[1]
	return out, true
}

func isHost(h string) bool { return len(h) <= maxHost && hosts.MatchString(h) }

// rootOf is the root domain of a site of ours: what it is found by, and whose it is.
func rootOf(name string) (string, bool) {
	root := name + rootSuffix
	return root, words.MatchString(name) && len(name) <= maxLabel && len(root) <= maxRoot
}

// readRoot reads a root domain of rootOf: the object's name and the mark that it says. A
// domain of anybody else's has neither.
func readRoot(domain string) (string, provider.Mark) {
	name, ok := strings.CutSuffix(domain, rootSuffix)
	if !ok || !words.MatchString(name) {
		return "", provider.Mark{}
	}
	m := provider.NamedMark(name)
	if m.IsZero() {
		return "", m
	}
	return name, m
}
