package bolt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// HeldError says that another process has the state open.
type HeldError struct {
	Path   string
	Holder string // who: process, host, since when
}

// Error implements error.
func (e *HeldError) Error() string {
	return fmt.Sprintf("state %s is held by %s: stop it, or talk to it", e.Path, e.Holder)
}

// holder is what PATH.lock says of the process that has the state open.
type holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since,omitzero"`
}

const (
	maxLockSize  = 4 << 10
	lockInterval = 20 * time.Millisecond
)

// lock takes PATH.lock. The file stays when it is let go: removing it would let two
// processes hold two files of one name.
func lock(path string, timeout time.Duration, now time.Time) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for waited := time.Duration(0); ; waited += lockInterval {
		err = tryLock(f)
		if err == nil {
			break
		}
		if !errors.Is(err, errLocked) || waited >= timeout {
			break
		}
		<-time.After(lockInterval)
	}
	if errors.Is(err, errLocked) {
		err = &HeldError{Path: path, Holder: readHolder(f)}
	}
	if err == nil {
		// Only a hint for people: who reads a state needs no room on the disk.
		if err = writeHolder(f, now); full(err) {
			err = nil
		}
	}
	if err != nil {
		_ = f.Close() // lets the lock go, if it was taken
		return nil, err
	}
	return f, nil
}

func writeHolder(f *os.File, now time.Time) error {
	host, err := os.Hostname()
	if err != nil {
		host = "" // only a hint for people
	}
	data, err := json.Marshal(holder{os.Getpid(), host, now.UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(data, '\n'), 0)
	return err
}

func readHolder(f *os.File) string {
	data, err := io.ReadAll(io.NewSectionReader(f, 0, maxLockSize))
	var h holder
	if err != nil || json.Unmarshal(data, &h) != nil || h.PID == 0 {
		return "another process"
	}
	host := h.Host
	if host == "" {
		host = "an unnamed host"
	}
	if h.Since.IsZero() {
		return fmt.Sprintf("process %d on %q", h.PID, host)
	}
	return fmt.Sprintf("process %d on %q since %s", h.PID, host, h.Since.UTC().Format("2006-01-02 15:04:05 MST"))
}

func unlock(f *os.File) error {
	if f == nil {
		return nil
	}
	return errors.Join(f.Truncate(0), f.Close())
}
