package reconcile_test

import "testing"

// onceRed are seeds of runs that broke a law until the engine, the law or the world was
// mended. They are played by every `go test`. Whoever changes what a run draws makes other
// runs of them: then they prove no more than any other seed, and may go. So what was added to
// the world since (pages, payments, a clock that jumps) draws beside, and these are played in
// the world as it was before.
var onceRed = []redRun{
	{3114173, "what was taken from clients that were not made yet counted as their loss"},
	{3018385, "a purge of what a person had deleted was cut off, and its end was taken for a loss"},
	{3113059, "a client in quarantine was told to serve the old version, whatever the try before had changed"},
	{3143443, "the clock went back when one step had slept past the time that another waited for"},
	{3631038, "a head was judged while a pass ended, and its verdict went back to pending for ever"},
	{3635894, "a name moved to a site whose release a person had deleted, as nobody could look"},
	{3179131, "a removal that had stopped halfway was told to serve the old version"},
	{3179133, "what was put back after a death was held against what served in the middle of the update"},
	{3180187, "a name that had gone to its new owner counted as the old one's"},
	{3656175, "a create that was sent twice was taken back before the first one came to be"},
	{3629680, "a failed update at a host that deploys in place left the new version serving"},
	{3665550, "a site of strangers at one host had the address of another host"},
	{3672121, "a pass read a wish between its commit and memory, and made the wish before of it"},
	{3224741, "a release that served was deleted to be built again"},
	{3223963, "a release was built without the environment, which nobody could look at"},
	{3240330, "a folder that was put back knew a client only by name, and it was made a second time"},
	{3242669, "a folder that was put back knew a client that was another one's name by now"},
	{3246180, "a look into an uncertain update was refused, and the update was taken for failed"},
	{3711778, "a file that says it was somebody who is still there counted as asking for a name"},
	{3219595, "a name that redirects to one that was swapped away counted as served by another version"},
	{3310184, "a name that a refused file asked for again went by the proof of an earlier commit"},
	{3314223, "a name was led back to a host that had let it go"},
	{3316842, "a client that a removal renamed counted as untouched"},
	{501667, "what somebody let change in a freeze before it was merged had another id by then"},
	{1010461, "a plan that showed a change of the template showed nothing of whose wish was pushed by nobody"},
	{1011787, "a push that became valid when its names were free did not count as one"},
	{1013221, "what a plan had shown was forgotten when a wish of an earlier pull request became valid"},
	{1020552, "what was taken away only because something else was held was judged by nobody"},
	{1056546, "a file that is as it was planned counted as pushed when another was pushed beside it"},
	{1088362, "a pull request whose plan showed no change of a template counted as who brought it"},
	{1090277, "a plan that showed a change of the platform file showed nothing of whose wish it is"},
	{1090751, "an approval did not count when a secret's new version gave the release another name"},
	{1100720, "what a merged pull request showed was forgotten before a head brought it"},
	{1081792, "people went on setting a record of a client that goes"},
	{1082535, "a plan onto an older head was about a file that an earlier range brought"},
	{742, "a pull request without a plan counted as who brought what the plan of another one showed"},
	{1128459, "of a rebase of what conflicted only the last commit counted as its own"},
	{1118101, "what was shown before counted as done, as another plan had shown what a stranger sent"},
	{1048264, "a file that an older state refuses counted as the client whose name it has"},
	{1025132, "an earlier version that was to be built again was forgotten between its delete and its create"},
	{1502756, "a plan that showed that a name is led to a new site let any release be shown there"},
	{1078277, "what somebody let leave a time without service counted as not shown"},
	{1078437, "a release that was built again to be put back came after the failure"},
	{1085587, "a removal waited for the date that its wish had waited for"},
	{1137090, "who came back under the name that it still had was asked whose database it is, and went"},
	{1138884, "what a plan showed of a file that was refused then did not count as shown of it"},
	{1278, "what somebody made of it at the merge counted as what the plan showed"},
	{3068064, "what was settled at a merge as it was on the branch counted as the pull request's"},
	{3072682, "a folder that was put back was to be known for older before anything could be made"},
	{3092130, "a mail that was refused for good counted as sent, and its client as at rest"},
	{3096318, "a rebase without a plan counted as unseen, though another plan showed all of it"},
	{3096050, "a client went while its file was back, and refused for a name"},
	{3207379, "an approval was forgotten, whose step waited for its client's file"},
	{3121216, "a plan that found no room counted as shown"},
	{1020416, "a person purged what a schedule had been told to ask for later"},
	{10003346, "a plan that a look showed which was cut off after it counted as nobody's"},
	{11046281, "a wish that another file left as it was counted as that of who brought the file"},
	{11083095, "who returned before its names had gone had lost the record of its adopted site's environment"},
	{11083949, "a step that began before a removal waited counted as carried out while it waited"},
}

