package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/compassdigital/reconciler/internal/state"
)

const (
	minKey     = 32   // bytes of text of the key
	iterations = 4096 // of SCRAM, PostgreSQL's own number; the password has 256 bits, so that guessing is hopeless
	saltSize   = 16
)

// password is what the database of a name and an id has under our key, always the same.
func (p *Provider) password(name, id string) state.Secret {
	return state.NewSecret(hex.EncodeToString(p.derive("password " + name + "." + id)))
}

// keyCheck names the key without telling it.
func (p *Provider) keyCheck() string { return hex.EncodeToString(p.derive("key check")[:4]) }

func (p *Provider) derive(purpose string) []byte {
	m := hmac.New(sha256.New, []byte(p.key.Reveal()))
	_, _ = m.Write([]byte("reconciler postgres v1 " + purpose)) // a hash never fails
	return m.Sum(nil)
}

// verifier is what the server keeps of a password (RFC 5803). It is made here, so that no
// password stands in a statement, which the server may log.
func verifier(password state.Secret) (string, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	return verifierOf(password, salt)
}

func verifierOf(password state.Secret, salt []byte) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password.Reveal(), salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("make the verifier of a password: %w", err)
	}
	mac := func(text string) []byte {
		m := hmac.New(sha256.New, salted)
		_, _ = m.Write([]byte(text)) // a hash never fails
		return m.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}
