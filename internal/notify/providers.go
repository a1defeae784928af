package notify

import (
	"fmt"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Standing is how a provider stands, in one of two ways: whether it answers, and whether it
// lets us in.
type Standing struct {
	Provider    string
	Credentials bool // whether it lets us in; false: whether it answers
	// Word is NoticeAway, NoticeShut or NoticeBack; "": nothing is known since the start.
	Word    state.NoticeWord
	Since   time.Time
	Because string
}

func (s Standing) key() string {
	if s.Credentials {
		return "credentials/" + s.Provider
	}
	return "provider/" + s.Provider
}

// muted is the cause of what can't be mailed while it lasts: who mails is away itself.
const muted = "mailer"

const moment = "2 January 15:04 MST"

// standings adds how providers stand.
func (n *Notifier) standings(is *reading) {
	if n.Providers == nil {
		return
	}
	for _, s := range n.Providers() {
		key, x := s.key(), state.Notice{Name: s.Provider, Word: s.Word, At: s.Since}
		told, was := is.was.Told[key]
		switch s.Word {
		case state.NoticeAway, state.NoticeShut:
			x.Because = "since " + s.Since.UTC().Format(moment) + ": " + s.Because
			x.Next = "nothing here: it is asked again, and what waits goes on by itself; its status page may say more, and `reconciler status` who waits"
			if s.Credentials {
				x.Next = "look at its token in reconciler.yaml, and start again with one that it accepts; `reconciler doctor` says what is wrong with it"
			}
			about := subject{key: key, notice: x}
			if about.mute = s.Provider == n.Mailer; about.mute {
				about.cause = muted
			}
			is.bad[key] = about
		case state.NoticeBack:
			what := "it did not answer"
			if s.Credentials {
				what = "it did not let us in"
			}
			if x.Because = fmt.Sprintf("%s from %s to %s", what, told.At.UTC().Format(moment), s.Since.UTC().Format(moment)); was && told.Cause == muted {
				x.Because += "; it sends the mails, so that nobody was told"
			}
			is.good[key] = x
		default:
			is.unknown[key] = true
		}
	}
}

// hurry sends what waits at once: who mails is back.
func (n *Notifier) hurry(is *state.Notices, news map[string]state.Notice) {
	for _, x := range news {
		if x.Word != state.NoticeBack || x.Name != n.Mailer {
			continue
		}
		for i := range is.Bulletins {
			is.Bulletins[i].Tries, is.Bulletins[i].Again = 0, time.Time{}
		}
	}
}
