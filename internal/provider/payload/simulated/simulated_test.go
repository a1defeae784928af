package simulated

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/contract"
	"github.com/compassdigital/reconciler/internal/simulator"
)

const (
	email    = "dana@demoshop.example"
	password = "correct horse battery"
	pairText = `{"email":"` + email + `","password":"` + password + `"}`
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// ask makes one request and returns status, body and the cookie's name.
func ask(t *testing.T, p *Payload, method, path, body string) (int, string, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	out := httptest.NewRecorder()
	contract.Payload(t).Handler(p).ServeHTTP(out, r)
	a := out.Result()
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	cookie := ""
	for _, c := range a.Cookies() {
		cookie = c.Name
	}
	return a.StatusCode, strings.TrimSpace(string(data)), cookie
}

func open(t *testing.T, change func(*Options)) (*Payload, *clock) {
	t.Helper()
	c := &clock{at: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)}
	o := Options{Now: c.now, Seed: "test"}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p, c
}

// Every row of the description (shared/specs/payload/README.md), in an order in which a site
// lives it.
func TestAnswers(t *testing.T) {
	var mails []string
	p, c := open(t, func(o *Options) { o.Mail = func(to, _ string) { mails = append(mails, to) } })
	for n, x := range []struct {
		after              time.Duration
		method, path, body string
		status             int
		says               string
	}{
		{0, "GET", "/api/users/init", "", 200, `{"initialized":false}`},
		{0, "POST", "/api/users/login", pairText, 401, `{"errors":[{"message":"The email or password provided is incorrect."}]}`},
		{0, "POST", "/api/users/first-register", `{}`, 400, `"path":"email"`},
		{0, "POST", "/api/users/first-register", `not JSON`, 400, `"name":"ValidationError"`},
		{0, "POST", "/api/users/first-register", `{"email":7,"password":"x"}`, 400, `The following field is invalid: email`},
		{0, "POST", "/api/users/first-register", pairText, 200, `"message":"Successfully registered first user."`},
		{0, "GET", "/api/users/init", "", 200, `{"initialized":true}`},
		{0, "POST", "/api/users/first-register", pairText, 403, `{"errors":[{"message":"You are not allowed to perform this action."}]}`},
		{0, "POST", "/api/users/login", `{"email":" DANA@demoshop.example","password":"` + password + `"}`, 200, `"message":"Authentication Passed"`},
		{0, "POST", "/api/users/login", `{"email":"` + email + `"}`, 400, `"path":"password"`},
		{0, "POST", "/api/users/forgot-password", `{"email":"` + email + `"}`, 200, `{"message":"Success"}`},
		{14 * time.Second, "POST", "/api/users/forgot-password", `{"email":"` + email + `"}`, 200, `{"message":"Success"}`},
		{time.Second, "POST", "/api/users/forgot-password", `{"email":"` + email + `"}`, 200, `{"message":"Success"}`},
		{0, "POST", "/api/users/forgot-password", `{"email":"nobody@demoshop.example"}`, 200, `{"message":"Success"}`},
		{0, "POST", "/api/users/forgot-password", `{}`, 400, `Missing email.`},
		{0, "GET", "/api/users", "", 404, `"message"`},
		{0, "GET", "/admin", "", 200, `<!DOCTYPE html>`},
		{0, "GET", "/nowhere", "", 404, `<!DOCTYPE html>`},
	} {
		c.at = c.at.Add(x.after)
		status, body, cookie := ask(t, p, x.method, x.path, x.body)
		if status != x.status || !strings.Contains(body, x.says) {
			t.Errorf("%d: %s %s: %d %s, want %d with %s", n, x.method, x.path, status, body, x.status, x.says)
		}
		if in := strings.Contains(body, `"token"`); in != (cookie == "payload-token") {
			t.Errorf("%d: token and cookie: %s, %q", n, body, cookie)
		}
	}
	if strings.Join(mails, " ") != email+" "+email {
		t.Errorf("mails: %v", mails)
	}
}

// Five wrong passwords lock for ten minutes, for the right one, too; a right one before forgets
// the wrong ones.
func TestLock(t *testing.T) {
	p, c := open(t, nil)
	ask(t, p, "POST", "/api/users/first-register", pairText)
	try := func(text string, status int, says string) {
		t.Helper()
		if got, body, _ := ask(t, p, "POST", "/api/users/login", text); got != status || !strings.Contains(body, says) {
			t.Errorf("%d %s, want %d %s", got, body, status, says)
		}
	}
	wrong := strings.Replace(pairText, password, "a guess", 1)
	for range 4 {
		try(wrong, 401, "incorrect")
	}
	try(pairText, 200, "Passed")
	for range 5 {
		try(wrong, 401, "incorrect")
	}
	try(wrong, 401, "locked")
	try(pairText, 401, "locked")
	c.at = c.at.Add(10*time.Minute - time.Second)
	try(pairText, 401, "locked")
	c.at = c.at.Add(time.Second)
	try(wrong, 401, "incorrect")
	try(pairText, 200, "Passed")
}

