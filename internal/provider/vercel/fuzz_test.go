package vercel

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Law: whatever Vercel answers, every look, create, update and list ends in an *Error or in
// objects that are bounded, clean text, of the id that was asked for, and never ours without
// a mark that we can read back.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"id":"prj_x","name":"a-0badcafe","nodeVersion":"22.x","envs":[{"key":"RECONCILER_MARK","value":"reconciler:0badcafe/a/1","type":"plain","target":["production"]},{"key":"A","value":"b","type":"encrypted","decrypted":true,"target":"production"}]}`,
		`{"id":"prj_x","name":"n","link":{"type":"github","org":"o","repo":"r","repoId":7},"targets":{"production":{"id":"dpl_x","readySubstate":"PROMOTED"}},"lastAliasRequest":{"toDeploymentId":"dpl_y","jobStatus":"failed"}}`,
		`{"id":"dpl_x","uid":"dpl_x","projectId":"prj_x","readyState":"BLOCKED","url":"u","meta":{"reconcilerName":"n","reconcilerMark":"reconciler:0badcafe/a/1"},"aliasError":{"code":"c","message":"m"}}`,
		`{"projects":[{"id":"prj_x","name":"a-0badcafe"}],"deployments":[{"uid":"dpl_x","projectId":"prj_x","readyState":"READY"}],"pagination":{"next":"JBSWY3DPEHPK3PXP"}}`,
		`{"name":"shop.example","projectId":"prj_x","verified":false,"verification":[{"type":"TXT","domain":"_vercel.shop.example","value":"v"}]}`,
		`{"error":{"code":"rate_limited","message":"later","limit":{"reset":1e99}}}`,
		`[{"type":"stdout","payload":{"text":"line"}}]`, `{"created":[],"failed":[{"error":{"code":"ENV_ALREADY_EXISTS","message":"m","key":"K"}}]}`,
		`null`, `[]`, `<html>`, ``,
	} {
		f.Add(200, seed)
		f.Add(429, seed)
		f.Add(403, seed)
	}
	wish := func(kind state.Kind, in ...provider.Input) provider.Wish {
		m := provider.Mark{Installation: "0badcafe", Client: "a", Generation: 1}
		r := state.Ref{Client: "a", Kind: kind, Name: "vercel"}
		return provider.Wish{Ref: r, Mark: m, Name: provider.ObjectName(m, r), Inputs: in}
	}
	wishes := map[string]provider.Wish{
		"prj_x":              wish(state.KindSite, text("label", "a"), text("repository", "o/r"), text("runtime", "node22")),
		"prj_x ":             wish(state.KindEnvironment, text("env.A", "b"), text("site", "prj_x")),
		"dpl_x":              wish(state.KindDeployment, text("commit", "c"), text("repository", "o/r"), text("site", "prj_x")),
		"prj_x  ":            wish(state.KindTraffic, text("deployment", "dpl_x"), text("site", "prj_x")),
		"prj_x/shop.example": wish(state.KindDomain, text("host", "shop.example"), text("redirect", ""), text("site", "prj_x")),
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return // no answer has this status
		}
		answer := roundTrip(func() *http.Response {
			a := httptest.NewRecorder()
			a.WriteHeader(status)
			_, _ = a.WriteString(body)
			return a.Result()
		})
		now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
		clean := func(what, s string) {
			if len(s) > 4000 || !utf8.ValidString(s) || strings.ContainsAny(s, "\n\x1b\u202e") {
				t.Errorf("%s is %.200q", what, s)
			}
		}
		check := func(what, id string, found []provider.Object, err error) {
			if err != nil {
				if provider.KindOf(err) == "" {
					t.Errorf("%s: an error without a kind: %v", what, err)
				}
				clean(what+": an error", err.Error())
				if until := provider.UntilOf(err); until.After(now.Add(time.Hour)) {
					t.Errorf("%s: a pause until %s", what, until)
				}
				return
			}
			for _, o := range found {
				clean(what+": a message", o.Message)
				if o.ID == "" || id != "" && o.ID != id {
					t.Errorf("%s: the id %q, asked for %q", what, o.ID, id)
				}
				if m := o.Mark; !m.IsZero() && provider.ParseMark(m.Text()) != m {
					t.Errorf("%s: a mark that is none: %+v", what, m)
				}
				for _, line := range o.Log {
					clean(what+": a line", line)
				}
				if _, err := json.Marshal(o); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		for id, w := range wishes {
			id = strings.TrimSpace(id)
			p := New(Options{Token: state.NewSecret("invented"), Team: "team_x", HTTP: &http.Client{Transport: answer}, Now: func() time.Time { return now }})
			found, err := p.Observe(t.Context(), provider.Query{Kind: w.Ref.Kind, ID: id})
			check(fmt.Sprintf("observe %s", w.Ref.Kind), id, found, err)
			o, err := p.Create(t.Context(), w)
			check(fmt.Sprintf("create %s", w.Ref.Kind), "", []provider.Object{o}, err)
			o, err = p.Update(t.Context(), id, w)
			check(fmt.Sprintf("update %s", w.Ref.Kind), id, []provider.Object{o}, err)
			owned, err := p.Owned(t.Context(), "0badcafe")
			check("owned", "", owned, err)
		}
	})
}

