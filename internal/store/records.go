package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/state"
)

// Buckets, one a noun.
const (
	bucketMeta        = "meta"        // installation, baseline, …
	bucketClients     = "clients"     // client id
	bucketNames       = "names"       // current name → client id
	bucketResources   = "resources"   // client id / kind / name
	bucketTombstones  = "tombstones"  // client id / part
	bucketHolds       = "holds"       // fingerprint
	bucketApprovals   = "approvals"   // fingerprint
	bucketClaims      = "claims"      // key
	bucketIntents     = "intents"     // Ref
	bucketDeployments = "deployments" // id (time-ordered)
	bucketLogs        = "logs"        // deployment / sequence
	bucketHistory     = "history"     // sequence
	bucketReports     = "reports"     // sequence
	bucketVerdicts    = "verdicts"    // commit
	bucketFates       = "fates"       // commit / client id
	bucketSecrets     = "secrets"     // scope / name / version
	bucketRuns        = "runs"        // schedule name → last run
	bucketLooked      = "looked"      // client id
	bucketPulls       = "pulls"       // number
	bucketPlans       = "plans"       // number of a pull request
	bucketCommands    = "commands"    // comment id
)

// Buckets lists every bucket, for stores that must make them first.
func Buckets() []string {
	return []string{bucketMeta, bucketClients, bucketNames, bucketResources, bucketTombstones, bucketHolds, bucketApprovals,
		bucketClaims, bucketIntents, bucketDeployments, bucketLogs, bucketHistory, bucketReports, bucketVerdicts, bucketFates, bucketSecrets, bucketRuns, bucketLooked, bucketPulls, bucketPlans, bucketCommands}
}

func get[T any](tx Tx, bucket, key string) (T, bool, error) {
	var v T
	ok, err := tx.Get(bucket, key, &v)
	if err != nil {
		return v, false, fmt.Errorf("read %s %s: %w", bucket, shown(key), err)
	}
	return v, ok, nil
}

func put(tx Tx, bucket, key string, v any) error {
	if err := tx.Put(bucket, key, v); err != nil {
		return fmt.Errorf("write %s %s: %w", bucket, shown(key), err)
	}
	return nil
}

func all[T any](tx Tx, bucket, prefix string) ([]T, error) {
	var out []T
	err := tx.Each(bucket, prefix, func(key string, decode func(any) error) error {
		var v T
		if err := decode(&v); err != nil {
			return fmt.Errorf("read %s %s: %w", bucket, shown(key), err)
		}
		out = append(out, v)
		return nil
	})
	return out, err
}

// last returns up to limit records, the newest (greatest key) first.
func last[T any](tx Tx, bucket, prefix string, limit int, want func(T) bool) ([]T, error) {
	var out []T
	err := tx.Last(bucket, prefix, func(key string, decode func(any) error) error {
		var v T
		if err := decode(&v); err != nil {
			return fmt.Errorf("read %s %s: %w", bucket, shown(key), err)
		}
		if want == nil || want(v) {
			out = append(out, v)
		}
		if len(out) >= limit {
			return ErrStop
		}
		return nil
	})
	if errors.Is(err, ErrStop) {
		err = nil
	}
	return out, err
}

// older returns up to limit records with keys below one, the greatest first; before "" begins
// with the greatest. What is passed over is not decoded.
func older[T any](tx Tx, bucket, before string, limit int) ([]T, error) {
	var out []T
	err := tx.Last(bucket, "", func(key string, decode func(any) error) error {
		if before != "" && key >= before {
			return nil
		}
		var v T
		if err := decode(&v); err != nil {
			return fmt.Errorf("read %s %s: %w", bucket, shown(key), err)
		}
		if out = append(out, v); len(out) >= limit {
			return ErrStop
		}
		return nil
	})
	if errors.Is(err, ErrStop) {
		err = nil
	}
	return out, err
}

// seqKey orders numbers as text.
func seqKey(n uint64) string { return fmt.Sprintf("%020d", n) }

