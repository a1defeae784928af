package journal

import (
	"fmt"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func intent(op Op) Intent {
	return Intent{Op: op, Provider: "cloud", Name: "shop-1a2b-77aa", Ref: state.Ref{Client: "shop-1a2b", Kind: state.KindSite, Name: "cloud"}, Absent: true}
}

// Objects that a look may show.
var (
	ours      = Seen{ID: "o", Ours: true, Marked: true}
	theirs    = Seen{ID: "t", Marked: true}
	theirsToo = Seen{ID: "e", Marked: true, Equal: true}
	equal     = Seen{ID: "q", Equal: true}
	other     = Seen{ID: "x"}
)

// RuleUncertainCreates. What becomes of a create whose answer was lost:
//
//	looked ─┬─ one of ours ─────────────── done
//	        ├─ two of ours ─────────────── park
//	        ├─ others', no marks there ─┬─ was absent ── one: done; two: park
//	        │                           └─ else ──────── one equal, no data: found; else park
//	        └─ nothing, or others', ────── look again twice across the lag; then
//	           where marks are          ├─ one equal without a mark, no data: found
//	                                    └─ else: not done, and whatever is there is the step's to judge
func TestSettleCreate(t *testing.T) {
	unique, marks := state.Traits{UniqueName: true, Marks: true}, state.Traits{Marks: true}
	bare, uniqueBare := state.Traits{}, state.Traits{UniqueName: true}
	late := state.Traits{Marks: true, ListLag: time.Minute}
	data := state.Traits{Marks: true, Data: true}
	for _, c := range []struct {
		name    string
		traits  state.Traits
		seen    []Seen
		looks   int
		blind   bool // there was no look before the create
		want    Kind
		object  int
		inAbout time.Duration
	}{
		{"nothing, unique", unique, nil, 0, false, LookAgain, 0, time.Second},
		{"nothing, unique, third look", unique, nil, 2, false, NotDone, 0, 0},
		{"nothing, unique without marks", uniqueBare, nil, 0, false, LookAgain, 0, time.Second},
		{"nothing, first look", marks, nil, 0, false, LookAgain, 0, time.Second},
		{"nothing, second look", marks, nil, 1, false, LookAgain, 0, time.Second},
		{"nothing, third look", marks, nil, 2, false, NotDone, 0, 0},
		{"nothing, no marks, first look", bare, nil, 0, false, LookAgain, 0, time.Second},
		{"nothing, late lists, first look", late, nil, 0, false, LookAgain, 0, 30 * time.Second},
		{"nothing, late lists, second look", late, nil, 1, false, LookAgain, 0, 30 * time.Second},
		{"nothing, late lists, third look", late, nil, 2, false, NotDone, 0, 0},
		{"nothing, the vendor said conflict", late, nil, SettleLooks, false, NotDone, 0, 0},
		{"ours", marks, []Seen{ours}, 0, false, Done, 0, 0},
		{"ours on the last look", late, []Seen{ours}, 2, false, Done, 0, 0},
		{"ours beside another's", marks, []Seen{theirs, ours}, 0, false, Done, 1, 0},
		{"ours beside an unmarked", marks, []Seen{other, ours}, 0, false, Done, 1, 0},
		{"two of ours", marks, []Seen{ours, ours}, 0, false, Park, 0, 0},
		{"two of ours, unique", unique, []Seen{ours, other, ours}, 0, false, Park, 0, 0},
		{"another's", marks, []Seen{theirs}, 0, false, LookAgain, 0, time.Second},
		{"another's, late lists", late, []Seen{theirs}, 1, false, LookAgain, 0, 30 * time.Second},
		{"another's, third look", marks, []Seen{theirs}, 2, false, NotDone, 0, 0},
		{"another's, equal, third look", unique, []Seen{theirsToo}, 2, false, NotDone, 0, 0},
		{"another's, the vendor said conflict", late, []Seen{theirs}, SettleLooks, false, NotDone, 0, 0},
		{"another's where no marks are", bare, []Seen{theirs}, 0, false, Park, 0, 0},
		{"another's beside an equal one, third look", marks, []Seen{equal, theirs}, 2, false, NotDone, 0, 0},
		{"one, no marks, was absent", bare, []Seen{other}, 0, false, Done, 0, 0},
		{"one, no marks, was not looked at", bare, []Seen{other}, 0, true, Park, 0, 0},
		{"equal, no marks, was not looked at", bare, []Seen{equal}, 0, true, Found, 0, 0},
		{"two, no marks", bare, []Seen{other, equal}, 0, false, Park, 0, 0},
		{"unmarked where marks are", marks, []Seen{other}, 0, false, LookAgain, 0, time.Second},
		{"unmarked where marks are, third look", marks, []Seen{other}, 2, false, NotDone, 0, 0},
		{"equal and unmarked", marks, []Seen{other, equal}, 0, false, LookAgain, 0, time.Second},
		{"equal and unmarked, third look", marks, []Seen{other, equal}, 2, false, Found, 1, 0},
		{"equal and unmarked, the vendor said conflict", late, []Seen{equal}, SettleLooks, false, Found, 0, 0},
		{"two equal and unmarked, third look", marks, []Seen{equal, equal}, 2, false, NotDone, 0, 0},
		{"equal, unmarked, data, third look", data, []Seen{equal}, 2, false, NotDone, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := intent(OpCreate)
			i.Looks, i.Absent = c.looks, !c.blind
			d := Settle(i, c.seen, c.traits, now)
			if d.Kind != c.want || d.Object != c.object {
				t.Errorf("%s object %d (%s), want %s object %d", d.Kind, d.Object, d.Reason, c.want, c.object)
			}
			if c.inAbout > 0 && d.At.Sub(now) != c.inAbout {
				t.Errorf("again after %s, want %s", d.At.Sub(now), c.inAbout)
			}
			if (d.Kind == Park) != (d.Reason != "") {
				t.Errorf("a park says why, nothing else does: %q", d.Reason)
			}
		})
	}
}

