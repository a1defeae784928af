package railway

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"regexp"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
)

// The variables that are read. Railway's template and applications know them by these names
// (docs.railway.com/guides/postgresql).
const (
	privateURL = "DATABASE_URL"
	publicURL  = "DATABASE_PUBLIC_URL"
	// attributesOf keeps the attributes that mean nothing to Railway.
	attributesOf = "RECONCILER_ATTRIBUTES"
)

// dataPath is where the image wants its volume; the files are in a folder below, since a
// volume's own folder is not empty.
const dataPath = "/var/lib/postgresql/data"

const (
	port       = 5432
	public     = "public"
	private    = "private"
	references = "${{" // begins a reference to another variable
)

// kept are the attributes of a database that Railway only keeps for us.
type kept struct {
	Disabled string `json:"disabled"`
	Schema   string `json:"schema"`
}

func (k kept) text() string {
	data, _ := json.Marshal(k) // two texts
	return string(data)
}

// variablesFor are what a new database's service starts with. They are given to Railway with
// the service itself, so that there is no moment between the two, and only the volume's first
// start reads the password.
func variablesFor(password string, k kept) map[string]string {
	return map[string]string{
		"POSTGRES_USER":     "postgres",
		"POSTGRES_PASSWORD": password,
		"POSTGRES_DB":       "railway",
		"PGDATA":            dataPath + "/pgdata",
		"PGHOST":            "${{RAILWAY_PRIVATE_DOMAIN}}",
		"PGPORT":            "5432",
		"PGUSER":            "${{POSTGRES_USER}}",
		"PGPASSWORD":        "${{POSTGRES_PASSWORD}}",
		"PGDATABASE":        "${{POSTGRES_DB}}",
		privateURL:          "postgresql://${{PGUSER}}:${{PGPASSWORD}}@${{RAILWAY_PRIVATE_DOMAIN}}:5432/${{PGDATABASE}}",
		publicURL:           "postgresql://${{PGUSER}}:${{PGPASSWORD}}@${{RAILWAY_TCP_PROXY_DOMAIN}}:${{RAILWAY_TCP_PROXY_PORT}}/${{PGDATABASE}}",
		attributesOf:        k.text(),
	}
}

// newPassword is one of 256 bits in hex digits, which need no quoting in a URL.
func newPassword(random io.Reader) (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:]), nil
}

// connection reads a URL that applications can connect with, and its host.
func connection(text string) (host string, ok bool) {
	if text == "" || len(text) > maxText || strings.Contains(text, references) || provider.Line(text, maxText) != text {
		return "", false
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgresql" && u.Scheme != "postgres" || u.Hostname() == "" || u.Port() == "" || u.User == nil {
		return "", false
	}
	return u.Hostname(), true
}

var schemaWord = regexp.MustCompile(`^[A-Za-z0-9._-]{0,64}$`)

// wished takes the attributes out of a wish.
func (p *Provider) wished(op string, w provider.Wish) (access string, k kept, err error) {
	access, k = w.Get("access"), kept{Schema: w.Get("schema"), Disabled: w.Get("disabled")}
	if access == "" {
		access = private // as Railway's own new databases are
	}
	invalid := func(what string) error { return p.fail(provider.Invalid, op, what, nil) }
	switch {
	case w.Name == "" || len(w.Name) > maxName || provider.Line(w.Name, maxName) != w.Name:
		err = invalid("a project needs a name, of one line")
	case w.Mark.IsZero():
		err = invalid("a database is made for somebody: the wish has no mark")
	case access != public && access != private:
		err = invalid("access is public or private, not " + shown(access))
	case !schemaWord.MatchString(k.Schema):
		err = invalid("schema " + shown(k.Schema) + " is not a template's name")
	case len(k.Disabled) > maxText || strings.Contains(k.Disabled, references):
		err = invalid("the disabled collections are too long, or no names")
	}
	return access, k, err
}