// Installation returns who we are; false on a state that is new.
func Installation(tx Tx) (state.Installation, bool, error) {
	return get[state.Installation](tx, bucketMeta, "installation")
}

// PutInstallation is called once, when the state is made.
func PutInstallation(tx Tx, i state.Installation) error {
	return put(tx, bucketMeta, "installation", i)
}

// Baseline returns the last accepted head; false before the first.
func Baseline(tx Tx) (state.Baseline, bool, error) {
	return get[state.Baseline](tx, bucketMeta, "baseline")
}

// PutBaseline moves the last accepted head.
func PutBaseline(tx Tx, b state.Baseline) error { return put(tx, bucketMeta, "baseline", b) }

// Restored says that the state is an older one that was put back, and since when. Until
// it was compared with what the providers show, nothing may be acted on.
func Restored(tx Tx) (time.Time, bool, error) { return get[time.Time](tx, bucketMeta, "restored") }

// PutRestored is called by the store that recognises it.
func PutRestored(tx Tx, at time.Time) error { return put(tx, bucketMeta, "restored", at) }

// DeleteRestored ends it, in the transaction that writes what the comparison found.
func DeleteRestored(tx Tx) error { return tx.Delete(bucketMeta, "restored") }

// Unfilled says that the state was made for a rebuild that has not come to its end, and
// since when. It holds nothing, and the one that it stands for is lost: only a rebuild may
// go on with it.
func Unfilled(tx Tx) (time.Time, bool, error) { return get[time.Time](tx, bucketMeta, "unfilled") }

// PutUnfilled is called by the store that makes it.
func PutUnfilled(tx Tx, at time.Time) error { return put(tx, bucketMeta, "unfilled", at) }

// DeleteUnfilled ends it, in the transaction that fills the state.
func DeleteUnfilled(tx Tx) error { return tx.Delete(bucketMeta, "unfilled") }

// Notices returns what was told by mail; false before the first.
func Notices(tx Tx) (state.Notices, bool, error) {
	return get[state.Notices](tx, bucketMeta, "notices")
}

// PutNotices writes it.
func PutNotices(tx Tx, n state.Notices) error { return put(tx, bucketMeta, "notices", n) }

// Client returns one client.
func Client(tx Tx, id state.ClientID) (state.Client, bool, error) {
	return get[state.Client](tx, bucketClients, string(id))
}

// ClientByName returns the client that bears the name now (a removed one keeps its
// name until another takes it).
func ClientByName(tx Tx, name string) (state.Client, bool, error) {
	id, ok, err := get[state.ClientID](tx, bucketNames, name)
	if err != nil || !ok {
		return state.Client{}, false, err
	}
	return Client(tx, id)
}

// Clients returns every client by id, removed ones with it.
func Clients(tx Tx) ([]state.Client, error) { return all[state.Client](tx, bucketClients, "") }

// PutClient writes the client and its name. A former name is let go when it is
// still this client's.
func PutClient(tx Tx, c state.Client) error {
	old, ok, err := Client(tx, c.ID)
	if err != nil {
		return err
	}
	if ok && old.Name != c.Name {
		holder, found, err := get[state.ClientID](tx, bucketNames, old.Name)
		if err != nil {
			return err
		}
		if found && holder == c.ID {
			if err := tx.Delete(bucketNames, old.Name); err != nil {
				return fmt.Errorf("write names %s: %w", old.Name, err)
			}
		}
	}
	if !ok || old.Name != c.Name {
		if err := put(tx, bucketNames, c.Name, c.ID); err != nil {
			return err
		}
	}
	return put(tx, bucketClients, string(c.ID), c)
}

// DeleteClient forgets a client that has nothing left.
func DeleteClient(tx Tx, c state.Client) error {
	holder, found, err := get[state.ClientID](tx, bucketNames, c.Name)
	if err != nil {
		return err
	}
	if found && holder == c.ID {
		if err := tx.Delete(bucketNames, c.Name); err != nil {
			return fmt.Errorf("write names %s: %w", c.Name, err)
		}
	}
	if err := tx.Delete(bucketLooked, string(c.ID)); err != nil {
		return fmt.Errorf("write looked %s: %w", c.ID, err)
	}
	return tx.Delete(bucketClients, string(c.ID))
}

