package powerloss

import (
	"bytes"
	"math/rand/v2"
)

// Sizes in bytes.
const (
	Page   = 4096 // of a state file
	sector = 512  // what a disk writes whole
)

// Cut is one commit: the file before it and after it.
type Cut struct{ Before, After []byte }

// Changed lists the pages that the commit wrote: data, and the one meta page.
func (c Cut) Changed() (data []int, meta int) {
	meta = -1
	for at := 0; at < len(c.After); at += Page {
		if at+Page <= len(c.Before) && bytes.Equal(c.Before[at:at+Page], c.After[at:at+Page]) {
			continue
		}
		if n := at / Page; n > 1 {
			data = append(data, n)
		} else {
			meta = n
		}
	}
	return data, meta
}

// Grown is the old file, as long as the new one: a file grows before anything is written.
func (c Cut) Grown() []byte {
	return append(bytes.Clone(c.Before), make([]byte, max(0, len(c.After)-len(c.Before)))...)
}

// Kinds are the kinds of images. One that ends with "old meta" shows the state before the
// commit, one with "new meta" that after it, any other either of both.
func Kinds() []string {
	return []string{"some pages, old meta", "torn pages, old meta", "not grown, old meta", "all pages, old meta", "all pages, torn meta", "all pages, meta cut off", "all pages, new meta"}
}

// Image is an image of a kind.
func (c Cut) Image(rng *rand.Rand, kind string) []byte {
	data, meta := c.Changed()
	file := c.Grown()
	put := func(at, n int) { copy(file[at:at+n], c.After[at:at+n]) }
	all := func() {
		for _, n := range data {
			put(n*Page, Page)
		}
	}
	switch kind {
	case "some pages, old meta":
		for _, n := range data {
			if rng.IntN(2) == 0 {
				put(n*Page, Page)
			}
		}
	case "torn pages, old meta":
		for _, n := range data {
			for at := 0; at < Page; at += sector {
				if rng.IntN(2) == 0 {
					put(n*Page+at, sector)
				}
			}
		}
	case "not grown, old meta":
		for _, n := range data {
			if (n+1)*Page <= len(c.Before) && rng.IntN(2) == 0 {
				put(n*Page, Page)
			}
		}
		return file[:len(c.Before)]
	case "all pages, old meta": // between the two syncs
		all()
	case "all pages, torn meta":
		all()
		for at := 0; at < Page; at += sector {
			if rng.IntN(2) == 0 {
				put(meta*Page+at, sector)
			}
		}
	case "all pages, meta cut off": // worse than a sector
		all()
		put(meta*Page, rng.IntN(120))
	case "all pages, new meta":
		all()
		put(meta*Page, Page)
	}
	return file
}
