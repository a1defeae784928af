package source

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// uploadPack is the service that reads.
const uploadPack = "git-upload-pack"

// Limits of a list of references that is read line by line.
const (
	maxPacket  = 65520 // bytes of one line, its length included (git-scm.com/docs/protocol-common)
	maxRefName = 1024  // bytes of a name that is kept: what is longer nobody writes in a manifest
)

// advertised reads what a host says of its references over HTTP (git-scm.com/docs/http-protocol,
// "Smart Server Response"): HEAD, branches and tags, and the commit that each means. All
// others, as those of pull requests, are passed over, so that memory follows what is kept.
//
// It is read here and not by go-git, which keeps every line and knows no limits.
func advertised(in io.Reader) (map[string]string, error) {
	b := bufio.NewReaderSize(in, maxPacket)
	out := map[string]string{}
	peeled := "" // the tag that the last line named
	for first, flushes := true, 0; ; {
		text, end, err := packet(b)
		if err != nil {
			return nil, err
		}
		if end {
			// One behind the service's name, one at the end; some hosts leave the first part out.
			if flushes++; flushes == 2 || !first {
				return out, nil
			}
			continue
		}
		if strings.HasPrefix(text, "# service=") && first && flushes == 0 || text == "version 1" {
			continue
		}
		if strings.HasPrefix(text, "ERR ") {
			return nil, ErrNotGit
		}
		if first {
			text, _, _ = strings.Cut(text, "\x00") // capabilities
		}
		first = false
		hash, name, ok := strings.Cut(text, " ")
		if _, err := hex.DecodeString(hash); err != nil || !ok || !full(hash) {
			if strings.HasPrefix(text, "shallow ") {
				continue
			}
			return nil, ErrNotGit
		}
		if len(name) > maxRefName || strings.Trim(hash, "0") == "" {
			continue
		}
		if tag, is := strings.CutSuffix(name, "^{}"); is {
			if tag == peeled && out[tag] != "" {
				out[tag] = hash
			}
			continue
		}
		if peeled = name; name == "HEAD" || strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/") {
			if out[name] = hash; len(out) > MaxRefs {
				return nil, fmt.Errorf("references: %w", ErrTooMany)
			}
		}
	}
}

// packet reads one line, without its line end; end is a flush.
func packet(b *bufio.Reader) (text string, end bool, err error) {
	var length [4]byte
	if _, err := io.ReadFull(b, length[:]); err != nil {
		return "", false, cut(err)
	}
	var n [2]byte
	if _, err := hex.Decode(n[:], length[:]); err != nil {
		return "", false, ErrNotGit
	}
	size := int(n[0])<<8 | int(n[1])
	switch {
	case size == 0:
		return "", true, nil
	case size < len(length) || size > maxPacket:
		return "", false, ErrNotGit
	}
	line := make([]byte, size-len(length))
	if _, err := io.ReadFull(b, line); err != nil {
		return "", false, cut(err)
	}
	return strings.TrimSuffix(string(line), "\n"), false, nil
}

// cut is an answer that ends before its end.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