// Law: of whatever a stream says, each line that is told is one, clean and bounded, has a time that can
// be asked for again, and is the same when it comes a second time.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		`{"type":"stdout","created":1,"payload":{"id":"1","text":"a"}}` + "\n" + `{"id":"2","created":1e300,"text":"\u001b[2J\u202eb"}`,
		`[{"id":"1","text":"a"},null,{"created":-1}]` + "\r\n\n" + `null`, `{"id":"1","text":"` + strings.Repeat("long ", 9000) + `"}`, `"text"`, `{`, `<html>`, "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		told := func() (out []provider.LogLine) {
			answer := roundTrip(func() *http.Response {
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
			})
			p := New(Options{Token: state.NewSecret("invented"), HTTP: &http.Client{Transport: answer}, Now: time.Now})
			if err := p.feed("dpl_x").Stream(t.Context(), 0, func(l provider.LogLine) { out = append(out, l) }); err != nil && provider.KindOf(err) != provider.Transient {
				t.Errorf("%v", err)
			}
			return out
		}
		first := told()
		if again := told(); !slices.Equal(first, again) {
			t.Errorf("%d lines, and then %d: they are not the same", len(first), len(again))
		}
		for _, l := range first {
			if l.ID == "" || l.At < 0 || l.At > maxMoment || len(l.Text) > 4*maxLogLine || !utf8.ValidString(l.Text) || strings.ContainsAny(l.Text, "\n\x1b\u202e") {
				t.Errorf("%.100q at %d: %.300q", l.ID, l.At, l.Text)
			}
		}
	})
}

type roundTrip func() *http.Response

func (r roundTrip) RoundTrip(*http.Request) (*http.Response, error) { return r(), nil }

// Law: a repository that is read is one of the three that Vercel knows, has a path without
// anything that a path must not have, and reads as itself again by its address.
func FuzzRepository(f *testing.F) {
	for _, seed := range []string{"", "builtin", "o/r", "https://github.com/o/r.git", "https://gitlab.com/a/b/c", "https://bitbucket.org/o/r/", "https://x@github.com/o/r", "git@github.com:o/r", "o/..", "../r", "https://github.com/o/r?x"} {
		f.Add(seed)
	}
	hosts := map[string]string{"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := repositoryOf(s)
		if !ok || r.kind == "" {
			return
		}
		again, ok := repositoryOf("https://" + hosts[r.kind] + "/" + r.path)
		if hosts[r.kind] == "" || strings.ContainsAny(r.path, " ?#%@:\\") || strings.Contains(r.path, "..") && strings.Contains("/"+r.path+"/", "/../") {
			t.Errorf("%q is %+v", s, r)
		}
		if ok && again != r && !strings.HasSuffix(r.path, ".git") {
			t.Errorf("%q is %+v and then %+v", s, r, again)
		}
	})
}
