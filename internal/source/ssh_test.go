package source

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// sshd lets one key run git-upload-pack and nothing else.
func sshd(t *testing.T, host ssh.Signer, client ssh.PublicKey) string {
	t.Helper()
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if string(k.Marshal()) != string(client.Marshal()) {
			return nil, errors.New("another key")
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(c, config) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func serve(c net.Conn, config *ssh.ServerConfig) {
	defer c.Close()
	conn, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(requests)
	for nc := range channels {
		ch, asked, err := nc.Accept()
		if err != nil {
			return
		}
		for req := range asked {
			var exe struct{ Command string }
			if req.Type != "exec" || ssh.Unmarshal(req.Payload, &exe) != nil {
				_ = req.Reply(false, nil)
				continue
			}
			path, ok := strings.CutPrefix(exe.Command, "git-upload-pack ")
			_ = req.Reply(ok, nil)
			if !ok {
				continue
			}
			cmd := exec.Command("git-upload-pack", strings.Trim(path, "'"))
			cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
			in, err := cmd.StdinPipe() // git may end before its input does
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(in, ch)
				_ = in.Close()
			}()
			code := 0
			if cmd.Run() != nil {
				code = 1
			}
			_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(code)}))
			_ = ch.Close()
		}
	}
}

func key(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return signer, file
}

func TestSSH(t *testing.T) {
	host, _ := key(t)
	mine, file := key(t)
	_, wrong := key(t)
	address := sshd(t, host, mine.PublicKey())
	known := filepath.Join(t.TempDir(), "known_hosts")
	trust := func(k ssh.PublicKey) {
		if err := os.WriteFile(known, []byte(knownhosts.Line([]string{address}, k)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust(host.PublicKey())
	dir := work(t, begin())
	url := fmt.Sprintf("ssh://git@%s%s", address, dir)
	r := open(t, Options{URL: url, SSHKeyFile: file, KnownHostsFile: known})
	first := fetch(t, r)
	if got := content(t, r, first); len(got) != 4 {
		t.Error(got)
	}
	second := save(t, dir, map[string]string{"clients/new.yaml": "name: new"})
	if got := fetch(t, r); got != second {
		t.Error(got)
	}
	if got := diff(t, r, first, second); len(got) != 1 {
		t.Error(got)
	}
	if _, err := open(t, Options{URL: url + "-none", SSHKeyFile: file, KnownHostsFile: known}).Poll(t.Context()); !errors.Is(err, ErrNoRepository) {
		t.Errorf("a missing repository: %v", err)
	}
	if _, err := open(t, Options{URL: url, SSHKeyFile: wrong, KnownHostsFile: known}).Poll(t.Context()); err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
		t.Errorf("another key: %v", err)
	}
	trust(mine.PublicKey())
	if _, err := open(t, Options{URL: url, SSHKeyFile: file, KnownHostsFile: known}).Poll(t.Context()); !errors.Is(err, ErrHostKey) {
		t.Errorf("another host's key: %v", err)
	}
}

// A host that accepts and says nothing holds one connection, however often it is polled.
func TestSilentSSHHost(t *testing.T) {
	_, file := key(t)
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	r := open(t, Options{URL: "ssh://git@" + l.Addr().String() + "/x", SSHKeyFile: file, KnownHostsFile: known})
	why := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	polled := make(chan error, 1)
	go func() {
		_, err := r.Poll(ctx)
		polled <- err
	}()
	first := <-accepted
	cancel(why)
	if err := <-polled; !errors.Is(err, why) {
		t.Error(err)
	}
	short, stop := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, why)
	defer stop()
	if _, err := r.Poll(short); !errors.Is(err, why) {
		t.Error(err)
	}
	_ = l.Close()
	<-done
	if len(accepted) != 0 {
		t.Errorf("%d more connections", len(accepted))
	}
	_ = first.Close()
	w := r.remote.(*wire)
	if err := w.opening.enter(t.Context()); err != nil { // the abandoned one ends
		t.Error(err)
	}
	w.opening.leave()
}
