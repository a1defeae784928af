package payload

import (
	"fmt"
	"net/mail"
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Limits of what a wish brings along.
const (
	maxAddress  = 2048 // bytes of a URL
	maxEmail    = 254  // RFC 5321 section 4.5.3.1.3, without the brackets
	maxWord     = 64   // of a collection's name
	maxPath     = 200
	maxText     = 512 // of a name and of a site's id
	minPassword = 8
	maxPassword = 512 // bytes
	maxShown    = 120 // characters of untrusted text in a message
	maxUserID   = 40  // bytes; a number, an ObjectId or a UUID, and never a secret of ours
	maxID       = 8 << 10
)

// Defaults of Payload's configuration.
const (
	defaultAPI        = "/api"
	defaultCollection = "users"
)

// address is where a site answers.
type address struct {
	base string // without a slash at its end
	host string // for people
}

// addressOf reads one, or says what is wrong with it.
func addressOf(text string) (address, string) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return address{}, "the site has no address of its own before its host names lead to it (at Ploi: turn on its test domain)"
	case err != nil || len(text) > maxAddress || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return address{}, "the site's address is no URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return address{}, "the site's address is neither http nor https"
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return address{}, "the site's address has more than a host and a path"
	case u.Path != "" && u.Path != "/" && path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/"):
		return address{}, "the path of the site's address is not a plain one"
	}
	return address{base: u.Scheme + "://" + u.Host + strings.TrimSuffix(u.EscapedPath(), "/"), host: provider.Line(u.Host, maxShown)}, ""
}

// identity is what an id says.
type identity struct {
	name, site string
	api        string // with a slash at its beginning
	collection string
	user       string
	email      string // as the manifest spells it; Payload keeps it in lower case
}

// text is the id.
func (i identity) text() string {
	parts := []string{i.name, i.site, strings.TrimPrefix(i.api, "/"), i.collection, i.user, i.email}
	for n := range parts {
		parts[n] = url.PathEscape(parts[n])
	}
	return strings.Join(parts, "/")
}

// parseID reads what text wrote; anything else is no id of ours.
func parseID(id string) (identity, bool) {
	parts := strings.Split(id, "/")
	if len(id) > maxID || len(parts) != 6 {
		return identity{}, false
	}
	for n := range parts {
		var err error
		if parts[n], err = url.PathUnescape(parts[n]); err != nil {
			return identity{}, false
		}
	}
	i := identity{name: parts[0], site: parts[1], api: "/" + parts[2], collection: parts[3], user: parts[4], email: parts[5]}
	return i, i.text() == id && i.problem() == "" && plainUser(i.user)
}

// problem says what is wrong with an identity of which the user is not known yet.
func (i identity) problem() string {
	at, err := mail.ParseAddress(i.email)
	switch {
	case i.name == "" || len(i.name) > maxText || !line(i.name):
		return fmt.Sprintf("a name is one line of 1 to %d bytes", maxText)
	case len(i.site) > maxText || !line(i.site):
		return fmt.Sprintf("the id of a site is one line of at most %d bytes", maxText)
	case len(i.api) > maxPath || len(i.api) < 2 || i.api[0] != '/' || path.Clean(i.api) != i.api || !plain(i.api, "/-_."):
		return "the API's path is no plain path that begins with a slash, such as /api"
	case len(i.collection) > maxWord || !plain(i.collection, "-_"):
		return "the collection is no plain name, such as users"
	case err != nil || at.Address != i.email || len(i.email) > maxEmail || !line(i.email):
		return fmt.Sprintf("%q is not an e-mail address", provider.Line(i.email, maxShown))
	}
	return ""
}

// of is the identity of a user of the site.
func (i identity) of(user string) identity {
	i.user = user
	return i
}

func (i identity) object() provider.Object {
	id := i.text()
	return provider.Object{ID: id, Kind: state.KindAdmin, Name: i.name, Phase: provider.Ready,
		Attributes: []provider.Observed{{Name: "email", Text: i.email}}, Outputs: []provider.Output{{Name: "id", Text: id}}}
}

// plain says that text has letters and digits of ASCII, and these others, and at least one.
func plain(text, others string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(others, r)
	})
}

// same compares addresses as Payload does.
func same(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

func plainUser(id string) bool { return len(id) <= maxUserID && plain(id, "-_") }

// line says that text is one line that is shown as it is.
func line(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// target is what a wish says.
type target struct {
	address  address // zero: none is given
	id       identity
	password state.Secret
	page     string // of the administration, below the address
}

// wished checks a wish. An update needs neither address nor password.
func wished(op string, w provider.Wish, whole bool) (target, error) {
	t := target{id: identity{name: w.Name, site: w.Get("site"), api: w.Get("api"), collection: w.Get("collection"),
		email: w.Get("email")}, page: w.Get("path")}
	if t.id.api == "" {
		t.id.api = defaultAPI
	}
	if t.id.collection == "" {
		t.id.collection = defaultCollection
	}
	problem := t.id.problem()
	if text := w.Get("url"); problem == "" && (text != "" || whole) {
		t.address, problem = addressOf(text)
	}
	if problem == "" && t.page != "" && (len(t.page) > maxPath || t.page[0] != '/' || !plain(t.page, "/-_.")) {
		problem = "the path of the administration is no plain path that begins with a slash"
	}
	if n := len(w.Get("password")); problem == "" && whole && (n < minPassword || n > maxPassword) {
		problem = fmt.Sprintf("the password has %d bytes; it takes %d to %d", n, minPassword, maxPassword)
	}
	if problem != "" {
		return target{}, fail(provider.Invalid, op, problem, nil)
	}
	t.password = state.NewSecret(w.Get("password"))
	return t, nil
}
