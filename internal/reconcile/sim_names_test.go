package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// nameRuns are the runs in which names pass from client to client, of a plain `go test`. (More of them:
// make sim NAMES=yes.)
const nameRuns = 60

// nameOnceRed is onceRed, of those.
var nameOnceRed = []uint64{
	710000462, // who could not have its name back was told that its old version runs
	710006826, // a newer wish could not be carried out, and who had given its name away answered by none
	710012188, // a name was given back to who is in quarantine, and nothing came back for it
	710018325, // of what was put back an update that came late was left out
	710019270, // what a person had let go counted as shown by no plan
	710021575, // who wished no site any more counted as one that answers by no name
	710022422, // of a swap an update of which nobody knew was put back before it came
	722010633, // of two that can't be given their names back each waited for the other
	722012056, // what a client gave back to another one's wish, and lost so, it got back when that failed
	722019628, // a name that goes back from where a person took the traffic away counted as led to nothing
	724010197, // what a file asks for that is refused for another one's clash counted as wished
	723003977, // what a person deleted was mended in the pass of its group
	722004375, // whose name had moved passed alone, though it may have gone back
	720004547, // who waits for one in quarantine counted as one that failed
	710023367, // a file that says who it was, of one that had gone before, counted as one that asks for a name
	732007151, // a release that a person took away while it was built again, to put it back, was waited for, for good
	732015190, // a release that was shown as made anew, and gone since, counted as not shown
	732093785, // of three that pass names on the first let its own go before the third was through, and had none when that failed
	732111308, // so it did where it was a row
	732063187, // a name that a late write led to a site whose release a person had taken away counted as taken down by us
	732072790, // a name that went with a site that a person deleted counted as led to nothing by us
	732138701, // so did one that was to go back from there
	732101759, // what could not be built again was forgotten with the end of its pass, and "still runs the old version" was told
	732040020, // who could get no name back gave away the one that it had taken
	733015904, // a new client, which has none to go back to, kept one, and was taken down with it
	735038934, // a swap was put back to a name whose record a person had deleted: what redirects there counted as down by our own doing
	735015275, // what somebody made of a merge by hand counted as planned by nobody, though a later plan was made of it
	732057553, // the file of who takes a name, refused for another name that two ask for, counted as a wish
	732100510, // so did that of who wishes its old name again, which is another one's by now, and which a third one asks for, too
	733013791, // who came back to a site, while others had taken its names, was told of its failure that its old version runs
	732042614, // a file that Git merged of two that plans were made of counted as one that no plan is of
	710023664, // so did one that asks for a name, too, that another client may not lose
}

// nameOnceRedAmongRivals is onceRedAmongRivals, of those.
var nameOnceRedAmongRivals = []uint64{
	739645956, // an alias that redirected in the middle of a swap to where a person had deleted what serves counted as taken down by us
	739000445, // what its owner made and a person took away, as it was in a client's way, counted as changed by us
	739004718, // a name was not looked for where a move had brought it, of which nobody had heard, and stayed there for good
	739005993, // so it was, and who had lost it that way answered by none
	739016196, // who never had a name kept the one that it took as it failed, and whose that was answered by none
	739024186, // who waited only for mail to go was through before the one with which it had swapped names, and gave none back
	739029819, // so it was, of whom the other one went
	739030164, // who never had a name kept the one that it took as the one that had it failed
	739048473, // who had taken a name gave it back though its own had gone, as a later wish failed, and answered by none
	739050473, // who was paused, and had begun nothing, was taken back with the one whose name it was to take
	739052912, // what served before was built again from the environment that could not be put back, and counted as the old version
	739053882, // who came back brought a template that no plan had shown, and that was as it had been when it went
	739054390, // a file that is refused for a name that another one asks for, which is refused, too, counted as a wish
	739065907, // a record that somebody else had set beside ours counted as taken down by us
	739093113, // a record that nobody had set so far counted as what led a name to another client, and a swap was not put back for both
	739081664, // a file that is refused, as what another one without a site gives away is held, counted as a wish
	739068946, // what a name led to in the middle of a swap counted as what was to be put back
}

