package apply

import (
	"fmt"
	"runtime/debug"

	"github.com/compassdigital/reconciler/internal/state"
)

// Panicked is an error in this program that work for a client ran into. Like a crash
// it says nothing of what was under way: the next pass goes on from the journal.
type Panicked struct {
	Client state.ClientID // whose work it was; "": somebody's of the group
	Text   string
	Stack  []byte
}

func (p *Panicked) Error() string { return "an error in this program: " + p.Text }

// Contain does a client's work and returns its error. A panic in it comes back as a
// *Panicked: it costs this client its pass, and nobody else anything. Goroutines need it
// as well as their parents: a panic that leaves a goroutine ends the process.
func Contain(id state.ClientID, work func() error) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *Panicked: // handed up from a goroutine
			err = v
		default:
			err = &Panicked{Client: id, Text: fmt.Sprint(v), Stack: debug.Stack()}
		}
	}()
	return work()
}
