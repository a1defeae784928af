package source

import (
	"errors"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// Errors of a URL never repeat it: it may hold a secret.
var (
	errURL      = errors.New("not a URL of a repository: use https://, http://, ssh://, git@host:path, file:// or an absolute path")
	errUserinfo = errors.New("it holds a user name or a password: they belong to https:// only; ssh uses git@host:path")
	errPassword = errors.New("it holds a password: ssh uses keys")
)

// address is where a repository is: a local path or an endpoint. clean is its text
// without credentials; those that the URL held are in user and password.
type address struct {
	local          string
	endpoint       *transport.Endpoint
	clean          string
	user, password state.Secret
}

// scp is git@host:path.
func scp(s string) *transport.Endpoint {
	m := regexp.MustCompile(`^([A-Za-z0-9._-]+)@([A-Za-z0-9.-]+):([^\s]+)$`).FindStringSubmatch(s)
	if m == nil || strings.HasPrefix(m[3], "//") {
		return nil
	}
	return &transport.Endpoint{Protocol: "ssh", User: m[1], Host: m[2], Port: 22, Path: m[3]}
}

func parse(s string) (address, error) {
	if filepath.IsAbs(s) {
		return address{local: filepath.Clean(s), clean: filepath.Clean(s)}, nil
	}
	if strings.ContainsAny(s, "\x00\r\n\t ") {
		return address{}, errURL
	}
	if !strings.Contains(s, "://") {
		if ep := scp(s); ep != nil {
			return address{endpoint: ep, clean: s}, nil
		}
		if strings.Contains(s, "@") {
			return address{}, errUserinfo
		}
		return address{}, errURL
	}
	u, err := url.Parse(s)
	if err != nil {
		return address{}, errURL // err repeats the text
	}
	var a address
	password, has := u.User.Password()
	switch u.Scheme {
	case "https", "http":
		a.user, a.password = state.NewSecret(u.User.Username()), state.NewSecret(password)
		u.User = nil
		if u.RawQuery != "" || u.Fragment != "" {
			return address{}, errURL
		}
	case "ssh":
		if has {
			return address{}, errPassword
		}
		if strings.HasPrefix(u.User.Username(), "-") || strings.HasPrefix(u.Host, "-") {
			return address{}, errURL
		}
	case "file":
		if u.User != nil {
			return address{}, errUserinfo
		}
		if u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(u.Path) {
			return address{}, errURL
		}
		return address{local: filepath.Clean(u.Path), clean: filepath.Clean(u.Path)}, nil
	default:
		return address{}, errURL
	}
	if u.Hostname() == "" || strings.Trim(u.Path, "/") == "" {
		return address{}, errURL
	}
	a.clean = u.String()
	ep, err := transport.NewEndpoint(a.clean)
	if err != nil {
		return address{}, errURL
	}
	if u.Scheme == "ssh" && ep.User == "" {
		ep.User = "git"
	}
	a.endpoint = ep
	return a, nil
}