// nameOnceRedOfLate are those since comments command, and the program is stopped.
var nameOnceRedOfLate = []uint64{
	739362819, // who came back when its record was gone, and failed, was told that its old version runs, and answered by none
	739373369, // a failure that was recorded after its pass counted as none, and what could not be put back as put back
	739298971, // who had no name to go back to, as its own led to another client, failed with the one whose name it took, and kept that
	739277938, // a name that could not be given back was, later, and an alias that had followed it stayed with it
	739264895, // who lost its name did not get it back from who would have got its own from one that was removed
	739184774, // what waited with more by the time its approval was heard counted as not approved
	739207024, // a name became another client's alias while the new one of its client could not be planned, and that one answered by none
	739194947, // the environment of who failed counted as that of before while its change was still to come
	739193976, // who came back, and whose name's record was another client's, was told that its old version runs, and answered by none
	739184790, // an alias went on redirecting to another client's name as its own came back, as a third one had let that one go where it was to come
	739176093, // a record that moved as the program died, and that a person changed then, counted as not moved, and kept the mark of whose it was not
	739177496, // a file that is its client's wish since before counted as taken over with what another head changed of that
	739178139, // a program that died as it was asked to end counted as one that left marks of who was under way
	739172183, // a pull request counted before it was noted since when comments are heard, and a command on it had no answer
	739155360, // a file that an approval let in between two heads counted as one that no pull request brought
	739123144, // what was built again in the place of what had failed, and served once its pass was over, counted as what a plan did not show
	739124334, // what had served a name that came back from who goes counted as what served before
	739147733, // who came back in the middle of its removal, and failed, counted as told that its old version runs
	739134129, // an approval that a comment gave, and somebody else once more as the clock had been set back, counted as given twice
	739139527, // of two names that a person took down at once one counted as up, by the order in which they were looked at
	739143323, // who had never been through kept a name that it took as its own one went, and the name went with it
	739117843, // what a comment had asked for, and was not noted as done, was done once more five weeks later
	739113710, // what a host had let go of, as the new version was proved at another one, counted as what serves after a later failure
	739100292, // an approval by a comment that could not be ended at once was given once more after somebody else had given it
}

// I5, S24: names pass from client to client, in every way in which people do that, while everything else
// goes wrong. Who is told that its old version runs answers by a name, and what people come by stays up.
func TestS24SimNamesPassOn(t *testing.T) {
	playSome(t, namers, nameRuns)
}

// nameOnceRedInFull are those since who gives a name away is paused for days, at times.
var nameOnceRedInFull = []uint64{
	739622019, // who is through but for a removal that waits for a file that no client has counted as who waits for the end of faults
	739614234, // a pull request that was planned beside the pass that accepted a head with its content counted as known to that head
}

func TestS24SimNamesThatWereRed(t *testing.T) {
	for _, seed := range nameOnceRedInFull {
		if o := playWith(t, seeded(seed), func(s *story) { s.namers = true }); o.failed != "" {
			t.Errorf("names, seed %d: %s", seed, o.failed)
		}
	}
	for _, seed := range nameOnceRedOfLate {
		if o := playWith(t, seeded(seed), func(s *story) { s.namers, s.brief = true, true }); o.failed != "" {
			t.Errorf("names, seed %d: %s", seed, o.failed)
		}
	}
	for _, seed := range nameOnceRedAmongRivals {
		if o := playWith(t, seeded(seed), func(s *story) { s.namers, s.wordless = true, true }); o.failed != "" {
			t.Errorf("names, seed %d: %s", seed, o.failed)
		}
	}
	for _, seed := range nameOnceRed {
		if o := playWith(t, seeded(seed), func(s *story) { s.namers, s.plain = true, true }); o.failed != "" {
			t.Errorf("names, seed %d: %s", seed, o.failed)
		}
	}
}

