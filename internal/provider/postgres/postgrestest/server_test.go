package postgrestest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// childVariable makes the test binary start a server and wait to be killed.
const childVariable = "POSTGRESTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		s, err := Open()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(s.dir)
		select {}
	}
	os.Exit(m.Run())
}

// A test process that is killed leaves no server and no folder.
func TestAKilledTestTakesItsServerAlong(t *testing.T) {
	if LeftOut() {
		t.Skip("left out with " + LeaveOut + "=no")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childVariable+"=yes")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	if _, err := fmt.Fscanln(out, &dir); err != nil || !strings.Contains(dir, "pg-") {
		t.Fatalf("%q: %v", dir, err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return // the shell removes it once the server has ended
		}
		if time.Now().After(end) {
			t.Fatal("the server, or its folder, is still there")
		}
	}
}

// Who has no server programs is told what to install, in one sentence.
func TestWithoutPrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := programs("/nowhere/*/bin"); !errors.Is(err, ErrMissing) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}
