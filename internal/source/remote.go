package source

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"
)

// remote is the repository that is mirrored.
type remote interface {
	// tip returns the commit that a branch or a tag names, ErrNoBranch when there is none.
	tip(ctx context.Context, ref plumbing.ReferenceName) (plumbing.Hash, error)
	// fetch returns where the branch is and writes a pack of what it reaches and
	// haves do not; it writes nothing when has says that the tip is there.
	fetch(ctx context.Context, branch plumbing.ReferenceName, has func(plumbing.Hash) bool, haves []plumbing.Hash, w io.Writer) (plumbing.Hash, error)
	// refs returns the references below a prefix and what they name, at most MaxRefs.
	refs(ctx context.Context, prefix string) (map[string]string, error)
	close()
}

// wire is a repository behind http or ssh.
type wire struct {
	endpoint transport.Endpoint
	client   transport.Transport
	// auth returns what authenticates, or nil, and the secrets in it.
	auth func() (transport.AuthMethod, []string)
	idle func()
	// opening lets one session be opened over ssh at a time: one that a silent host
	// keeps open for ever is one, and not one more with each poll.
	opening gate
}

func newRemote(a address, o Options) (remote, error) {
	if a.local != "" {
		return local(a.local), nil
	}
	w := &wire{endpoint: *a.endpoint, idle: func() {}, opening: newGate()}
	if a.endpoint.Protocol == "ssh" {
		auth, err := sshAuth(a.endpoint, o)
		if err != nil {
			return nil, err
		}
		w.client, w.auth = ssh.NewClient(nil), func() (transport.AuthMethod, []string) { return auth, nil }
		return w, nil
	}
	var pool *x509.CertPool
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
		if pool, err = x509.SystemCertPool(); err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read certificate authorities: %s holds no certificate", o.CAFile)
		}
	}
	w.client, w.idle = httpTransport(pool)
	w.auth = basicAuth(o.Token, a)
	return w, nil
}

func (w *wire) close() { w.idle() }

