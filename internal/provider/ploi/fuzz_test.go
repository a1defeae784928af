package ploi_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider/ploi"
)

// answering is an account that answers by what is asked for: the sites of a server, one site,
// a file of it, and whatever else it has.
type answering struct {
	status               int
	list, site, file, of string
	calls                int
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	a.calls++
	if r.Body != nil {
		_ = r.Body.Close()
	}
	body := a.of
	switch {
	case strings.HasSuffix(r.URL.Path, "/sites") && r.Method == http.MethodGet:
		body = a.list
	case strings.HasSuffix(r.URL.Path, "/sites"), strings.HasSuffix(r.URL.Path, "/sites/1"):
		body = a.site
	case strings.HasSuffix(r.URL.Path, "/env"), strings.HasSuffix(r.URL.Path, "/deploy/script"):
		body = a.file
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// Law: whatever Ploi answers, every look, write and list ends in an error of ours or in
// objects of the site that was asked for; what they say is bounded and clean and repeats no
// token; and the calls end.
func FuzzAnswers(f *testing.F) {
	const (
		root = "c00001-0badcafe.reconciler.internal"
		site = `{"data":{"id":1,"server_id":1,"status":"active","domain":"` + root + `","test_domain":"x.ploi.site","deploy_script":false,"has_repository":true,"last_deploy_at":null}}`
		list = `{"data":[{"id":1,"server_id":1,"status":"active","domain":"` + root + `"}],"meta":{"last_page":1}}`
		env  = `{"content":"A=1\n# reconciler:0badcafe/c00001/1\n"}`
	)
	f.Add(200, list, site, env, `{"data":{"aliases":["shop.example"],"main":"`+root+`"}}`)
	f.Add(200, list, site, `{"data":"# reconciler:0badcafe/c00001/1\n# release c00001-0badcafe-8be01c22aa10\n# serves x\n#\necho 1\n"}`, `{"data":[{"id":1,"content":"line","status":"active","domain":"shop.example"}],"meta":{"last_page":1}}`)
	f.Add(200, list, strings.Replace(site, "active", "suspended", 1), env, `{"data":{"id":1,"ip_address":"192.0.2.7","status":"active","repository":{"branch":"main","name":"o/r"}}}`)
	f.Add(200, `{"data":[{"id":1}],"meta":{"last_page":1e9}}`, `{"data":{"id":1,"server_id":2}}`, `{"content":{"a":1}}`, `{"data":[]}`)
	f.Add(422, `{"message":"no","errors":{"root_domain":["taken"]}}`, `{"error":"\u202e"}`, `[]`, `null`)
	f.Add(500, ``, `{"data":`, `<html>`, `7`)
	f.Fuzz(func(t *testing.T, status int, list, site, file, of string) {
		if status < 200 || status > 599 {
			return // no answer has this status
		}
		vendor := &answering{status: status, list: list, site: site, file: file, of: of}
		w := &world{T: t, names: map[string]string{"web-1": "1"}, clock: newClock(), dns: &names{any: []string{serverAddress}}}
		p, err := ploi.New(w.options("https://ploi.example/api", vendor))
		if err != nil {
			t.Fatal(err)
		}
		w.hostile(p)
		if vendor.calls > 2_000 {
			t.Errorf("%d calls were made", vendor.calls)
		}
	})
}
