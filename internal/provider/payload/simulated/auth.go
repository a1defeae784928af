package simulated

import (
	"crypto/subtle"
	"net/http"
	"net/mail"
	"strings"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// What Payload says, and what it says in German. Who reads the words instead of the status
// is lost at the second one.
func (p *Payload) words(english, german string) string {
	if p.o.German {
		return german
	}
	return english
}

func (p *Payload) init(w http.ResponseWriter, _ *http.Request) {
	if p.gone(w) {
		return
	}
	p.mu.Lock()
	there := len(p.state.Users) > 0
	p.mu.Unlock()
	send(w, http.StatusOK, map[string]any{"initialized": there})
}

func (p *Payload) forbidden(w http.ResponseWriter) {
	refuse(w, http.StatusForbidden, p.words("You are not allowed to perform this action.", "Sie haben keine Berechtigung, diese Aktion auszuführen."))
}

// wrong answers that fields are wrong.
func (p *Payload) wrong(w http.ResponseWriter, paths []string) {
	var all []any
	for _, path := range paths {
		all = append(all, map[string]any{"message": p.words("A value is required or wrong.", "Ein Wert fehlt oder ist falsch."), "path": path})
	}
	send(w, http.StatusBadRequest, map[string]any{"errors": []any{map[string]any{"name": "ValidationError",
		"data": map[string]any{"collection": p.o.Collection, "errors": all}, "message": p.words("The following field is invalid: ", "Das folgende Feld ist nicht korrekt: ") + strings.Join(paths, ", ")}}})
}

// firstRegister looks, and then creates: between the two the lock is not held.
func (p *Payload) firstRegister(w http.ResponseWriter, r *http.Request) {
	if p.gone(w) {
		return
	}
	in := fields(w, r)
	p.mu.Lock()
	there := len(p.state.Users) > 0
	p.mu.Unlock()
	if there || p.o.DisableLocalStrategy {
		p.forbidden(w)
		return
	}
	if p.o.Between != nil {
		p.o.Between()
	}
	var bad []string
	if at, err := mail.ParseAddress(in["email"]); err != nil || at.Name != "" {
		bad = append(bad, "email")
	}
	if in["password"] == "" {
		bad = append(bad, "password")
	}
	for _, name := range p.o.Required {
		if in[name] == "" {
			bad = append(bad, name)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(bad) == 0 && p.user(in["email"]) >= 0 {
		bad = append(bad, "email") // the unique index
	}
	if len(bad) > 0 {
		p.wrong(w, bad)
		return
	}
	u, err := p.add(in["email"], in["password"], false)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "Something went wrong.")
		return
	}
	p.welcome(w, u, "Successfully registered first user.")
}

// welcome answers who is let in. The lock is held.
func (p *Payload) welcome(w http.ResponseWriter, u User, message string) {
	exp := p.o.Now().Add(tokenLife)
	token := "simulated." + p.state.IDs.Hex(48)
	user := map[string]any{"id": u.ID, "email": u.Email, "collection": p.o.Collection}
	if p.o.NumericIDs {
		user["id"] = number(u.ID)
	}
	out := map[string]any{"exp": exp.Unix(), "message": message, "user": user}
	if !p.o.RemoveToken {
		out["token"] = token
	}
	http.SetCookie(w, &http.Cookie{Name: "payload-token", Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Expires: exp})
	send(w, http.StatusOK, out)
}

// number is an id that goes out without quotes.
type number string

// MarshalJSON writes the digits.
func (n number) MarshalJSON() ([]byte, error) { return []byte(n), nil }

func (p *Payload) login(w http.ResponseWriter, r *http.Request) {
	if p.gone(w) {
		return
	}
	if p.o.DisableLocalStrategy {
		p.forbidden(w)
		return
	}
	in := fields(w, r)
	var bad []string
	for _, name := range []string{"email", "password"} {
		if in[name] == "" {
			bad = append(bad, name)
		}
	}
	if len(bad) > 0 {
		p.wrong(w, bad)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	status, u := p.enter(in["email"], in["password"])
	if err := simulator.Save(p.o.File, &p.state); err != nil {
		status = failed
	}
	switch status {
	case entered:
		p.welcome(w, u, "Authentication Passed")
	case locked:
		refuse(w, http.StatusUnauthorized, p.words("This user is locked due to having too many failed login attempts.", "Dieser Benutzer ist aufgrund zu vieler fehlgeschlagener Anmeldeversuche gesperrt."))
	case unverified:
		refuse(w, http.StatusForbidden, p.words("Please verify your email before logging in.", "Bitte bestätigen Sie Ihre E-Mail-Adresse."))
	case failed:
		refuse(w, http.StatusInternalServerError, "Something went wrong.")
	default:
		refuse(w, http.StatusUnauthorized, p.words("The email or password provided is incorrect.", "Die angegebene E-Mail-Adresse oder das Passwort ist falsch."))
	}
}

// entry is what came of a login.
type entry int

const (
	strange entry = iota
	entered
	locked
	unverified
	failed
)

// enter tries a pair and counts what fails. The lock is held.
func (p *Payload) enter(email, password string) (entry, User) {
	i := p.user(email)
	if i < 0 {
		return strange, User{}
	}
	u, now := &p.state.Users[i], p.o.Now()
	if now.Before(u.LockUntil) {
		return locked, User{}
	}
	if !u.LockUntil.IsZero() {
		u.LockUntil, u.Attempts = User{}.LockUntil, 0
	}
	given, err := hash(password, u.Salt)
	if err != nil {
		return failed, User{}
	}
	if subtle.ConstantTimeCompare([]byte(given), []byte(u.Hash)) != 1 {
		if u.Attempts++; u.Attempts >= p.o.MaxLoginAttempts {
			u.LockUntil = now.Add(p.o.LockTime)
		}
		return strange, User{}
	}
	if u.Unverified {
		return unverified, User{}
	}
	u.Attempts = 0
	return entered, *u
}

func (p *Payload) forgotPassword(w http.ResponseWriter, r *http.Request) {
	if p.gone(w) {
		return
	}
	if p.o.DisableLocalStrategy {
		p.forbidden(w)
		return
	}
	email := fields(w, r)["email"]
	if email == "" {
		refuse(w, http.StatusBadRequest, p.words("Missing email.", "E-Mail-Adresse fehlt."))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.o.Now()
	if i := p.user(email); i >= 0 && (p.state.Users[i].MailedAt.IsZero() || now.Sub(p.state.Users[i].MailedAt) >= p.o.MinRequestInterval) {
		u := &p.state.Users[i]
		u.MailedAt = now
		if err := simulator.Save(p.o.File, &p.state); err != nil {
			refuse(w, http.StatusInternalServerError, "Something went wrong.")
			return
		}
		if token := p.state.IDs.Hex(40); p.o.Mail != nil {
			p.o.Mail(u.Email, token)
		}
	}
	send(w, http.StatusOK, map[string]any{"message": "Success"})
}