// session opens a session and lists the references. Opening one over ssh knows no
// context, so it is left behind when the context ends first, and closes itself.
func (w *wire) session(ctx context.Context, auth transport.AuthMethod) (transport.UploadPackSession, *packp.AdvRefs, error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	type opened struct {
		s   transport.UploadPackSession
		err error
	}
	ep := w.endpoint
	c := make(chan opened, 1)
	open := func() {
		s, err := w.client.NewUploadPackSession(&ep, auth)
		c <- opened{s, err}
	}
	if ep.Protocol == "ssh" {
		if err := w.opening.enter(ctx); err != nil {
			return nil, nil, err
		}
		go func() {
			defer w.opening.leave()
			open()
			if ctx.Err() == nil {
				return
			}
			select {
			case o := <-c: // nobody waits for it any more
				if o.err == nil {
					_ = o.s.Close()
				}
			default:
			}
		}()
	} else {
		open()
	}
	var o opened
	select {
	case o = <-c:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	if o.err != nil {
		return nil, nil, o.err
	}
	ar, err := o.s.AdvertisedReferencesContext(ctx)
	if err != nil {
		_ = o.s.Close()
		return nil, nil, err
	}
	return o.s, ar, nil
}

func (w *wire) tip(ctx context.Context, ref plumbing.ReferenceName) (plumbing.Hash, error) {
	auth, secrets := w.auth()
	s, ar, err := w.session(ctx, auth)
	if err != nil {
		return plumbing.ZeroHash, clean(ctx, err, secrets)
	}
	_ = s.Close() // the answer is complete
	return tipOf(ar, ref)
}

func (w *wire) refs(ctx context.Context, prefix string) (map[string]string, error) {
	auth, secrets := w.auth()
	s, ar, err := w.session(ctx, auth)
	if err != nil {
		return nil, clean(ctx, err, secrets)
	}
	_ = s.Close() // the answer is complete
	if len(ar.References) == 0 {
		return nil, ErrEmpty
	}
	out := map[string]string{}
	for name, h := range ar.References {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if peeled, ok := ar.Peeled[name]; ok {
			h = peeled
		}
		if out[name] = h.String(); len(out) > MaxRefs {
			return nil, fmt.Errorf("%w: more than %d references", ErrTooMany, MaxRefs)
		}
	}
	return out, nil
}

func tipOf(ar *packp.AdvRefs, branch plumbing.ReferenceName) (plumbing.Hash, error) {
	if h, ok := ar.Peeled[branch.String()]; ok && !h.IsZero() {
		return h, nil
	}
	if h, ok := ar.References[branch.String()]; ok && !h.IsZero() {
		return h, nil
	}
	if len(ar.References) == 0 {
		return plumbing.ZeroHash, ErrEmpty
	}
	return plumbing.ZeroHash, ErrNoBranch
}

func (w *wire) fetch(ctx context.Context, branch plumbing.ReferenceName, has func(plumbing.Hash) bool, haves []plumbing.Hash, out io.Writer) (plumbing.Hash, error) {
	auth, secrets := w.auth()
	h, err := w.fetchAs(ctx, auth, branch, has, haves, out)
	return h, clean(ctx, err, secrets)
}

func (w *wire) fetchAs(ctx context.Context, auth transport.AuthMethod, branch plumbing.ReferenceName, has func(plumbing.Hash) bool, haves []plumbing.Hash, out io.Writer) (plumbing.Hash, error) {
	s, ar, err := w.session(ctx, auth)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer s.Close()
	tip, err := tipOf(ar, branch)
	if err != nil || has(tip) {
		return tip, err
	}
	req := packp.NewUploadPackRequestFromCapabilities(ar.Capabilities)
	if ar.Capabilities.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return tip, fmt.Errorf("ask for %s: %w", tip, err)
		}
	}
	req.Wants, req.Haves = []plumbing.Hash{tip}, haves
	res, err := s.UploadPack(ctx, req)
	if errors.Is(err, transport.ErrEmptyUploadPackRequest) {
		return tip, errors.New("the host sent no pack")
	}
	if err != nil {
		return tip, fmt.Errorf("ask for %s: %w", tip, err)
	}
	defer res.Close()
	var in io.Reader = res
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		in = sideband.NewDemuxer(sideband.Sideband64k, res)
	case req.Capabilities.Supports(capability.Sideband):
		in = sideband.NewDemuxer(sideband.Sideband, res)
	}
	if _, err := io.Copy(out, in); err != nil {
		return tip, fmt.Errorf("receive the pack: %w", err)
	}
	return tip, nil
}

// sshAuth returns the key of a file, or the agent's. The host's key is always checked.
func sshAuth(ep *transport.Endpoint, o Options) (transport.AuthMethod, error) {
	var files []string
	if o.KnownHostsFile != "" {
		files = append(files, o.KnownHostsFile)
	}
	hosts, err := ssh.NewKnownHostsDb(files...)
	if err != nil {
		return nil, fmt.Errorf("read the known hosts: %w", err)
	}
	checks := ssh.HostKeyCallbackHelper{HostKeyCallback: hosts.HostKeyCallback()}
	port := ep.Port
	if port == 0 {
		port = ssh.DefaultPort
	}
	algorithms := hosts.HostKeyAlgorithms(net.JoinHostPort(ep.Host, strconv.Itoa(port)))
	if o.SSHKeyFile == "" {
		keys, err := ssh.NewSSHAgentAuth(ep.User)
		if err != nil {
			return nil, fmt.Errorf("use the ssh agent: %w: start one or set repository.sshKeyFile", err)
		}
		checks.HostKeyAlgorithms = algorithms
		keys.HostKeyCallbackHelper = checks
		return keys, nil
	}
	keys, err := ssh.NewPublicKeysFromFile(ep.User, o.SSHKeyFile, "")
	if err != nil {
		return nil, fmt.Errorf("read the ssh key %s: %w", o.SSHKeyFile, err)
	}
	checks.HostKeyAlgorithms = algorithms
	keys.HostKeyCallbackHelper = checks
	return keys, nil
}
