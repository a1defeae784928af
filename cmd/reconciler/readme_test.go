package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The README's commands are run as a newcomer would, in the order in which they stand,
// and what it shows of their output has to come.
func TestReadme(t *testing.T) {
	readme := readAll(t, "../../README.md")
	for _, command := range []string{"go run ./cmd/reconciler demo", "make test"} {
		if !strings.Contains(readme, "```sh\n"+command+"\n```") {
			t.Errorf("README.md has no block with %q", command)
		}
	}
	if !strings.Contains(readAll(t, "../../Makefile"), "\ntest:") || !strings.Contains(readAll(t, "../../.ci/run"), "make test") {
		t.Error("make test is no target, or is not what CI runs")
	}
	temp := t.TempDir()
	on := startDemo(t, temp, "--data", filepath.Join(temp, "demo"))
	d := demoProcess{data: on.data, http: strings.TrimPrefix(on.base, "http://"), dns: on.dns}
	dir := t.TempDir()
	bin := tools(t)
	for _, block := range blocks(readme, "console") {
		for _, c := range block {
			d.run(t, dir, bin, c)
			if strings.Contains(c.line, "git clone") {
				dir = filepath.Join(dir, "clients")
			}
		}
	}
}

// command is one line behind "$ " and what the README shows of its output.
type command struct {
	line string
	want []string
}

// blocks are the commands of every fenced block of a language.
func blocks(text, language string) [][]command {
	var out [][]command
	for _, part := range strings.Split(text, "```"+language+"\n")[1:] {
		body, _, _ := strings.Cut(part, "```")
		var block []command
		for _, l := range strings.Split(strings.TrimSuffix(body, "\n"), "\n") {
			if c, ok := strings.CutPrefix(l, "$ "); ok {
				block = append(block, command{line: c})
			} else if n := len(block); n > 0 {
				block[n-1].want = append(block[n-1].want, l)
			}
		}
		out = append(out, block)
	}
	return out
}

// demoProcess is where a running demo is.
type demoProcess struct {
	data, http, dns string
}

// until waits for what another process does.
func (d demoProcess) until(t *testing.T, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-tick.C
	}
}

// tools is a folder with the commands that the README uses beside git and sed: this
// program, and a curl and a dig that any machine has.
func tools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string]string{"reconciler": "RECONCILER_TEST_MAIN=main", "curl": "RECONCILER_TEST_TOOL=curl", "dig": "RECONCILER_TEST_TOOL=dig"} {
		script := fmt.Sprintf("#!/bin/sh\n%s exec %q \"$@\"\n", env, self)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs one command of the README until its output is as shown: the daemon works
// beside it.
func (d demoProcess) run(t *testing.T, dir, bin string, c command) {
	t.Helper()
	host, port, _ := net.SplitHostPort(d.dns)
	line := strings.NewReplacer("127.0.0.1:8080", d.http, "@127.0.0.1 -p 8053", "@"+host+" -p "+port).Replace(c.line)
	once := strings.HasPrefix(line, "git ") || strings.HasPrefix(line, "sed ")
	d.until(t, func() error {
		sh := exec.Command("sh", "-c", line)
		sh.Dir = dir
		sh.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "DATA="+d.data, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0",
			"GIT_AUTHOR_NAME=Dana", "GIT_AUTHOR_EMAIL=dana@agency.example", "GIT_COMMITTER_NAME=Dana", "GIT_COMMITTER_EMAIL=dana@agency.example")
		out, err := sh.CombinedOutput()
		if sh.ProcessState.ExitCode() == exitFailed && strings.HasPrefix(line, "reconciler drift ") && !strings.Contains(line, "--adopt") {
			err = nil // something has drifted
		}
		if err != nil && once {
			t.Fatalf("%s: %v\n%s", c.line, err, out)
		}
		if bad := d.missing(string(out), c.want); bad != "" {
			err = fmt.Errorf("%s\nprinted\n%swithout a line like\n%s", c.line, out, bad)
			if once {
				t.Fatal(err)
			}
		}
		return err
	})
}

// missing is the first shown line that did not come. Commits, ids, times and ports are
// others each time; a line of "…" stands for any.
func (d demoProcess) missing(out string, want []string) string {
	_, port, _ := net.SplitHostPort(d.http)
	got := strings.Split(out, "\n")
	for _, w := range want {
		if strings.TrimSpace(w) == "…" || strings.TrimSpace(w) == "" {
			continue
		}
		pattern := regexp.QuoteMeta(strings.Join(strings.Fields(strings.ReplaceAll(w, ":8080", ":"+port)), " "))
		pattern = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ`).ReplaceAllString(pattern, `\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ`)
		pattern = regexp.MustCompile(`\d{1,2} [A-Z][a-z]+ \d{4}`).ReplaceAllString(pattern, `\d{1,2} [A-Z][a-z]+ \d{4}`)
		pattern = regexp.MustCompile(`\b[0-9a-f]{6,}\b`).ReplaceAllString(pattern, `[0-9a-f]{6,}`)
		re := regexp.MustCompile("^" + pattern + "$")
		found := false
		for _, g := range got {
			found = found || re.MatchString(strings.Join(strings.Fields(g), " "))
		}
		if !found {
			return w
		}
	}
	return ""
}

// tool is what a test's curl and dig do; see tools.
func tool(name string, args []string) int {
	var err error
	switch name {
	case "curl": // curl -s -H 'Host: NAME' URL
		err = get(args[len(args)-1], strings.TrimPrefix(args[2], "Host: "))
	case "dig": // dig +short @HOST -p PORT NAME
		m := new(dns.Msg).SetQuestion(dns.Fqdn(args[4]), dns.TypeA)
		var answer *dns.Msg
		if answer, err = dns.Exchange(m, net.JoinHostPort(strings.TrimPrefix(args[1], "@"), args[3])); err == nil {
			for _, rr := range answer.Answer {
				if a, ok := rr.(*dns.A); ok {
					fmt.Println(a.A)
				}
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func get(url, host string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(os.Stdout, io.LimitReader(res.Body, 1<<20))
	return err
}

// The README says how long what was replaced serves on: nobody can set that, so that it is read there.
func TestREADMETellsHowLongTheReplacedSideServes(t *testing.T) {
	text := strings.Join(strings.Fields(readAll(t, "../../README.md")), " ")
	if soakTime != 10*time.Minute || !strings.Contains(text, "for the records' time to live and ten minutes more") {
		t.Errorf("it serves for %s more, and the README says something else", soakTime)
	}
}
