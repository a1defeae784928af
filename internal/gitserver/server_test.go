package gitserver

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"", "A", "a.b", "../x", "a/b", "a b", strings.Repeat("a", maxName+1)} {
		if _, err := w.Create(name, "main", map[string]string{"a": "1"}, "m"); !errors.Is(err, ErrName) {
			t.Errorf("Create(%q) = %v", name, err)
		}
	}
	for _, path := range []string{"", "/a", "../a", "a/../b", "a//b", ".git/config", "a/.GIT/x", "a\\b", "."} {
		if _, err := w.Create("ok", "main", map[string]string{path: "1"}, "m"); !errors.Is(err, ErrName) {
			t.Errorf("Create with path %q = %v", path, err)
		}
	}
	if _, err := w.Create("ok", "a..b", nil, "m"); !errors.Is(err, ErrName) {
		t.Error(err)
	}
	w.create(t, "ok", map[string]string{"a": "1"})
	if _, err := w.Create("ok", "main", nil, "m"); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if _, err := w.Head("none"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	dir := w.clone(t, "ok")
	for _, name := range []string{"none", "UPPER", "a.b", "..%2fok"} {
		if out, err := try(t, dir, "push", w.url+name+".git", "HEAD:main"); err == nil {
			t.Errorf("pushed to %s: %s", name, out)
		}
	}
	for _, ref := range []string{"refs/notes/x", "refs/pull/1/head"} {
		if out, err := try(t, dir, "push", "origin", "HEAD:"+ref); err == nil || !strings.Contains(out, "funny refname") {
			t.Errorf("pushed %s: %v %s", ref, err, out)
		}
	}
}

func TestCommitAndRevert(t *testing.T) {
	w := newWorld(t)
	first := w.create(t, "r", map[string]string{"clients/a.yaml": "1\n", "clients/b.yaml": "1\n"})
	if _, err := w.Commit("r", map[string]*string{"clients/a.yaml": text("1\n")}, "same"); !errors.Is(err, ErrNothing) {
		t.Error(err)
	}
	if _, err := w.Commit("r", map[string]*string{"clients/none.yaml": nil}, "gone"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	second, err := w.Commit("r", map[string]*string{"clients/a.yaml": text("2\n"), "new/x": text("x"), "clients/b.yaml": nil}, "second")
	if err != nil {
		t.Fatal(err)
	}
	third, err := w.Commit("r", map[string]*string{"other": text("o")}, "third")
	if err != nil {
		t.Fatal(err)
	}
	reverted, err := w.Revert("r", second)
	if err != nil {
		t.Fatal(err)
	}
	dir := w.clone(t, "r")
	if got := run(t, dir, "diff", "--name-only", first, reverted); got != "other" {
		t.Fatalf("after the revert these differ from the first: %s", got)
	}
	if run(t, dir, "rev-parse", "HEAD", "HEAD^") != reverted+"\n"+third {
		t.Fatal("the revert is not on top")
	}
	if _, err := w.Commit("r", map[string]*string{"clients/a.yaml": text("4\n")}, "fourth"); err != nil {
		t.Fatal(err)
	}
	before := w.head(t, "r")
	if _, err := w.Revert("r", reverted); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	for _, none := range []string{strings.Repeat("1", 40), "main", second[:10]} {
		if _, err := w.Revert("r", none); !errors.Is(err, ErrNotFound) {
			t.Errorf("Revert(%q) = %v", none, err)
		}
	}
	if w.head(t, "r") != before {
		t.Error("a failed revert moved the branch")
	}
}

func post(t *testing.T, url, service, encoding string, body []byte) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url+"/"+service, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-"+service+"-request")
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return res.StatusCode, string(out)
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	tip := w.create(t, "r", map[string]string{"a": "1"})
	url := w.url + "r.git"
	zip := func(b []byte) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(b)
		_ = z.Close()
		return out.Bytes()
	}
	zero, one := strings.Repeat("0", 40), strings.Repeat("1", 40)
	pkt := func(s string) string { return "0" + hex3(len(s)+4) + s }
	for name, c := range map[string]struct {
		service, encoding string
		body              []byte
		code              int
		says              string
	}{
		"bomb":          {uploadPack, "gzip", zip(make([]byte, MaxBody+1)), 413, ""},
		"not gzip":      {uploadPack, "gzip", []byte("x"), 400, ""},
		"encoding":      {uploadPack, "br", nil, 400, ""},
		"junk":          {uploadPack, "", []byte("zzzz"), 400, ""},
		"unknown want":  {uploadPack, "", []byte(pkt("want "+one+"\n") + "0000" + pkt("done\n")), 400, ""},
		"shallow":       {uploadPack, "", []byte(pkt("want "+tip+"\n") + pkt("deepen 1\n") + "0000" + pkt("done\n")), 400, "full clone"},
		"probe":         {receivePack, "", []byte("0000"), 200, ""},
		"missing":       {receivePack, "", []byte(pkt(zero+" "+one+" refs/heads/x\x00 report-status\n") + "0000"), 200, "missing necessary objects"},
		"broken pack":   {receivePack, "", []byte(pkt(zero+" "+one+" refs/heads/x\x00 report-status\n") + "0000PACKjunk"), 200, "cannot be read"},
		"traversal":     {receivePack, "", []byte(pkt(zero+" "+tip+" refs/heads/../../x\x00 report-status\n") + "0000"), 200, "funny refname"},
		"old is stale":  {receivePack, "", []byte(pkt(one+" "+tip+" refs/heads/main\x00 report-status\n") + "0000"), 200, "moved"},
		"not commands":  {receivePack, "", []byte(pkt("shallow "+tip) + "0000"), 400, ""},
		"commands only": {receivePack, "", []byte(pkt(zero + " " + tip + " refs/heads/x\x00")), 400, ""},
	} {
		code, out := post(t, url, c.service, c.encoding, c.body)
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: %d %q", name, code, out)
		}
	}
	if w.head(t, "r") != tip {
		t.Error("the branch moved")
	}
	dir := w.clone(t, "r")
	if got := run(t, dir, "ls-remote", "origin"); strings.Count(got, "\n") != 1 {
		t.Errorf("references: %s", got)
	}
	if out, err := try(t, dir, "clone", "--depth", "1", url, dir+"-shallow"); err == nil {
		t.Errorf("a shallow clone: %s", out)
	}
}

func hex3(n int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[n>>8&15], digits[n>>4&15], digits[n&15]})
}
