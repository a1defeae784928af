package bolt

import (
	"errors"
	"fmt"
	"os"

	bbolt "go.etcd.io/bbolt"

	"github.com/compassdigital/reconciler/internal/secret"
)

// rekeyBatch is how many bytes are sealed anew in one transaction.
const rekeyBatch = 8 << 20

// Rekey seals a state that is not in use anew: keys are those of now, and know those that
// they take the place of (secret.Renew). It is written beside its place, every record of it
// is opened, and it is renamed there: cut off anywhere, the one or the other is there, whole.
// What lies under the new key already stays. Of the old file nothing is left in the new one,
// not even in pages that are free.
func Rekey(o Options) error {
	fail := func(err error) error { return fmt.Errorf("seal state %s anew: %w", o.Path, classify(err)) }
	held, err := lock(o.Path, defaultTimeout, o.Now())
	if err != nil {
		return fail(err)
	}
	defer func() { _ = unlock(held) }() // everything is synced by itself
	db, err := openDB(o.Path, true, true, defaultTimeout)
	if err != nil {
		return fail(err)
	}
	s := &Store{db: db, keys: o.Keys, path: o.Path}
	if err = guard(func() error { return s.checkHeader(len(migrations())) }); err != nil || s.keys == o.Keys {
		if err = errors.Join(err, s.closeDB()); err != nil {
			return fail(err)
		}
		return nil
	}
	temp := o.Path + ".rekey"
	defer func() { _ = os.Remove(temp) }() // gone already once renamed
	err = guard(func() error { return s.resealTo(temp, o) })
	if err = errors.Join(err, s.closeDB()); err != nil {
		return fail(err)
	}
	if err := verifyFile(temp, o.Keys); err != nil {
		return fail(fmt.Errorf("the new one does not open, and is dropped: %w", err))
	}
	o.at(PointRekey)
	if err := replace(temp, o.Path); err != nil {
		return fail(err)
	}
	o.at(PointRekeyed)
	return nil
}

// resealTo copies every record to a new file, under the keys of o.
func (s *Store) resealTo(path string, o Options) (err error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	to, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: defaultTimeout, FreelistType: bbolt.FreelistMapType, NoSync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	err = s.db.View(func(from *bbolt.Tx) (err error) {
		h, err := readHeader(from)
		if err != nil {
			return err
		}
		r := &resealing{from: &transaction{keys: s.keys, tx: from}, keys: o.Keys, to: to}
		defer func() { err = errors.Join(err, r.rollback()) }() // closing would wait for it
		err = from.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if string(name) == headerBucket {
				return nil
			}
			return r.bucket(string(name), b)
		})
		if err != nil {
			return err
		}
		h.Key = o.Keys.Check()
		if err := r.begin(); err != nil {
			return err
		}
		if err := putHeader(r.tx, h); err != nil {
			return err
		}
		return r.commit()
	})
	if err == nil {
		err = to.Sync()
	}
	return err
}

// resealing writes records to a file, so many bytes a transaction.
type resealing struct {
	from *transaction
	keys *secret.Keys
	to   *bbolt.DB
	tx   *bbolt.Tx // nil: none is open
	size int
}

func (r *resealing) begin() (err error) {
	if r.tx == nil {
		r.tx, err = r.to.Begin(true)
		r.size = 0
	}
	return err
}

func (r *resealing) commit() error {
	tx := r.tx
	r.tx = nil
	return tx.Commit()
}

func (r *resealing) rollback() error {
	if r.tx == nil {
		return nil
	}
	tx := r.tx
	r.tx = nil
	return tx.Rollback()
}

func (r *resealing) bucket(name string, b *bbolt.Bucket) error {
	if err := r.begin(); err != nil {
		return err
	}
	if _, err := r.tx.CreateBucketIfNotExists([]byte(name)); err != nil {
		return err
	}
	return b.ForEach(func(key, sealed []byte) error {
		plain, err := r.from.unseal(name, string(key), sealed)
		if err != nil {
			return err
		}
		if err := r.begin(); err != nil {
			return err
		}
		again := r.keys.Seal(context(name, string(key)), plain)
		if err := r.tx.Bucket([]byte(name)).Put(key, again); err != nil {
			return err
		}
		if r.size += len(again); r.size >= rekeyBatch {
			return r.commit()
		}
		return nil
	})
}
