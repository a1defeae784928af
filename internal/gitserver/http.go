package gitserver

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// The two services.
const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
	agent       = "reconciler"
)

// errRequest marks what the client did wrong.
var errRequest = errors.New("bad request")

// errTooLarge marks a body over MaxBody.
var errTooLarge = errors.New("the request is too large")

// ServeHTTP serves /NAME.git/info/refs, /NAME.git/git-upload-pack and
// /NAME.git/git-receive-pack.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, action, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	if !ok || s.named(name) != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
	var err error
	switch {
	case action == "info/refs" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		err = s.advertise(w, name, r.URL.Query().Get("service"))
	case action == uploadPack && r.Method == http.MethodPost:
		err = s.withBody(w, r, uploadPack, func(body *bytes.Reader) error { return s.upload(w, r, name, body) })
	case action == receivePack && r.Method == http.MethodPost:
		err = s.withBody(w, r, receivePack, func(body *bytes.Reader) error { return s.receive(w, r, name, body) })
	case action == "info/refs" || action == uploadPack || action == receivePack:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	default:
		http.NotFound(w, r)
	}
	switch {
	case err == nil:
	case errors.Is(err, errTooLarge):
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
	case errors.Is(err, ErrNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, errRequest):
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		http.Error(w, "the repository could not be read or written", http.StatusInternalServerError)
	}
}

func (s *Server) withBody(w http.ResponseWriter, r *http.Request, service string, do func(*bytes.Reader) error) error {
	if r.Header.Get("Content-Type") != "application/x-"+service+"-request" {
		return fmt.Errorf("%w: the content is not of %s", errRequest, service)
	}
	var in io.Reader = http.MaxBytesReader(w, r.Body, MaxBody)
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("%w: %w", errRequest, err)
		}
		in = z
	default:
		return fmt.Errorf("%w: unknown content encoding", errRequest)
	}
	data, err := io.ReadAll(io.LimitReader(in, MaxBody+1))
	var most *http.MaxBytesError
	switch {
	case errors.As(err, &most) || len(data) > MaxBody:
		return errTooLarge
	case err != nil:
		return fmt.Errorf("%w: read the body: %w", errRequest, err)
	}
	return do(bytes.NewReader(data))
}

// advertise tells the references and what the service can do.
func (s *Server) advertise(w http.ResponseWriter, name, service string) error {
	if service != uploadPack && service != receivePack {
		return fmt.Errorf("%w: only smart HTTP is served", errRequest)
	}
	l, err := s.lock(name)
	if err != nil {
		return err
	}
	ar := packp.NewAdvRefs()
	ar.Prefix = [][]byte{[]byte("# service=" + service), pktline.Flush}
	if err := capabilities(ar.Capabilities, service); err != nil {
		return err
	}
	l.RLock()
	err = fill(ar, s.path(name), service)
	l.RUnlock()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := ar.Encode(&out); err != nil {
		return fmt.Errorf("write references: %w", err)
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-advertisement")
	_, _ = w.Write(out.Bytes()) // an error here is the client's connection
	return nil
}

func capabilities(c *capability.List, service string) error {
	if err := c.Set(capability.Agent, agent); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	set := []capability.Capability{capability.OFSDelta}
	if service == receivePack {
		set = append(set, capability.DeleteRefs, capability.ReportStatus, capability.Sideband64k)
	}
	for _, k := range set {
		if err := c.Set(k); err != nil {
			return fmt.Errorf("capabilities: %w", err)
		}
	}
	return nil
}

// peeled is what an annotated tag is of, in the end.
func peeled(st *filesystem.Storage, h plumbing.Hash) (of plumbing.Hash, ok bool) {
	for range maxPeel {
		tag, err := object.GetTag(st, h)
		if err != nil {
			return h, ok
		}
		h, ok = tag.Target, true
	}
	return h, false
}

func fill(ar *packp.AdvRefs, dir, service string) error {
	st := storage(dir)
	defer st.Close()
	refs, err := references(st)
	if err != nil {
		return err
	}
	for n, h := range refs {
		ar.References[n.String()] = h
		if commit, ok := peeled(st, h); ok && service == uploadPack {
			ar.Peeled[n.String()] = commit
		}
	}
	if service != uploadPack {
		return nil
	}
	branch, tip, err := head(st)
	if err != nil {
		return err
	}
	if !tip.IsZero() {
		ar.Head = &tip
	}
	return ar.AddReference(plumbing.NewSymbolicReference(plumbing.HEAD, branch))
}
