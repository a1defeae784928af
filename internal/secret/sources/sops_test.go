//go:build unix

package sources

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's own program stand for sops, where a variable says so.
func TestMain(m *testing.M) {
	if how := os.Getenv("SOPS_STANDIN"); how != "" {
		os.Exit(standIn(how))
	}
	os.Exit(m.Run())
}

// standIn answers as sops does, and as it should not.
func standIn(how string) int {
	if how == "sleeper" {
		time.Sleep(time.Hour)
	}
	if len(os.Args) != 5 || strings.Join(os.Args[1:4], " ") != "--decrypt --output-type json" {
		fmt.Println("called with", os.Args)
		return 99
	}
	data, err := os.ReadFile(os.Args[4])
	if err != nil {
		return 2
	}
	switch how {
	case "decrypt":
		fmt.Print(string(data))
	case "environment":
		var all strings.Builder
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "SOPS_STANDIN") {
				all.WriteString(v + "\n")
			}
		}
		fmt.Printf("{%q: {%q: %s}}", "demoshop", "all", strconv.Quote(all.String()))
	case "hang":
		time.Sleep(time.Hour)
	case "hang-below": // what it started holds its output
		self, err := os.Executable()
		if err != nil {
			return 98
		}
		c := exec.Command(self)
		c.Env = append(os.Environ(), "SOPS_STANDIN=sleeper")
		c.Stdout = os.Stdout
		if err := c.Start(); err != nil {
			return 97
		}
		writePid(c.Process.Pid)
		time.Sleep(time.Hour)
	case "flood":
		chunk := strings.Repeat("x", 1<<20)
		for {
			if _, err := os.Stdout.WriteString(chunk); err != nil {
				return 96
			}
		}
	case "words":
		fmt.Print(string(data))
		fmt.Fprintln(os.Stderr, "error near "+string(data))
		return 128
	default:
		code, err := strconv.Atoi(how)
		if err != nil {
			return 95
		}
		return code
	}
	return 0
}

func writePid(pid int) {
	path := filepath.Join(filepath.Dir(os.Args[4]), "pid")
	if err := os.WriteFile(path+".new", []byte(strconv.Itoa(pid)), 0o600); err == nil {
		_ = os.Rename(path+".new", path)
	}
}

// sops is a set with one sops file, read by the stand-in.
func (b *bench) sops(how string, limit time.Duration) *Set {
	b.t.Helper()
	b.environ = append(b.environ, "SOPS_STANDIN="+how)
	o := b.options()
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	o.Sops, o.SopsTime = self, limit
	s, err := New([]Spec{{Env: "X_"}, {SopsFile: b.path("s.enc.yaml"), KeyFile: b.path("key")}}, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func TestSops(t *testing.T) {
	b := newBench(t)
	b.write("s.enc.yaml", `{"shared": {"smtp": "p w"}, "demoshop": {"mollie": "live-1", "number": 17, "none": null, "yes": true, "escaped": "a\/b\u003c\n"}}`)
	set := b.sops("decrypt", time.Minute)
	got := set.Read(t.Context(), false)
	same(t, "secrets", shown(got), []string{"demoshop/escaped=a/b<\n", "demoshop/mollie=live-1", "demoshop/none!" + notText, "demoshop/number!" + notText, "demoshop/yes!" + notText, "shared/smtp=p w"})
	same(t, "failed", len(got.Failed), 0)
}

// sops gets neither our own tokens nor the clients' secrets, and the key file that it is
// to use.
func TestSopsEnvironment(t *testing.T) {
	b := newBench(t)
	b.write("s.enc.yaml", "{}")
	b.environ = []string{"RECONCILER_GITHUB_TOKEN=" + canaryText, "X_DEMOSHOP__A=" + canaryText, "AWS_REGION=eu-west-1", "SOPS_AGE_KEY_FILE=/another", "HOME=/home/ops"}
	got := b.sops("environment", time.Minute).Read(t.Context(), false)
	same(t, "secrets", len(got.Secrets), 2)
	same(t, "variables", got.Secrets[1].Value.Reveal(), "AWS_REGION=eu-west-1\nHOME=/home/ops\nSOPS_AGE_KEY_FILE="+b.path("key")+"\n")
}

func TestSopsHostile(t *testing.T) {
	for how, want := range map[string]string{
		"words": "sops ended with code 128: no key that it has opens the file; `sops --decrypt ",
		"51":    "sops ended with code 51: the file was changed after it was encrypted",
		"1":     "sops ended with code 1; ",
		"flood": "it is larger than 16 MiB",
	} {
		b := newBench(t)
		b.write("s.enc.yaml", `{"demoshop": {"mollie": "`+canaryText+`"}}`)
		got := b.sops(how, time.Minute).Read(t.Context(), false)
		same(t, how, len(got.Failed), 1)
		wantNotes(t, got, want)
	}
	for _, text := range []string{canaryText, `{"demoshop": "` + canaryText + `"}`, `["` + canaryText + `"]`, `{"demoshop": {"a": "` + canaryText} {
		b := newBench(t)
		b.write("s.enc.yaml", text)
		got := b.sops("decrypt", time.Minute).Read(t.Context(), false)
		same(t, text, len(got.Failed), 1)
		wantNoValue(t, got)
	}
}

// sops that hangs is ended, and what it started with it.
func TestSopsThatHangs(t *testing.T) {
	b := newBench(t)
	b.write("s.enc.yaml", "{}")
	got := b.sops("hang", 50*time.Millisecond).Read(t.Context(), false)
	wantNotes(t, got, "sops did not answer within 50ms")

	b = newBench(t)
	b.write("s.enc.yaml", "{}")
	// The limit is as long as it takes to start what holds the output, whatever the machine.
	ctx := t.Context()
	set := b.sops("hang-below", time.Hour)
	read := make(chan []string, 1)
	bounded, cancel := cancelWhen(ctx, func() bool { _, err := os.Stat(b.path("pid")); return err == nil })
	defer cancel()
	go func() { read <- set.Read(bounded, false).Failed }()
	if failed := <-read; len(failed) != 1 {
		t.Errorf("failed: %v", failed)
	}
	pid, err := strconv.Atoi(string(readAll(t, b.path("pid"))))
	if err != nil {
		t.Fatal(err)
	}
	wantEnded(t, pid)
}

func TestSopsIsNotThere(t *testing.T) {
	b := newBench(t)
	b.write("s.enc.yaml", "{}")
	o := b.options()
	o.Sops = b.path("no-such-program")
	set, err := New([]Spec{{SopsFile: b.path("s.enc.yaml")}}, o)
	if err != nil {
		t.Fatal(err)
	}
	wantNotes(t, set.Read(t.Context(), false), "the program sops is not installed here (https://getsops.io), or not in PATH")

	set = b.sops("decrypt", time.Minute)
	if err := os.Remove(b.path("s.enc.yaml")); err != nil {
		t.Fatal(err)
	}
	wantNotes(t, set.Read(t.Context(), false), "no such file")
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