// onceRedHostile are such seeds of hostile histories.
var onceRedHostile = []redRun{
	{1021407, "the address record of a name that an adopted site did not have was taken over with it"},
	{1028584, "a name that was held was taken from the site that it led to, as another one was to have it before"},
	{3047945, "a step that began before its client came back counted as one of the client's that is back"},
	{3088135, "what a cut off update had built in place counted as the version before it"},
	{1033860, "a name went at its date without asking who waits for it, as a newer head was held as a whole"},
}

// onceRedHostileSince are those of the world as it is.
var onceRedHostileSince = []redRun{
	{410020428, "a purge that its vendor carried out when the pass that had sent it was over counted as one that nobody had asked for"},
	{410048086, "the same"},
	{440034833, "the clock was set back, and nobody judged once more who waits for the name of one that went at its date"},
	{420049670, "a step of a removal began and deleted a site just when its client's return was committed"},
}

// onceRedSince are such seeds of the world as it is.
var onceRedSince = []redRun{
	{13106232, "what a plan had shown counted for nothing when a push came over it, though its wish was not done"},
	{13112054, "what was to be told waited for a date of when the clock was ahead, as only that was dated then"},
	{20021422, "what a step of a failed pass was told of limits counted as known to what puts its changes back"},
	{20033821, "who waits to be let in raised how many may lose something in a day; and of whom a second judgement of a head let in nobody knew; and a name was led to one that another client still had at another host"},
	{20008853, "an uncertain create of who goes waited for a person, as somebody else had made the equal record meanwhile"},
	{20070540, "of a rebase of what came to nothing only the last commit counted as its own"},
	{20127864, "what no plan had shown counted as done in the pass in which a record went that answered for one which a person had yet to set"},
	{20018094, "what a cut off move had made counted as in the place of the database that a person deleted later"},
	{20083201, "a vendor that went on building while a plan was made counted as written"},
	{20091806, "a file that names a host twice, and is refused, counted as one that asks for it"},
	{20143107, "what the guard had let go days apart, by the clock, counted as lost in one once the clock was set back"},
	{20144442, "so it did for a removal that waited for a file of its commits meanwhile"},
	{13013292, "a name that redirects was led back to one that had been let go before"},
	{20207458, "what a plan had shown counted for nothing when a push took it back in its own range, though that wish was not done"},
	{21008816, "the file of a name that a client had once, and another one has by now, counted as his own as both went"},
	{22022589, "a record that was made where one was gone led to a new site, and its release, and bore no risk"},
	{22023931, "what a pull request brought that no plan showed counted for nothing when its file was not valid and another one changed it before it was"},
	{24004852, "a file that a push gave back as its client had it all along counted as that of who had it refused, with the template that was pushed beside it"},
	{24014238, "so it did beside files that were still refused"},
	{24028229, "so it did after a death in the middle of the client's first pass"},
	{24058152, "so it did where a stranger's plan, of an older head, held the refused file"},
	{22020110, "the clock was set back while a client passed, which then waited for the date of a removal that the pass had read before"},
	{22007922, "nobody took the adopted database out of a file whose former client of that name keeps it"},
	{20212466, "what a plan had shown of a client whose file was away for a moment counted for nothing when it went for good"},
	{24048843, "a purge that a person asked for and a vendor refused counted as the beginning of a new keeping"},
	{24009244, "what came for one client while the failure of another of its group was taken back was neither tried nor left to another pass"},
	{24040385, "a file asked for the database where one had it that went under its name, not where whoever has the name now has it"},
	{31002875, "a name went back to whoever had come to its end without it, as its new owner failed at a later commit"},
	{24041625, "a name went that another client's alias redirected to, as that one was held and nothing led it on"},
	{64100554, "a file that says it was one of whom no client ever was counted as what was refused there"},
	{51002264, "a name that redirects to one whose record is gone counted as served, by the side that its client had left"},
	{26011767, "a name counted as wished for the refused file of who had it once, when its new owner, who had not come to rest, let it go"},
	{26015338, "two clients without a site swapped their names while one was paused, and passed alone before the records beside them had moved"},
	{25013484, "what a name showed when its client had it before counted as what people saw when it had come back"},
	{7707, "a file that a merge left as it was counted as what the pull request that it conflicted with had brought"},
	{100004613, "an alias redirected to a name to whose time without service a person had agreed"},
	{100008271, "a database that came back was changed by hand before, and what differs was put back as the record of its client's name went with another client"},
	{100015915, "a name went that another client's alias redirected to, as its next owner had gone and nobody passed with who had it"},
	{100011646, "a release that was there before was built anew where it serves at once, without the risk of that"},
	{80201068, "of removals that one approval let go some were asked about once more, and a name went that only their clients wished"},
	{100020479, "a name was not given back to a client that had it on record still, where it was gone and another had made it anew"},
	{200005486, "a client went whole with a name that it was to give on, as only that part of it was still held"},
	{210022914, "a client that was renamed long ago, and has nothing but a database, was made anew after a loss of the state, as its name was another one's"},
	{210028294, "the same, with nobody of its earlier name"},
	{210130517, "a name that another client's alias redirected to went before that alias had moved to another host"},
	{210122697, "a file that waited for a removal that was held counted as one that takes over a name"},
	{210012556, "a file in which a client says that it was another one, and is refused for that, counted as one that takes over its name"},
	{210127514, "a pull request that ended was forgotten after three months in which nobody told its end, and a status stayed pending"},
	{922610815308, "a purge that a person asked for, and that its vendor carried out when the process that had sent it was dead, counted as too early"},
	{922610819675, "so it counted, of an adopted database, as one that nobody had asked for"},
	{500900824, "of a swap of names that failed for both, what the one's undo gave back the other's took away again"},
	{922610818427, "what a pull request brought that was refused counted as its own still when an approved head had another file in its place"},
	{2267, "an update that changed nothing, and was cut off, came late, over the move of the name that it was about"},
	{510009831, "of an adopted site whose client's removal was cut off the traffic was to be made once more when that came back"},
	{510013765, "a person approved that a client is another one, of which a lost state knew nothing but the name"},
	{602807836650, "a client was paused and removed, and whoever takes its names waited without a word of whom to resume"},
	{511009315, "so it did for one that has nothing but records"},
	{602807834644, "of two names of a client that went, the one to which the other redirects went first, and another client had that one"},
	{511019213, "so it did where their client was removed"},
	{530009140, "of two that swap their names one waited for an approval, and the other had taken its name by then"},
	{540006898, "an environment that could not be put back was not when the next try failed"},
	{550032673, "who was put into quarantine in the middle of a swap of names counted as one that failed"},
	{550039432, "what a lost state forgot was given back to nobody who became valid only after that"},
	{24680892177, "of two that failed together one was put back, and the other not before somebody woke it"},
	{24680896056, "of three that pass their names on in a circle the one that had the failed one's name kept it"},
	{560007645, "a name moved from a client whose own new one could not be planned"},
	{560010648, "that a part goes had begun when its client was removed, and counted as against the removal that waits"},
	{560011524, "a purge ended what a pass waited for, and the client's commit stayed pending"},
	{560012186, "what a pull request had brought counted as that of a client whose file said that it was another one, and was refused for that"},
	{520017989, "a release that was being built again to put it back, when the process died, counted as built"},
	{520019704, "an approval that came when its hold was gone counted, of who came by that name since, as none"},
	{520020788, "what a vendor carried out late counted as what the next head brought"},
	{580002192, "who was removed, and failed to go, gave a name back to one that was through without it"},
	{581021854, "a name that its last wisher lets go, and that waits for an approval, counted as free for who asks for it"},
	{582050115, "so did one of who goes, and whose removal waits for a file"},
	{582056301, "the date of a purge was read before the purge put it right, as the clock had been set back"},
	{582079424, "data that came to be late, where its file asked for it no more, was to move where nothing can"},
	{583027734, "a purge that a person asked for, and that came late to what lived before us, counted as nobody's"},
	{584030873, "a name that could not be given back for a while never was, and its client was told that its old version runs"},
	{584039828, "whom only an account was left of, and Git says nothing of its name, was to be known after a loss"},
	{584048030, "of three that pass their names on the first one let its own go, and the second one failed"},
	{584096354, "an older state took who had come back for gone, as its file says by now that it is another one"},
	{585015397, "a name that came back to a site of which a person had taken a part, meanwhile, counted as taken down"},
	{585019904, "a copy that nothing tells was to be found out, as nobody is made anew"},
	{585025104, "who could not be put back was, in a freeze, when it failed once more, and that counted as a change"},
	{585025308, "a name was led back to one that had gone with another client"},
	{586011066, "a release that was shown, tried and is made once more counted as another step"},
	{586033105, "whether a look that was cut off had noted a merge, nobody knows: what its plans showed counted as not shown"},
	{586072494, "what a plan had shown counted as not shown, as the look that told it was followed by one that was cut off"},
	{590040746, "so it did where that one's process died"},
	{591059043, "a release that was built again to put it back came late, when another head had made its client due"},
	{597007333, "whose site's owner took it away, who had it as it was equal, counted as taken down by us"},
	{593040314, "a client that an approved head frees was to be left alone, as it was paused when its pass began"},
	{593059850, "a file that came back, and was refused as it did not say whose data it has, counted as one that asks for a name"},
	{600347168, "a name that a person took off its site while it was about to go back counted as led to nothing by us"},
	{600434743, "data of a lost state that counted as that of one that had its name before, for which a record stood, was no reason to ask before an empty database was made"},
	{600475018, "a user that a person deleted was updated in vain for ever, as only the plan after the look changed it"},
	{600408621, "what a plan had shown of a history that somebody approved since counted as not shown"},
	{605295760, "what a failure took back began with a wish of which all was done but a removal that waited for a person"},
	{606083023, "a purge that came to its end in the pass that made another database counted as nobody's"},
	{606176395, "whoever mended two files said the same of what was kept in both, and each was told another thing"},
	{606211114, "nobody took away what a client had made that an older state had as removed, and whose file was said to be another one's"},
	{606212259, "a rebase of what a plan was made of counted as unplanned, as a head had brought as much before"},
	{606258837, "who asks for the name that was let go in the middle of a swap counted as having it"},
	{606334067, "of two releases at a host that serves what was built last, the one that an older state had not known counted as the younger one"},
	{606426649, "an approval that nothing was done by so far counted as forgotten"},
	{608000170, "a wish that was carried out just before the next head was accepted counted as under way"},
	{604060415, "of a move that somebody had approved the empty database was made while the old one could not be seen, which was gone"},
	{602035625, "so did what one had shown of a wish that was not done when somebody approved a history"},
	{600455552, "at a host that serves what was built last, going back to the release on record, which another one had taken the place of, counted as no risk"},
	{29029375419, "a client that had failed was tried again while the next head was judged, and stayed pending in the verdict before"},
	{591013006, "who took a name was through, and its own was led back to it when the other one failed"},
	{581029162, "an older state took what the program had made since, in the place of what it had found, for found"},
}

