package bolt

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/journal"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// kindOf says which kind of record is under a key: its bucket, and in meta, where each key
// is a kind of its own, what comes before its slash.
func kindOf(bucket, key string) string {
	if bucket != "meta" {
		return bucket
	}
	key, _, _ = strings.Cut(key, "/")
	return bucket + "." + key
}

// noted is a transaction that notes as what each kind of record is written.
type noted struct {
	store.Tx
	types map[string]reflect.Type
}

func (n noted) Put(bucket, key string, v any) error {
	n.types[kindOf(bucket, key)] = reflect.TypeOf(v)
	return n.Tx.Put(bucket, key, v)
}

// kinds are all kinds of record, with the type that each is written as.
func kinds(t *testing.T) map[string]reflect.Type {
	t.Helper()
	types := map[string]reflect.Type{}
	err := mustOpen(t, options(t)).Update(func(tx store.Tx) error {
		return errors.Join(everyRecord(noted{tx, types}), passing(noted{tx, types}))
	})
	if err != nil {
		t.Fatal(err)
	}
	return types
}

// whole checks that each record of a state is read as what it is and, written again, says all that
// it said. In one of the newest schema there is a record of every kind, and every field has a value.
func whole(t *testing.T, s *Store, newest bool) {
	t.Helper()
	types, had := kinds(t), map[string]bool{}
	each(t, s, func(bucket, key string, data []byte) {
		kind := kindOf(bucket, key)
		if types[kind] == nil {
			t.Errorf("%s %q is of no kind that is written", bucket, key)
			return
		}
		v := reflect.New(types[kind])
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(v.Interface()); err != nil {
			t.Errorf("%s %q is not read as %s: %v", bucket, key, types[kind], err)
			return
		}
		again, err := json.Marshal(v.Interface())
		if err != nil {
			t.Fatal(err)
		}
		var was, is any
		if err := errors.Join(json.Unmarshal(data, &was), json.Unmarshal(again, &is)); err != nil {
			t.Fatal(err)
		}
		if newest && !cmp.Equal(was, is) || !keeps(was, is) {
			t.Errorf("%s %q is not what it was once it is written again: %s", bucket, key, cmp.Diff(was, is))
		}
		paths(kind, was, had)
	})
	if !newest {
		return // it has what there was then
	}
	for _, l := range shape(types) {
		if field, _, _ := strings.Cut(l, " "); !had[field] && unkept[field] == "" && noteOf(t, l) == "" {
			t.Errorf("no record of the fixture has %s: a fixture has a record of every kind, with a value in every field", field)
		}
	}
}

// unkept are fields that no fixture has, and why.
var unkept = map[string]string{
	"meta.restored":      "nothing of a state with it may be acted on yet",
	"meta.unfilled":      "a state with it does not open",
	"verdicts.clients{}": "they are records of their own: fates",
}

// keeps says that all of was is in is.
func keeps(was, is any) bool {
	m, ok := was.(map[string]any)
	if !ok {
		return cmp.Equal(was, is)
	}
	n, ok := is.(map[string]any)
	for k, v := range m {
		ok = ok && keeps(v, n[k])
	}
	return ok
}

// paths notes where in a record there is a value, as shape spells it.
func paths(at string, v any, had map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			paths(at+"."+k, x, had)
			paths(at+"{}", x, had) // should it be a map, and no struct
		}
	case []any:
		for _, x := range v {
			paths(at+"[]", x, had)
		}
	case nil:
	default:
		had[at] = true
	}
}

