package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/compassdigital/reconciler/internal/reconcile"
)

// demo is the real program in a process of its own, as a newcomer has it: what is on
// its screen, and a shell beside it.
type demo struct {
	t    *testing.T
	temp string // where it makes its folder
	cmd  *exec.Cmd
	out  *buffer
	gone chan struct{} // closed when the process has ended

	base, data, git, curl string // as they stand on its screen
	dns, name             string
	env                   []string // beside a person's
	seen                  *world   // what came out, and its state and key as they were before its end
}

// aPerson's environment: Git and a name, nothing of this machine's.
func aPerson(temp string) []string {
	return append(os.Environ(), "RECONCILER_TEST_MAIN=main", "TMPDIR="+temp, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Dana", "GIT_AUTHOR_EMAIL=dana@agency.example", "GIT_COMMITTER_NAME=Dana", "GIT_COMMITTER_EMAIL=dana@agency.example")
}

// startDemo starts it and waits until it says what to try.
func startDemo(t *testing.T, temp string, args ...string) *demo {
	t.Helper()
	d := newDemo(t, temp)
	d.up(args...)
	return d
}

func newDemo(t *testing.T, temp string) *demo {
	return &demo{t: t, temp: temp, out: &buffer{}, gone: make(chan struct{}), seen: &world{t: t, now: time.Now}}
}

// up starts it and waits until it says what to try.
func (d *demo) up(args ...string) {
	d.t.Helper()
	if !slices.Contains(args, "--listen") {
		args = append(args, "--listen", lowAddress())
	}
	if !slices.Contains(args, "--dns") {
		args = append(args, "--dns", lowAddress())
	}
	d.begin(args...)
	d.until("the screen is complete", func() bool { return strings.Contains(d.out.String(), "Ctrl-C stops") })
	d.base = d.said(`dashboard +(http://\S+)/\n`)[1]
	d.git = d.said(`Git +(http://\S+)\n`)[1]
	if i := slices.Index(args, "--data"); i >= 0 {
		d.data = args[i+1]
	} else {
		d.data = d.said(`All of it runs on this machine, in (\S+) `)[1]
	}
	d.curl = d.said(`\n  curl (http://\S+)\n`)[1]
	if strings.Contains(d.out.String(), "are simulated") {
		return
	}
	m := d.said(`\n  dig @(\S+) -p (\d+) (\S+)\n`)
	d.dns, d.name = net.JoinHostPort(m[1], m[2]), m[3]
}

// lowAddress is one whose port systems don't give to outgoing connections (Linux: 32768 and up, others: 49152 and up), so that
// none takes it between two starts, or while the program sees whether it is free. The demo takes the next one where it isn't.
func lowAddress() string {
	return fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)) //nolint:gosec // nobody has to be kept from guessing it
}

// begin starts the process.
func (d *demo) begin(args ...string) {
	t, temp := d.t, d.temp
	t.Helper()
	d.cmd = exec.Command(os.Args[0], append([]string{"demo"}, args...)...)
	d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = append(append(aPerson(temp), newTestimony(t).env()), d.env...), d.out, d.out
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.gone)
		_ = d.cmd.Wait() // its code says it
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // gone already, when all went well
		<-d.gone
		d.seen.hear("screen", d.out.String())
		if exists(d.data) {
			d.seen.dir = d.data
			d.seen.plantConfig()
		}
		d.seen.wantNoLeak()
	})
}

// look asks for all that it shows, and copies what is needed to know its secrets: it may take
// its folder away when it ends.
func (d *demo) look() {
	d.t.Helper()
	at := strings.TrimPrefix(d.base, "http://")
	_, port, _ := net.SplitHostPort(at)
	l := survey{plant: d.seen.plantWhole, ours: func(host string) bool { return host == at || host == "localhost:"+port },
		ask: func(path string) (answer, error) { return d.seen.askAt(at, "localhost", path) }}
	if _, err := l.around(); err != nil {
		d.t.Fatal(err)
	}
	d.seen.dir = d.t.TempDir()
	for _, name := range []string{"state.db", "key", defaultConfigFile} {
		writeAll(d.t, filepath.Join(d.seen.dir, name), readAll(d.t, filepath.Join(d.data, name)))
	}
	d.seen.plantConfig()
}

