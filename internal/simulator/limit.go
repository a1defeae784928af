package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"time"
)

// Limit is a vendor's limit of calls in a fixed window. It is not safe for concurrent use.
type Limit struct {
	Most   int // calls a window; 0: no limit
	Window time.Duration

	began time.Time
	used  int
}

// Take counts one call. left is how many more the window has, reset when it ends; ok is
// false when the call is one too many.
func (l *Limit) Take(now time.Time) (left int, reset time.Time, ok bool) {
	if l.Most == 0 {
		return 0, time.Time{}, true
	}
	if l.began.IsZero() || now.Sub(l.began) >= l.Window || now.Before(l.began) {
		l.began, l.used = now, 0
	}
	reset = l.began.Add(l.Window)
	if l.used >= l.Most {
		return 0, reset, false
	}
	l.used++
	return l.Most - l.used, reset, true
}

// IDs makes ids that look like a vendor's and repeat with the same seed.
type IDs struct {
	Seed string `json:"seed"`
	N    int    `json:"n"`
}

// Number is the next number, from 1.
func (i *IDs) Number() int {
	i.N++
	return i.N
}

// Hex returns n hex digits (at most 64) that no other call returned.
func (i *IDs) Hex(n int) string {
	sum := sha256.Sum256([]byte(i.Seed + "/" + strconv.Itoa(i.Number())))
	return hex.EncodeToString(sum[:])[:n]
}

// UUID returns one in the usual form.
func (i *IDs) UUID() string {
	h := i.Hex(32)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:32]
}

// Save writes a vendor's state to a file, so that it outlives its process; "" keeps nothing.
// The file is whole at any moment, for a process that is killed; not for a power loss.
func Save(file string, from any) error {
	if file == "" {
		return nil
	}
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// Load reads what Save wrote. A file that is not there leaves into as it is.
func Load(file string, into any) error {
	if file == "" {
		return nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