func TestSettleUpdateAndDelete(t *testing.T) {
	for _, c := range []struct {
		op    Op
		seen  []Seen
		looks int // before
		want  Kind
	}{
		{OpUpdate, nil, 0, NotDone}, {OpUpdate, []Seen{other}, 0, LookAgain}, {OpUpdate, []Seen{other}, 1, LookAgain}, {OpUpdate, []Seen{other}, 2, NotDone},
		{OpUpdate, []Seen{equal}, 0, Done}, {OpUpdate, []Seen{{Ours: true, Marked: true, Equal: true}}, 2, Done},
		{OpDelete, nil, 0, Done}, {OpDelete, []Seen{ours}, 0, LookAgain}, {OpDelete, []Seen{ours}, 1, LookAgain}, {OpDelete, []Seen{ours}, 2, NotDone},
		{OpMark, []Seen{ours}, 0, Done}, {OpMark, []Seen{other}, 0, NotDone},
	} {
		i := intent(c.op)
		i.Looks = c.looks
		d := Settle(i, c.seen, state.Traits{Marks: true, ListLag: time.Hour}, now) // lists have no part in it
		if d.Kind != c.want || d.Kind == LookAgain && d.At != now.Add(time.Second) {
			t.Errorf("%s with %v after %d looks: %s at %s, want %s", c.op, c.seen, c.looks, d.Kind, d.At, c.want)
		}
	}
}

