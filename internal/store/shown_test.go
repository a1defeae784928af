package store

import (
	"strings"
	"testing"
)

func TestShownKeys(t *testing.T) {
	for key, want := range map[string]string{
		"demoshop-a06eec":                       "demoshop-a06eec",
		"demoshop-a06eec\x00generated/password": "demoshop-a06eec\x00generated/password",
		"demoshop\x01\x1b[31m":                  `"demoshop\x01\x1b[31m"…`,
		"demoshop\xff":                          `"demoshop\xff"…`,
		strings.Repeat("k", 5000):               `"` + strings.Repeat("k", 60) + `"…`,
	} {
		if got := shown(key); got != want {
			t.Errorf("%q is shown as %s", key, got)
		}
	}
}