// Looked returns what scheduled looks know of a client; false before the first.
func Looked(tx Tx, id state.ClientID) (state.Looked, bool, error) {
	return get[state.Looked](tx, bucketLooked, string(id))
}

// AllLooked returns what they know of everybody.
func AllLooked(tx Tx) ([]state.Looked, error) { return all[state.Looked](tx, bucketLooked, "") }

// PutLooked writes it.
func PutLooked(tx Tx, l state.Looked) error { return put(tx, bucketLooked, string(l.Client), l) }

// Resources returns what is recorded of a client, sorted by Ref.
func Resources(tx Tx, id state.ClientID) ([]state.Resource, error) {
	return all[state.Resource](tx, bucketResources, string(id)+"/")
}

// AllResources returns what is recorded of everybody.
func AllResources(tx Tx) ([]state.Resource, error) {
	return all[state.Resource](tx, bucketResources, "")
}

// Resource returns one.
func Resource(tx Tx, r state.Ref) (state.Resource, bool, error) {
	return get[state.Resource](tx, bucketResources, r.String())
}

// PutResource records one.
func PutResource(tx Tx, r state.Resource) error { return put(tx, bucketResources, r.Ref.String(), r) }

// DeleteResource takes one off the record.
func DeleteResource(tx Tx, r state.Ref) error { return tx.Delete(bucketResources, r.String()) }

func tombstoneKey(id state.ClientID, part string) string { return string(id) + "/" + part }

// Tombstones returns a client's; id "" returns everybody's.
func Tombstones(tx Tx, id state.ClientID) ([]state.Tombstone, error) {
	if id == "" {
		return all[state.Tombstone](tx, bucketTombstones, "")
	}
	return all[state.Tombstone](tx, bucketTombstones, string(id)+"/")
}

// PutTombstone writes one.
func PutTombstone(tx Tx, t state.Tombstone) error {
	return put(tx, bucketTombstones, tombstoneKey(t.Client, t.Part), t)
}

// DeleteTombstone voids one.
func DeleteTombstone(tx Tx, id state.ClientID, part string) error {
	return tx.Delete(bucketTombstones, tombstoneKey(id, part))
}

// Holds returns all that waits for a person, by fingerprint.
func Holds(tx Tx) ([]state.Hold, error) { return all[state.Hold](tx, bucketHolds, "") }

// Hold returns one.
func Hold(tx Tx, fingerprint string) (state.Hold, bool, error) {
	return get[state.Hold](tx, bucketHolds, fingerprint)
}

// PutHold writes one.
func PutHold(tx Tx, h state.Hold) error { return put(tx, bucketHolds, h.Fingerprint, h) }

// DeleteHold lifts one.
func DeleteHold(tx Tx, fingerprint string) error { return tx.Delete(bucketHolds, fingerprint) }

// Approvals returns all, used ones with them.
func Approvals(tx Tx) ([]state.Approval, error) { return all[state.Approval](tx, bucketApprovals, "") }

// Approval returns one.
func Approval(tx Tx, fingerprint string) (state.Approval, bool, error) {
	return get[state.Approval](tx, bucketApprovals, fingerprint)
}

// PutApproval writes one.
func PutApproval(tx Tx, a state.Approval) error { return put(tx, bucketApprovals, a.Fingerprint, a) }

// DeleteApproval forgets one that lapsed.
func DeleteApproval(tx Tx, fingerprint string) error { return tx.Delete(bucketApprovals, fingerprint) }

// Claim returns who owns a shared key.
func Claim(tx Tx, key string) (state.Claim, bool, error) {
	return get[state.Claim](tx, bucketClaims, key)
}

// Claims returns the ledger.
func Claims(tx Tx) ([]state.Claim, error) { return all[state.Claim](tx, bucketClaims, "") }

