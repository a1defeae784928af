package gitserver

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/revlist"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// command is one wished change of a reference.
type command struct {
	name     plumbing.ReferenceName
	old, new plumbing.Hash
	problem  string // why it was refused
}

// receive stores a pushed pack, moves references and reports.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, name string, body *bytes.Reader) error {
	l, err := s.lock(name)
	if err != nil {
		return err
	}
	commands, wants, err := parseCommands(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-"+receivePack+"-result")
	if len(commands) == 0 { // clients ask so whether they may push at all
		return nil
	}
	l.Lock()
	unpack, err := push(s.path(name), commands, body)
	l.Unlock()
	if err != nil {
		return err
	}
	status := packp.NewReportStatus()
	status.UnpackStatus = unpack
	for _, c := range commands {
		text := "ok"
		if c.problem != "" {
			text = c.problem
		} else {
			s.pushed(name, c.name, c.new)
		}
		status.CommandStatuses = append(status.CommandStatuses, &packp.CommandStatus{ReferenceName: c.name, Status: text})
	}
	var out bytes.Buffer
	if !wants.report {
		return nil
	}
	if err := status.Encode(&out); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if !wants.bands {
		_, _ = w.Write(out.Bytes()) // an error here is the client's connection
		return nil
	}
	return s.banded(w, r, name, commands, out.Bytes())
}

// banded tells the pusher what comes of the push while it comes, as lines that git
// shows behind "remote:", and then the report.
func (s *Server) banded(w http.ResponseWriter, r *http.Request, name string, commands []*command, report []byte) error {
	mux := sideband.NewMuxer(sideband.Sideband64k, w)
	conn := http.NewResponseController(w)
	// The muxer's own limit is larger than what its encoder takes. Errors are the
	// client's connection: it has gone, and the push is done all the same.
	write := func(band sideband.Channel, p []byte) {
		for part := range slices.Chunk(p, maxPart) {
			_, _ = mux.WriteChannel(band, part)
		}
		_ = conn.Flush()
	}
	if s.Tell != nil {
		for _, c := range commands {
			if c.problem != "" || !c.name.IsBranch() || c.new.IsZero() {
				continue
			}
			s.Tell(r.Context(), name, c.name.Short(), c.new.String(), func(line string) {
				write(sideband.ProgressMessage, []byte(line+"\n"))
			})
		}
	}
	write(sideband.PackData, report)
	_ = pktline.NewEncoder(w).Flush()
	return nil
}

// wants is what a pusher asked for.
type wants struct {
	report bool // whether and why not each reference moved
	bands  bool // the report beside lines for people
}

// parseCommands reads up to the pack.
func parseCommands(body *bytes.Reader) (out []*command, want wants, err error) {
	scan := pktline.NewScanner(body)
	for scan.Scan() {
		line := strings.TrimSuffix(string(scan.Bytes()), "\n")
		if line == "" { // flush: the pack follows
			return out, want, nil
		}
		line, caps, first := strings.Cut(line, "\x00")
		if first {
			if err := known(caps, receivePack); err != nil {
				return nil, want, err
			}
			want.report = strings.Contains(" "+caps+" ", " report-status ")
			want.bands = strings.Contains(" "+caps+" ", " side-band-64k ")
		}
		f := strings.SplitN(line, " ", 3)
		if len(f) != 3 {
			return nil, want, fmt.Errorf("%w: not a command; shallow pushes are not supported", errRequest)
		}
		c := &command{name: plumbing.ReferenceName(f[2])}
		if c.old, err = parseHash(f[0]); err != nil {
			return nil, want, err
		}
		if c.new, err = parseHash(f[1]); err != nil {
			return nil, want, err
		}
		if out = append(out, c); len(out) > maxCommands {
			return nil, want, fmt.Errorf("%w: more than %d commands", errRequest, maxCommands)
		}
	}
	if err := scan.Err(); err != nil {
		return nil, want, fmt.Errorf("%w: %w", errRequest, err)
	}
	return nil, want, fmt.Errorf("%w: the commands do not end", errRequest)
}

// push returns what to say of the unpacking; refused commands carry their problem.
func push(dir string, commands []*command, pack *bytes.Reader) (string, error) {
	st := storage(dir)
	defer st.Close()
	if pack.Len() > 0 {
		if err := unpack(st, pack); err != nil {
			for _, c := range commands {
				c.problem = "unpacker error"
			}
			return "the pack cannot be read", nil
		}
	}
	refs, err := references(st)
	if err != nil {
		return "", err
	}
	branch, _, err := head(st)
	if err != nil {
		return "", err
	}
	seen := map[plumbing.ReferenceName]bool{}
	for _, c := range commands {
		switch {
		case seen[c.name]:
			c.problem = "named twice"
		case c.name.Validate() != nil || !c.name.IsBranch() && !c.name.IsTag():
			c.problem = "funny refname"
		case refs[c.name] != c.old:
			c.problem = "fetch first: the reference moved"
		case c.new.IsZero() && c.name == branch:
			c.problem = "the current branch cannot be deleted"
		case len(refs) >= maxRefs && c.old.IsZero():
			c.problem = "too many references"
		default:
			c.problem = move(st, c, refs)
		}
		seen[c.name] = true
	}
	return "ok", nil
}

// unpack stores a pack's objects one by one. Reading a broken pack must not end the
// program, whatever the reader does.
func unpack(st *filesystem.Storage, pack *bytes.Reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read the pack: %v", p)
		}
	}()
	// Hide all but the plain interface: the parser then stores object by object.
	parser, err := packfile.NewParserWithStorage(packfile.NewScanner(pack), objects{st})
	if err != nil {
		return fmt.Errorf("read the pack: %w", err)
	}
	if _, err := parser.Parse(); err != nil && !errors.Is(err, packfile.ErrEmptyPackfile) {
		return fmt.Errorf("read the pack: %w", err)
	}
	return nil
}

// objects is a storage that writes an object only when it is whole.
type objects struct{ storer.EncodedObjectStorer }

// move changes one reference and returns why not.
func move(st *filesystem.Storage, c *command, refs map[plumbing.ReferenceName]plumbing.Hash) string {
	if c.new.IsZero() {
		if c.old.IsZero() {
			return "no such reference"
		}
		if err := st.RemoveReference(c.name); err != nil {
			return "failed to delete the reference"
		}
		delete(refs, c.name)
		return ""
	}
	for other := range refs {
		if strings.HasPrefix(string(other), string(c.name)+"/") || strings.HasPrefix(string(c.name), string(other)+"/") {
			return "conflicts with another reference"
		}
	}
	if c.name.IsBranch() {
		o, err := st.EncodedObject(plumbing.AnyObject, c.new)
		if err != nil || o.Type() != plumbing.CommitObject {
			return "missing necessary objects"
		}
	}
	var have []plumbing.Hash
	for _, h := range refs {
		have = append(have, h)
	}
	fresh, err := revlist.Objects(st, []plumbing.Hash{c.new}, have)
	if err != nil {
		return "missing necessary objects"
	}
	for _, h := range fresh { // a blob is listed without being read
		if st.HasEncodedObject(h) != nil {
			return "missing necessary objects"
		}
	}
	if err := st.SetReference(plumbing.NewHashReference(c.name, c.new)); err != nil {
		return "failed to update the reference"
	}
	refs[c.name] = c.new
	return ""
}
