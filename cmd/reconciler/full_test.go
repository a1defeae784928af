package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// sizeVariable limits the size of the files that a test's process may write, in bytes, until
// there is a file of the name behind it: what is beyond it does not fit, as on a disk that
// is full.
const sizeVariable = "RECONCILER_TEST_FILE_SIZE"

// fullDisk is a place for a state that can be made full.
type fullDisk struct {
	// leave leaves room for so many pages beside what there is; free leaves all that one
	// could need.
	leave func(w *crashWorld, pages int) error
	free  func(w *crashWorld) error
}

const diskPage = 4096

// smallDisk is a tmpfs, where one may be mounted.
func smallDisk(t *testing.T) (fullDisk, string, bool) {
	dir := shortDir(t)
	if err := exec.Command("mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", dir).Run(); err != nil {
		return fullDisk{}, "", false
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	filler := filepath.Join(dir, "filler")
	return fullDisk{
		leave: func(_ *crashWorld, pages int) error {
			f, err := os.Create(filler)
			if err != nil {
				return err
			}
			defer f.Close()
			size := int64(0)
			for err == nil {
				var n int
				n, err = f.Write(make([]byte, diskPage))
				size += int64(n)
			}
			if !errors.Is(err, syscall.ENOSPC) {
				return err
			}
			return f.Truncate(max(0, size-int64(pages)*diskPage))
		},
		free: func(*crashWorld) error { return os.Remove(filler) }}, dir, true
}

// smallFiles is a limit of the processes that write.
func smallFiles(t *testing.T) (fullDisk, string) {
	return fullDisk{
		leave: func(w *crashWorld, pages int) error {
			if err := os.RemoveAll(w.path("room")); err != nil {
				return err
			}
			info, err := os.Stat(w.path("state.db"))
			if err != nil {
				return err
			}
			used := info.Sys().(*syscall.Stat_t).Blocks * 512 // the file has holes
			w.env = []string{sizeVariable + "=" + fmt.Sprintf("%d %s", used+int64(pages)*diskPage, w.path("room"))}
			return nil
		},
		free: func(w *crashWorld) error {
			w.env = nil
			return os.WriteFile(w.path("room"), nil, 0o600)
		}}, shortDir(t)
}

// namespaceVariable says that a test runs in a namespace of its own.
const namespaceVariable = "RECONCILER_TEST_NAMESPACE"

// aFullDisk is whichever works here, and says which: a tmpfs, else one in a namespace, where
// somebody may mount who may not elsewhere, else a limit of files' size. here is false where the
// test was played in a namespace and is over.
func aFullDisk(t *testing.T) (disk fullDisk, dir string, here bool) {
	t.Helper()
	if disk, dir, can := smallDisk(t); can {
		if os.Getenv(namespaceVariable) == "" {
			t.Log("a full disk is a small tmpfs")
		}
		return disk, dir, true
	}
	if os.Getenv(namespaceVariable) != "" {
		t.Fatal("nothing can be mounted in the namespace")
	}
	probe := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", shortDir(t)) // it goes with its process
	if inNamespace(probe) && probe.Run() == nil {
		c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		c.Env = append(os.Environ(), namespaceVariable+"=yes")
		inNamespace(c)
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Fatalf("in a namespace: %v\n%s", err, out)
		}
		t.Log("a full disk is a small tmpfs in a namespace")
		return disk, "", false
	}
	t.Log("a full disk is a limit of files' size: nothing can be mounted here")
	disk, dir = smallFiles(t)
	return disk, dir, true
}

// limitFiles obeys sizeVariable, in the process that the test started.
func limitFiles() error {
	text := os.Getenv(sizeVariable)
	if text == "" {
		return nil
	}
	var limit, was syscall.Rlimit
	var room string
	if _, err := fmt.Sscan(text, &limit.Cur, &room); err != nil {
		return err
	}
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	limit.Max = was.Max
	go func() {
		for !exists(room) {
			time.Sleep(5 * time.Millisecond)
		}
		_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was)
	}()
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

