package manifest

import "testing"

// What a hint says to write is what a person would write.
func TestSlug(t *testing.T) {
	for text, want := range map[string]string{"Bäckerei Müller": "baeckerei-mueller", "café": "cafe", "Smørrebrød": "smoerrebroed", "bakery copy": "bakery-copy", "straße": "strasse", "ba\u0308r": "baer", "İstanbul": "istanbul", "日本": "demoshop"} {
		if got := slug(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