// said finds something on the screen.
func (d *demo) said(pattern string) []string {
	d.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(d.out.String())
	if m == nil {
		d.t.Fatalf("the screen has no %q:\n%s", pattern, d.out.String())
	}
	return m
}

// until waits for the process to get somewhere.
func (d *demo) until(what string, is func() bool) {
	d.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		select {
		case <-d.gone:
			d.t.Fatalf("ended with %d before: %s\n%s", d.cmd.ProcessState.ExitCode(), what, d.out.String())
		default:
		}
		if time.Now().After(end) {
			d.t.Fatalf("waited for: %s\n%s", what, d.out.String())
		}
	}
}

// end ends the process and returns its exit code.
func (d *demo) end(sig syscall.Signal) int {
	d.t.Helper()
	if d.base != "" { // it was up
		d.look()
	}
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.t.Fatal(err)
	}
	<-d.gone
	return d.cmd.ProcessState.ExitCode()
}

// block is what the screen says under a heading.
func (d *demo) block(heading string) string {
	d.t.Helper()
	return d.said(`(?s)\n  # ` + regexp.QuoteMeta(heading) + `[^\n]*\n(.*?)\n(?:\n|  \()`)[1]
}

// sh runs commands as they stand on the screen.
func (d *demo) sh(dir, commands string) string {
	d.t.Helper()
	c := exec.Command("sh", "-ec", commands)
	c.Dir, c.Env = dir, aPerson(d.temp)
	out, err := c.CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s\n%v\n%s\nscreen:\n%s", commands, err, out, d.out.String())
	}
	d.seen.hear("shell", string(out))
	return string(out)
}

// get asks for a page.
func (d *demo) get(url string) (int, string) {
	d.t.Helper()
	res, err := http.Get(url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	d.seen.hear("page "+url, string(body))
	return res.StatusCode, string(body)
}

// serves says whether a site answers with a text.
func (d *demo) serves(client, text string) {
	d.t.Helper()
	if code, body := d.get(d.base + "/sites/" + client + "/"); code != 200 || !strings.Contains(body, text) {
		d.t.Errorf("%s answers %d, without %q:\n%.300s", client, code, text, body)
	}
	if !d.resolves(client + ".localhost") {
		d.t.Errorf("%s.localhost has no address", client)
	}
}

// resolves asks the demo's DNS server for a name.
func (d *demo) resolves(name string) bool {
	d.t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name+".", dns.TypeA)
	r, _, err := new(dns.Client).Exchange(q, d.dns)
	if err != nil {
		d.t.Fatal(err)
	}
	return r.Rcode == dns.RcodeSuccess && len(r.Answer) == 1
}

// status is what the API says.
func (d *demo) status() map[string]string {
	d.t.Helper()
	_, body := d.get(d.base + "/api/clients")
	var v reconcile.Overview
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		d.t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range v.Clients {
		out[r.Name] = r.Status
	}
	return out
}

// database opens the one file that is a client's.
func (d *demo) database(client string) *sql.DB {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(d.data, "databases", client+"-*.db"))
	if err != nil || len(files) != 1 {
		d.t.Fatalf("database files of %s: %v %v", client, files, err)
	}
	db, err := sql.Open("sqlite", files[0])
	if err != nil {
		d.t.Fatal(err)
	}
	return db
}

