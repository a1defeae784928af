package payload

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/payload/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
	"github.com/compassdigital/reconciler/internal/state"
)

const forbidden = `{"errors":[{"message":"You are not allowed to perform this action."}]}`

func refuse(path string, status int, body string) simulator.Fault {
	return simulator.Fault{Path: path, Times: -1, Do: simulator.Refuse(status, nil, body)}
}

// Every answer of `init` has its kind, of a look and of a create, and none is an absence.
func TestInitAnswers(t *testing.T) {
	html := "<!DOCTYPE html><title>Starting</title>"
	for name, c := range map[string]struct {
		faults []simulator.Fault
		kind   provider.ErrorKind
		says   string
	}{
		"no database":          {[]simulator.Fault{refuse(initPath, 500, `{"message":"There was an error initializing Payload"}`)}, provider.Transient, "not up yet"},
		"an error":             {[]simulator.Fault{refuse(initPath, 500, `{"errors":[{"message":"Something went wrong."}]}`)}, provider.Transient, "not up yet"},
		"a gateway":            {[]simulator.Fault{refuse(initPath, 502, html)}, provider.Transient, "not up yet"},
		"a page":               {[]simulator.Fault{refuse(initPath, 200, html)}, provider.Transient, "not Payload's"},
		"another JSON":         {[]simulator.Fault{refuse(initPath, 200, `{"status":"ok"}`)}, provider.Transient, "not Payload's"},
		"a text in its place":  {[]simulator.Fault{refuse(initPath, 200, `{"initialized":"no"}`)}, provider.Transient, "not Payload's"},
		"null":                 {[]simulator.Fault{refuse(initPath, 200, `null`)}, provider.Transient, "not Payload's"},
		"nothing":              {[]simulator.Fault{refuse(initPath, 204, ``)}, provider.Transient, "not up yet"},
		"no site":              {[]simulator.Fault{refuse("/site-1/*", 404, html), refuse(initPath, 404, html)}, provider.Transient, "not up yet (404)"},
		"a site without it":    {[]simulator.Fault{refuse(initPath, 404, html)}, provider.Unsupported, "API under another path"},
		"a site that hides":    {[]simulator.Fault{refuse(initPath, 404, html), refuse("/site-1/admin", 302, ``)}, provider.Unsupported, "API under another path"},
		"a site that falls":    {[]simulator.Fault{refuse(initPath, 404, html), refuse("/site-1/admin", 500, ``)}, provider.Transient, "not up yet"},
		"a site that's silent": {[]simulator.Fault{refuse(initPath, 404, html), {Path: "/site-1/admin", Times: -1, Do: simulator.LoseAnswer()}}, provider.Transient, "does not answer"},
		"protected, 401":       {[]simulator.Fault{refuse(initPath, 401, html)}, provider.Invalid, "protects"},
		"protected, 403":       {[]simulator.Fault{refuse(initPath, 403, html)}, provider.Invalid, "protects"},
		"sent elsewhere":       {[]simulator.Fault{refuse(initPath, 307, ``)}, provider.Transient, "elsewhere"},
		"odd":                  {[]simulator.Fault{refuse(initPath, 418, ``)}, provider.Transient, "418"},
		"silent":               {[]simulator.Fault{{Path: initPath, Times: -1, Do: simulator.LoseRequest()}}, provider.Transient, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			p, wish := w.open(), w.wish("site-1")
			o := create(t, p, w.wish("site-1"))
			w.faults.Add(c.faults...)
			_, createErr := p.Create(t.Context(), wish)
			found, lookErr := p.Observe(t.Context(), provider.Query{Kind: state.KindAdmin, Name: wish.Name, Wish: &wish})
			_, updateErr := p.Update(t.Context(), o.ID, wish)
			wishless := w.wish("site-1", input("path", ""))
			_, idErr := p.Observe(t.Context(), provider.Query{Kind: state.KindAdmin, ID: o.ID, Wish: &wishless})
			for what, err := range map[string]error{"create": createErr, "look": lookErr, "update": updateErr} {
				wantKind(t, what, err, c.kind)
				if err != nil && !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v does not say %q", what, err, c.says)
				}
			}
			if len(found) != 0 || idErr == nil {
				t.Errorf("found %v; by id: %v", found, idErr)
			}
			w.faults.Clear()
			if n := len(w.site("site-1").Users()); n != 1 {
				t.Errorf("%d users", n)
			}
		})
	}
}