// Where an object has no place for a mark its id may name the site that it was in: what is not there
// any more is looked for by its name, for as long as that may be late.
func TestSettleUpdateOfWhatMayHaveMoved(t *testing.T) {
	for _, c := range []struct {
		seen  []Seen
		looks int
		want  Kind
		in    time.Duration
	}{{nil, 0, LookAgain, 30 * time.Second}, {nil, 1, LookAgain, 30 * time.Second}, {nil, 2, NotDone, 0}, {[]Seen{equal}, 0, Done, 0}, {[]Seen{{ID: "there", Moved: true}}, 0, Done, 0}, {[]Seen{other}, 2, NotDone, 0}} {
		i := intent(OpUpdate)
		i.Looks = c.looks
		d := Settle(i, c.seen, state.Traits{ListLag: time.Minute}, now)
		if d.Kind != c.want || d.Kind == LookAgain && d.At != now.Add(c.in) {
			t.Errorf("%v after %d looks: %s at %s, want %s", c.seen, c.looks, d.Kind, d.At, c.want)
		}
	}
}

// What is given to another client has that one's mark once it is, also where a person changed it since: it
// has not to be as it was wished.
func TestSettleMoveThatAPersonChanged(t *testing.T) {
	i := intent(OpUpdate)
	for _, c := range []struct {
		from string
		seen Seen
		want Kind
	}{
		{"cafe-1a2b", ours, Done}, {"cafe-1a2b", theirs, LookAgain}, {"cafe-1a2b", other, LookAgain},
		{"shop-1a2b", ours, LookAgain}, // it had that mark before
	} {
		i.From = state.Ref{Client: state.ClientID(c.from), Kind: state.KindRecord, Name: "A shop.example"}
		if got := Settle(i, []Seen{c.seen}, state.Traits{Marks: true}, now); got.Kind != c.want {
			t.Errorf("from %s, %+v is seen: %s, want %s", c.from, c.seen, got.Kind, c.want)
		}
	}
}

// An update that wishes what was there already shows nothing of itself: what is equal may be what
// was there before, and the write may still come, over what is sent next.
func TestSettleUpdateThatChangesNothing(t *testing.T) {
	was, other := resource("here"), resource("there")
	for _, c := range []struct {
		name  string
		prior *state.Resource
		from  state.Ref
		looks int
		want  Kind
	}{
		{"as it was", &was, state.Ref{}, 0, LookAgain}, {"as it was, third look", &was, state.Ref{}, 2, Done},
		{"nothing known before", nil, state.Ref{}, 0, LookAgain}, {"changed", &other, state.Ref{}, 0, Done},
		{"moved", &was, state.Ref{Client: "b-000002", Kind: state.KindDomain, Name: "x"}, 0, Done},
	} {
		i := intent(OpUpdate)
		wish := resource("here")
		i.Wish, i.Prior, i.From, i.Looks = &wish, c.prior, c.from, c.looks
		if d := Settle(i, []Seen{equal}, state.Traits{Marks: true}, now); d.Kind != c.want || d.Kind == LookAgain && d.At != now.Add(time.Second) {
			t.Errorf("%s: %s at %s, want %s", c.name, d.Kind, d.At, c.want)
		}
	}
}

func resource(content string) state.Resource {
	return state.Resource{Ref: state.Ref{Client: "a-000001", Kind: state.KindDomain, Name: "x"}, Attributes: state.Attributes{{Name: "content", Value: state.Value{Literal: content}}}}
}

