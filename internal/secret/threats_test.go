package secret

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// Threat 13: every flipped bit of a thousand sealed records is seen, and no record opens in
// another's place.
func TestThreat13EveryFlippedBit(t *testing.T) {
	k := keysOf(t, 1)
	var last []byte
	for n := range 1000 {
		place := fmt.Sprintf("secrets\x00client-%04d", n)
		plain := bytes.Repeat([]byte{byte(n)}, n%40)
		sealed := k.Seal(place, plain)
		for bit := n % 8; bit < 8*len(sealed); bit += 8 { // a bit of every byte, all eight over the records
			sealed[bit/8] ^= 1 << (bit % 8)
			if got, err := k.Open(place, sealed); got != nil || !errors.Is(err, ErrUnsealed) && !errors.Is(err, ErrWrongKey) {
				t.Fatalf("record %d, bit %d: %q %v", n, bit, got, err)
			}
			sealed[bit/8] ^= 1 << (bit % 8)
		}
		if got, err := k.Open(place, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("record %d: %q %v", n, got, err)
		}
		if last != nil {
			if got, err := k.Open(place, last); got != nil || !errors.Is(err, ErrUnsealed) {
				t.Fatalf("record %d in the place of %d: %q %v", n-1, n, got, err)
			}
		}
		last = sealed
	}
}