// Every documented refusal of first-register, and some that are not.
func TestFirstRegisterAnswers(t *testing.T) {
	validation := `{"errors":[{"name":"ValidationError","data":{"collection":"users","errors":[{"message":"x","path":"fullName"},{"message":"x","path":"<b>\u0000"},{"message":"x","path":"` + testPassword + `"}]},"message":"` + testPassword + `"}]}`
	for name, c := range map[string]struct {
		status int
		body   string
		kind   provider.ErrorKind
		says   string
	}{
		"a field":     {400, validation, provider.Invalid, "(400): fullName; a user"},
		"odd":         {400, `[]`, provider.Invalid, "(400); a user"},
		"passwords":   {403, forbidden, provider.Unsupported, "disableLocalStrategy"},
		"who":         {401, ``, provider.Invalid, "(401)"},
		"too large":   {413, ``, provider.Invalid, "(413)"},
		"none":        {404, ``, provider.Unsupported, "no /api/users/first-register (404)"},
		"not allowed": {405, ``, provider.Unsupported, "(405)"},
		"slow":        {408, ``, provider.Uncertain, "408"},
		"broken":      {500, `{"errors":[{"message":"Something went wrong."}]}`, provider.Uncertain, "500"},
		"elsewhere":   {308, ``, provider.Uncertain, "308"},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.faults.Add(refuse(firstPath, c.status, c.body))
			_, err := w.open().Create(t.Context(), w.wish("site-1"))
			wantKind(t, "create", err, c.kind)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), testPassword) || strings.Contains(err.Error(), "<b>") {
				t.Errorf("%v does not say %q", err, c.says)
			}
			if n := len(w.site("site-1").Users()); n != 0 || count(w.asked(), "first-register") != 1 {
				t.Errorf("%d users", n)
			}
		})
	}
}

// The simulated site's own refusals, without faults.
func TestASiteThatRefuses(t *testing.T) {
	w := start(t, func(o *simulated.Options) { o.DisableLocalStrategy = true })
	_, err := w.open().Create(t.Context(), w.wish("site-1"))
	wantKind(t, "no passwords", err, provider.Unsupported)
	wantKind(t, "no passwords", w.open().ForgotPassword(t.Context(), w.wish("site-1")), provider.Unsupported)

	w = start(t, func(o *simulated.Options) { o.Required = []string{"fullName"} })
	_, err = w.open().Create(t.Context(), w.wish("site-1"))
	wantKind(t, "a field more", err, provider.Invalid)
	if err == nil || !strings.Contains(err.Error(), "fullName") {
		t.Errorf("it does not name the field: %v", err)
	}

	w = start(t)
	w.site("site-1").Away(true)
	_, err = w.open().Create(t.Context(), w.wish("site-1"))
	wantKind(t, "no database", err, provider.Transient)
	w.site("site-1").Away(false)
	create(t, w.open(), w.wish("site-1"))

	w = start(t, func(o *simulated.Options) { o.API, o.Collection = "/cms/api", "admins" })
	_, err = w.open().Create(t.Context(), w.wish("site-1"))
	wantKind(t, "another API", err, provider.Unsupported)
	wish := w.wish("site-1", input("api", "/cms/api"), input("collection", "admins"))
	o := create(t, w.open(), wish)
	if found := look(t, w.open(), wish); len(found) != 1 || found[0].ID != o.ID {
		t.Errorf("found %v", found)
	}
	if found, err := w.open().Observe(t.Context(), provider.Query{Kind: state.KindAdmin, ID: o.ID, Wish: &provider.Wish{Inputs: []provider.Input{input("url", w.address("site-1"))}}}); err != nil || len(found) != 1 {
		t.Errorf("by id, which knows the API: %v, %v", found, err)
	}
}

