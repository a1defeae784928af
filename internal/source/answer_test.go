package source

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStalledAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		a := &answer{in: in, left: 100, cancel: func() { _ = out.CloseWithError(errors.New("cancelled")) }}
		defer a.Close()
		go func() {
			_, _ = out.Write([]byte("slow"))
			time.Sleep(stallTime - time.Second)
			_, _ = out.Write([]byte("but"))
		}()
		for _, want := range []string{"slow", "but"} {
			b := make([]byte, 10)
			if n, err := a.Read(b); err != nil || string(b[:n]) != want {
				t.Errorf("%q, %v", b[:n], err)
			}
		}
		begin := time.Now()
		if _, err := a.Read(make([]byte, 10)); !errors.Is(err, errStalled) || time.Since(begin) != stallTime {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
	})
}

func TestLongAnswer(t *testing.T) {
	body := func(n int, cut bool) *answer {
		return &answer{in: io.NopCloser(strings.NewReader(strings.Repeat("x", n))), cancel: func() {}, left: 10, cut: cut}
	}
	for _, c := range []struct {
		size, read int
		cut        bool
		err        error
	}{{10, 10, false, nil}, {9, 9, false, nil}, {11, 10, false, ErrTooLarge}, {11, 10, true, nil}} {
		got, err := io.ReadAll(body(c.size, c.cut))
		if len(got) != c.read || !errors.Is(err, c.err) {
			t.Errorf("%+v: %d bytes, %v", c, len(got), err)
		}
	}
}