// S49 First run: what the screen of the README's first command says to try is tried,
// word for word, and has the effect that it says.
func TestS49FirstRun(t *testing.T) {
	temp, work := t.TempDir(), t.TempDir()
	d := startDemo(t, temp)
	clients := filepath.Join(work, "clients")
	for name, status := range d.status() {
		if want := map[bool]string{true: "paused", false: "active"}[name == "wintermarket"]; status != want {
			t.Errorf("%s is %s at first, want %s", name, status, want)
		}
	}
	if code, body := d.get(d.base + "/"); code != 200 || !strings.Contains(body, "demoshop") {
		t.Errorf("the dashboard answers %d:\n%.300s", code, body)
	}
	if code, body := d.get(d.curl); code != 200 || !strings.Contains(body, "Demo Shop") {
		t.Errorf("%s answers %d:\n%.300s", d.curl, code, body)
	}
	if !d.resolves(d.name) || d.resolves("nobody.localhost") {
		t.Errorf("the DNS server knows %s: %v; nobody: %v", d.name, d.resolves(d.name), d.resolves("nobody.localhost"))
	}

	told := d.sh(work, d.block("1. add a client"))
	d.serves("secondshop", "Second Shop")
	if !regexp.MustCompile(`remote: ✓ secondshop +active +http://secondshop\.localhost:\d+ +in [\d.]+ s`).MatchString(told) || !strings.Contains(told, ": success: ") {
		t.Errorf("the pusher was told:\n%s", told)
	}
	if _, body := d.get(d.base + "/mail/"); !strings.Contains(body, "Second Shop is ready") {
		t.Errorf("the mailbox:\n%s", body)
	}
	db := d.database("secondshop")
	if _, err := db.Exec("create table marker (title text); insert into marker values ('an order')"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	d.sh(clients, d.block("2. take it back"))
	if code, _ := d.get(d.base + "/sites/secondshop/"); code != 404 || d.resolves("secondshop.localhost") || d.status()["secondshop"] != "retained" {
		t.Errorf("after the revert: %d, name %v, %s", code, d.resolves("secondshop.localhost"), d.status()["secondshop"])
	}

	d.sh(clients, d.block("3. take that back"))
	d.serves("secondshop", "Second Shop")
	db = d.database("secondshop")
	var row string
	if err := db.QueryRow("select title from marker").Scan(&row); err != nil || row != "an order" {
		t.Errorf("the row after the revert of the revert: %q %v", row, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	d.sh(clients, d.block("4. change it"))
	d.serves("secondshop", "Better Shop")

	told = d.sh(clients, d.block("5. break it"))
	where := "clients/secondshop.yaml:7:7: "
	if !strings.Contains(told, "remote: ✗ "+where) || !strings.Contains(told, "did you mean starter?") || !strings.Contains(d.out.String(), where) {
		t.Errorf("the pusher was told:\n%s\nscreen:\n%s", told, d.out.String())
	}
	d.serves("secondshop", "Better Shop")

	told = d.sh(clients, d.block("6. mend it"))
	if !strings.Contains(told, ": success: ") {
		t.Errorf("the pusher was told:\n%s", told)
	}

	lines := strings.Split(d.block("7. change a DNS record"), "\n")
	d.sh(work, lines[0])
	if told := d.sh(work, lines[1]+" || true"); !strings.Contains(told, `content is "elsewhere.example", recorded "status.timmerhout.example"`) {
		t.Errorf("what was changed is told as\n%s", told)
	}
	d.sh(work, lines[2])
	demoProcess{}.until(t, func() error {
		if told := d.sh(work, lines[1]+" || true"); !strings.Contains(told, "Everything is as recorded") {
			return errors.New("it is not put back: " + told)
		}
		return nil
	})
	if told := d.sh(clients, d.block("ask the program")); !regexp.MustCompile(`secondshop +active +healthy`).MatchString(told) {
		t.Errorf("the program says:\n%s", told)
	}

	if code := d.end(syscall.SIGTERM); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, d.out.String())
	}
	left, err := filepath.Glob(filepath.Join(temp, "reconciler-demo-*"))
	if err != nil || len(left) > 0 || !strings.Contains(d.out.String(), "nothing is left") {
		t.Errorf("left over: %v %v\n%s", left, err, d.out.String())
	}
}

// P10, the control where the folder is taken away: a leak on the screen, on a page, and in what a
// command said is found, of what the program made up itself.
func TestP10LeaksOfTheFirstRunAreFound(t *testing.T) {
	d := startDemo(t, t.TempDir())
	if code := d.end(syscall.SIGTERM); code != 0 || exists(d.data) {
		t.Fatalf("it ended with %d; its folder is there: %t", code, exists(d.data))
	}
	d.seen.ears.leaky = true // as planned
	c, err := loadConfig(filepath.Join(d.seen.dir, defaultConfigFile), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	made, err := d.seen.unsealed()
	if err != nil || len(made) == 0 {
		t.Fatalf("%d records: %v", len(made), err)
	}
	for _, sink := range []string{"screen", "page /", "shell"} {
		d.seen.hear(sink, "the token is "+c.GitHub.Token.Reveal())
	}
	found, err := d.seen.leaks()
	if err != nil {
		t.Fatal(err)
	}
	for _, sink := range []string{"screen", "page /", "shell"} {
		if !slices.Contains(found, sink+" holds a secret of the configuration (plain)") {
			t.Errorf("not found: %s; but %q", sink, found)
		}
	}
	if d.seen.ears.planted < 10 { // databases' passwords and what was generated, too
		t.Errorf("only %d secrets are known", d.seen.ears.planted)
	}
}

// P8, S49: killed, it goes on with what is in its folder, at other ports if it must.
func TestDemoGoesOnInItsFolder(t *testing.T) {
	temp, work := t.TempDir(), t.TempDir()
	data := filepath.Join(temp, "a folder's name") // a shell must take it, too
	d := startDemo(t, temp, "--data", data)
	d.data = data
	d.sh(work, d.block("1. add a client"))
	before := d.status()
	d.end(syscall.SIGKILL)

	busy, err := net.Listen("tcp", strings.TrimPrefix(d.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	names, err := net.ListenPacket("udp", d.dns)
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	again := startDemo(t, temp, "--data", data, "--listen", busy.Addr().String(), "--dns", names.LocalAddr().String())
	for _, a := range []string{busy.Addr().String(), names.LocalAddr().String()} {
		again.said(regexp.QuoteMeta(a) + ` is in use already: it is 127\.0\.0\.1:\d+ here`)
	}
	if again.base == d.base || again.dns == d.dns {
		t.Errorf("it says to be at %s and %s", again.base, again.dns)
	}
	if after := again.status(); fmt.Sprint(after) != fmt.Sprint(before) || after["secondshop"] != "active" {
		t.Errorf("before %v, after %v", before, after)
	}
	again.serves("secondshop", "Second Shop")
	clone := filepath.Join(work, "again")
	told := again.sh(work, "git clone "+again.git+" again && cd again && git revert --no-edit HEAD && git push")
	if again.status()["secondshop"] != "retained" {
		t.Errorf("after a revert in %s: %v\n%s", clone, again.status(), told)
	}

	// A second one in the same folder is told who is there, and leaves it alone.
	c := exec.Command(os.Args[0], "demo", "--data", data, "--listen", "127.0.0.1:0", "--dns", "127.0.0.1:0")
	c.Env = aPerson(temp)
	out, err := c.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte(fmt.Sprintf("process %d", again.cmd.Process.Pid))) {
		t.Errorf("a second one: %v\n%s", err, out)
	}
	if told := again.sh(work, again.block("ask the program")); !strings.Contains(told, "demoshop") {
		t.Errorf("the program says:\n%s", told)
	}

	if code := again.end(syscall.SIGTERM); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, again.out.String())
	}
	if _, err := os.Stat(filepath.Join(data, "state.db")); err != nil {
		t.Errorf("the folder that was named: %v", err)
	}
	again.said(`to go on:\n  .*demo --data '`)
}

// --fail makes a step fail once; the command on the screen mends it.
func TestDemoFailsAndRecovers(t *testing.T) {
	for _, step := range []string{"database", "project", "dns", "environment", "deploy"} {
		t.Run(step, func(t *testing.T) {
			d := startDemo(t, t.TempDir(), "--fail", step)
			var failed []string
			for name, status := range d.status() {
				if status == "failed" {
					failed = append(failed, name)
				}
			}
			if len(failed) != 1 {
				t.Fatalf("failed: %v\n%s", failed, d.out.String())
			}
			d.said(`✗ ` + failed[0] + ` +` + step + ` .*as --fail asked for`)
			d.sh(t.TempDir(), d.block("mend what failed"))
			d.until(failed[0]+" is active", func() bool { return d.status()[failed[0]] == "active" })
			if code := d.end(syscall.SIGINT); code != 0 {
				t.Errorf("it ended with %d:\n%s", code, d.out.String())
			}
		})
	}
}

func TestDemoRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--fail", "lunch"}, "it is database, project, dns, environment or deploy"},
		{[]string{"--listen", "here"}, "HOST:PORT"},
		{[]string{"--listen", "127.0.0.1:http"}, "a number"},
		{[]string{"--dns", "127.0.0.1:99999"}, "a number up to 65535"},
		{[]string{"--listen", "192.0.2.1:8080"}, "can't be listened at"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			temp := t.TempDir()
			p := exec.Command(os.Args[0], append([]string{"demo"}, c.args...)...)
			p.Env = aPerson(temp)
			out, err := p.CombinedOutput()
			if p.ProcessState.ExitCode() != exitUsage || !bytes.Contains(out, []byte(c.says)) {
				t.Errorf("%v\n%s", err, out)
			}
			if left, _ := filepath.Glob(filepath.Join(temp, "*")); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}