// P3 over everything that a look may show, up to three objects, at every vendor.
func TestP3SettleNeverTwiceNeverTheirs(t *testing.T) {
	kinds := []Seen{ours, theirs, theirsToo, equal, other}
	var sets [][]Seen
	sets = append(sets, nil)
	for _, a := range kinds {
		sets = append(sets, []Seen{a})
		for _, b := range kinds {
			sets = append(sets, []Seen{a, b})
			for _, c := range kinds {
				sets = append(sets, []Seen{a, b, c})
			}
		}
	}
	n := 0
	for bits := range 32 {
		traits := state.Traits{UniqueName: bits&1 != 0, Marks: bits&2 != 0, Data: bits&4 != 0}
		if bits&8 != 0 {
			traits.ListLag = time.Minute
		}
		for looks := range SettleLooks + 1 {
			for _, seen := range sets {
				i := intent(OpCreate)
				i.Absent, i.Looks = bits&16 != 0, looks
				d := Settle(i, seen, traits, now)
				n++
				what := fmt.Sprintf("%+v absent %t looks %d seen %v: %s object %d", traits, i.Absent, looks, seen, d.Kind, d.Object)
				mine, foreign := 0, 0
				for _, s := range seen {
					if s.Ours {
						mine++
					} else if s.Marked {
						foreign++
					}
				}
				switch d.Kind {
				case NotDone:
					if mine > 0 || len(seen) > 0 && !traits.Marks || looks+1 < SettleLooks {
						t.Fatalf("it would be created twice, or lost: %s", what)
					}
				case LookAgain:
					if mine > 0 || len(seen) > 0 && !traits.Marks || !d.At.After(now) {
						t.Fatalf("it looks again without need, or at once: %s", what)
					}
				case Done:
					s := seen[d.Object]
					if s.Marked && !s.Ours || (!s.Ours && (traits.Marks || !i.Absent || len(seen) != 1)) || mine > 1 {
						t.Fatalf("what is not ours is taken: %s", what)
					}
				case Found:
					if s := seen[d.Object]; s.Marked || !s.Equal || traits.Data || foreign > 0 || mine > 0 {
						t.Fatalf("it is no equal unmarked object: %s", what)
					}
					if traits.Marks && looks+1 < SettleLooks {
						t.Fatalf("ours may come beside it, and nobody would know of it: %s", what)
					}
				case Park:
					if mine == 1 {
						t.Fatalf("it parks beside the one that is ours: %s", what)
					}
					if mine == 0 && traits.Marks {
						t.Fatalf("it waits for a person over what others made: %s", what)
					}
				}
				for a, b := 0, len(seen)-1; a < b; a, b = a+1, b-1 { // the order of a list decides nothing
					turned := append([]Seen(nil), seen...)
					for x, y := 0, len(turned)-1; x < y; x, y = x+1, y-1 {
						turned[x], turned[y] = turned[y], turned[x]
					}
					if again := Settle(i, turned, traits, now); again.Kind != d.Kind {
						t.Fatalf("turned round it is %s: %s", again.Kind, what)
					}
				}
			}
		}
	}
	if n != 32*4*156 {
		t.Errorf("%d cases", n)
	}
}

// The looks are spread so that the last one comes when the lag is over.
func TestSettleLooksSpanTheLag(t *testing.T) {
	for _, lag := range []time.Duration{0, time.Second, 10 * time.Second, time.Minute} {
		for _, unique := range []bool{false, true} {
			i, at := intent(OpCreate), now
			for i.Looks < SettleLooks {
				d := Settle(i, nil, state.Traits{ListLag: lag, UniqueName: unique}, at)
				if d.Kind == NotDone {
					break
				}
				i.Looks, at = i.Looks+1, d.At
			}
			if i.Looks+1 != SettleLooks || at.Sub(now) < max(lag, minLag) {
				t.Errorf("lag %s, unique %v: %d looks over %s", lag, unique, i.Looks+1, at.Sub(now))
			}
		}
	}
}

// A mark came through where the object bears it; else it is written once more.
func TestSettleMark(t *testing.T) {
	for name, c := range map[string]struct {
		seen []Seen
		want Kind
	}{"it bears it": {[]Seen{ours}, Done}, "it does not": {[]Seen{other}, NotDone}, "another's": {[]Seen{theirs}, NotDone}, "it is gone": {nil, NotDone}} {
		if d := Settle(intent(OpMark), c.seen, state.Traits{Marks: true}, now); d.Kind != c.want {
			t.Errorf("%s: %s, want %s", name, d.Kind, c.want)
		}
	}
}