// Every answer of login, when the site has users.
func TestLoginAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		faults []simulator.Fault
		kind   provider.ErrorKind // "": no error and nobody found
	}{
		"wrong":                      {nil, ""},
		"not verified":               {[]simulator.Fault{refuse(loginPath, 403, `{"errors":[{"message":"Please verify your email before logging in."}]}`)}, provider.Invalid},
		"bad":                        {[]simulator.Fault{refuse(loginPath, 400, `{"errors":[{"name":"ValidationError"}]}`)}, provider.Invalid},
		"none":                       {[]simulator.Fault{refuse(loginPath, 404, ``)}, provider.Invalid},
		"broken":                     {[]simulator.Fault{refuse(loginPath, 500, ``)}, provider.Transient},
		"lost":                       {[]simulator.Fault{{Path: loginPath, Do: simulator.LoseAnswer()}}, provider.Transient},
		"nobody named":               {[]simulator.Fault{refuse(loginPath, 200, `{"user":{"id":""}}`)}, provider.Transient},
		"somebody else named":        {[]simulator.Fault{refuse(loginPath, 200, `{"user":{"id":"7","email":"eve@elsewhere.example"}}`)}, provider.Transient},
		"a page":                     {[]simulator.Fault{refuse(loginPath, 200, `<html>`)}, provider.Transient},
		"401 of a protection":        {[]simulator.Fault{refuse(loginPath, 401, `<html>`)}, provider.Transient},
		"control lost":               {[]simulator.Fault{{Path: loginPath, Skip: 1, Do: simulator.LoseAnswer()}}, provider.Transient},
		"control let in":             {[]simulator.Fault{{Path: loginPath, Skip: 1, Do: simulator.Refuse(200, nil, `{"user":{"id":"7"}}`)}}, provider.Transient},
		"locked, in whatever words":  {[]simulator.Fault{{Path: loginPath, Do: simulator.Refuse(401, nil, `{"errors":[{"message":"..."}]}`)}}, provider.Transient},
		"wrong, in any words":        {[]simulator.Fault{refuse(loginPath, 401, `{"errors":[{"message":"..."}]}`)}, ""},
		"too many":                   {[]simulator.Fault{{Path: loginPath, Do: simulator.Refuse(429, http.Header{"Retry-After": {"90"}}, ``)}}, provider.Transient},
		"too many, for the control":  {[]simulator.Fault{{Path: loginPath, Skip: 1, Do: simulator.Refuse(429, http.Header{"Retry-After": {"90"}}, ``)}}, provider.Transient},
		"the control's other answer": {[]simulator.Fault{{Path: loginPath, Skip: 1, Do: simulator.Refuse(403, nil, forbidden)}}, provider.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			if err := w.site("site-1").Add("eve@elsewhere.example", "a stranger's password", false); err != nil {
				t.Fatal(err)
			}
			w.faults.Add(c.faults...)
			wish := w.wish("site-1")
			found, err := w.open().Observe(t.Context(), provider.Query{Kind: state.KindAdmin, Name: wish.Name, Wish: &wish})
			if len(found) != 0 || c.kind == "" && err != nil {
				t.Errorf("found %v, %v", found, err)
			}
			if c.kind != "" {
				wantKind(t, "look", err, c.kind)
			}
			if strings.HasPrefix(name, "too many") && !provider.UntilOf(err).Equal(w.clock.Now().Add(90*time.Second)) {
				t.Errorf("until %s", provider.UntilOf(err))
			}
			if n := count(w.asked(), "/login"); n > 2 {
				t.Errorf("%d logins", n)
			}
		})
	}
}

// A pause that a site asks for is its own: no error stops the provider for other sites.
func TestPausesAreASitesOwn(t *testing.T) {
	slow := http.Header{"Retry-After": {"999999"}}
	for path, verb := range map[string]string{initPath: "create", firstPath: "create", "/site-1/api/users/forgot-password": "forgot"} {
		w := start(t)
		w.faults.Add(simulator.Fault{Path: path, Do: simulator.Refuse(429, slow, ``)})
		p := w.open()
		var err error
		if verb == "forgot" {
			err = p.ForgotPassword(t.Context(), w.wish("site-1"))
		} else {
			_, err = p.Create(t.Context(), w.wish("site-1"))
		}
		wantKind(t, path, err, provider.Transient)
		if until := provider.UntilOf(err); !until.Equal(w.clock.Now().Add(time.Hour)) {
			t.Errorf("%s: until %s", path, until)
		}
		create(t, p, w.wish("site-2"))
	}
}

// What Update can do, and what it says where it can't.
func TestUpdate(t *testing.T) {
	w := start(t)
	p := w.open()
	o := create(t, p, w.wish("site-1"))
	for _, same := range []provider.Wish{w.wish("site-1"), w.wish("site-1", input("email", "DANA@demoshop.example")), w.wish("site-1", input("email", "kim@demoshop.example")), w.wish("site-1", input("url", "")), w.wish("site-1", input("password", "another one of 20")),
		w.wish("site-1", input("site", "moved"), input("path", "/manage"))} {
		if got, err := p.Update(t.Context(), o.ID, same); err != nil || got.ID != o.ID || got.Attributes[0].Text != testEmail {
			t.Errorf("%v, %v", got, err)
		}
	}
	_, err := p.Update(t.Context(), o.ID, w.wish("site-1", input("collection", "admins")))
	wantKind(t, "another collection", err, provider.Invalid)
	if u := w.site("site-1").Users(); len(u) != 1 || u[0].Email != testEmail || u[0].Attempts != 0 {
		t.Errorf("users: %+v", u)
	}
	if err := w.site("site-1").Drop(); err != nil {
		t.Fatal(err)
	}
	_, err = p.Update(t.Context(), o.ID, w.wish("site-1"))
	wantKind(t, "a site without users", err, provider.NotFound)
}

