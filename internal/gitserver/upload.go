package gitserver

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/revlist"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// packWindow is how many objects are tried as the base of another.
const packWindow = 10

// wish is what a fetch asks for.
type wish struct {
	wants, haves []plumbing.Hash
	done         bool
}

// upload answers a fetch: with ACK or NAK, and with a pack when the client is done
// telling what it has.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, name string, body *bytes.Reader) error {
	l, err := s.lock(name)
	if err != nil {
		return err
	}
	q, err := parseWish(body)
	if err != nil || len(q.wants) == 0 {
		return err
	}
	st := storage(s.path(name))
	defer st.Close()
	l.RLock()
	common, objects, err := choose(st, q)
	l.RUnlock()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-"+uploadPack+"-result")
	e := pktline.NewEncoder(w)
	if len(common) > 0 {
		err = e.Encodef("ACK %s\n", common[0])
	} else {
		err = e.EncodeString("NAK\n")
	}
	if err == nil && q.done {
		_, err = packfile.NewEncoder(w, st, false).Encode(objects, packWindow)
	}
	if err != nil {
		// The answer has begun: only a broken connection still says that it is not whole.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// choose returns the commits both sides have, and the objects the client lacks.
func choose(st *filesystem.Storage, q wish) (common, objects []plumbing.Hash, err error) {
	for _, h := range q.wants {
		if err := st.HasEncodedObject(h); err != nil {
			return nil, nil, fmt.Errorf("%w: not our object %s", errRequest, h)
		}
	}
	for _, h := range q.haves {
		err := st.HasEncodedObject(h)
		if err == nil {
			common = append(common, h)
		} else if !errors.Is(err, plumbing.ErrObjectNotFound) {
			return nil, nil, fmt.Errorf("look for %s: %w", h, err)
		}
	}
	if !q.done {
		return common, nil, nil
	}
	known, err := revlist.Objects(st, common, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("list what the client has: %w", err)
	}
	if objects, err = revlist.Objects(st, q.wants, known); err != nil {
		return nil, nil, fmt.Errorf("list what the client lacks: %w", err)
	}
	return common, objects, nil
}

func parseWish(body *bytes.Reader) (wish, error) {
	var q wish
	scan := pktline.NewScanner(body)
	for n := 0; scan.Scan(); n++ {
		if n > maxLines {
			return q, fmt.Errorf("%w: more than %d lines", errRequest, maxLines)
		}
		line := strings.TrimSuffix(string(scan.Bytes()), "\n")
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "": // flush
		case "want", "have":
			h, caps, _ := strings.Cut(rest, " ")
			hash, err := parseHash(h)
			if err != nil {
				return q, err
			}
			if verb == "have" {
				q.haves = append(q.haves, hash)
				continue
			}
			if err := known(caps, uploadPack); err != nil {
				return q, err
			}
			q.wants = append(q.wants, hash)
		case "done":
			q.done = true
			return q, nil
		case "shallow", "deepen", "deepen-since", "deepen-not", "filter":
			return q, fmt.Errorf("%w: %s is not supported: make a full clone", errRequest, verb)
		default:
			return q, fmt.Errorf("%w: unknown line", errRequest)
		}
	}
	if err := scan.Err(); err != nil {
		return q, fmt.Errorf("%w: %w", errRequest, err)
	}
	return q, nil
}

// known refuses a capability that was not advertised.
func known(caps, service string) error {
	for _, c := range strings.Fields(caps) {
		k, _, _ := strings.Cut(c, "=")
		switch k {
		case "ofs-delta", "agent", "session-id", "object-format":
			continue
		case "report-status", "delete-refs", "side-band-64k":
			if service == receivePack {
				continue
			}
		}
		return fmt.Errorf("%w: unknown capability", errRequest)
	}
	return nil
}

func parseHash(s string) (plumbing.Hash, error) {
	if b, err := hex.DecodeString(s); err != nil || len(b) != len(plumbing.ZeroHash) {
		return plumbing.ZeroHash, fmt.Errorf("%w: not an object id", errRequest)
	}
	return plumbing.NewHash(s), nil
}