// Options that change what a site answers.
func TestOptions(t *testing.T) {
	off, _ := open(t, func(o *Options) { o.DisableLocalStrategy = true })
	for _, path := range []string{"first-register", "login", "forgot-password"} {
		if status, body, _ := ask(t, off, "POST", "/api/users/"+path, pairText); status != 403 || !strings.Contains(body, "not allowed") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	p, _ := open(t, func(o *Options) {
		o.API, o.Collection, o.NumericIDs, o.RemoveToken, o.German, o.Required = "/cms", "admins", true, true, true, []string{"fullName"}
	})
	if status, body, _ := ask(t, p, "POST", "/cms/admins/first-register", pairText); status != 400 || !strings.Contains(body, `"path":"fullName"`) || !strings.Contains(body, "Feld") {
		t.Errorf("%d %s", status, body)
	}
	status, body, _ := ask(t, p, "POST", "/cms/admins/first-register", strings.Replace(pairText, "{", `{"fullName":"Dana",`, 1))
	var said struct {
		Exp  int64
		User struct {
			ID json.Number
		}
	}
	if err := json.Unmarshal([]byte(body), &said); err != nil || status != 200 || said.User.ID != json.Number(p.Users()[0].ID) || strings.Contains(body, "token") || said.Exp != time.Date(2026, 11, 26, 11, 0, 0, 0, time.UTC).Unix() {
		t.Errorf("%d %s, %v", status, body, err)
	}
	if err := p.Add("kim@demoshop.example", password, true); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := ask(t, p, "POST", "/cms/admins/login", strings.Replace(pairText, "dana", "kim", 1)); status != 403 {
		t.Errorf("not verified: %d", status)
	}
}

// A site without its database says so in another form than errors have.
func TestAway(t *testing.T) {
	p, _ := open(t, nil)
	p.Away(true)
	for _, c := range [][2]string{{"GET", "init"}, {"POST", "first-register"}, {"POST", "login"}, {"POST", "forgot-password"}} {
		if status, body, _ := ask(t, p, c[0], "/api/users/"+c[1], pairText); status != 500 || body != `{"message":"There was an error initializing Payload"}` {
			t.Errorf("%s: %d %s", c[1], status, body)
		}
	}
	p.Away(false)
	if status, _, _ := ask(t, p, "POST", "/api/users/first-register", pairText); status != 200 || len(p.Users()) != 1 {
		t.Errorf("%d, %d users", status, len(p.Users()))
	}
}

// Two at once both pass the look; only the same address is refused.
func TestRace(t *testing.T) {
	for second, users := range map[string]int{"eve@elsewhere.example": 2, email: 1} {
		var p *Payload
		came := false // the second one finds no third
		p, _ = open(t, func(o *Options) {
			o.Between = func() {
				if !came {
					came = true
					ask(t, p, "POST", "/api/users/first-register", strings.Replace(pairText, email, second, 1))
				}
			}
		})
		ask(t, p, "POST", "/api/users/first-register", pairText)
		if n := len(p.Users()); n != users {
			t.Errorf("%s: %d users, want %d", second, n, users)
		}
	}
}

// Users outlive the process, their locks with them, and no password is in the file.
func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "payload.json")
	p, _ := open(t, func(o *Options) { o.File = file })
	ask(t, p, "POST", "/api/users/first-register", pairText)
	for range 5 {
		ask(t, p, "POST", "/api/users/login", strings.Replace(pairText, password, "a guess", 1))
	}
	data, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(data), password) {
		t.Fatalf("the password is in the file (%v)", err)
	}
	again, c := open(t, func(o *Options) { o.File = file })
	if status, body, _ := ask(t, again, "POST", "/api/users/login", pairText); status != 401 || !strings.Contains(body, "locked") {
		t.Errorf("%d %s", status, body)
	}
	c.at = c.at.Add(10 * time.Minute)
	if status, _, _ := ask(t, again, "POST", "/api/users/login", pairText); status != 200 {
		t.Errorf("%d", status)
	}
	if err := again.Add("kim@demoshop.example", password, false); err != nil || again.Users()[0].ID == again.Users()[1].ID {
		t.Errorf("an id twice: %v", err)
	}
	if err := again.Drop(); err != nil {
		t.Fatal(err)
	}
	empty, _ := open(t, func(o *Options) { o.File = file })
	if n := len(empty.Users()); n != 0 {
		t.Errorf("%d users in an empty database", n)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{File: file}); err == nil {
		t.Error("a broken file is opened")
	}
}

// Faults stand before the site.
func TestFaults(t *testing.T) {
	var faults simulator.Faults
	p, _ := open(t, func(o *Options) { o.Faults = &faults })
	faults.Add(simulator.Fault{Path: "/api/users/first-register", Do: simulator.Instead(http.StatusBadGateway, nil, "<html>")})
	if status, _, _ := ask(t, p, "POST", "/api/users/first-register", pairText); status != 502 || len(p.Users()) != 1 {
		t.Errorf("%d, %d users", status, len(p.Users()))
	}
}
