// Package secret keeps what must not be read by others.
//
// One key of 256 random bits belongs to an installation. It stands in a key file
// that only its owner may read, or comes from the environment. Three keys are derived
// from it (HKDF-SHA-256): one seals records (AES-256-GCM, random nonce, the context
// as additional data), one makes fingerprints, one makes secrets that are the same each
// time (for providers that have to give a password again). Sealed bytes are
//
//	version (1) | key id (4) | nonce (12) | ciphertext | tag (16)
//
// It promises: sealed bytes open only under the key and the context that they were
// sealed with, or not at all; another key is told apart from damage (ErrWrongKey,
// ErrUnsealed); a fingerprint says that two secrets are equal and nothing else about
// them; the key file is made whole or not at all. It refuses: a key file that others
// may read, a passphrase in place of a key, and printing any of it.
//
// A Redactor takes known secrets out of text that others wrote (a vendor's error, a
// build log) before anybody sees it, in the spellings that such text has.
//
// # Design
//
// Random nonces bound one key to 2^32 seals; at a thousand seals a second that is
// seven weeks of nothing but writing, and a state of this program makes a few
// thousand a day. The key id in every sealed value, and the key's name in the header of a
// state, are what lets a key file hold two keys while a state is sealed anew (Renew). The key
// that fingerprints are made with stays when a key is renewed: fingerprints are on record, and
// one of them names the installation in its marks at providers.
package secret
