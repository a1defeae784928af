package sqlite

import "sync"

// locks has one lock a file for those who are at work on it: deleting waits for them.
type locks struct {
	mu sync.Mutex
	by map[string]*fileLock
}

type fileLock struct {
	sync.RWMutex
	users int
}

func (l *locks) take(stem string) *fileLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[string]*fileLock{}
	}
	f := l.by[stem]
	if f == nil {
		f = &fileLock{}
		l.by[stem] = f
	}
	f.users++
	return f
}

func (l *locks) leave(stem string, f *fileLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.users--; f.users == 0 {
		delete(l.by, stem)
	}
}

// read lets others read too; the caller calls what it returns.
func (l *locks) read(stem string) func() {
	f := l.take(stem)
	f.RLock()
	return func() { f.RUnlock(); l.leave(stem, f) }
}

// write is alone.
func (l *locks) write(stem string) func() {
	f := l.take(stem)
	f.Lock()
	return func() { f.Unlock(); l.leave(stem, f) }
}
