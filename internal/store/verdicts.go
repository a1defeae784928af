package store

import (
	"maps"

	"github.com/compassdigital/reconciler/internal/state"
)

// A verdict is kept as one record without its clients, and one record a client's fate:
// the end of one of ten thousand clients of a bulk commit writes two small records.

func fatePrefix(commit string) string { return commit + "\x00" }

// Verdict returns the state of one accepted head, with every client's fate.
func Verdict(tx Tx, commit string) (state.Verdict, bool, error) {
	v, ok, err := get[state.Verdict](tx, bucketVerdicts, commit)
	if err != nil || !ok {
		return v, ok, err
	}
	v.Clients, err = fates(tx, commit)
	return v, true, err
}

// VerdictHead returns a verdict without its clients: Tally counts them.
func VerdictHead(tx Tx, commit string) (state.Verdict, bool, error) {
	return get[state.Verdict](tx, bucketVerdicts, commit)
}

// Verdicts returns those that are kept and match; want is asked before the clients are
// read. nil: all.
func Verdicts(tx Tx, want func(state.Verdict) bool) ([]state.Verdict, error) {
	heads, err := VerdictHeads(tx)
	if err != nil {
		return nil, err
	}
	var out []state.Verdict
	for _, v := range heads {
		if want != nil && !want(v) {
			continue
		}
		if v.Clients, err = fates(tx, v.Commit); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// VerdictHeads returns all that are kept, without their clients.
func VerdictHeads(tx Tx) ([]state.Verdict, error) { return all[state.Verdict](tx, bucketVerdicts, "") }

// DeleteVerdict forgets one.
func DeleteVerdict(tx Tx, commit string) error {
	had, err := fates(tx, commit)
	if err != nil {
		return err
	}
	for id := range had {
		if err := tx.Delete(bucketFates, fatePrefix(commit)+string(id)); err != nil {
			return err
		}
	}
	return tx.Delete(bucketVerdicts, commit)
}

// PutVerdict writes one with all its clients.
func PutVerdict(tx Tx, v state.Verdict) error {
	had, err := fates(tx, v.Commit)
	if err != nil {
		return err
	}
	for id := range had {
		if _, stays := v.Clients[id]; !stays {
			if err := tx.Delete(bucketFates, fatePrefix(v.Commit)+string(id)); err != nil {
				return err
			}
		}
	}
	for id, fate := range v.Clients {
		if had[id] != fate {
			if err := put(tx, bucketFates, fatePrefix(v.Commit)+string(id), fate); err != nil {
				return err
			}
		}
	}
	v.Fates, v.Clients = v.Tally(), nil
	return put(tx, bucketVerdicts, v.Commit, v)
}

// PutVerdictHead writes a verdict's own record and leaves its clients' fates as they
// are.
func PutVerdictHead(tx Tx, v state.Verdict) error {
	v.Clients = nil
	return put(tx, bucketVerdicts, v.Commit, v)
}

// Fate returns what became of one client in a verdict; false: the verdict is not about
// it.
func Fate(tx Tx, commit string, id state.ClientID) (string, bool, error) {
	return get[string](tx, bucketFates, fatePrefix(commit)+string(id))
}

// PutFate changes one client's fate and returns the verdict's head with its new counts;
// the caller concludes it and writes it with PutVerdictHead.
func PutFate(tx Tx, commit string, id state.ClientID, fate string) (state.Verdict, error) {
	v, _, err := VerdictHead(tx, commit)
	if err != nil {
		return v, err
	}
	had, ok, err := Fate(tx, commit, id)
	if err != nil {
		return v, err
	}
	n := maps.Clone(v.Fates)
	if n == nil {
		n = map[string]int{}
	}
	if word := state.FateWord(had); ok {
		if n[word]--; n[word] <= 0 {
			delete(n, word)
		}
	}
	n[state.FateWord(fate)]++
	v.Fates = n
	return v, put(tx, bucketFates, fatePrefix(commit)+string(id), fate)
}

func fates(tx Tx, commit string) (map[state.ClientID]string, error) {
	out := map[state.ClientID]string{}
	prefix := fatePrefix(commit)
	err := tx.Each(bucketFates, prefix, func(key string, decode func(any) error) error {
		var fate string
		if err := decode(&fate); err != nil {
			return err
		}
		out[state.ClientID(key[len(prefix):])] = fate
		return nil
	})
	return out, err
}
