package main

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// S47: a flood of hints costs one look at once and one in five seconds, and none is lost.
func TestS47AFloodOfHintsCostsOneLookInFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		s := &spaced{every: hintPause, now: time.Now, do: func() { n.Add(1) }}
		for range 20_000 { // 20 s
			s.ask()
			time.Sleep(time.Millisecond)
		}
		if looks := n.Load(); looks < 4 || looks > 5 {
			t.Errorf("%d looks in 20 seconds", looks)
		}
		was := n.Load()
		s.ask()
		time.Sleep(2 * hintPause)
		synctest.Wait()
		if n.Load() == was {
			t.Error("the last hint is lost")
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		was = n.Load()
		s.ask()
		time.Sleep(2 * hintPause)
		if n.Load() != was {
			t.Error("it goes on after its end")
		}
	})
}
