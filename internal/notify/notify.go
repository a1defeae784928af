package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
)

// Limits.
const (
	maxShown    = 30               // notices of a bulletin
	maxWaiting  = 20               // bulletins on their way; until one is gone no other is made
	pause       = 10 * time.Minute // between two bulletins
	firstRetry  = time.Minute      // doubled each time, to maxRetry
	maxRetry    = time.Hour
	giveUpAfter = 48 * time.Hour
	giveUpTries = 8              // at least: the clock may have been set forward
	maxPutOff   = 24 * time.Hour // whoever says that he wants no mail for longer is asked daily
	maxBecause  = 600            // characters
)

// Notifier makes bulletins and has them mailed.
type Notifier struct {
	Store store.Store
	// Send mails one letter under a name that is sent once. looked says that an earlier answer
	// was lost: whoever sends looks first.
	Send func(ctx context.Context, name, to string, l report.Letter, looked bool) error
	// Installation is part of the mails' names.
	Installation string
	To           []string
	// Providers says how each provider that is configured stands; nil: there is nothing to tell.
	Providers func() []Standing
	// Mailer is the provider through which Send mails.
	Mailer string
	Quiet  Quiet
	Base   string // of our pages; "": none
	Now    func() time.Time
	Redact func(string) string
	Log    *slog.Logger

	mu   sync.Mutex // one run at a time
	memo store.Memo[state.Client]
	seen map[string]string // news of the last run: subject → word and cause
}

// subject is what a notice is about.
type subject struct {
	key    string // client/ID, hold/FINGERPRINT, provider/NAME, credentials/NAME
	cause  string
	notice state.Notice
	waits  string // the provider that refuses what our token asks of it
	mute   bool   // remembered, and mailed when it is over
}

// reading is where all subjects stand, and what people were told.
type reading struct {
	bad     map[string]subject
	good    map[string]state.Notice
	unknown map[string]bool // a provider was not asked since the start
	was     state.Notices
}