// PutClaim writes a line of the ledger.
func PutClaim(tx Tx, c state.Claim) error { return put(tx, bucketClaims, c.Key, c) }

// DeleteClaim frees a shared key.
func DeleteClaim(tx Tx, key string) error { return tx.Delete(bucketClaims, key) }

// Intents returns the open intents of a client; id "" returns everybody's.
func Intents(tx Tx, id state.ClientID) ([]journal.Intent, error) {
	if id == "" {
		return all[journal.Intent](tx, bucketIntents, "")
	}
	return all[journal.Intent](tx, bucketIntents, string(id)+"/")
}

// Intent returns the open intent of a resource.
func Intent(tx Tx, r state.Ref) (journal.Intent, bool, error) {
	return get[journal.Intent](tx, bucketIntents, r.String())
}

// PutIntent opens or changes an intent.
func PutIntent(tx Tx, i journal.Intent) error { return put(tx, bucketIntents, i.Ref.String(), i) }

// DeleteIntent closes an intent; its outcome is written in the same transaction.
func DeleteIntent(tx Tx, r state.Ref) error { return tx.Delete(bucketIntents, r.String()) }

// PutDeployment writes an audit record.
func PutDeployment(tx Tx, d state.Deployment) error { return put(tx, bucketDeployments, d.ID, d) }

// Deployment returns one audit record.
func Deployment(tx Tx, id string) (state.Deployment, bool, error) {
	return get[state.Deployment](tx, bucketDeployments, id)
}

// DeploymentState is the state of an audit record: a start asks for that of every client, and
// reads no steps for it.
func DeploymentState(tx Tx, id string) (string, bool, error) {
	d, ok, err := get[struct {
		State string `json:"state"`
	}](tx, bucketDeployments, id)
	return d.State, ok, err
}

// Deployments returns the newest audit records first; client "" for everybody.
func Deployments(tx Tx, client state.ClientID, limit int) ([]state.Deployment, error) {
	return last(tx, bucketDeployments, "", limit, func(d state.Deployment) bool { return client == "" || d.Client == client })
}

// DeploymentsBefore returns audit records that are older than one, the newest first; before
// "" begins with the newest.
func DeploymentsBefore(tx Tx, before string, limit int) ([]state.Deployment, error) {
	return older[state.Deployment](tx, bucketDeployments, before, limit)
}