// onceRedAmongRivals are those since vendors are as they are, and others are faster (sim_rivals_test.go).
var onceRedAmongRivals = []redRun{
	{616000741, "a name that had moved, of which nobody had heard, counted as on no record, though the next update finds it"},
	{621004974, "a file that its client had all along counted as who brought it by now, as a push changed what it inherits"},
	{621029631, "what served could not be put back, and its environment went back to that of the version before as the next update failed"},
	{618008688, "nobody set a record by hand that had been there when it was looked for, and whose owner took it away since"},
}

// onceRedOfLate are those since comments command, and the program is stopped (sim_commands_test.go).
var onceRedOfLate = []redRun{
	{908602011615, "the environment of a site that waits for an approval before it goes counted as that of what serves"},
	{624074661, "who took a name was through while the other one waited for a person, and gave none back as that one failed"},
}

// onceRedInFull are those since thin runs are helped, and whoever waited for faults goes on alone.
var onceRedInFull = []redRun{
	{626073838, "a stop in the middle of a look, or of a provider's list, was left to count as a death there"},
	{626061862, "a file that became valid with a head counted as its client's all along, so that what plans had shown of it did not count"},
	{626019092, "a file that can't be read, and may be what a removed client with a refused file became, counted as brought by nobody"},
	{626135341, "a pull request counted as open in the very look that saw it closed, and approved the head that holds its content"},
	{627014458, "the secret of a client that is being taken away counted as one that would be put back"},
	{299633458353, "that a person leads a name to a new site bore no risk, so that a release that nobody had reviewed was led to"},
	{632039537, "a vendor's pause of a minute lasted for twelve more, as the clock was set back by so much, and counted as a wait without an end"},
	{635034302, "what people saw once a person had taken a record away counted as shown by us"},
	{636178477, "a version that an approval let in before the next head counted as replaced by what was pushed then"},
	{636278132, "a name redirected anew to one that nobody could see, and that a person had changed"},
	{636228791, "a domain without a mark that we had moved was a stranger's, as a person changed it before anybody knew"},
	{632121041, "a record that a person sets was set by a stranger's, who took it away again, and the old side went while DNS led people there"},
	{632092313, "a name that a paused client gave away was nobody's after a day, so that it was taken away alone, and unseen, when that one went on"},
	{626142746, "whose file asks for a name that is another's counted as somebody who waits for the end of faults"},
}