// each hands out every record of a state as its JSON.
func each(t *testing.T, s *Store, do func(bucket, key string, data []byte)) {
	t.Helper()
	err := s.View(func(tx store.Tx) error {
		for _, name := range store.Buckets() {
			err := tx.Each(name, "", func(key string, decode func(any) error) error {
				var v json.RawMessage
				if err := decode(&v); err != nil {
					return err
				}
				do(name, key, v)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// complete is a record with a value in every field: a text is its field's name.
func complete[T any]() T {
	var v T
	setAll(reflect.ValueOf(&v).Elem(), "text")
	return v
}

func setAll(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(clock()))
			return
		}
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			setAll(v.Field(i), tag)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		setAll(v.Elem(), name)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(name))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		setAll(v.Index(0), name)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		setAll(key, name)
		setAll(value, name)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(name)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint64:
		v.SetUint(1)
	default:
		v.SetInt(1)
	}
}

// everyRecord writes a record of every kind, with a value in every field, beside those of a small
// fleet; but for the two that keep a state from being acted on (see passing).
func everyRecord(tx store.Tx) error {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	id := state.ClientID("demoshop-1a2b3c")
	ref := func(k state.Kind, name string) state.Ref { return state.Ref{Client: id, Kind: k, Name: name} }
	secret := state.SecretRef{Scope: string(id), Name: "mollie", Version: 2, Fingerprint: "0123456789ab"}
	site := state.Resource{Ref: ref(state.KindSite, "ploi/web-1"), Provider: "ploi", ID: "48211", Name: "demoshop-1a2b3c-00c0ffee", Generation: 1, Run: "run-1", Commit: "4f1c",
		Attributes: state.NewAttributes(map[string]state.Value{"label": state.Lit("demoshop"), "server": state.Lit("web-1")}), Outputs: map[string]state.Value{"id": state.Lit("48211"), "host": state.Lit("demoshop.ploi.example")}, UpdatedAt: at}
	env := state.Resource{Ref: ref(state.KindEnvironment, "ploi/web-1"), Provider: "ploi", ID: "env-1", Generation: 1, After: []state.Ref{site.Ref},
		Attributes: state.NewAttributes(map[string]state.Value{"site": state.OutputOf(site.Ref, "id"), "env.KEY": state.SecretValue(secret)})}
	kept := state.Resource{Ref: ref(state.KindDatabase, "main"), Provider: "railway", ID: "db-1", Generation: 1, RetainedAt: at, PurgeAfter: at.Add(30 * 24 * time.Hour)}
	base := complete[state.Baseline]()
	base.Head, base.Version = "4f1c", "0.1.0"
	verdict := complete[state.Verdict]()
	verdict.Clients = map[state.ClientID]string{id: "succeeded"}
	errs := []error{
		store.PutInstallation(tx, state.Installation{ID: "00c0ffee", CreatedAt: at, Epoch: 1}), store.PutBaseline(tx, base), store.PutNotices(tx, complete[state.Notices]()),
		store.PutClient(tx, state.Client{ID: id, Generation: 1, Name: "demoshop", Former: []string{"shop"}, Path: "clients/demoshop.yaml", Blob: "b3", Manifest: []byte("kind: Client\n"), Commit: "4f1c", Seq: 7,
			TemplateBlob: "b2", PlatformBlob: "b1", WishHash: "w1", Status: state.StatusActive, Settled: true, EverDeployed: true, Health: state.Healthy, URL: "https://demoshop.example", CreatedAt: at}),
		store.PutResource(tx, site), store.PutResource(tx, env), store.PutResource(tx, kept),
		store.PutIntent(tx, journal.Intent{Key: site.Ref.String(), Run: "run-2", Op: journal.OpUpdate, Ref: site.Ref, Provider: "ploi", ObjectID: "48211", Wish: &site, Prior: &site, At: at}),
		store.PutClient(tx, complete[state.Client]()), store.PutResource(tx, complete[state.Resource]()), store.PutIntent(tx, complete[journal.Intent]()),
		store.PutTombstone(tx, complete[state.Tombstone]()), store.PutHold(tx, complete[state.Hold]()), store.PutApproval(tx, complete[state.Approval]()), store.PutClaim(tx, complete[state.Claim]()),
		store.PutDeployment(tx, complete[state.Deployment]()), store.PutVerdict(tx, verdict), store.PutVerdictHead(tx, verdict),
		store.PutSecret(tx, complete[store.SecretRecord]()), store.PutSecretOwner(tx, "demoshop", id), store.PutLastRun(tx, "purge", at), store.PutLooked(tx, complete[state.Looked]()),
		store.PutPull(tx, complete[state.Pull]()), store.PutPullPlan(tx, 7, []byte("packed")), store.PutPullSince(tx, 7, []byte("packed before")),
		store.PutCommand(tx, complete[state.Command]()), store.PutCommentsSeen(tx, at), store.PutHeadsAsked(tx, 7),
	}
	_, err := store.PutFate(tx, verdict.Commit, id, "failed")
	errs = append(errs, err)
	_, err = store.AddLog(tx, complete[state.LogLine]())
	errs = append(errs, err)
	_, err = store.AddHistory(tx, complete[state.Entry]())
	errs = append(errs, err)
	r, err := store.AddReport(tx, complete[state.Report]())
	return errors.Join(append(errs, err, store.PutReport(tx, r))...)
}

// passing are the records of a state that nothing may be acted on yet: no fixture opens with them.
func passing(tx store.Tx) error {
	return errors.Join(store.PutRestored(tx, clock()), store.PutUnfilled(tx, clock()))
}