// ForgotPassword asks once a call; that nobody has the address is not told.
func TestForgotPassword(t *testing.T) {
	var mails []string
	w := start(t, func(o *simulated.Options) { o.Mail = func(email, _ string) { mails = append(mails, email) } })
	p := w.open()
	create(t, p, w.wish("site-1"))
	for _, wish := range []provider.Wish{w.wish("site-1"), w.wish("site-1"), w.wish("site-1", input("email", "nobody@demoshop.example"))} {
		if err := p.ForgotPassword(t.Context(), wish); err != nil {
			t.Error(err)
		}
	}
	w.clock.move(15 * time.Second)
	if err := p.ForgotPassword(t.Context(), w.wish("site-1")); err != nil || len(mails) != 2 || mails[0] != testEmail {
		t.Errorf("mails: %v, %v", mails, err)
	}
	path := "/site-1/api/users/forgot-password"
	for _, c := range []struct {
		fault simulator.Fault
		kind  provider.ErrorKind
	}{
		{simulator.Fault{Path: path, Do: simulator.LoseAnswer()}, provider.Uncertain},
		{simulator.Fault{Path: path, Do: simulator.Refuse(500, nil, ``)}, provider.Uncertain},
		{simulator.Fault{Path: path, Do: simulator.Refuse(400, nil, `{"errors":[{"message":"Missing email."}]}`)}, provider.Invalid},
		{simulator.Fault{Path: path, Do: simulator.Refuse(403, nil, forbidden)}, provider.Unsupported},
	} {
		w.faults.Add(c.fault)
		wantKind(t, c.fault.Do.String(), p.ForgotPassword(t.Context(), w.wish("site-1")), c.kind)
	}
	w.server.Close()
	wantKind(t, "nobody there", p.ForgotPassword(t.Context(), w.wish("site-1")), provider.Transient)
	wantKind(t, "no address", p.ForgotPassword(t.Context(), w.wish("site-1", input("url", ""))), provider.Invalid)
}

// A new user gets the site's mail for a forgotten password. A site that sends none leaves that
// to a person, and the user is there all the same.
func TestCreateAsksForTheMail(t *testing.T) {
	for name, c := range map[string]struct {
		fault simulator.Effect
		said  string
	}{
		"sent":     {said: ""},
		"refused":  {simulator.Refuse(403, nil, `{}`), "sends nobody a new password (403)"},
		"lost":     {simulator.LoseRequest(), "no answer of"},
		"one line": {simulator.Refuse(500, nil, "<html>\n\x1b[31m</html>"), "answered 500"},
	} {
		w := start(t)
		if name != "sent" {
			w.faults.Add(simulator.Fault{Path: "/site-1/api/users/forgot-password", Do: c.fault})
		}
		o := create(t, w.open(), w.wish("site-1"))
		users := w.site("site-1").Users()
		if len(users) != 1 || users[0].MailedAt.IsZero() == (name == "sent") || o.Phase != provider.Ready {
			t.Fatalf("%s: %+v, %+v", name, o, users)
		}
		if (o.Message == "") != (c.said == "") || !strings.Contains(o.Message, c.said) || strings.ContainsAny(o.Message, "\n\x1b") || strings.Contains(o.Message, testPassword) {
			t.Errorf("%s: %q", name, o.Message)
		}
	}
}

// Where a user was to be made may be gone from the record: nobody is left to ask, and nothing is
// found. A site that has no address yet is another matter: that is said, with what gives it one.
func TestALookWithoutAnAddress(t *testing.T) {
	w := start(t)
	p, wish := w.open(), w.wish("site-1")
	create(t, p, wish)
	_, err := p.Observe(t.Context(), provider.Query{Kind: state.KindAdmin, Wish: new(w.wish("site-1", input("url", "")))})
	wantKind(t, "an empty address", err, provider.Invalid)
	w.asked()
	wish.Inputs = slices.DeleteFunc(wish.Inputs, func(in provider.Input) bool { return in.Name == "url" })
	found := look(t, p, wish)
	if calls := w.asked(); len(found) > 0 || len(calls) > 0 {
		t.Errorf("found %v, asked %v", found, calls)
	}
}
