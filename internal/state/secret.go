package state

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Redacted is what a Secret shows wherever it is printed.
const Redacted = "(sensitive)"

// Secret is a value that cannot print itself: every formatting verb, every
// marshaller and the logger show Redacted. Reveal is the only way to its text,
// called where it is sent, sealed or compared, and nowhere else.
type Secret struct{ text []byte }

// NewSecret copies text.
func NewSecret(text string) Secret { return Secret{text: []byte(text)} }

// Reveal returns the text. Callers never log it, never put it in an error.
func (s Secret) Reveal() string { return string(s.text) }

// Empty says that there is no text.
func (s Secret) Empty() bool { return len(s.text) == 0 }

// Equal compares in constant time for equal lengths.
func (s Secret) Equal(o Secret) bool { return subtle.ConstantTimeCompare(s.text, o.text) == 1 }

// Format implements fmt.Formatter for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// String implements fmt.Stringer.
func (Secret) String() string { return Redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return Redacted }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalYAML implements yaml.Marshaler.
func (Secret) MarshalYAML() (any, error) { return Redacted, nil }