// Run tells what is new, and goes on with what is on its way.
func (n *Notifier) Run(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.gather(); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	if err := n.deliver(ctx); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// read is what is recorded, and how providers stand. Clients that are being worked on are in
// neither: no news.
func (n *Notifier) read() (reading, error) {
	is := reading{bad: map[string]subject{}, good: map[string]state.Notice{}, unknown: map[string]bool{}}
	err := n.Store.View(func(tx store.Tx) (err error) {
		if is.was, _, err = store.Notices(tx); err != nil {
			return err
		}
		holds, err := store.Holds(tx)
		if err != nil {
			return err
		}
		for _, h := range holds {
			if h.Client == "" {
				key := "hold/" + h.Fingerprint
				is.bad[key] = subject{key: key, cause: h.Fingerprint, notice: state.Notice{Word: state.NoticeHeld, Because: h.Reason, Next: h.Act, At: h.At}}
			}
		}
		clients, err := store.ClientsAgain(tx, &n.memo)
		for _, c := range clients {
			n.judge(c, is.was, is.bad, is.good)
		}
		return err
	})
	n.standings(&is)
	for key, s := range is.bad {
		if s.waits != "" && is.shut("credentials/"+s.waits, s.notice.At) {
			delete(is.bad, key) // that provider's own notice says so
		}
	}
	return is, err
}

// shut says that a provider lets nobody in, or that this was just over when it refused a client then: that one's next
// try says more.
func (is reading) shut(key string, then time.Time) bool {
	_, bad := is.bad[key]
	_, told := is.was.Told[key]
	back, well := is.good[key]
	return bad || told && is.unknown[key] || well && then.Before(back.At.Add(pause))
}

// judge says where a client stands.
func (n *Notifier) judge(c state.Client, was state.Notices, bad map[string]subject, good map[string]state.Notice) {
	is := state.Notice{Name: c.Name, Online: c.EverDeployed, Removed: c.Removed, Because: c.Because, Next: c.Next, At: n.Now()}
	key := "client/" + string(c.ID)
	var cause string
	asked := (c.Status == state.StatusPaused || c.Waiting()) && c.EverDeployed && !c.Removed // its site is asked after
	switch {
	case c.Status == state.StatusFailed:
		is.Word, cause = state.NoticeFailed, c.Commit+" "+c.FailedStep
	case c.Status == state.StatusHeld:
		is.Word, cause = state.NoticeHeld, c.Commit+" "+c.Because
	case c.Waiting() && c.Waits != "" && c.Next != "": // a token lacks a permission: nobody else mends that
		is.Word, cause = state.NoticeHeld, c.Commit+" waits for "+c.Waits
	case (c.Status == state.StatusActive || asked) && c.Health == state.Degraded:
		is.Word, cause = state.NoticeDegraded, "health"
		is.Because, is.Next = "its site did not answer as its manifest says, several times in a row", "look at the site's own log, or revert what changed last; `reconciler why "+c.Name+"` says more"
	case c.Status == state.StatusActive, asked && was.Told[key].Word == state.NoticeDegraded:
		is.Word, is.Because, is.Next = state.NoticeRecovered, "", ""
		good[key] = is
		return
	default: // under way or waiting, paused and well, gone: no news by itself
		return
	}
	if sick := runs(&is, c); sick {
		cause += " degraded"
	}
	sum := sha256.Sum256([]byte(cause))
	s := subject{key: key, cause: hex.EncodeToString(sum[:8]), notice: is}
	if c.Waiting() && is.Word == state.NoticeHeld {
		s.waits, s.notice.At = c.Waits, c.UpdatedAt
	}
	bad[key] = s
}

// runs has a notice of who failed or waits say what its site runs, where that is not what such a notice says
// by itself; sick says that the site does not answer.
func runs(is *state.Notice, c state.Client) (sick bool) {
	if !c.EverDeployed || c.Removed || is.Word == state.NoticeDegraded {
		return false
	}
	if first, why, said := strings.Cut(c.Because, ". "); said && strings.HasPrefix(first, "Your site ") {
		is.Runs, is.Because = first+".", why
	}
	if strings.Contains(c.Because, state.NotPutBack) {
		is.Runs = "What it runs by now the cause says."
	}
	if c.Health != state.Degraded || is.Runs == state.RunsUnnamed || !c.Quarantined.IsZero() { // the last two are not asked after
		return false
	}
	is.Runs = strings.TrimSpace(is.Runs + " Its site does not answer as it should.")
	return true
}

// gather makes a bulletin of what is new, if it is time for one.
func (n *Notifier) gather() error {
	is, err := n.read()
	if err != nil {
		return err
	}
	news, now := n.news(is), n.Now()
	if n.Quiet.During(now) || len(n.To) == 0 {
		return nil
	}
	mute := map[string]subject{}
	for key := range news {
		if s, bad := is.bad[key]; bad && s.mute {
			mute[key] = s
			delete(news, key)
		}
	}
	if now.Before(is.was.Last.Add(pause)) && !now.Before(is.was.Last) || len(is.was.Bulletins) >= maxWaiting {
		clear(news)
	}
	if len(news)+len(mute) == 0 {
		return nil
	}
	return n.Store.Update(func(tx store.Tx) error {
		was, _, err := store.Notices(tx)
		if err != nil {
			return err
		}
		told := map[string]state.Told{}
		for key, t := range was.Told {
			_, still := is.bad[key]
			_, untold := is.good[key]
			if still || untold || is.unknown[key] || known(tx, key) {
				told[key] = t
			}
		}
		for key, s := range mute {
			told[key] = state.Told{Word: s.notice.Word, Cause: s.cause, At: s.notice.At}
		}
		for key, x := range news {
			if s, bad := is.bad[key]; bad {
				told[key] = state.Told{Word: x.Word, Cause: s.cause, At: x.At}
				continue
			}
			delete(told, key)
		}
		was.Told = told
		if len(news) > 0 {
			was.Seq++
			was.Last = now
			n.hurry(&was, news)
			was.Bulletins = append(was.Bulletins, n.bulletin(was.Seq, now, news))
		}
		return store.PutNotices(tx, was)
	})
}

// news is what differs from what people were told, at this look and at the one before: else
// it may be over by the next.
func (n *Notifier) news(is reading) map[string]state.Notice {
	news, seen := map[string]state.Notice{}, map[string]string{}
	for key, s := range is.bad {
		if t, told := is.was.Told[key]; !told || t.Word != s.notice.Word || t.Cause != s.cause {
			news[key], seen[key] = s.notice, string(s.notice.Word)+s.cause
		}
	}
	for key := range is.was.Told {
		if x, well := is.good[key]; well {
			news[key], seen[key] = x, string(x.Word)
		}
	}
	before := n.seen
	n.seen = seen
	for key := range news {
		if before[key] != seen[key] {
			delete(news, key)
		}
	}
	return news
}

// known says that a told subject may still come to an end that is worth telling: a hold that
// is gone is answered, and a client that is gone needs no mail, nor a provider that is not
// configured any more.
func known(tx store.Tx, key string) bool {
	const client = "client/"
	if len(key) <= len(client) || key[:len(client)] != client {
		return false
	}
	c, ok, err := store.Client(tx, state.ClientID(key[len(client):]))
	return err == nil && ok && c.Status != state.StatusRetained && c.Status != state.StatusPaused
}

func (n *Notifier) bulletin(seq uint64, now time.Time, news map[string]state.Notice) state.Bulletin {
	b := state.Bulletin{Seq: seq, At: now, Counts: map[state.NoticeWord]int{}, Left: slices.Clone(n.To)}
	rank := map[state.NoticeWord]int{state.NoticeAway: 0, state.NoticeShut: 1, state.NoticeBack: 2, state.NoticeFailed: 3, state.NoticeHeld: 4, state.NoticeDegraded: 5, state.NoticeRecovered: 6}
	all := slices.Collect(maps.Values(news))
	sort.Slice(all, func(i, j int) bool {
		if a, b := rank[all[i].Word], rank[all[j].Word]; a != b {
			return a < b
		}
		if all[i].Name != all[j].Name {
			return all[i].Name < all[j].Name
		}
		return all[i].Because < all[j].Because
	})
	for _, x := range all {
		b.Counts[x.Word]++
		if len(b.Notices) < maxShown {
			x.Runs = report.Clip(n.Redact(x.Runs), maxBecause)
			x.Because, x.Next = report.Clip(n.Redact(x.Because), maxBecause), report.Clip(n.Redact(x.Next), maxBecause)
			b.Notices = append(b.Notices, x)
		}
	}
	return b
}

// deliver mails what is on its way, to each recipient by itself.
func (n *Notifier) deliver(ctx context.Context) error {
	var is state.Notices
	err := n.Store.View(func(tx store.Tx) (err error) { is, _, err = store.Notices(tx); return err })
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range is.Bulletins {
		if wait := b.Again.Sub(n.Now()); wait > 0 && wait <= maxPutOff { // else the clock was set back since
			continue
		}
		l := report.Notices(b, n.Base)
		for _, to := range slices.Clone(b.Left) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			err := n.Send(ctx, n.name(b.Seq, to), to, l, slices.Contains(b.Unsure, to))
			if gone := n.outcome(&b, to, err); !gone {
				errs = append(errs, fmt.Errorf("mail bulletin %d: %w", b.Seq, err))
			}
		}
		if err := n.note(b); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// name is what a mail is called: the same at every try.
func (n *Notifier) name(seq uint64, to string) string {
	sum := sha256.Sum256([]byte(to))
	return fmt.Sprintf("notice-%s-%d-%s", n.Installation, seq, hex.EncodeToString(sum[:6]))
}

// outcome notes what became of a mail. false: it is tried again.
func (n *Notifier) outcome(b *state.Bulletin, to string, err error) (gone bool) {
	at := slices.Index(b.Left, to)
	done := func() bool {
		b.Left = slices.Delete(b.Left, at, at+1)
		b.Unsure = slices.DeleteFunc(b.Unsure, func(s string) bool { return s == to })
		return true
	}
	if err == nil {
		return done()
	}
	kind, now := provider.KindOf(err), n.Now()
	switch {
	case kind == provider.Conflict: // it was sent
		return done()
	case kind == provider.Invalid, kind == provider.Unsupported, now.Sub(b.At) > giveUpAfter && b.Tries >= giveUpTries:
		n.Log.Warn("somebody is not told", "bulletin", b.Seq, "error", err)
		return done()
	case kind == provider.Uncertain && !slices.Contains(b.Unsure, to):
		b.Unsure = append(b.Unsure, to)
	}
	b.Tries++
	wait := firstRetry
	for i := 1; i < b.Tries && wait < maxRetry; i++ {
		wait *= 2
	}
	b.Again = now.Add(min(wait, maxRetry))
	if until := provider.UntilOf(err); until.After(b.Again) {
		b.Again = until
	}
	return false
}

// note writes how far a bulletin came, and takes it out when everybody has it.
func (n *Notifier) note(b state.Bulletin) error {
	return n.Store.Update(func(tx store.Tx) error {
		is, _, err := store.Notices(tx)
		if err != nil {
			return err
		}
		for i := range is.Bulletins {
			if is.Bulletins[i].Seq != b.Seq {
				continue
			}
			if is.Bulletins[i] = b; len(b.Left) == 0 {
				is.Bulletins = slices.Delete(is.Bulletins, i, i+1)
			}
			break
		}
		return store.PutNotices(tx, is)
	})
}
