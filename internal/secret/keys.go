package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"github.com/compassdigital/reconciler/internal/state"
)

// Errors of opening what was sealed.
var (
	// ErrWrongKey: it was sealed under another key.
	ErrWrongKey = errors.New("sealed under another key")
	// ErrUnsealed: the bytes were changed, cut, or sealed for another context.
	ErrUnsealed = errors.New("the seal does not hold")
)

const (
	keySize     = 32
	sealVersion = 1
	keyIDSize   = 4
	sealHeader  = 1 + keyIDSize
	// Overhead is how many bytes a sealed value is longer than its text.
	Overhead = sealHeader + 12 + 16

	fingerprintDigits = 12
)

// Keys seals, opens and fingerprints. Safe for concurrent use. It cannot print
// itself.
type Keys struct {
	seal   cipher.AEAD
	finger []byte
	source []byte   // of what Derive makes
	check  [16]byte // names the key without telling it; its first bytes are the key id
	before *Keys    // while a new key takes the old one's place; nil else
}

// material is what a key file holds.
type material struct {
	master []byte
	// finger is what fingerprints are made with since the key was renewed: they are on record,
	// and the installation is named by one. nil: what is derived from master.
	finger []byte
	before []byte // the key before, while something may be sealed under it; nil else
}

// newKeys derives the working keys from the installation's key.
func newKeys(m material) (*Keys, error) {
	k, err := derived(m.master)
	if err != nil {
		return nil, err
	}
	if m.finger != nil {
		k.finger = m.finger
	}
	if m.before != nil {
		if k.before, err = derived(m.before); err != nil {
			return nil, err
		}
		k.before.finger = k.finger
	}
	return k, nil
}

func derived(master []byte) (*Keys, error) {
	sealing, err := derive(master, "reconciler seal v1")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("make sealing key: %w", err)
	}
	k := &Keys{}
	if k.seal, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("make sealing key: %w", err)
	}
	if k.finger, err = derive(master, "reconciler fingerprint v1"); err != nil {
		return nil, err
	}
	if k.source, err = derive(master, "reconciler derive v1"); err != nil {
		return nil, err
	}
	check, err := derive(master, "reconciler key check v1")
	if err != nil {
		return nil, err
	}
	copy(k.check[:], check)
	return k, nil
}

func derive(master []byte, purpose string) ([]byte, error) {
	k, err := hkdf.Key(sha256.New, master, nil, purpose, keySize)
	if err != nil {
		return nil, fmt.Errorf("derive %s: %w", purpose, err)
	}
	return k, nil
}

// Check names the key, 32 hex digits. It is safe to store and to show: whoever keeps
// it beside sealed data can tell another key from damage before opening anything.
func (k *Keys) Check() string { return hex.EncodeToString(k.check[:]) }

// For returns the one of the keys that check names: these, or those that they take the
// place of. nil: neither.
func (k *Keys) For(check string) *Keys {
	switch {
	case k.Check() == check:
		return k
	case k.before != nil && k.before.Check() == check:
		return k.before
	}
	return nil
}

// Seal encrypts plain for a context: a text that says where the value belongs, and
// that must be the same when it is opened.
func (k *Keys) Seal(context string, plain []byte) []byte {
	out := make([]byte, sealHeader, len(plain)+Overhead)
	out[0] = sealVersion
	copy(out[1:], k.check[:keyIDSize])
	return k.seal.Seal(out, nil, plain, additional(out[:sealHeader], context))
}

// Open returns the text of what Seal made for the same context, in memory of its
// own. Errors are ErrWrongKey and ErrUnsealed.
func (k *Keys) Open(context string, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, fmt.Errorf("open %d sealed bytes: %w", len(sealed), ErrUnsealed)
	}
	head := sealed[:sealHeader]
	if head[0] != sealVersion {
		return nil, fmt.Errorf("open seal of version %d: %w", head[0], ErrUnsealed)
	}
	if [keyIDSize]byte(head[1:]) != [keyIDSize]byte(k.check[:keyIDSize]) {
		return nil, fmt.Errorf("open: %w", ErrWrongKey)
	}
	plain, err := k.seal.Open(nil, nil, sealed[sealHeader:], additional(head, context))
	if err != nil {
		return nil, fmt.Errorf("open: %w", ErrUnsealed)
	}
	return plain, nil
}

// additional binds the header and the context. The header's length is fixed, so no
// two pairs make the same bytes.
func additional(head []byte, context string) []byte {
	out := make([]byte, 0, len(head)+len(context))
	return append(append(out, head...), context...)
}

// Fingerprint is 12 hex digits that are equal for equal secrets under one key. Safe
// to show: without the key it tells nothing of the secret.
func (k *Keys) Fingerprint(s state.Secret) string {
	m := hmac.New(sha256.New, k.finger)
	_, _ = m.Write([]byte(s.Reveal())) // a hash never fails
	return hex.EncodeToString(m.Sum(nil))[:fingerprintDigits]
}

// Derive makes a secret for one purpose: 64 hex digits, under one key always the same, from
// which neither the key nor what is made for another purpose can be told.
func (k *Keys) Derive(purpose string) state.Secret {
	m := hmac.New(sha256.New, k.source)
	_, _ = m.Write([]byte(purpose)) // a hash never fails
	return state.NewSecret(hex.EncodeToString(m.Sum(nil)))
}

// Format implements fmt.Formatter: no verb shows a key.
func (*Keys) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(state.Redacted)) }

// LogValue implements slog.LogValuer.
func (*Keys) LogValue() slog.Value { return slog.StringValue(state.Redacted) }

// NewHex32 makes a secret of 32 random bytes, written as 64 hex digits: what
// {generate: hex32} asks for.
func NewHex32() (state.Secret, error) {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return state.Secret{}, fmt.Errorf("make secret: %w", err)
	}
	return state.NewSecret(hex.EncodeToString(b[:])), nil
}
