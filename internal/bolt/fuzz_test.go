package bolt

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// again checks one type of record: bytes are a record or damage, and a record comes back
// as what it was.
func again[T any](t *testing.T, bucket string, plain []byte) {
	t.Helper()
	var first, second T
	if err := decodeRecord(bucket, "k", plain, &first); err != nil {
		if !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %v", bucket, err)
		}
		return
	}
	once, err := json.Marshal(first)
	if err != nil {
		t.Errorf("%s: what was read can't be written: %v", bucket, err)
		return
	}
	if err := decodeRecord(bucket, "k", once, &second); err != nil {
		t.Errorf("%s: what was written can't be read: %v\n%s", bucket, err, once)
		return
	}
	if twice, err := json.Marshal(second); err != nil || !bytes.Equal(once, twice) {
		t.Errorf("%s: %s comes back as %s %v", bucket, once, twice, err)
	}
}

// FuzzRecord: whatever a record's bytes are, they are read as what was written or called
// damage, in every bucket, the journal's first; the seal holds against a flipped bit, a cut
// and another place.
func FuzzRecord(f *testing.F) {
	ref := state.Ref{Client: "demoshop-1a2b3c", Kind: state.KindDatabase, Name: "main"}
	wish := state.Resource{Ref: ref, Provider: "sqlite", Attributes: state.NewAttributes(map[string]state.Value{
		"engine": state.Lit("sqlite"), "url": state.OutputOf(ref, "url"), "key": state.SecretValue(state.SecretRef{Scope: "shared", Name: "smtp", Version: 2})})}
	for _, v := range []any{
		journal.Intent{Key: ref.String(), Run: "r1", Step: "create database", Op: journal.OpCreate, Ref: ref, Provider: "sqlite", Name: "demoshop", Wish: &wish, Prior: &wish, Absent: true, At: clock(), LookAt: clock()},
		wish, state.Client{ID: "demoshop-1a2b3c", Name: "demoshop", Manifest: []byte("name: demoshop"), Undo: []state.Undo{{Ref: ref, Prior: wish}}},
		state.Entry{Seq: 1, At: clock(), Text: "\u202e"}, state.Verdict{Commit: "c", Clients: map[state.ClientID]string{"a": "pending"}},
		state.Baseline{Head: "h", Templates: []state.File{{}}}, store.SecretRecord{Text: []byte("x")}, clock(), 7, "id", nil,
	} {
		plain, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(ref.String(), plain, uint32(len(plain)))
	}
	f.Add("", []byte(`{"at":"0000-01-01T00:00:00+23:59","looks":9007199254740993,"wish":{"attributes":{}}}`), uint32(0))
	f.Add("\x00", []byte(strings.Repeat(`{"wish":`, 5000)), uint32(77))
	tx := &transaction{keys: testKeys(f)}
	f.Fuzz(func(t *testing.T, key string, plain []byte, flip uint32) {
		sealed := tx.keys.Seal(context("intents", key), plain)
		if got, err := tx.unseal("intents", key, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("sealed and opened: %q %v", got, err)
		}
		wrong := func(what, bucket, key string, sealed []byte) {
			if got, err := tx.unseal(bucket, key, sealed); got != nil || !errors.Is(err, store.ErrDamaged) {
				t.Fatalf("%s: %q %v", what, got, err)
			}
		}
		wrong("in another bucket", "resources", key, sealed)
		wrong("under another key", "intents", key+"x", sealed)
		wrong("cut", "intents", key, sealed[:int(flip)%len(sealed)])
		wrong("never sealed", "intents", key, plain)
		sealed[int(flip/8)%len(sealed)] ^= 1 << (flip % 8)
		wrong("flipped", "intents", key, sealed)

		again[journal.Intent](t, "intents", plain)
		again[state.Resource](t, "resources", plain)
		again[state.Client](t, "clients", plain)
		again[state.Baseline](t, "meta", plain)
		again[state.Installation](t, "meta", plain)
		again[state.Tombstone](t, "tombstones", plain)
		again[state.Hold](t, "holds", plain)
		again[state.Approval](t, "approvals", plain)
		again[state.Claim](t, "claims", plain)
		again[state.Deployment](t, "deployments", plain)
		again[state.LogLine](t, "logs", plain)
		again[state.Entry](t, "history", plain)
		again[state.Report](t, "reports", plain)
		again[state.Verdict](t, "verdicts", plain)
		again[state.Looked](t, "looked", plain)
		again[state.Pull](t, "pulls", plain)
		again[state.Command](t, "commands", plain)
		again[state.Notices](t, "meta", plain)
		again[store.SecretRecord](t, "secrets", plain)
		again[time.Time](t, "runs", plain)
		again[state.ClientID](t, "names", plain)
		again[uint64](t, sequences, plain)
	})
}

// FuzzHeader: the one record that is not sealed is whole or damage; a flipped bit never
// makes another header of it.
func FuzzHeader(f *testing.F) {
	good := header{Format: headerFormat, Schema: 1, Key: "00112233445566778899aabbccddeeff"}
	data, err := good.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, uint32(0))
	f.Add([]byte("{}\n00000000"), uint32(9))
	f.Fuzz(func(t *testing.T, in []byte, flip uint32) {
		if h, err := decodeHeader(in); err == nil {
			out, err := h.encode()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := decodeHeader(out); err != nil || again != h {
				t.Errorf("%+v comes back as %+v %v", h, again, err)
			}
		} else if !errors.Is(err, store.ErrDamaged) && !errors.Is(err, ErrForeign) {
			t.Errorf("%v", err)
		}
		broken := bytes.Clone(data)
		broken[int(flip/8)%len(broken)] ^= 1 << (flip % 8)
		if h, err := decodeHeader(broken); err == nil && h != good {
			t.Errorf("bit %d: %+v", flip, h)
		}
	})
}
