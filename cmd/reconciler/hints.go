package main

import (
	"sync"
	"time"
)

// hintPause is the least time between two looks that webhooks ask for: a flood of them
// costs one fetch in so long.
const hintPause = 5 * time.Second

// spaced calls a function at once, and then again at most once in so long, however often
// it is asked for.
type spaced struct {
	every time.Duration
	now   func() time.Time
	do    func()

	mu     sync.Mutex
	last   time.Time
	later  *time.Timer
	closed bool
}

// ask wants the function to be called. It never blocks for longer than the function.
func (s *spaced) ask() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.later != nil {
		return // it will be
	}
	if wait := s.last.Add(s.every).Sub(s.now()); wait > 0 {
		s.later = time.AfterFunc(min(wait, s.every), s.due)
		return
	}
	s.last = s.now()
	s.do()
}

func (s *spaced) due() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.later = nil
	if !s.closed {
		s.last = s.now()
		s.do()
	}
}

// close forgets what is still to come.
func (s *spaced) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.later != nil {
		s.later.Stop()
		s.later = nil
	}
	return nil
}
