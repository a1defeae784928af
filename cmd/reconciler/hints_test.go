package main

import (
	"testing"
	"testing/synctest"
	"time"
)

// S47: a flood of hints costs one look at once and one in five seconds, and none is lost.
func TestS47AFloodOfHintsCostsOneLookInFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := &spaced{every: hintPause, now: time.Now, do: func() { n++ }}
		for range 20_000 { // 20 s
			s.ask()
			time.Sleep(time.Millisecond)
		}
		if n < 4 || n > 5 {
			t.Errorf("%d looks in 20 seconds", n)
		}
		was := n
		s.ask()
		time.Sleep(2 * hintPause)
		synctest.Wait()
		if n == was {
			t.Error("the last hint is lost")
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		was = n
		s.ask()
		time.Sleep(2 * hintPause)
		if n != was {
			t.Error("it goes on after its end")
		}
	})
}