// S34, P8: the disk is full, with room for so many pages more, from none on: wherever that
// stops the program, nothing is written at a provider without an intent, what was written
// is not lost, it says what is wrong, and reading goes on; once there is room it comes to
// its end.
func TestS34DiskFull(t *testing.T) {
	disk, dir, here := aFullDisk(t)
	if !here {
		return
	}
	w := newCrashWorldAt(t, dir, 7, hostSpec{})
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v\n%s", what, err, strings.Join(w.log, "\n"))
		}
	}
	wish := func(s shop) {
		t.Helper()
		w.shops[s.Name] = s
		must("commit", w.commit(s.Name))
	}
	wish(shop{Name: keeper, Currency: "EUR"})
	must("settle", w.settle())
	stopped, cut, through := 0, 0, 0
	rooms := []int{0, 4, 8, 12, 16, 20, 26, 32, 400}
	const tries = 100
	for n := 0; n < len(rooms) || cut == 0 && n < tries; n++ { // until one is stopped between a call and its outcome
		pages := 4 + w.rng.IntN(30)
		if n < len(rooms) {
			pages = rooms[n]
		}
		before, err := w.check(false)
		must("check", err)
		for range 2 {
			w.names++
			wish(shop{Name: fmt.Sprintf("shop%d", w.names), Currency: "EUR", Long: true})
		}
		must("fill", disk.leave(w, pages))
		e, out, err := w.command("apply")
		must("apply", err)
		switch {
		case e.code == 0 && strings.Contains(out, "no room"):
			t.Errorf("room for %d pages: it ends with 0, and says\n%s", pages, out)
		case e.code == 0:
			through++
		default:
			stopped++
			if !strings.Contains(out, "no room to write state") && !strings.Contains(out, "no space left on device") {
				t.Errorf("room for %d pages: exit code %d, and it says\n%s", pages, e.code, out)
			}
		}
		for _, args := range [][]string{{"status"}, {"why", keeper}} {
			if n > 2 {
				break
			}
			if e, out, err := w.command(args...); err != nil || e.code != 0 || !strings.Contains(out, keeper) {
				t.Errorf("room for %d pages: %v ends with %d (%v): %s", pages, args, e.code, err, out)
			}
		}
		must("free", disk.free(w))
		after, err := w.check(false)
		must(fmt.Sprintf("check after room for %d pages", pages), err)
		if rec, err := w.read(); err != nil || len(rec.intents) > 0 {
			cut++
			must("read", err)
		}
		if pages == 0 && after.Writes > before.Writes {
			t.Errorf("%d provider writes without room for an intent:\n%s", after.Writes-before.Writes, out)
		}
	}
	must("settle", w.settle())
	t.Logf("stopped %d times, %d of them with an intent open; went through %d times", stopped, cut, through)
	if stopped < 3 || cut < 1 || through < 1 {
		t.Error("that tries too little")
	}
}

// S34: a daemon that comes up on a full disk says so, shows what there is, and goes on by
// itself once there is room.
func TestS34DaemonOnAFullDisk(t *testing.T) {
	disk, dir, here := aFullDisk(t)
	if !here {
		return
	}
	w := newCrashWorldAt(t, dir, 8, hostSpec{})
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v\n%s", what, err, strings.Join(w.log, "\n"))
		}
	}
	w.shops[keeper] = shop{Name: keeper, Currency: "EUR"}
	must("commit", w.commit(keeper))
	must("settle", w.settle())
	before, err := w.check(true)
	must("check", err)
	w.shops["shop1"] = shop{Name: "shop1", Currency: "EUR", Long: true}
	must("commit", w.commit("shop1"))
	must("fill", disk.leave(w, 0))
	r, err := w.begin("", "run")
	must("run", err)
	ended := make(chan error, 1)
	go func() {
		_, err := r.wait(0, func() bool { return true })
		ended <- err
	}()
	until := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s does not come:\n%s", what, r.errOut)
			}
		}
	}
	until("a word of the full disk", func() bool {
		return strings.Contains(r.errOut.String(), "no room to write state") || strings.Contains(r.errOut.String(), "no space left on device")
	})
	status := func() string {
		e, out, err := w.command("status")
		if err != nil || e.code != 0 {
			t.Fatalf("status ends with %d (%v): %s", e.code, err, out)
		}
		return out
	}
	if out := status(); !strings.Contains(out, keeper) || strings.Contains(out, "shop1 ") {
		t.Errorf("status says\n%s", out)
	}
	must("free", disk.free(w))
	until("the new client", func() bool {
		for line := range strings.Lines(status()) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "shop1" {
				return f[1] == string(state.StatusActive)
			}
		}
		return false
	})
	must("kill", r.cmd.Process.Kill())
	must("the daemon", <-ended)
	must("settle", w.settle())
	after, err := w.check(true)
	must("check", err)
	if after.Writes <= before.Writes {
		t.Error("the host saw no write")
	}
}
