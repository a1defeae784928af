package simulated

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

const (
	tokenLife  = time.Hour        // of an installation's token
	jwtLife    = 10 * time.Minute // the most that an App may ask for
	jwtSkew    = 60 * time.Second // how far its clock may be ahead
	tokenBytes = 300              // they are of a length that nobody may assume
)

// grant is what lets somebody in.
type grant struct {
	secret      state.Secret
	login       string
	permissions map[string]string
	classic     bool // everything in the repository
	app         bool // a token of the installation
	jwt         bool // the App itself
	expires     time.Time
}

// grantOf is what a token lets in. Whoever has one and is new may write.
func (f *Forge) grantOf(t Token) *grant {
	if f.known(t.Login) == nil {
		f.user(t.Login).Permission = "write"
	}
	return &grant{secret: t.Secret, login: f.user(t.Login).Login, permissions: t.Permissions, classic: t.Permissions == nil}
}

func botOf(a *App) string { return a.Slug + "[bot]" }

// RevokeTokens makes every token of the installation void: the next call with one is
// answered 401.
func (f *Forge) RevokeTokens() {
	f.mu.Lock()
	defer f.mu.Unlock()
	var left []*grant
	for _, g := range f.grants {
		if !g.app {
			left = append(left, g)
		}
	}
	f.grants = left
}

// SetTokens replaces the personal access tokens.
func (f *Forge) SetTokens(tokens ...Token) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var left []*grant
	for _, g := range f.grants {
		if g.app {
			left = append(left, g)
		}
	}
	for _, t := range tokens {
		left = append(left, f.grantOf(t))
	}
	f.grants = left
}

// who finds out who asks. A missing or wrong credential is a problem.
func (f *Forge) who(r *http.Request) (*grant, *problem) {
	kind, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "bearer") && !strings.EqualFold(kind, "token") || text == "" {
		return nil, fail(http.StatusUnauthorized, "Requires authentication")
	}
	if f.o.App != nil && strings.Count(text, ".") == 2 && !strings.HasPrefix(text, "ghs_") {
		if err := verify(f.o.App, text, f.o.App.Now()); err != nil {
			return nil, fail(http.StatusUnauthorized, err.Error())
		}
		return &grant{login: botOf(f.o.App), jwt: true}, nil
	}
	given := state.NewSecret(text)
	for _, g := range f.grants {
		if g.secret.Equal(given) && (g.expires.IsZero() || f.o.Now().Before(g.expires)) {
			return g, nil
		}
	}
	return nil, fail(http.StatusUnauthorized, "Bad credentials")
}

// errJWT stands for every token of an App that is none.
var errJWT = errors.New("A JSON web token could not be decoded") //nolint:staticcheck // GitHub's words

// verify checks a JSON Web Token of an App: RS256, its issuer, its time.
func verify(a *App, token string, now time.Time) error {
	parts := strings.Split(token, ".")
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return errJWT
		}
	}
	var head struct{ Alg string }
	var claims struct {
		Iss json.RawMessage
		Iat json.Number
		Exp json.Number
	}
	if json.Unmarshal(raw[0], &head) != nil || json.Unmarshal(raw[1], &claims) != nil || head.Alg != "RS256" {
		return errJWT
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if a.Key == nil || rsa.VerifyPKCS1v15(a.Key, crypto.SHA256, sum[:], raw[2]) != nil {
		return errJWT
	}
	if strings.Trim(string(claims.Iss), `"`) != strconv.FormatInt(a.ID, 10) {
		return fmt.Errorf("'Issuer' claim ('iss') must be an Integer that is the App's: %w", errJWT)
	}
	iat, err := claims.Iat.Float64()
	if err != nil {
		return errJWT
	}
	exp, err := claims.Exp.Float64()
	if err != nil {
		return errJWT
	}
	at := float64(now.Unix())
	switch {
	case iat > at+jwtSkew.Seconds():
		return fmt.Errorf("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued: %w", errJWT)
	case exp <= at:
		return fmt.Errorf("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires: %w", errJWT)
	case exp > at+jwtLife.Seconds()+jwtSkew.Seconds():
		return fmt.Errorf("'Expiration time' claim ('exp') is too far in the future: %w", errJWT)
	}
	return nil
}

// mint makes a token of the installation.
func (f *Forge) mint(permissions map[string]string) (*grant, string) {
	b := make([]byte, tokenBytes)
	_, _ = rand.Read(b) // it never fails
	text := fmt.Sprintf("ghs_%d_%s", f.o.App.ID, base64.RawURLEncoding.EncodeToString(b))
	g := &grant{secret: state.NewSecret(text), login: botOf(f.o.App), permissions: permissions, app: true, expires: f.now().Add(tokenLife)}
	var left []*grant
	for _, old := range f.grants {
		if old.expires.IsZero() || f.o.Now().Before(old.expires) {
			left = append(left, old)
		}
	}
	f.grants = append(left, g)
	return g, text
}

// SetAppPermissions changes what the installation may do; tokens that were made before
// keep what they had.
func (f *Forge) SetAppPermissions(permissions map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.o.App.Permissions = permissions
}

// may says whether a grant allows what a route needs: alternatives such as
// "issues:write pull_requests:write", one of which is enough; "" needs none.
func (g *grant) may(need string) bool {
	if need == "" || g.classic {
		return true
	}
	for one := range strings.FieldsSeq(need) {
		name, level, _ := strings.Cut(one, ":")
		have := g.permissions[name]
		if name == "metadata" && level == "read" && len(g.permissions) > 0 {
			return true
		}
		if have == level || have == "admin" || have == "write" && level == "read" {
			return true
		}
	}
	return false
}