// onceRedWithOldRecords are those since people leave old records in a plot (sim_led_test.go).
var onceRedWithOldRecords = []redRun{
	{637900341, "who waits for a person to take a record away counted as somebody who waits for the end of faults"},
	{967, "an old owner's record, which we took away, counted as a person's"},
	{638043850, "whose domain somebody took away who had made it in the middle of a create counted as untouched"},
	{641025782, "a forgotten record leads an alias to the side that was left, which redirects to a name that the commit gave up"},
	{641028629, "who adopts a site was moved to another host, which a plot then waited for"},
	{638070691, "a name that bears no mark, of a wish that an older copy does not know, was on no record"},
	{644038741, "so was one that an older copy's wish asks for, and the head no more, as no record leads to it"},
}

// onceRedRich are those since manifests say more (sim_rich_test.go).
var onceRedRich = []redRun{
	{645040632, "who waits for a name that goes at its date, with another client's database, was not taken for one who waits for a date"},
	{648017271, "a database that a person deleted while its purge was cut off came back when it was gone, and counted as lost"},
	{648252889, "a name that bears no mark, which a file asks for that is not accepted, was on no record after an older copy was put back"},
	{648281183, "who waits for another client's alias, at a side that is left as a person forgot a record, counted as somebody who waits for the end of faults"},
	{648333973, "a person set, for a plot, a record for a name that another client has still"},
	{156108456615, "an alias that a swap leads to a name which a person let redirect to nowhere, at the side that was left, counted as taken down by us"},
	{649217205, "who had come to rest, by a wish that nobody proposed, as the program died at another client was bound to a pull request still"},
	{649291895, "a create that was refused, as an earlier one by another wish was there that no list showed yet, counted as done"},
	{649192956, "an own secret that was set since an older copy was made, and that its host shows to nobody, was set again by nobody"},
	{20262293, "a look at the record of ours that a person's is to take the place of told that nothing leads to the old owner's side"},
	{663136869, "a person did not take away, as told, the record of a site of before us at a DNS host that we know"},
}

// redRun is the seed of a run that was red, and what it was.
type redRun struct {
	seed uint64
	was  string
}

// redWorlds are all of them, with the world in which each list is played.
var redWorlds = []struct {
	shape func(*story)
	runs  []redRun
}{
	{func(*story) {}, onceRedRich},
	{func(s *story) { s.sparse = true }, onceRedWithOldRecords},
	{func(s *story) { s.unled = true }, onceRedInFull},
	{func(s *story) { s.brief = true }, onceRedOfLate},
	{func(s *story) { s.wordless = true }, onceRedAmongRivals},
	{func(s *story) { s.before = true }, onceRed},
	{func(s *story) { s.plain = true }, onceRedSince},
	{func(s *story) { s.before, s.hostile = true, true }, onceRedHostile},
	{func(s *story) { s.plain, s.hostile = true, true }, onceRedHostileSince},
}

func TestSimSeedsThatWereRed(t *testing.T) {
	for _, w := range redWorlds {
		for _, c := range w.runs {
			if o := playWith(t, seeded(c.seed), w.shape); o.failed != "" {
				t.Errorf("seed %d (%s): %s", c.seed, c.was, o.failed)
			}
		}
	}
}
