package source

import (
	"cmp"
	"iter"
	"strings"
)

// name is that of whatever is there.
func (t triple) name() string { return cmp.Or(t[atFork].name, t[atBase].name, t[atHead].name) }

// folder says that these are folders. Folders and other things of one name are apart.
func (t triple) folder() bool {
	return t[atFork].kind == folder || t[atBase].kind == folder || t[atHead].kind == folder
}

// text says that all that are there are files, which may be text.
func (t triple) text() bool {
	for _, e := range t {
		if e.kind != regular && e.kind != executable {
			return false
		}
	}
	return true
}

// next takes the first key of three listings, and what each has there; "" at the end.
func next(all *[3][]entry) (key string, t triple) {
	for _, a := range all {
		if len(a) > 0 && (key == "" || a[0].key() < key) {
			key = a[0].key()
		}
	}
	for i, a := range all {
		if len(a) > 0 && a[0].key() == key {
			t[i], all[i] = a[0], a[1:]
		}
	}
	return key, t
}

// twin is the key of a folder with the name of a file, and the other way round.
func twin(key string) string {
	if n, is := strings.CutSuffix(key, "/"); is {
		return n
	}
	return key + "/"
}

func name(key string) string { return strings.TrimSuffix(key, "/") }

func cmpKey(a, b string) int { return strings.Compare(a, b) }

// pathParts are the names in a path; none of the empty one.
func pathParts(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for part := range strings.SplitSeq(path, "/") {
			if part != "" && !yield(part) {
				return
			}
		}
	}
}