// DeleteDeployment forgets an audit record and its lines.
func DeleteDeployment(tx Tx, id string) error {
	var keys []string
	err := tx.Each(bucketLogs, id+"/", func(key string, _ func(any) error) error {
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := tx.Delete(bucketLogs, key); err != nil {
			return err
		}
	}
	return tx.Delete(bucketDeployments, id)
}

// AddLog appends a line to a deployment's log and returns it with its number.
func AddLog(tx Tx, l state.LogLine) (state.LogLine, error) {
	n, err := tx.Next(bucketLogs)
	if err != nil {
		return l, fmt.Errorf("number logs: %w", err)
	}
	l.Seq = n
	return l, put(tx, bucketLogs, l.Deployment+"/"+seqKey(n), l)
}

// Logs returns a deployment's lines after a number.
func Logs(tx Tx, deployment string, after uint64, limit int) ([]state.LogLine, error) {
	var out []state.LogLine
	err := tx.Each(bucketLogs, deployment+"/", func(key string, decode func(any) error) error {
		var l state.LogLine
		if err := decode(&l); err != nil {
			return fmt.Errorf("read logs %s: %w", shown(key), err)
		}
		if l.Seq > after {
			out = append(out, l)
		}
		if len(out) >= limit {
			return ErrStop
		}
		return nil
	})
	if errors.Is(err, ErrStop) {
		err = nil
	}
	return out, err
}

// AddHistory appends to the history and the audit trail.
func AddHistory(tx Tx, e state.Entry) (state.Entry, error) {
	n, err := tx.Next(bucketHistory)
	if err != nil {
		return e, fmt.Errorf("number history: %w", err)
	}
	e.Seq = n
	return e, put(tx, bucketHistory, seqKey(n), e)
}

// History returns the newest entries first; client "" for everybody.
func History(tx Tx, client state.ClientID, limit int) ([]state.Entry, error) {
	return last(tx, bucketHistory, "", limit, func(e state.Entry) bool { return client == "" || e.Client == client })
}

// HistoryBefore returns entries that are older than one, the newest first; before 0 begins
// with the newest.
func HistoryBefore(tx Tx, before uint64, limit int) ([]state.Entry, error) {
	key := ""
	if before > 0 {
		key = seqKey(before)
	}
	return older[state.Entry](tx, bucketHistory, key, limit)
}

// DeleteEntry forgets one.
func DeleteEntry(tx Tx, seq uint64) error { return tx.Delete(bucketHistory, seqKey(seq)) }

// AddReport puts something into the outbox.
func AddReport(tx Tx, r state.Report) (state.Report, error) {
	n, err := tx.Next(bucketReports)
	if err != nil {
		return r, fmt.Errorf("number reports: %w", err)
	}
	r.Seq = n
	return r, put(tx, bucketReports, seqKey(n), r)
}

// PutReport changes one that is in the outbox.
func PutReport(tx Tx, r state.Report) error { return put(tx, bucketReports, seqKey(r.Seq), r) }

// DeleteReport takes a delivered one out.
func DeleteReport(tx Tx, seq uint64) error { return tx.Delete(bucketReports, seqKey(seq)) }

// Reports returns the outbox in order.
func Reports(tx Tx) ([]state.Report, error) { return all[state.Report](tx, bucketReports, "") }

// SecretRecord is one version of a secret. It is the only record that holds a
// secret's text, and the only bucket in which it may be found after unsealing.
type SecretRecord struct {
	Ref  state.SecretRef `json:"ref"`
	Text []byte          `json:"text"`
	At   time.Time       `json:"at"`
	By   string          `json:"by,omitempty"`
	From string          `json:"from,omitempty"` // set | source | generated | output | adopted | lost
	// Source is which source it was read from, where From is SecretSourced.
	Source string `json:"source,omitempty"`
}

// SecretSourced is the From of what was read from a source outside of the state.
const SecretSourced = "source"

// SecretLost is the From of a record without a text: the value was made before the state
// was lost, is in use, and nobody can read it back. Nothing takes its place by itself.
const SecretLost = "lost"

func secretPrefix(scope, name string) string { return scope + "\x00" + name + "\x00" }

// Secret returns one version; version 0 returns the newest.
func Secret(tx Tx, scope, name string, version int) (SecretRecord, bool, error) {
	if version > 0 {
		return get[SecretRecord](tx, bucketSecrets, secretPrefix(scope, name)+seqKey(uint64(version)))
	}
	found, err := last[SecretRecord](tx, bucketSecrets, secretPrefix(scope, name), 1, nil)
	if err != nil || len(found) == 0 {
		return SecretRecord{}, false, err
	}
	return found[0], true, nil
}

// PutSecret writes one version.
func PutSecret(tx Tx, s SecretRecord) error {
	return put(tx, bucketSecrets, secretPrefix(s.Ref.Scope, s.Ref.Name)+seqKey(uint64(s.Ref.Version)), s)
}

// Secrets returns the references of a scope's secrets, every version, never their
// text; scope "" returns everybody's.
func Secrets(tx Tx, scope string) ([]state.SecretRef, error) {
	prefix := ""
	if scope != "" {
		prefix = scope + "\x00"
	}
	var out []state.SecretRef
	err := tx.Each(bucketSecrets, prefix, func(key string, decode func(any) error) error {
		var s SecretRecord
		if err := decode(&s); err != nil {
			return fmt.Errorf("read secrets: %w", err)
		}
		out = append(out, s.Ref)
		return nil
	})
	return out, err
}

// SecretHeads returns the newest version of every secret of a scope, without its text;
// scope "" returns everybody's.
func SecretHeads(tx Tx, scope string) ([]SecretRecord, error) {
	prefix := ""
	if scope != "" {
		prefix = scope + "\x00"
	}
	var out []SecretRecord
	err := tx.Each(bucketSecrets, prefix, func(key string, decode func(any) error) error {
		var s SecretRecord
		if err := decode(&s); err != nil {
			return fmt.Errorf("read secrets: %w", err)
		}
		s.Text = nil
		if n := len(out); n > 0 && out[n-1].Ref.Scope == s.Ref.Scope && out[n-1].Ref.Name == s.Ref.Name {
			out[n-1] = s // versions are in order
			return nil
		}
		out = append(out, s)
		return nil
	})
	return out, err
}

// secretOwner says which client took secrets from sources under a name.
type secretOwner struct {
	Name   string         `json:"name"`
	Client state.ClientID `json:"client"`
}

const secretOwnerPrefix = "secret-owner/"

// SecretOwners returns which client took secrets from sources under which name. It is
// never another's, whoever bears the name later.
func SecretOwners(tx Tx) (map[string]state.ClientID, error) {
	all, err := all[secretOwner](tx, bucketMeta, secretOwnerPrefix)
	if err != nil {
		return nil, err
	}
	out := make(map[string]state.ClientID, len(all))
	for _, o := range all {
		out[o.Name] = o.Client
	}
	return out, nil
}

// PutSecretOwner notes it.
func PutSecretOwner(tx Tx, name string, id state.ClientID) error {
	return put(tx, bucketMeta, secretOwnerPrefix+name, secretOwner{name, id})
}

// OutdatedSecrets returns the versions that a newer one followed before a moment.
func OutdatedSecrets(tx Tx, before time.Time) ([]state.SecretRef, error) {
	var out []state.SecretRef
	var last state.SecretRef
	err := tx.Each(bucketSecrets, "", func(_ string, decode func(any) error) error {
		var s SecretRecord
		if err := decode(&s); err != nil {
			return fmt.Errorf("read secrets: %w", err)
		}
		if s.Ref.Scope == last.Scope && s.Ref.Name == last.Name && s.At.Before(before) { // versions are in order
			out = append(out, last)
		}
		last = s.Ref
		return nil
	})
	return out, err
}

// DeleteSecretVersion removes one version of a secret that has a newer one.
func DeleteSecretVersion(tx Tx, ref state.SecretRef) error {
	newest, ok, err := Secret(tx, ref.Scope, ref.Name, 0)
	if err != nil || !ok || newest.Ref.Version <= ref.Version {
		return err
	}
	return tx.Delete(bucketSecrets, secretPrefix(ref.Scope, ref.Name)+seqKey(uint64(ref.Version)))
}

// DeleteSecret removes every version of a secret.
func DeleteSecret(tx Tx, scope, name string) error {
	var keys []string
	err := tx.Each(bucketSecrets, secretPrefix(scope, name), func(key string, _ func(any) error) error {
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := tx.Delete(bucketSecrets, k); err != nil {
			return err
		}
	}
	return nil
}

// LastRun returns when a schedule last ran.
func LastRun(tx Tx, schedule string) (time.Time, bool, error) {
	return get[time.Time](tx, bucketRuns, schedule)
}

// LastRuns are all that PutLastRun noted, by name.
func LastRuns(tx Tx) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	err := tx.Each(bucketRuns, "", func(name string, decode func(any) error) error {
		var at time.Time
		if err := decode(&at); err != nil {
			return fmt.Errorf("read %s %s: %w", bucketRuns, shown(name), err)
		}
		out[name] = at
		return nil
	})
	return out, err
}

// PutLastRun notes a schedule's run.
func PutLastRun(tx Tx, schedule string, at time.Time) error { return put(tx, bucketRuns, schedule, at) }

// DeleteLastRun forgets it.
func DeleteLastRun(tx Tx, schedule string) error { return tx.Delete(bucketRuns, schedule) }
