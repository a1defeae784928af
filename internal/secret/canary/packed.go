package canary

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"io"
	"strings"
)

const (
	// mostOpened is how much is unpacked of one text, in bytes.
	mostOpened = 256 << 20
	// deepest is how often what was unpacked is unpacked again.
	deepest = 4
	// shortest is how much has to come out: a few bytes do of any noise.
	shortest = window
)

// Unpacked is what is packed in the data: the content of each stream of gzip or zlib,
// wherever it begins, cut off or not, and of those of gzip that are in base64, as JSON
// holds bytes. What was unpacked is looked through in the same way.
func Unpacked(data []byte) [][]byte { return unpacked(data, mostOpened) }

func unpacked(data []byte, most int64) [][]byte {
	o := &opener{left: most}
	o.open(data, 0)
	return o.out
}

type opener struct {
	left int64
	out  [][]byte
}

const (
	gzipBegins   = "\x1f\x8b\x08"
	base64Begins = "H4sI" // of the same
)

func (o *opener) open(data []byte, depth int) {
	if depth == deepest {
		return
	}
	for i := 0; i+len(base64Begins) <= len(data); i++ {
		switch next := data[i:]; {
		case next[0] == gzipBegins[0] && bytes.HasPrefix(next, []byte(gzipBegins)):
			at := bytes.NewReader(next)
			if z, err := gzip.NewReader(at); err == nil {
				z.Multistream(false)
				if o.keep(z, depth) {
					i = len(data) - at.Len() - 1
				}
			}
		case next[0] == 0x78 && (int(next[0])<<8|int(next[1]))%31 == 0:
			at := bytes.NewReader(next)
			if z, err := zlib.NewReader(at); err == nil && o.keep(z, depth) {
				i = len(data) - at.Len() - 1
			}
		case next[0] == base64Begins[0] && bytes.HasPrefix(next, []byte(base64Begins)):
			text, n := plain(next)
			o.open(text, depth+1)
			i += n - 1
		}
	}
}

// keep takes what a stream has, up to where it breaks off, and says whether it is whole.
func (o *opener) keep(z io.Reader, depth int) bool {
	text, err := io.ReadAll(io.LimitReader(z, o.left))
	if len(text) < shortest {
		return false
	}
	o.left -= int64(len(text))
	o.out = append(o.out, text)
	o.open(text, depth+1)
	return err == nil
}

// plain is what the base64, of either alphabet, says that the data begins with, and how long it is.
func plain(data []byte) (text []byte, n int) {
	end := bytes.IndexFunc(data, func(r rune) bool {
		return r != '+' && r != '/' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if end < 0 {
		end = len(data)
	}
	n = end
	if end%4 == 1 { // no byte
		end--
	}
	text, err := base64.RawStdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(string(data[:end])))
	if err != nil {
		return nil, n
	}
	return text, n
}
