//go:build linux

package bolt

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/compassdigital/reconciler/internal/store"
)

// childRole is set for a process that a test starts from its own binary: a role, a
// colon, the state's path.
const childRole = "BOLT_TEST_CHILD"

func TestMain(m *testing.M) {
	role, path, _ := strings.Cut(os.Getenv(childRole), ":")
	switch role {
	case "":
		os.Exit(m.Run())
	case "commit":
		childCommits(path)
	case "full":
		childFills(path)
	case "backup":
		childBacksUp(path)
	case "restore":
		childRestores(path)
	case "migrate":
		childMigrates(path)
	}
	os.Exit(3)
}

func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childRole+"="+role+":"+path)
	c.Stderr = os.Stderr
	return c
}

func childOpen(path string) *Store {
	t := &testing.T{} // for its keys only: it cannot fail here
	s, err := Open(Options{Path: path, Keys: testKeys(t), Now: clock})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return s
}

// childCommits commits from several writers until it is killed, and says what was
// acknowledged.
func childCommits(path string) {
	s := childOpen(path)
	var next atomic.Int64
	if err := s.View(func(tx store.Tx) error {
		return tx.Last(bucket, "", func(key string, _ func(any) error) error {
			var n int64
			_, err := fmt.Sscan(strings.TrimLeft(key, "0"), &n)
			next.Store(n)
			return errors.Join(err, store.ErrStop)
		})
	}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				key := fmt.Sprintf("%020d", next.Add(1))
				err := s.Update(func(tx store.Tx) error {
					if _, err := tx.Next(bucket); err != nil {
						return err
					}
					return errors.Join(tx.Put(bucket, key, "value of "+key), tx.Put("names", key, "twin of "+key))
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println(key)
			}
		})
	}
	wg.Wait()
}

// TestKilled: whatever was acknowledged before a kill -9 is there after it, whole,
// and nothing is there by half.
func TestKilled(t *testing.T) {
	o := options(t)
	acknowledged := map[string]bool{}
	for round := range 6 {
		killAfter(t, o.Path, 40+97*round, acknowledged)
		s, err := Open(o) // the dead process holds nothing
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		err = s.View(func(tx store.Tx) error {
			return tx.Each(bucket, "", func(key string, decode func(any) error) error {
				var v, twin string
				if err := decode(&v); err != nil {
					return err
				}
				if ok, err := tx.Get("names", key, &twin); err != nil || !ok || v != "value of "+key || twin != "twin of "+key {
					t.Errorf("round %d: %s is %q beside %q: %v", round, key, v, twin, err)
				}
				found++
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		for key := range acknowledged {
			if _, err := get(s, key); err != nil {
				t.Errorf("round %d: %s was acknowledged: %v", round, key, err)
			}
		}
		var n uint64
		_ = s.Update(func(tx store.Tx) (err error) {
			n, err = tx.Next(bucket)
			return errors.Join(err, errors.New("only looked"))
		})
		if int(n) != found+1 {
			t.Errorf("round %d: the sequence stands at %d with %d records", round, n-1, found)
		}
		if err := errors.Join(s.Verify(), s.Close()); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
}

// killAfter runs a child that commits, kills it when it acknowledged n, and notes all
// that it acknowledged.
func killAfter(t *testing.T, path string, n int, acknowledged map[string]bool) {
	t.Helper()
	c := child(t, "commit", path)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for scan := bufio.NewScanner(out); scan.Scan(); {
		acknowledged[scan.Text()] = true
		if lines++; lines == n {
			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Wait(); lines < n {
		t.Fatalf("the child ended by itself after %d: %v", lines, err)
	}
}

// TestHeldByAnotherProcess: who holds the state is said of a real other process.
func TestHeldByAnotherProcess(t *testing.T) {
	o := options(t)
	c := child(t, "commit", o.Path)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(out)
	if !scan.Scan() {
		t.Error("the child did not start")
	}
	o.Timeout = 1
	var held *HeldError
	if _, err := Open(o); !errors.As(err, &held) || !strings.Contains(held.Holder, fmt.Sprint("process ", c.Process.Pid)) {
		t.Errorf("open: %v", err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for scan.Scan() { // until it is gone
	}
	_ = c.Wait() // killed
	mustOpen(t, o)
}

// childFills writes until there is no room, and checks what is left.
func childFills(path string) {
	if err := fill(path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("as it should be")
	os.Exit(0)
}

func fill(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s := childOpen(path)
	write := func(key string, size int) error {
		return s.Update(func(tx store.Tx) error { return tx.Put(bucket, key, strings.Repeat("x", size)) })
	}
	if err := write("first", 100); err != nil {
		return err
	}
	const limit = 6 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	written := 0
	var err error
	for ; err == nil && written < 1000; written++ {
		err = write(fmt.Sprint("big", written), 100<<10)
	}
	if !errors.Is(err, store.ErrFull) {
		return fmt.Errorf("after %d: %w", written, err)
	}
	for i := range written - 1 { // what was acknowledged is there, the last one is not
		if _, err := get(s, fmt.Sprint("big", i)); err != nil {
			return fmt.Errorf("big%d: %w", i, err)
		}
	}
	if _, err := get(s, fmt.Sprint("big", written-1)); err == nil {
		return errors.New("what was refused is there")
	}
	if err := s.Verify(); err != nil {
		return err
	}
	// Room is made by deleting, and used.
	if err := s.Update(func(tx store.Tx) error { return errors.Join(tx.Delete(bucket, "big0"), tx.Delete(bucket, "big1")) }); err != nil {
		return fmt.Errorf("delete when full: %w", err)
	}
	if err := write("after", 1000); err != nil {
		return fmt.Errorf("write after deleting: %w", err)
	}
	return errors.Join(s.Verify(), s.Close())
}

// TestDiskFull: no room is store.ErrFull, nothing of it happened, and the store goes
// on.
func TestDiskFull(t *testing.T) {
	o := options(t)
	out, err := child(t, "full", o.Path).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := mustOpen(t, o)
	if _, err := get(s, "after"); err != nil {
		t.Error(err)
	}
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
	if left := entries(t, filepath.Dir(o.Path)); len(left) != 3 {
		t.Errorf("left behind: %v", left)
	}
}