// passNamesOn lets names pass from client to client in one commit: two swap theirs, three pass them
// on in a circle or in a row, an alias becomes another one's own name. Who has part in it may get a new
// version, too, or break, or go.
func (s *story) passNamesOn() {
	s.peopled()
	who := s.whoHasNames()
	if s.namedBefore != nil && len(s.atWork()) < len(who) && s.n(3, "before they are through") > 0 {
		s.later(10 * time.Minute)
		return
	}
	if !s.plain && !s.brief && !s.wordless && s.besidesN(7, "for days") == 7 {
		s.forDays(who[s.besidesN(len(who)-1, "who")], who[s.besidesN(len(who)-1, "who else")])
		return
	}
	pick := func() (name string) {
		n := s.n(len(who)-1, "who")
		name = who[n]
		who = slices.Delete(who, n, n+1)
		return name
	}
	in := []string{pick(), pick()}
	how := s.one([]string{"swap", "swap", "swap", "circle", "row", "alias", "back"}, "how")
	if len(who) > 0 && (how == "circle" || how == "row") {
		in = append(in, pick())
	}
	specs := make([]spec, len(in))
	for i, name := range in {
		specs[i] = s.tree.specs[name]
	}
	s.say("names pass on: %s of %s", how, strings.Join(in, ", "))
	if was := s.namedBefore; how == "back" && was != nil { // as the last one found it
		for name, x := range was {
			s.change(name, func(y *spec) { y.domain, y.aliases = x.domain, x.aliases })
		}
		s.namedBefore = nil
		s.commit(false)
		return
	}
	s.namedBefore = map[string]spec{}
	for i, name := range in {
		s.namedBefore[name] = specs[i]
	}
	last := len(in) - 1
	switch first := specs[0].domain; how {
	case "alias":
		if y := &specs[last]; len(y.aliases) > 0 {
			specs[0].domain = y.aliases[0]
			y.aliases = slices.Clone(y.aliases[1:])
			if s.odds(2, "in exchange") {
				y.aliases = append(y.aliases, label(first))
			}
			break
		}
		fallthrough
	default:
		for i := range last {
			specs[i].domain = specs[i+1].domain
		}
		if specs[last].domain = first; how == "row" {
			specs[last].domain = s.one(fleetDomains, "domain")
		}
	}
	for i, name := range in {
		x := &specs[i]
		switch s.n(9, "also") {
		case 5, 6:
			x.colour = s.one(fleetColours, "colour")
		case 7:
			x.aliases = []string{s.one(fleetAliases, "alias")}
		case 8:
			x.host = s.one([]string{"vercel", "ploi"}, "host")
		case 9:
			x.broken = !x.broken
		}
		if s.tree.specs[name] = *x; i == last && how == "row" && s.odds(3, "goes") {
			delete(s.tree.specs, name)
		}
	}
	if s.odds(8, "template") {
		s.tree.template = s.templated(s.one([]string{template, storyTemplate("v2", "")}, "template"))
	}
	s.commit(false)
}

// forDays lets a client give its name away while it is paused, and another one get it days later, when the ledger
// would have let it go. The first goes on then, or goes, or stays as it is.
func (s *story) forDays(giver, taker string) {
	if giver == taker {
		return
	}
	pause := func(paused bool) {
		s.ask(giver, func(name, by string) (state.ClientID, error) { return s.engine.SetPaused(name, paused, by) })
	}
	host := s.tree.specs[giver].domain
	s.say("%s is paused, gives %s away, and %s gets it days later", giver, host, taker)
	pause(true)
	s.change(giver, func(x *spec) { x.domain = giver + "-else" })
	s.commit(false)
	s.pollNow()
	s.passDue(6)
	s.later(26 * time.Hour)
	s.change(taker, func(x *spec) { x.colour = fleetColours[s.besidesN(len(fleetColours)-1, "colour")] })
	s.commit(false)
	s.pollNow()
	s.passDue(6)
	s.change(taker, func(x *spec) { x.aliases = append(slices.Clone(x.aliases), label(host)) })
	id := s.lives()[giver]
	then := s.besidesN(3, "then")
	if then == 0 {
		delete(s.tree.specs, giver)
	}
	s.commit(false)
	s.sofar()
	if d, ok := s.vendors.world.Serves(label(host)); ok { // nobody asked for it in between, and it is up all the same
		if o, _ := s.vendors.world.Object(d); o.Mark.Client == id && s.everNamed[id] { // a newcomer that fails goes back to nothing
			s.comesUp(label(host))
			s.up[label(host)], s.led[label(host)] = id, len(s.vendors.world.Resolves(label(host))) > 0
		}
	}
	if then == 1 || then == 2 {
		pause(false)
	}
}

// peopled sees to three clients that have names; at first they are brought up while nothing goes wrong.
func (s *story) peopled() {
	first := s.namedBefore == nil && len(s.atWork()) < 3
	for _, name := range fleetNames {
		if len(s.whoHasNames()) >= 3 {
			break
		}
		if _, there := s.tree.specs[name]; !there {
			s.tree.specs[name] = spec{name: name, domain: name, colour: s.one(fleetColours, "colour"), host: s.one([]string{"vercel", "ploi"}, "host"), db: "none"}
		}
	}
	if !first {
		return
	}
	s.calmly(func() {
		for _, name := range s.tree.names() {
			s.change(name, func(x *spec) {
				x.broken, x.paused, x.previously, x.secret, x.byHand = false, false, "", false, false
				if x.host == "none" {
					x.host = "vercel"
				}
			})
		}
		s.tree.freeze = freeze{}
		s.commit(false)
		for range 3 {
			s.pollNow()
			s.passDue(6)
			s.later(10 * time.Minute)
		}
		s.sofar()
	})
}

// whoHasNames are the clients that names pass between. (Not f, which may adopt what lived before us: that
// site's names are bound there, without our mark, until it has; and they go with the site that has them.)
func (s *story) whoHasNames() []string {
	return slices.DeleteFunc(s.tree.names(), func(name string) bool { return name == "f" })
}
